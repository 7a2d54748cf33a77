"""Piecewise linear: straight lines between given points."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from ..config.base import NonNegative
from ..config.units import Milestones
from .base import SLACK, Schedule


def piecewise_linear(
    epoch: float, *, epochs: tuple[float, ...], factors: tuple[float, ...]
) -> float:
    """The line through the points (epochs[i], factors[i]) at `epoch`; the last factor after it.

    `epochs` rise from 0; there are as many `factors`.
    """
    for (left, low), (right, high) in pairwise(zip(epochs, factors, strict=True)):
        if epoch < right:
            return low + (high - low) * (epoch - left) / (right - left)
    return factors[-1]


class PiecewiseLinear(Schedule):
    """Follows straight lines between given points, and stays at the last.

    The schedule of the CIFAR document's continuation and of many fast trainings (Page 2018, "How
    to train your ResNet", part 1: up to a peak and down to 0). Epochs are counted from the start of
    the training; a warmup is best written as the first line.
    """

    name: Literal["piecewise_linear"] = "piecewise_linear"
    start: NonNegative = 1.0
    """Factor on the learning rate at the first step."""
    points: Milestones
    """Epochs of the further points; the last may be the end of the training."""
    factors: Annotated[tuple[NonNegative, ...], Field(min_length=1)]
    """Factor on the learning rate `lr` at each of `points`."""

    @model_validator(mode="after")
    def _a_factor_each(self) -> PiecewiseLinear:
        if len(self.points) != len(self.factors):
            raise ValueError(
                f"piecewise_linear wants a factor for each point: {len(self.points)} points, "
                f"{len(self.factors)} factors"
            )
        return self

    def keeps_its_last_value(self) -> bool:
        return True

    def factor(self, epoch: float, epochs: float) -> float:
        return piecewise_linear(
            epoch, epochs=(0.0, *self.points), factors=(self.start, *self.factors)
        )

    def refuse_unreached(self, epochs: float) -> None:
        super().refuse_unreached(epochs)
        late = [point for point in self.points if point > epochs + SLACK]
        if late:
            raise ValueError(f"schedule.points {late} never come: the training has {epochs} epochs")
