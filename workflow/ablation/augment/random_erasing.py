"""Random erasing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import model_validator

from ..config.base import Fraction, Range, ShareRange
from ..data.draws import Draws
from .base import Erasing

if TYPE_CHECKING:
    import torch

_ATTEMPTS = 10  # torchvision's and timm's number of tries before an image is left as it is


def random_erasing(
    images: torch.Tensor, *, boxes: np.ndarray, keys: np.ndarray | None
) -> torch.Tensor:
    """Hide a box of each image under zeros or noise (Zhong et al. 2020).

    images: (b, 3, h, w) float, normalised; boxes: (b, 4) int of top, left, height, width, of
    height 0 for none; keys: (b,) int64 on which an image's noise depends, None for zeros. Returns
    images of the same shape and memory format.
    """
    from ._hiding import box_mask, hide, hide_under_noise

    mask = box_mask(boxes, images)
    if keys is None:
        return hide(images, mask)
    return hide_under_noise(images, mask, keys, changed=boxes[:, 2] > 0)


def random_boxes(
    uniform: np.ndarray,
    height: int,
    width: int,
    *,
    scale: tuple[float, float],
    ratio: tuple[float, float],
) -> np.ndarray:
    """Boxes of random area and aspect ratio: (b, 4) int64 of top, left, height, width.

    uniform: (b, 40) draws in [0, 1), four an attempt (area, ratio, top, left); scale: share of the
    image's area; ratio: height / width, drawn evenly in its logarithm. As timm and torchvision
    draw them: the first of 10 attempts whose box is smaller than the image in both directions, and
    no box (all zeros) where none is.
    """
    u = uniform.reshape(len(uniform), _ATTEMPTS, 4)
    area = height * width * (scale[0] + (scale[1] - scale[0]) * u[:, :, 0])
    low, high = np.log(ratio[0]), np.log(ratio[1])
    aspect = np.exp(low + (high - low) * u[:, :, 1])
    sides = np.rint(np.sqrt(np.stack([area * aspect, area / aspect], -1))).astype(np.int64)
    room = np.array([height, width]) - sides
    fits = (room > 0).all(-1)
    start = (u[:, :, 2:] * (room + 1)).astype(np.int64)
    boxes = np.concatenate([start, sides], -1)[np.arange(len(u)), fits.argmax(1)]
    boxes[~fits.any(1)] = 0
    return boxes


class RandomErasing(Erasing):
    """Hides one rectangle of random area, shape and place, under noise or the mean.

    Zhong et al. 2020 (arXiv 1708.04896). Draws: `random_erasing`, 41 a sample, and
    `random_erasing_noise`, one that keys the noise. Departs from the paper as timm does: the ratio
    is drawn evenly in its logarithm, noise is normal instead of uniform over the pixel values, and
    10 attempts stand for any number. Own code, as timm and torchvision work image by image with
    a global generator.
    """

    name: Literal["random_erasing"] = "random_erasing"
    prob: Fraction = 0.5
    """Probability of hiding a part of an image."""
    scale: ShareRange = (0.02, 0.4)
    """Range of the rectangle's area as a share of the image's."""
    ratio: Range = (0.3, 10 / 3)
    """Range of the rectangle's height divided by its width."""
    fill: Literal["zero", "noise"] = "noise"
    """`zero` is the training set's mean; `noise` a standard normal draw a pixel and channel."""

    @model_validator(mode="after")
    def _some_box_fits(self) -> RandomErasing:
        squarest = min(max(1.0, self.ratio[0]), self.ratio[1])
        if self.scale[0] * max(squarest, 1 / squarest) >= 1:
            raise ValueError(
                f"no rectangle of scale {list(self.scale)} and ratio {list(self.ratio)} is smaller "
                "than the image: nothing would be hidden"
            )
        return self

    def batch(self, images: torch.Tensor, index: np.ndarray, draws: Draws) -> torch.Tensor:
        u = draws.of("random_erasing", index, 1 + 4 * _ATTEMPTS)
        boxes = random_boxes(u[:, 1:], *images.shape[2:], scale=self.scale, ratio=self.ratio)
        boxes[u[:, 0] >= self.prob] = 0
        keys = None
        if self.fill == "noise":
            keys = (draws.of("random_erasing_noise", index)[:, 0] * 2.0**53).astype(np.int64)
        return random_erasing(images, boxes=boxes, keys=keys)
