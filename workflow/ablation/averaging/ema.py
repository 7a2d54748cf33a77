"""Exponential moving average of weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from ..config.base import NoBool, Positive
from ..config.units import PositiveEpochs
from .base import Average, Averaging, Weights, copied

if TYPE_CHECKING:
    import torch


def ema_decay(step: int, total: int, *, decay: float, beta: float | None) -> float:
    """Share of the average that is kept at an update.

    step: number of the update, from 1; total: updates of the whole training. Without `beta` it is
    `decay` from the first update on; with it, decay x (1 - exp(-beta x step / total)), the
    "exponential ramp" of SuperGradients' training recipes.
    """
    return decay if beta is None else decay * (1.0 - math.exp(-beta * step / total))


class Ema(Averaging):
    """After every update the average moves a small step towards the new weights.

    Polyak and Juditsky 1992; Szegedy et al. 2016 (arXiv 1512.00567, section 8: models are evaluated
    by a running average). Running statistics of batch norms are averaged with the weights, as
    timm's ModelEmaV3 does. Draws nothing.
    """

    name: Literal["ema"] = "ema"
    half_life_epochs: PositiveEpochs | None = None
    """Epochs after which half of an old weight is left: at S updates an epoch the decay of an
    update is 0.5 ** (1 / (half_life_epochs * S)). A scale maps it with the epochs."""
    decay: Annotated[float, NoBool, Field(gt=0, lt=1)] | None = None
    """Share of the average kept at an update, e.g. 0.9999; in place of `half_life_epochs`. It
    counts in updates, so that a scale with other epochs refuses it."""
    ramp_beta: Positive | None = None
    """Steepness of an exponential ramp of the decay from 0; null for the full decay at once."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Ema:
        if (self.half_life_epochs is None) == (self.decay is None):
            raise ValueError("wants either half_life_epochs or decay")
        return self

    def start(self, model: torch.nn.Module, *, steps_per_epoch: int, epochs: int) -> EmaAverage:
        decay = self.decay
        if decay is None:
            decay = 0.5 ** (1.0 / (self.half_life_epochs * steps_per_epoch))
        return EmaAverage(model, decay, self.ramp_beta, steps_per_epoch * epochs)


class EmaAverage(Average):
    """The averaged weights."""

    def __init__(
        self, model: torch.nn.Module, decay: float, beta: float | None, total: int
    ) -> None:
        self.average = copied(model)
        self.decay, self.beta, self.total = decay, beta, total

    def after_step(self, model: torch.nn.Module, step: int) -> None:
        import torch

        new = model.state_dict()
        moved = [name for name, value in new.items() if value.is_floating_point()]
        kept = ema_decay(step, self.total, decay=self.decay, beta=self.beta)
        with torch.no_grad():
            torch._foreach_lerp_(
                [self.average[name] for name in moved], [new[name] for name in moved], 1.0 - kept
            )
            for name in new.keys() - set(moved):
                self.average[name].copy_(new[name])

    def weights(self, epoch: int) -> Weights:
        return self.average

    def state_dict(self) -> dict[str, Any]:
        return {"average": self.average}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, value in self.average.items():
            value.copy_(state["average"][name])
