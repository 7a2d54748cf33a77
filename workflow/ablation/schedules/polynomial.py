"""Polynomial decay."""

from __future__ import annotations

from typing import Literal

from ..config.base import Fraction, Positive
from .base import Schedule


def polynomial(progress: float, *, power: float, final_ratio: float) -> float:
    """From 1 at progress 0 to `final_ratio` at progress 1, as a power of what is left."""
    return final_ratio + (1.0 - final_ratio) * (1.0 - progress) ** power


class Polynomial(Schedule):
    """Falls to `final_ratio` of the learning rate as a power of the share that is left.

    Liu et al. 2015, ParseNet (arXiv 1506.04579: the "poly" policy, power 0.9); with power 1 the
    linear decay of You et al. 2020 (arXiv 1904.00962, section 4.1). The decay spans the epochs
    after the warmup.
    """

    name: Literal["polynomial"] = "polynomial"
    power: Positive = 1.0
    """1 for a straight line; below 1 the rate stays high for longer, above 1 it falls sooner."""
    final_ratio: Fraction = 0.0
    """Last learning rate as a share of the first."""

    def factor(self, epoch: float, epochs: float) -> float:
        progress = self.progress(epoch, epochs)
        return polynomial(progress, power=self.power, final_ratio=self.final_ratio)
