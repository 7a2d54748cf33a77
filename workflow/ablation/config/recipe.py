"""A recipe: one complete training configuration; and a cell: the same with a seed."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Union

from pydantic import Field, ValidationInfo, field_validator, model_validator

from ..augment import AUGMENTATIONS, ERASURES, MIXES, POLICIES
from ..averaging import AVERAGES
from ..losses import LOSSES
from ..models import MODELS
from ..models.base import Model
from ..optim import OPTIMIZERS
from ..schedules import SCHEDULES
from ..weights import WEIGHTS, TimmWeights
from .base import (
    Config,
    Count,
    FileConfig,
    Fraction,
    NoBool,
    Positive,
    Processes,
    Seed,
    Share,
    Side,
    Text,
    Title,
    Whole,
    WholeEpochs,
)
from .resources import Otherwise
from .units import Epochs

AnyModel = Annotated[Union[MODELS], Field(discriminator="name")]  # noqa: UP007
AnyOptimizer = Annotated[Union[OPTIMIZERS], Field(discriminator="name")]  # noqa: UP007
AnySchedule = Annotated[Union[SCHEDULES], Field(discriminator="name")]  # noqa: UP007
AnyLoss = Annotated[Union[LOSSES], Field(discriminator="name")]  # noqa: UP007
AnyAugmentation = Annotated[Union[AUGMENTATIONS], Field(discriminator="name")]  # noqa: UP007
AnyPolicy = Annotated[Union[POLICIES], Field(discriminator="name")]  # noqa: UP007
AnyErasing = Annotated[Union[ERASURES], Field(discriminator="name")]  # noqa: UP007
AnyMixing = Annotated[Union[MIXES], Field(discriminator="name")]  # noqa: UP007
AnyAveraging = Annotated[Union[AVERAGES], Field(discriminator="name")]  # noqa: UP007
AnyWeights = Annotated[Union[WEIGHTS], Field(discriminator="name")]  # noqa: UP007


class ScaledLR(Config):
    """A learning rate that follows the global batch size of the recipe.

    Goyal et al. 2017 (arXiv 1706.02677, section 2.1), linear; You et al. 2020 (arXiv 1904.00962,
    section 4.3), square root. A scale divides every batch size alike and leaves the rate as it is.
    """

    per_256: Positive
    """Learning rate at a batch size of 256."""
    rule: Literal["linear", "sqrt"] = "linear"
    """How it grows with the batch size."""

    def absolute(self, batch_size: int) -> float:
        """The learning rate at a batch size."""
        share = batch_size / 256
        return self.per_256 * (share if self.rule == "linear" else math.sqrt(share))


class Pretrained(Config):
    """Fine-tuning: the training starts from given weights instead of random ones.

    Yosinski et al. 2014 (arXiv 1411.1792).
    """

    weights: AnyWeights
    """A cell (with the same model), a file, or a name in timm (for a model of timm)."""
    head: Literal["keep", "new"] = "keep"
    """`new` leaves the last linear layer at its random start, for another set of classes."""


class Distillation(Config):
    """Knowledge distillation: a trained teacher's outputs are part of the target.

    Hinton et al. 2015 (arXiv 1503.02531). The loss is (1 - alpha) x the loss on the labels + alpha
    x temperature^2 x KL(teacher || student), both softened by the temperature. The teacher sees
    the same augmented images as the student, in evaluation mode.
    """

    teacher: AnyWeights
    """A cell (its own model), a name in timm, or a file (with `teacher_model`)."""
    teacher_model: AnyModel | None = None
    """Model that the file's weights belong to; with a file only."""
    alpha: Annotated[Fraction, Field(gt=0)]
    """Share of the teacher's part of the loss."""
    temperature: Annotated[float, NoBool, Field(gt=0, le=1000)] = 1.0
    """Both outputs are divided by it before the softmax."""

    @model_validator(mode="after")
    def _model_of_a_file(self) -> Distillation:
        if (self.teacher_model is None) == (self.teacher.name == "file"):
            said = "is missing" if self.teacher.name == "file" else "does nothing"
            raise ValueError(f"teacher_model {said} with a teacher from a {self.teacher.name}")
        return self


