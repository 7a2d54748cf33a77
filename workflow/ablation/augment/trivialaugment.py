"""TrivialAugment as torchvision has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from ..data.draws import Draws
from .base import Colour, Policy

if TYPE_CHECKING:
    import torch

OPERATIONS = (
    "identity", "shear_x", "shear_y", "translate_x", "translate_y", "rotate", "brightness", "color",
    "contrast", "sharpness", "posterize", "solarize", "autocontrast", "equalize",
)  # fmt: skip
BINS = 31  # strengths of an operation, from none to the strongest


def arguments(
    operation: str, strength: np.ndarray, negative: np.ndarray, *, size: tuple[int, int]
) -> np.ndarray:
    """What an operation of `_ops` is called with: torchvision's "wide" space.

    strength (k,) whole, 0 to 30; negative (k,) bool: the sign, of operations that have one; size:
    height and width of the image, pixels (translations are by up to 32 whole pixels, whatever the
    size).
    """
    level = strength / (BINS - 1)
    sign = np.where(negative, -1.0, 1.0)
    if operation == "rotate":  # degrees
        return level * 135.0 * sign
    if operation in ("shear_x", "shear_y"):  # pixels a row or column
        return level * 0.99 * sign
    if operation in ("translate_x", "translate_y"):  # share of the side, moving right or down
        side = size[1] if operation == "translate_x" else size[0]
        return -np.trunc(level * 32.0) / side * sign
    if operation == "posterize":  # bits that are kept
        return 8.0 - np.round(strength / ((BINS - 1) / 6))
    if operation == "solarize":  # level from which on it is inverted
        return 255.0 * (BINS - 1 - strength) / (BINS - 1)
    if operation in ("color", "contrast", "brightness", "sharpness"):  # 1 is no change
        return 1.0 + level * 0.99 * sign
    return np.zeros(len(strength))


def choose(uniforms: np.ndarray, *, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Operation and argument of each image: names (b,) and (b,) float64.

    uniforms (b, 3) in [0, 1): operation, strength, sign.
    """
    drawn, strength, sign = uniforms.T
    names = np.array(OPERATIONS)[(drawn * len(OPERATIONS)).astype(int)]
    strengths = (strength * BINS).astype(int)
    values = np.zeros(len(names))
    for name in OPERATIONS:
        own = names == name
        values[own] = arguments(name, strengths[own], sign[own] < 0.5, size=size)
    return names, values


class TrivialAugment(Policy):
    """One of 14 operations an image, of a strength drawn evenly: nothing to tune.

    Mueller and Hutter 2021 (arXiv 2103.10158), torchvision's TrivialAugmentWide (its
    `ta_wide`) with 31 strengths, by nearest neighbour where pixels move. Draws: `trivialaugment`, 3
    columns: operation, strength, sign. Departs from torchvision in the fill (grey; torchvision's is
    black). Grey images stay grey with a grey `fill`, and saturation (`color`) leaves them as they
    are.
    """

    name: Literal["trivialaugment"] = "trivialaugment"
    fill: Colour = (128, 128, 128)
    """Colour (red, green, blue; 0 to 255) of places that show none of the image."""

    def batch(self, images: torch.Tensor, index: np.ndarray, draws: Draws) -> torch.Tensor:
        from ._ops import apply

        uniforms = draws.of("trivialaugment", index, 3)
        names, values = choose(uniforms, size=(images.shape[1], images.shape[2]))
        return apply(images, names, values, fill=self.fill, interpolation="nearest")
