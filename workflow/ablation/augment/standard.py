"""The standard ImageNet augmentation: random resized crop and horizontal flip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from ..config.base import Fraction, Range
from ..data.draws import Draws
from ..data.windows import random_resized_windows
from .base import Augmentation

if TYPE_CHECKING:
    import torch


def flip_horizontal(images: torch.Tensor, flipped: np.ndarray) -> torch.Tensor:
    """Mirror the images (b, h, w, 3) whose entry in `flipped` (b,) bool is true, left to right."""
    import torch

    mask = torch.from_numpy(flipped).to(images.device)[:, None, None, None]
    return torch.where(mask, images.flip(2), images)


class Standard(Augmentation):
    """Random resized crop and horizontal flip, both drawn per image.

    Szegedy et al. 2015 (arXiv 1409.4842, section 6). Draws: `crop` and `flip`, one row a sample.
    Departs from torchvision's RandomResizedCrop in the interpolation: FFCV's INTER_AREA in both
    reading modes.
    """

    name: Literal["standard"] = "standard"
    scale: Range = (0.08, 1.0)
    """Range of the crop's area as a share of the image's."""
    ratio: Range = (0.75, 4 / 3)
    """Range of the crop's width divided by its height."""
    flip: Fraction = 0.5
    """Probability of mirroring an image."""

    def windows(self, sizes: np.ndarray, draws: Draws, *, crop_ratio: float) -> np.ndarray:
        return random_resized_windows(
            sizes, draws.uniform("crop", len(sizes), 40), scale=self.scale, ratio=self.ratio
        )

    def batch(self, images: torch.Tensor, index: np.ndarray, draws: Draws) -> torch.Tensor:
        if self.flip == 0:
            return images
        return flip_horizontal(images, draws.kept("flip")[index, 0] < self.flip)