class ProgressiveResize(Config):
    """Training images grow during the training; validation is always at full size.

    As ffcv-imagenet's recipes: the side rises linearly and is rounded to a multiple.
    """

    start_size: Side
    """Side at first, pixels; `img_size` is the last one."""
    start_epoch: Epochs = 0.0
    """Epoch from which the side grows."""
    end_epoch: Epochs
    """Epoch from which it is `img_size`."""
    multiple: Side = 32
    """The side is rounded to a multiple of this, pixels."""

    @model_validator(mode="after")
    def _rises(self) -> ProgressiveResize:
        if self.start_epoch >= self.end_epoch:
            raise ValueError("start_epoch comes before end_epoch")
        return self

    def size(self, epoch: int, img_size: int) -> int:
        """Side of the training images in an epoch (from 0), pixels."""
        course = (epoch - self.start_epoch) / (self.end_epoch - self.start_epoch)
        side = self.start_size + (img_size - self.start_size) * min(max(course, 0.0), 1.0)
        return round(side / self.multiple) * self.multiple

    def refuse_unused(self, img_size: int, epochs: int) -> None:
        """ValueError if nothing grows, or not to the end."""
        for key, side in (("start_size", self.start_size), ("img_size", img_size)):
            if side % self.multiple:
                raise ValueError(
                    f"progressive_resize: {key} {side} is no multiple of {self.multiple}"
                )
        if self.start_size >= img_size:
            raise ValueError(
                f"progressive_resize.start_size ({self.start_size}) is not below img_size"
            )
        if self.end_epoch > epochs - 1:
            raise ValueError(
                f"progressive_resize.end_epoch ({self.end_epoch:g}) leaves no epoch at img_size "
                f"(epochs: {epochs})"
            )
        if self.size(0, img_size) == img_size:
            raise ValueError("progressive_resize does nothing: already the first epoch is at full")


