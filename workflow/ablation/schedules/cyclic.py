"""Cyclical learning rates: up and down again along straight lines."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import model_validator

from ..config.base import Fraction, Positive
from ..config.units import PositiveEpochs
from .base import Schedule


def triangle(cycles: float, *, up_share: float) -> float:
    """Height in [0, 1] after `cycles` cycles (a float >= 0), each rising for `up_share` of it."""
    within = cycles - math.floor(cycles)
    return within / up_share if within <= up_share else (1.0 - within) / (1.0 - up_share)


def amplitude(cycles: float, *, mode: str, decay: float | None) -> float:
    """Factor on the triangle's height after `cycles` cycles, in a `mode` of Smith's."""
    if mode == "triangular2":
        return 0.5 ** math.floor(cycles)
    return decay**cycles if mode == "exp_range" else 1.0


class Cyclic(Schedule):
    """Cycles between `base_ratio` of the learning rate and the learning rate itself.

    Smith 2017 (arXiv 1506.01186, section 3.1 for the modes, 3.2 for the cycle's length, 3.3 for the
    bounds), as torch's CyclicLR without its cycle of the momentum, which stays as the optimizer has
    it. The first cycle begins after the warmup. `lr` is the upper bound, torch's `max_lr`. The
    paper's and torch's gamma of exp_range counts per iteration; `decay` counts per cycle, so that
    it means the same at any batch size and length: gamma to the number of iterations in a cycle.
    """

    name: Literal["cyclic"] = "cyclic"
    up_epochs: PositiveEpochs
    """Epochs of each rise; Smith advises 2 to 10."""
    down_epochs: PositiveEpochs | None = None
    """Epochs of each fall; none stands for as many as of a rise."""
    base_ratio: Fraction = 0.25
    """The lower bound as a share of the upper; Smith advises a third or a quarter."""
    mode: Literal["triangular", "triangular2", "exp_range"] = "triangular"
    """Height of the cycles: always the same, halved after each, or falling all the time."""
    decay: Positive | None = None
    """Only for exp_range: factor on the height over one cycle."""

    @model_validator(mode="after")
    def _decay_belongs_to_exp_range(self) -> Cyclic:
        if (self.mode == "exp_range") != (self.decay is not None):
            raise ValueError("cyclic wants `decay` in mode exp_range, and there alone")
        if self.base_ratio == 1:
            raise ValueError("cyclic with base_ratio 1 has no cycle")
        return self

    def factor(self, epoch: float, epochs: float) -> float:
        down = self.up_epochs if self.down_epochs is None else self.down_epochs
        cycle = self.up_epochs + down
        cycles = max(0.0, epoch - self.warmup_epochs) / cycle
        height = triangle(cycles, up_share=self.up_epochs / cycle)
        height *= amplitude(cycles, mode=self.mode, decay=self.decay)
        return self.base_ratio + (1.0 - self.base_ratio) * height

    def turns(self) -> dict[str, float | tuple[float, ...]]:
        return {"up_epochs": self.up_epochs}
