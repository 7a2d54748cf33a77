"""Cutout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from ..config.base import Fraction, Share
from ..data.draws import Draws
from .base import Erasing

if TYPE_CHECKING:
    import torch


def cutout(images: torch.Tensor, *, boxes: np.ndarray) -> torch.Tensor:
    """Hide a box of each image under the training set's mean (DeVries and Taylor 2017).

    images: (b, 3, h, w) float, normalised; boxes: (b, 4) int of top, left, height, width, inside
    the image, of height 0 for none. Returns images of the same shape and memory format.
    """
    from ._hiding import box_mask, hide

    return hide(images, box_mask(boxes, images))


def clipped_squares(centre: np.ndarray, side: int, height: int, width: int) -> np.ndarray:
    """The part inside the image of squares anywhere: (b, 4) int64 of top, left, height, width.

    centre: (b, 2) uniform draws in [0, 1), to any pixel; side: pixels.
    """
    size = np.array([height, width])
    start = (centre * size).astype(np.int64) - side // 2
    end = np.minimum(start + side, size)
    start = np.maximum(start, 0)
    return np.concatenate([start, end - start], 1)


class Cutout(Erasing):
    """Hides one square of each image, its centre anywhere, so that a part may lie outside.

    DeVries and Taylor 2017 (arXiv 1708.04552). Draws: `cutout`, three a sample
    (whether, and the centre). An odd side keeps its last pixel, which the authors' code drops.
    """

    name: Literal["cutout"] = "cutout"
    size: Share = 0.5
    """Side of the square as a share of the image's side (16 of 32 pixels in the paper's CIFAR-10),
    rounded to pixels."""
    prob: Fraction = 1.0
    """Probability of hiding a part of an image."""

    def side(self, img_size: int) -> int:
        """Side of the square in pixels."""
        side = round(self.size * img_size)
        if side < 1:
            raise ValueError(f"erase.size {self.size:g} of {img_size} pixels is less than a pixel")
        return side

    def refuse_unfit(self, img_size: int, epochs: float) -> None:
        self.side(img_size)

    def batch(self, images: torch.Tensor, index: np.ndarray, draws: Draws) -> torch.Tensor:
        height, width = images.shape[2:]
        u = draws.of("cutout", index, 3)
        boxes = clipped_squares(u[:, 1:], self.side(min(height, width)), height, width)
        boxes[u[:, 0] >= self.prob] = 0
        return cutout(images, boxes=boxes)
