"""Random shifts, as Keras does them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from ..config.base import Fraction
from ..data.draws import Draws
from .base import Augmentation
from .standard import flip_horizontal

if TYPE_CHECKING:
    import torch


def shift(images: torch.Tensor, across: np.ndarray, down: np.ndarray) -> torch.Tensor:
    """Shift images by parts of a pixel; what comes in repeats the border.

    images (b, h, w, 3) uint8; across and down (b,) float64: pixels by which the image moves to
    the left and up. Bilinear, rounded.
    """
    from ._affine import by_affine

    one, zero = np.ones_like(across), np.zeros_like(across)
    matrices = np.stack((one, zero, across, zero, one, down), 1)
    return by_affine(images, matrices, fill=None, interpolation="bilinear")


class Shift(Augmentation):
    """Shift by a part of the width and height, and horizontal flip, drawn per image; no crop.

    Keras' ImageDataGenerator with `width_shift_range` and `height_shift_range` (Chollet 2015):
    uniform on both axes, bilinear, borders repeated. Draws: `shift` (two columns) and `flip`, one
    row a sample. Departs from Keras in that levels are rounded to whole ones.
    """

    name: Literal["shift"] = "shift"
    fraction: Fraction = 0.1
    """Largest shift as a share of the width and of the height."""
    flip: Fraction = 0.5
    """Probability of mirroring an image."""

    def batch(self, images: torch.Tensor, index: np.ndarray, draws: Draws) -> torch.Tensor:
        if self.fraction > 0:
            _, height, width, _ = images.shape
            share = (2 * draws.of("shift", index, 2) - 1) * self.fraction
            images = shift(images, share[:, 0] * width, share[:, 1] * height)
        if self.flip > 0:
            images = flip_horizontal(images, draws.kept("flip")[index, 0] < self.flip)
        return images
