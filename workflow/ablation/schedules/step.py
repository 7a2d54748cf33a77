"""Step decay: the learning rate falls by a factor at given epochs."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import model_validator

from ..config.base import Positive
from ..config.units import Milestones, PositiveEpochs
from .base import SLACK, Schedule


def step(epoch: float, *, every: float, factor: float) -> float:
    """`factor` to the number of whole periods `every` (epochs) that have passed at `epoch`."""
    return factor ** math.floor(epoch / every + SLACK)


def multi_step(epoch: float, *, milestones: tuple[float, ...], factor: float) -> float:
    """`factor` to the number of milestones (epochs) that have been reached at `epoch`."""
    return factor ** sum(epoch >= milestone - SLACK for milestone in milestones)


class Step(Schedule):
    """Multiplies the learning rate by `decay` each `every` epochs, or at each of `milestones`.

    He et al. 2016 (arXiv 1512.03385, section 3.4); AIME, Fig. 2 to 4. Epochs are counted from the
    start of the training, a warmup included.
    """

    name: Literal["step"] = "step"
    decay: Positive = 0.1
    """Factor at each decay, below 1 for a falling learning rate."""
    every: PositiveEpochs | None = None
    """Period in epochs. Give this or `milestones`."""
    milestones: Milestones | None = None
    """Epochs at which the learning rate falls. Give this or `every`."""

    @model_validator(mode="after")
    def _one_of(self) -> Step:
        if (self.every is None) == (self.milestones is None):
            raise ValueError("step wants one of `every` (a period) and `milestones` (a list)")
        return self

    def keeps_its_last_value(self) -> bool:
        return self.milestones is not None

    def factor(self, epoch: float, epochs: float) -> float:
        if self.milestones is not None:
            return multi_step(epoch, milestones=self.milestones, factor=self.decay)
        if epoch >= epochs:  # a period that ends with the course: the cooldown keeps its value
            epoch = self.every * (math.ceil(epochs / self.every - SLACK) - 1)
        return step(epoch, every=self.every, factor=self.decay)

    def turns(self) -> dict[str, float | tuple[float, ...]]:
        if self.milestones is not None:
            return {"milestones": self.milestones}
        return {"every": self.every}
