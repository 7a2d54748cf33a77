"""A recipe: one complete training configuration; and a cell: the same with a seed."""

from __future__ import annotations

from typing import Annotated, Literal, Union

from pydantic import Field, model_validator

from ..augment import AUGMENTATIONS
from ..losses import LOSSES
from ..models import MODELS
from ..optim import OPTIMIZERS
from ..schedules import SCHEDULES
from .base import Config, Count, Fraction, Positive, Whole
from .resources import Otherwise

AnyModel = Annotated[Union[MODELS], Field(discriminator="name")]  # noqa: UP007
AnyOptimizer = Annotated[Union[OPTIMIZERS], Field(discriminator="name")]  # noqa: UP007
AnySchedule = Annotated[Union[SCHEDULES], Field(discriminator="name")]  # noqa: UP007
AnyLoss = Annotated[Union[LOSSES], Field(discriminator="name")]  # noqa: UP007
AnyAugmentation = Annotated[Union[AUGMENTATIONS], Field(discriminator="name")]  # noqa: UP007
Share = Annotated[Fraction, Field(gt=0)]


class Compute(Config):
    """What changes sums, and so bits: part of the cell's identity."""

    threads: Count = 1
    """Compute threads of the cell, set whatever the number of loader workers."""
    ranks: Literal[1] = 1
    """Data-parallel processes."""
    deterministic: bool = True
    """Deterministic kernels on a GPU. Off is faster; order and augmentation stay the same."""


class Measure(Config):
    """What is measured during training besides validation."""

    clean_images: Whole = 1000
    """Size of the fixed training subset on which clean train accuracy is measured; 0 for none."""
    clean_every: Count = 1
    """Measure it each so many epochs, and always at the last."""


class Training(Config):
    """Everything that can change a cell's result, except its seed."""

    dataset: str
    """Name of a file in `config/datasets/`."""
    train_share: Share = 1.0
    """Share of the training set that is used: the same stratified subset for every seed."""
    val_share: Share = 1.0
    """Share of the validation set that is used: a fixed stratified subset."""
    model: AnyModel
    img_size: Count
    """Side of the square images that the model sees, pixels, in training and validation."""
    val_crop_ratio: Share = 0.875
    """Side of the validation crop as a share of the shorter image side (224 of 256)."""
    epochs: Count
    batch_size: Count
    """Global batch size. The remainder of an epoch's order is left out, another one each epoch."""
    lr: Positive
    """Learning rate at the global batch size, before warmup and schedule."""
    clip_grad_norm: Positive | None = None
    """Largest L2 norm of all gradients together; a larger one is scaled down to it."""
    optimizer: AnyOptimizer
    schedule: AnySchedule
    loss: AnyLoss
    augment: AnyAugmentation
    precision: Literal["fp32"] = "fp32"
    """Number format of the computation."""
    reading: Literal["auto", "resident", "streaming"] = "auto"
    """`resident` reads the beton into memory once, `streaming` goes through FFCV's Loader; `auto`
    chooses by size."""
    compute: Compute = Compute()
    measure: Measure = Measure()

    @model_validator(mode="after")
    def _schedule_fits(self) -> Training:
        self.schedule.refuse_unreached(self.epochs)
        return self


class Described(Config):
    """Where settings come from: dotted keys with the place or the reason."""

    stated: dict[str, str] = {}
    """Settings that the document states: key -> where."""
    assumed: dict[str, str] = {}
    """Settings that the document leaves unsaid: key -> why this value."""


class RecipeConfig(Training, Described):
    """One complete training configuration, a named starting point (`config/recipes/`)."""

    title: str
    """Name for readers."""
    resources: dict[str, Otherwise] = {}
    """Scale -> what cells of this recipe ask of the cluster otherwise than that scale says."""


class CellConfig(Training):
    """A training with its seed: with the dataset's lock, the whole identity of a cell."""

    reading: Literal["resident", "streaming"]
    seed: Whole
