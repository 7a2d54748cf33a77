"""What an augmentation is: a crop window for every sample, then pixels of a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..config.base import Technique
from ..data.draws import Draws
from ..data.windows import centre_windows

if TYPE_CHECKING:
    import torch


class Augmentation(Technique):
    """Two stages. `windows` says which part of each sample is read (both reading modes crop and
    resize while decoding); `batch` works on the resized uint8 batch, on the cell's device."""

    def windows(self, sizes: np.ndarray, draws: Draws, *, crop_ratio: float) -> np.ndarray:
        """Crop windows of one epoch.

        sizes: (n, 2) int heights and widths of all samples; returns (n, 4) int32 top, left,
        height, width. Default: the validation crop.
        """
        return centre_windows(sizes, crop_ratio=crop_ratio)

    def batch(self, images: torch.Tensor, index: np.ndarray, draws: Draws) -> torch.Tensor:
        """Augment a batch: images (b, h, w, 3) uint8, index (b,) its samples' numbers."""
        return images