class Compute(Config):
    """What changes sums, and so bits: part of the cell's identity."""

    threads: Processes = 1
    """Compute threads of the cell, set whatever the number of loader workers."""
    ranks: Processes = 1
    """Data-parallel processes, a GPU each (Li et al. 2020, arXiv 2006.15704). Each has its part of
    every batch, and batch norms see the parts."""
    sync_bn: bool = False
    """Batch norms see the whole batch over all ranks (Peng et al. 2018, arXiv 1711.07240); on GPUs
    only."""
    deterministic: bool = True
    """Deterministic kernels on a GPU. Off is faster; order and augmentation stay the same."""
    channels_last: bool | Literal["auto"] = "auto"
    """Images and convolutions with their channels last in memory (torch's memory format); `auto`:
    if every CPU's library computes the model right so (docs/decisions/0016-sound-arithmetic.md)."""
    compile: bool = False
    """The model goes through torch.compile (Ansel et al. 2024, PyTorch 2): the first step takes a
    minute or more."""
    tf32: bool = False
    """Matrix products and convolutions in TF32, 10 bits of mantissa (NVIDIA 2020, A100 white
    paper); an NVIDIA GPU's alone."""

    @model_validator(mode="after")
    def _sync_of_several(self) -> Compute:
        if self.sync_bn and self.ranks == 1:
            raise ValueError("sync_bn does nothing with one rank")
        return self

    def of_model(self, model: Model) -> Compute:
        """The same with `auto` decided, by the model alone: an id knows no device, no machine."""
        if self.channels_last != "auto":
            return self
        return self.model_copy(update={"channels_last": model.channels_last_is_sound})


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
    img_size: Side
    """Side of the square images that the model sees, pixels, in training and validation."""
    val_crop_ratio: Share = 0.875
    """Side of the validation crop as a share of the shorter image side (224 of 256)."""
    val_img_size: Side | None = None
    """Side of the images in validation, pixels; null for `img_size` (Touvron et al. 2019, arXiv
    1906.06423: larger than in training)."""
    flip_tta: bool = False
    """Validation averages the outputs for each image and its mirror image (Krizhevsky et al. 2012,
    section 4.1; here of the centre crop alone)."""
    progressive_resize: ProgressiveResize | None = None
    """Training images that grow; null for `img_size` throughout."""
    epochs: WholeEpochs
    batch_size: Count
    """Global batch size. The remainder of an epoch's order is left out, another one each epoch."""
    accumulate: Count = 1
    """A batch goes through the model in so many equal parts whose gradients are added up (Ott et
    al. 2018, arXiv 1806.00187): batch norms see the parts."""
    lr: Positive | ScaledLR
    """Learning rate at the global batch size, before warmup and schedule; or `{per_256: ...}`."""
    clip_grad_norm: Positive | None = None
    """Largest L2 norm of all gradients together; a larger one is scaled down to it (Pascanu et al.
    2013, arXiv 1211.5063, algorithm 1)."""
    optimizer: AnyOptimizer
    schedule: AnySchedule
    loss: AnyLoss
    augment: AnyAugmentation
    """Which part of an image is read, and how it is moved."""
    policy: AnyPolicy | None = None
    """Operations on pixels and shapes, after `augment`; null for none."""
    erase: AnyErasing | None = None
    """Parts of an image that are hidden, after `policy`; null for none."""
    mix: AnyMixing | None = None
    """Blends of two images and their targets, last; null for none."""
    repeated_augment: Annotated[int, NoBool, Field(ge=1, le=1000)] = 1
    """Times that each image of an epoch is in it, augmented differently each time (Hoffer et al.
    2020, arXiv 1901.09335). An epoch keeps its length: it visits the so many-th part of the images,
    as timm's sampler."""
    averaging: AnyAveraging | None = None
    """Average of weights over the training; null for the last weights."""
    pretrained: Pretrained | None = None
    """Weights to start from; null for random ones."""
    distill: Distillation | None = None
    """Knowledge distillation; null for none."""
    precision: Literal["fp32", "fp16", "bf16"] = "fp32"
    """Number format of the model's passes: `fp16` and `bf16` are mixed precision (weights, loss and
    statistics stay in fp32), `fp16` with dynamic loss scaling (Micikevicius et al. 2018, arXiv
    1710.03740); `bf16` needs none (Kalamkar et al. 2019, arXiv 1905.12322)."""
    reading: Literal["auto", "resident", "streaming"] = "auto"
    """`resident` reads the beton into memory once, `streaming` goes through FFCV's Loader; `auto`
    chooses by size."""
    compute: Compute = Compute()
    measure: Measure = Measure()

    @model_validator(mode="after")
    def _schedule_fits(self) -> Training:
        self.schedule.refuse_unreached(self.epochs)
        if self.erase is not None:
            growing = self.progressive_resize
            self.erase.refuse_unfit(growing.start_size if growing else self.img_size, self.epochs)
        if self.averaging is not None:
            self.averaging.refuse_unreached(self.epochs)
        if self.progressive_resize is not None:
            self.progressive_resize.refuse_unused(self.img_size, self.epochs)
        return self

    @model_validator(mode="after")
    def _parts_are_equal(self) -> Training:
        ranks = self.compute.ranks
        if self.batch_size % (self.accumulate * ranks):
            parts = f"accumulate {self.accumulate}" + (f" x ranks {ranks}" if ranks > 1 else "")
            raise ValueError(f"batch_size {self.batch_size} cannot be cut into {parts} equal parts")
        return self

    @model_validator(mode="after")
    def _labels_count(self) -> Training:
        if self.distill and self.distill.alpha == 1 and self.loss.label_smoothing > 0:
            raise ValueError("loss.label_smoothing does nothing with distill.alpha 1")
        return self

    @model_validator(mode="after")
    def _start_fits_the_model(self) -> Training:
        weights = self.pretrained and self.pretrained.weights
        if isinstance(weights, TimmWeights) and self.model.label != weights.arch.split(".")[0]:
            raise ValueError(
                f"pretrained.weights are of {weights.arch}, the model is {self.model.label}"
            )
        return self

    @property
    def absolute_lr(self) -> float:
        """The learning rate before warmup and schedule."""
        lr = self.lr
        return lr.absolute(self.batch_size) if isinstance(lr, ScaledLR) else lr


class Described(FileConfig):
    """Where settings come from: dotted keys with the place or the reason."""

    stated: dict[str, Text] = {}
    """Settings that the document states: key -> where."""
    assumed: dict[str, Text] = {}
    """Settings that the document leaves unsaid: key -> why this value."""


class RecipeConfig(Training, Described):
    """One complete training configuration, a named starting point (`config/recipes/`)."""

    title: Title
    """Name for readers."""
    resources: dict[str, Otherwise] = {}
    """Scale -> what cells of this recipe ask of the cluster otherwise than that scale says."""


class CellConfig(Training):
    """A training with its seed: with the dataset's lock, the whole identity of a cell."""

    reading: Literal["resident", "streaming"]
    lr: Positive
    seed: Seed

    @field_validator("compute")
    @classmethod
    def _layout_is_decided(cls, compute: Compute, info: ValidationInfo) -> Compute:
        model = info.data.get("model")  # absent when it is wrong itself
        return compute.of_model(model) if model is not None else compute
