"""Cosine annealing without restarts."""

from __future__ import annotations

import math
from typing import Literal

from ..config.base import Fraction
from .base import Schedule


def cosine(progress: float, *, final_ratio: float) -> float:
    """Half a cosine from 1 at progress 0 to `final_ratio` at progress 1.

    Loshchilov and Hutter 2017 (arXiv 1608.03983, equation 5, one cycle).
    """
    return final_ratio + (1.0 - final_ratio) * 0.5 * (1.0 + math.cos(math.pi * progress))


class Cosine(Schedule):
    """Falls along half a cosine to `final_ratio` of the learning rate.

    Loshchilov and Hutter 2017 (arXiv 1608.03983, equation 5, one cycle without restarts). The half
    cosine spans the epochs after the warmup, as in torchvision's reference scripts (timm by default
    counts it from the first epoch).
    """

    name: Literal["cosine"] = "cosine"
    final_ratio: Fraction = 0.0
    """Last learning rate as a share of the first."""

    def factor(self, epoch: float, epochs: float) -> float:
        return cosine(self.progress(epoch, epochs), final_ratio=self.final_ratio)
