"""The stages of augmentation: crop windows, geometry, policy, erasing, mixing.

`augment` says which part of an image is read and moves it, `policy` changes its pixels (both on
uint8 images), `erase` hides parts of it, `mix` blends it with another (both on the model's input).
Each stage works on the whole batch on the cell's device, with draws per image.
"""

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


class Policy(Technique):
    """Operations on pixels and shapes, drawn per image (RandAugment, AutoAugment)."""

    def batch(self, images: torch.Tensor, index: np.ndarray, draws: Draws) -> torch.Tensor:
        """images (b, h, w, 3) uint8, index (b,) its samples' numbers; returns the same shape."""
        raise NotImplementedError


class Erasing(Technique):
    """Hides parts of an image, drawn per image."""

    def refuse_unfit(self, img_size: int, epochs: float) -> None:
        """ValueError if an option does not fit images of this side or a training of this length."""

    def batch(self, images: torch.Tensor, index: np.ndarray, draws: Draws) -> torch.Tensor:
        """images (b, 3, h, w) float32, normalised (0 is the training set's mean), channels last in
        memory; index (b,) its samples' numbers; returns the same shape."""
        raise NotImplementedError


class Mixing(Technique):
    """Blends every image of a batch with another one, and their targets alike."""

    def batch(
        self,
        images: torch.Tensor,
        targets: torch.Tensor,
        index: np.ndarray,
        draws: Draws,
        step: int,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """images (b, 3, h, w) float32, normalised; targets (b, classes) float32, rows that sum to
        1; index (b,) samples' numbers; step: number of the batch within the epoch, for what is
        drawn once a batch (the partners). Returns images and targets of the same shapes."""
        raise NotImplementedError
