"""Exponential decay."""

from __future__ import annotations

from typing import Literal

from ..config.base import Positive
from ..config.units import PositiveEpochs
from .base import Schedule


def exponential(epoch: float, *, decay: float, every: float) -> float:
    """`decay` to the number of periods `every` (epochs) that have passed, fractions included."""
    return decay ** (epoch / every)


class Exponential(Schedule):
    """Multiplies the learning rate by `decay` in the course of each `every` epochs, smoothly.

    The unit is that of the papers, a factor per so many epochs: 0.94 every 2 epochs (Szegedy et
    al. 2015, arXiv 1512.00567, section 8), 0.97 every 2.4 (Tan and Le 2019, arXiv 1905.11946,
    section 5.2). Their programs may fall once a period instead: that is `step` with `every`.
    Epochs are counted from the start of the training, a warmup included.
    """

    name: Literal["exponential"] = "exponential"
    decay: Positive
    """Factor on the learning rate over one period, below 1 for a falling one."""
    every: PositiveEpochs = 1.0
    """The period in epochs."""

    def factor(self, epoch: float, epochs: float) -> float:
        return exponential(epoch, decay=self.decay, every=self.every)
