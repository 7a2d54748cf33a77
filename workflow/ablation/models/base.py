"""What every model's options share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..config.base import Technique

if TYPE_CHECKING:
    import torch


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
