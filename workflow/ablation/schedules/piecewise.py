"""Piecewise constant: given factors from given epochs on."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ..config.base import Positive
from ..config.units import Milestones
from .base import SLACK, Schedule


def piecewise(epoch: float, *, milestones: tuple[float, ...], factors: tuple[float, ...]) -> float:
    """1, and from the first `epoch` of a milestone on the factor of the last one reached."""
    reached = sum(epoch >= milestone - SLACK for milestone in milestones)
    return factors[reached - 1] if reached else 1.0


class Piecewise(Schedule):
    """Sets the learning rate to given shares of itself after given epochs.

    The piecewise constant schedule of the CIFAR document: factors 0.1, 0.01, 0.001 and 0.0005 after
    epochs 80, 120, 160 and 180. `step` with milestones is the case of one repeated factor. Epochs
    are counted from the start of the training, a warmup included.
    """

    name: Literal["piecewise"] = "piecewise"
    milestones: Milestones
    """Epochs after which the learning rate changes."""
    factors: Annotated[tuple[Positive, ...], Field(min_length=1)]
    """Factor on the learning rate `lr` (not on the last value) from each milestone on."""

    @model_validator(mode="after")
    def _a_factor_each(self) -> Piecewise:
        if len(self.milestones) != len(self.factors):
            raise ValueError(
                f"piecewise wants a factor for each milestone: {len(self.milestones)} milestones, "
                f"{len(self.factors)} factors"
            )
        return self

    def keeps_its_last_value(self) -> bool:
        return True

    def factor(self, epoch: float, epochs: float) -> float:
        return piecewise(epoch, milestones=self.milestones, factors=self.factors)

    def turns(self) -> dict[str, float | tuple[float, ...]]:
        return {"milestones": self.milestones}
