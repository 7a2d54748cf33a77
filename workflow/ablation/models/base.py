"""What every model's options share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from ..config.base import NoBool, Technique

if TYPE_CHECKING:
    import torch

Rate = Annotated[float, NoBool, Field(ge=0, lt=1)]

# Regularization that lies inside a model. A scale that puts another model in the place of the
# document's leaves it as the document has it: these options go over to the other model.
CARRIED = ("dropout", "stochastic_depth")


class Model(Technique):
    """Options of a model; `build` makes it with random weights."""

    @property
    def label(self) -> str:
        """Name shown to readers, and the key by which a scale maps it."""
        return self.name

    def build(self, classes: int) -> torch.nn.Module:
        """A model from (b, 3, h, w) float images to (b, classes) logits.

        Initial weights come from torch's global generator, which the caller has seeded.
        """
        raise NotImplementedError


def bare(model: Model) -> Model:
    """The model without the regularization inside it: two that are equal so hold the same
    weights."""
    options = {key: None for key in CARRIED if key in type(model).model_fields}
    return model.model_copy(update=options)
