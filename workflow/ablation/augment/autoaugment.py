"""AutoAugment's found policies, as torchvision has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from ..data.draws import Draws
from .base import Colour, Policy

if TYPE_CHECKING:
    import torch

COLUMNS = 5  # of uniform draws an image: sub-policy, then whether applied and sign, twice

# Own tables: importing torchvision takes 18 s. A test holds them equal to torchvision's.
POLICIES: dict[str, tuple[tuple[tuple[str, float, int], ...], ...]] = {
    "imagenet": (
        (("posterize", 0.4, 8), ("rotate", 0.6, 9)),
        (("solarize", 0.6, 5), ("autocontrast", 0.6, 0)),
        (("equalize", 0.8, 0), ("equalize", 0.6, 0)),
        (("posterize", 0.6, 7), ("posterize", 0.6, 6)),
        (("equalize", 0.4, 0), ("solarize", 0.2, 4)),
        (("equalize", 0.4, 0), ("rotate", 0.8, 8)),
        (("solarize", 0.6, 3), ("equalize", 0.6, 0)),
        (("posterize", 0.8, 5), ("equalize", 1.0, 0)),
        (("rotate", 0.2, 3), ("solarize", 0.6, 8)),
        (("equalize", 0.6, 0), ("posterize", 0.4, 6)),
        (("rotate", 0.8, 8), ("color", 0.4, 0)),
        (("rotate", 0.4, 9), ("equalize", 0.6, 0)),
        (("equalize", 0.0, 0), ("equalize", 0.8, 0)),
        (("invert", 0.6, 0), ("equalize", 1.0, 0)),
        (("color", 0.6, 4), ("contrast", 1.0, 8)),
        (("rotate", 0.8, 8), ("color", 1.0, 2)),
        (("color", 0.8, 8), ("solarize", 0.8, 7)),
        (("sharpness", 0.4, 7), ("invert", 0.6, 0)),
        (("shear_x", 0.6, 5), ("equalize", 1.0, 0)),
        (("color", 0.4, 0), ("equalize", 0.6, 0)),
        (("equalize", 0.4, 0), ("solarize", 0.2, 4)),
        (("solarize", 0.6, 5), ("autocontrast", 0.6, 0)),
        (("invert", 0.6, 0), ("equalize", 1.0, 0)),
        (("color", 0.6, 4), ("contrast", 1.0, 8)),
        (("equalize", 0.8, 0), ("equalize", 0.6, 0)),
    ),
    "cifar10": (
        (("invert", 0.1, 0), ("contrast", 0.2, 6)),
        (("rotate", 0.7, 2), ("translate_x", 0.3, 9)),
        (("sharpness", 0.8, 1), ("sharpness", 0.9, 3)),
        (("shear_y", 0.5, 8), ("translate_y", 0.7, 9)),
        (("autocontrast", 0.5, 0), ("equalize", 0.9, 0)),
        (("shear_y", 0.2, 7), ("posterize", 0.3, 7)),
        (("color", 0.4, 3), ("brightness", 0.6, 7)),
        (("sharpness", 0.3, 9), ("brightness", 0.7, 9)),
        (("equalize", 0.6, 0), ("equalize", 0.5, 0)),
        (("contrast", 0.6, 7), ("sharpness", 0.6, 5)),
        (("color", 0.7, 7), ("translate_x", 0.5, 8)),
        (("equalize", 0.3, 0), ("autocontrast", 0.4, 0)),
        (("translate_y", 0.4, 3), ("sharpness", 0.2, 6)),
        (("brightness", 0.9, 6), ("color", 0.2, 8)),
        (("solarize", 0.5, 2), ("invert", 0.0, 0)),
        (("equalize", 0.2, 0), ("autocontrast", 0.6, 0)),
        (("equalize", 0.2, 0), ("equalize", 0.6, 0)),
        (("color", 0.9, 9), ("equalize", 0.6, 0)),
        (("autocontrast", 0.8, 0), ("solarize", 0.2, 8)),
        (("brightness", 0.1, 3), ("color", 0.7, 0)),
        (("solarize", 0.4, 5), ("autocontrast", 0.9, 0)),
        (("translate_y", 0.9, 9), ("translate_y", 0.7, 9)),
        (("autocontrast", 0.9, 0), ("solarize", 0.8, 3)),
        (("equalize", 0.8, 0), ("invert", 0.1, 0)),
        (("translate_y", 0.7, 9), ("autocontrast", 0.9, 0)),
    ),
    "svhn": (
        (("shear_x", 0.9, 4), ("invert", 0.2, 0)),
        (("shear_y", 0.9, 8), ("invert", 0.7, 0)),
        (("equalize", 0.6, 0), ("solarize", 0.6, 6)),
        (("invert", 0.9, 0), ("equalize", 0.6, 0)),
        (("equalize", 0.6, 0), ("rotate", 0.9, 3)),
        (("shear_x", 0.9, 4), ("autocontrast", 0.8, 0)),
        (("shear_y", 0.9, 8), ("invert", 0.4, 0)),
        (("shear_y", 0.9, 5), ("solarize", 0.2, 6)),
        (("invert", 0.9, 0), ("autocontrast", 0.8, 0)),
        (("equalize", 0.6, 0), ("rotate", 0.9, 3)),
        (("shear_x", 0.9, 4), ("solarize", 0.3, 3)),
        (("shear_y", 0.8, 8), ("invert", 0.7, 0)),
        (("equalize", 0.9, 0), ("translate_y", 0.6, 6)),
        (("invert", 0.9, 0), ("equalize", 0.6, 0)),
        (("contrast", 0.3, 3), ("rotate", 0.8, 4)),
        (("invert", 0.8, 0), ("translate_y", 0.0, 2)),
        (("shear_y", 0.7, 6), ("solarize", 0.4, 8)),
        (("invert", 0.6, 0), ("rotate", 0.8, 4)),
        (("shear_y", 0.3, 7), ("translate_x", 0.9, 3)),
        (("shear_x", 0.1, 6), ("invert", 0.6, 0)),
        (("solarize", 0.7, 2), ("translate_y", 0.6, 7)),
        (("shear_y", 0.8, 4), ("invert", 0.8, 0)),
        (("shear_x", 0.7, 9), ("translate_y", 0.8, 3)),
        (("shear_y", 0.8, 5), ("autocontrast", 0.7, 0)),
        (("shear_x", 0.7, 2), ("invert", 0.1, 0)),
    ),
}
"""Sub-policies of two operations, each with its probability and its magnitude, 0 to 9 (0 also
where an operation has none)."""


def arguments(
    operation: str, magnitude: np.ndarray, negative: np.ndarray, *, size: tuple[int, int]
) -> np.ndarray:
    """What an operation of `_ops` is called with: torchvision's magnitudes.

    magnitude (k,) whole, 0 to 9; negative (k,) bool: the sign, of operations that have one; size:
    height and width of the image, pixels (translations are by whole pixels).
    """
    level = magnitude / 9.0
    sign = np.where(negative, -1.0, 1.0)
    if operation == "rotate":  # degrees
        return level * 30.0 * sign
    if operation in ("shear_x", "shear_y"):  # pixels a row or column
        return level * 0.3 * sign
    if operation in ("translate_x", "translate_y"):  # share of the side, moving right or down
        side = size[1] if operation == "translate_x" else size[0]
        return -np.trunc(level * 150.0 / 331.0 * side) / side * sign
    if operation == "posterize":  # bits that are kept
        return 8 - np.round(level * 4)
    if operation == "solarize":  # level from which on it is inverted
        return 255.0 * (9 - magnitude) / 9.0
    if operation in ("color", "contrast", "brightness", "sharpness"):  # 1 is no change
        return 1.0 + level * 0.9 * sign
    return np.zeros(len(magnitude))


def choose(
    uniforms: np.ndarray, *, policy: str, size: tuple[int, int]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Operations and arguments of the two steps.

    uniforms (b, 5) in [0, 1): sub-policy; whether the first is applied, its sign; the second's.
    Returns for each step names (b,), with "identity" where none is applied, and arguments (b,).
    """
    table = POLICIES[policy]
    drawn = (uniforms[:, 0] * len(table)).astype(int)
    steps = []
    for step in range(2):
        rows = [table[pair][step] for pair in drawn]
        names = np.array([name for name, _, _ in rows])
        probs = np.array([prob for _, prob, _ in rows])
        magnitude = np.array([value for _, _, value in rows])
        negative = uniforms[:, 2 + 2 * step] < 0.5
        values = np.zeros(len(names))
        for name in sorted(set(names.tolist())):
            own = names == name
            values[own] = arguments(name, magnitude[own], negative[own], size=size)
        applied = uniforms[:, 1 + 2 * step] < probs
        steps.append((np.where(applied, names, "identity"), values))
    return steps


class AutoAugment(Policy):
    """One of 25 pairs of operations an image, found by search on a dataset, drawn for each.

    Cubuk et al. 2019 (arXiv 1805.09501), with torchvision's tables and strengths, and
    like it and the authors' program by nearest neighbour where pixels move. Draws: `autoaugment`,
    5 columns: the pair; for each operation whether it is applied, and its sign. Departs from
    torchvision in the fill (grey like the authors'; torchvision's is black). Grey images stay grey
    with a grey `fill`, and saturation (`color`) leaves them as they are.
    """

    name: Literal["autoaugment"] = "autoaugment"
    policy: Literal["imagenet", "cifar10", "svhn"] = "imagenet"
    """Dataset on which the pairs were found."""
    fill: Colour = (128, 128, 128)
    """Colour (red, green, blue; 0 to 255) of places that show none of the image."""

    def batch(self, images: torch.Tensor, index: np.ndarray, draws: Draws) -> torch.Tensor:
        from ._ops import apply

        uniforms = draws.of("autoaugment", index, COLUMNS)
        size = (images.shape[1], images.shape[2])
        for operations, values in choose(uniforms, policy=self.policy, size=size):
            images = apply(images, operations, values, fill=self.fill, interpolation="nearest")
        return images
