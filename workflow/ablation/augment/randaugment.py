"""RandAugment as timm has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from ..config.base import Fraction, NoBool, NonNegative
from ..data.draws import Draws
from .base import Colour, Policy

if TYPE_CHECKING:
    import torch

OPERATIONS = (
    "autocontrast", "equalize", "invert", "rotate", "posterize", "solarize", "solarize_add",
    "color", "contrast", "brightness", "sharpness", "shear_x", "shear_y", "translate_x",
    "translate_y",
)  # fmt: skip
"""timm's, in its order; the paper's are without invert and solarize_add and with identity."""

COLUMNS = 4  # of uniform draws a layer: operation, whether applied, noise, sign


def magnitudes(noise: np.ndarray, *, m: float, mstd: float) -> np.ndarray:
    """Magnitudes 0 to 10 from uniform draws of any shape: Gaussian about m, cut to the scale."""
    if mstd == 0:
        return np.full(noise.shape, float(m))
    from scipy.special import ndtri

    return np.clip(m + mstd * ndtri(noise), 0.0, 10.0)


def arguments(
    operation: str, magnitude: np.ndarray, negative: np.ndarray, *, increasing: bool
) -> np.ndarray:
    """What an operation of `_ops` is called with: timm's `LEVEL_TO_ARG`.

    magnitude (k,) float64 in 0 to 10; negative (k,) bool: the sign, of operations that have one;
    increasing: whether posterize, solarize and the four enhancements grow with the magnitude, or
    are the old ones, whose strength falls or goes from one extreme over nothing to the other.
    """
    level = magnitude / 10.0
    sign = np.where(negative, -1.0, 1.0)
    if operation == "rotate":  # degrees
        return level * 30.0 * sign
    if operation in ("shear_x", "shear_y"):  # pixels a row or column
        return level * 0.3 * sign
    if operation in ("translate_x", "translate_y"):  # share of the side
        return level * 0.45 * sign
    if operation == "posterize":  # bits that are kept
        bits = np.trunc(level * 4)
        return 4 - bits if increasing else bits
    if operation == "solarize":  # level from which on it is inverted
        threshold = np.minimum(256, np.trunc(level * 256))
        return 256 - threshold if increasing else threshold
    if operation == "solarize_add":  # levels
        return np.minimum(128, np.trunc(level * 110))
    if operation in ("color", "contrast", "brightness", "sharpness"):  # 1 is no change
        return np.maximum(0.1, 1.0 + level * 0.9 * sign) if increasing else level * 1.8 + 0.1
    return np.zeros_like(magnitude)


def choose(
    uniforms: np.ndarray, *, m: float, mstd: float, increasing: bool, prob: float
) -> tuple[np.ndarray, np.ndarray]:
    """Operations and arguments of one layer.

    uniforms (b, 4) in [0, 1): operation, whether applied, noise, sign. Returns names (b,), with
    "identity" where none is applied, and arguments (b,) float64.
    """
    drawn, applied, noise, sign = uniforms.T
    names = np.array(OPERATIONS)[(drawn * len(OPERATIONS)).astype(int)]
    magnitude = magnitudes(noise, m=m, mstd=mstd)
    values = np.zeros(len(names))
    for name in OPERATIONS:
        own = names == name
        values[own] = arguments(name, magnitude[own], sign[own] >= 0.5, increasing=increasing)
    return np.where(applied < prob, names, "identity"), values


class RandAugment(Policy):
    """Some of 15 operations an image, drawn anew for each, all of about one strength.

    Cubuk et al. 2020 (arXiv 1909.13719), in the form of timm's `rand-m9-mstd0.5-inc1`, with which
    today's recipes train. Draws: `randaugment`, 4 columns a layer: operation, whether it is
    applied, noise, sign. Departs from timm in the interpolation (bilinear; timm takes its loader's
    or, if that is random, bilinear or bicubic by chance). From the paper by timm's operations, the
    probability of each and the noise. Grey images stay grey with a grey `fill`, and saturation
    (`color`, one of the 15) leaves them as they are.
    """

    name: Literal["randaugment"] = "randaugment"
    n: Annotated[int, NoBool, Field(ge=1, le=100)] = 2
    """Layers: operations drawn for an image, one after the other."""
    m: Annotated[NonNegative, Field(le=10)] = 9
    """Magnitude, 0 to 10."""
    mstd: NonNegative = 0.5
    """Standard deviation of the magnitude about m, drawn for each operation and cut to 0 to 10."""
    increasing: bool = True
    """Posterize, solarize, colour, contrast, brightness and sharpness grow with the magnitude."""
    prob: Fraction = 0.5
    """Probability that a drawn operation is applied."""
    fill: Colour = (128, 128, 128)
    """Colour (red, green, blue; 0 to 255) of places that show none of the image."""

    def batch(self, images: torch.Tensor, index: np.ndarray, draws: Draws) -> torch.Tensor:
        from ._ops import apply

        uniforms = draws.of("randaugment", index, self.n * COLUMNS)
        for layer in range(self.n):
            operations, values = choose(
                uniforms[:, layer * COLUMNS : (layer + 1) * COLUMNS],
                m=self.m,
                mstd=self.mstd,
                increasing=self.increasing,
                prob=self.prob,
            )
            images = apply(images, operations, values, fill=self.fill, interpolation="bilinear")
        return images
