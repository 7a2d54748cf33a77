"""What every model's options share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from ..config.base import NoBool, Technique
from ..errors import UserError

if TYPE_CHECKING:
    import torch

Rate = Annotated[float, NoBool, Field(ge=0, lt=1)]

# Regularization that lies inside a model. A scale that puts another model in the place of the
# document's leaves it as the document has it: these options go over to the other model.
CARRIED = ("dropout", "stochastic_depth")

# oneDNN#6035: with channels last, the gradient of the weights of a 1 x 1 convolution with a stride
# is written past its end where the input has fewer channels than a block of the kernel: 8 with
# AVX2, 16 with AVX-512.
NARROW = 16


class Model(Technique):
    """Options of a model; `build` makes it with random weights."""

    @property
    def label(self) -> str:
        """Name shown to readers, and the key by which a scale maps it."""
        return self.name

    @property
    def strided_1x1(self) -> int | None:
        """Fewest input channels of a 1 x 1 convolution with a stride; none without such a one.

        A test holds it to the built model.
        """
        return None

    @property
    def channels_last_is_sound(self) -> bool:
        """Whether no convolution of the model meets oneDNN#6035, whatever the CPU."""
        return self.strided_1x1 is None or self.strided_1x1 >= NARROW

    def build(self, classes: int) -> torch.nn.Module:
        """A model from (b, 3, h, w) float images to (b, classes) logits.

        Initial weights come from torch's global generator, which the caller has seeded.
        """
        raise NotImplementedError


def refuse_unsound(model: Model, channels_last: bool) -> None:
    """UserError for what a CPU would compute wrongly: it is asked for, as `auto` never does so."""
    if channels_last and not model.channels_last_is_sound:
        raise UserError(
            f"compute.channels_last: true: the model {model.label} has a 1 x 1 convolution with a "
            f"stride and {model.strided_1x1} input channels, whose gradients CPUs can compute "
            "wrongly in this layout (oneDNN#6035); leave channels_last out"
        )


def bare(model: Model) -> Model:
    """The model without the regularization inside it: two that are equal so hold the same
    weights."""
    options = {key: None for key in CARRIED if key in type(model).model_fields}
    return model.model_copy(update=options)
