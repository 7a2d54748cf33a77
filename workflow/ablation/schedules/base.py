"""What every schedule shares: linear warmup, cooldown, and the learning rate of a step."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import model_validator

from ..config.base import Fraction, Technique
from ..config.units import Epochs

# An epoch is step / steps_per_epoch in floating point; this keeps a milestone on its own step.
SLACK = 1e-9


def linear_warmup(epoch: float, *, warmup_epochs: float, start: float) -> float:
    """Factor that rises linearly from `start` at epoch 0 to 1 at `warmup_epochs`.

    Goyal et al. 2017 (arXiv 1706.02677, section 2.2). `epoch` is a float >= 0 counted in epochs;
    returns a float in [start, 1].
    """
    if epoch >= warmup_epochs:
        return 1.0
    return start + (1.0 - start) * epoch / warmup_epochs


class Schedule(Technique):
    """A learning-rate schedule, evaluated before every optimizer step."""

    records_steps: ClassVar[bool] = False
    """Whether learning rate and loss of every step go into the cell's record."""
    warmup_epochs: Epochs = 0.0
    """Epochs of linear warmup, in which the schedule's own value is multiplied by a factor."""
    warmup_start: Fraction = 0.0
    """Factor at the first step of the warmup."""
    cooldown_epochs: Epochs = 0.0
    """Last epochs of the training, at the value at which the schedule's own course has ended."""

    @model_validator(mode="after")
    def _warmup_start_is_used(self) -> Schedule:
        if self.warmup_start > 0 and self.warmup_epochs == 0:
            raise ValueError("warmup_start does nothing without warmup_epochs")
        return self

    @model_validator(mode="after")
    def _cooldown_holds_something(self) -> Schedule:
        if self.cooldown_epochs > 0 and self.keeps_its_last_value():
            raise ValueError(
                f"cooldown_epochs does nothing here: {self.name} keeps its last value anyway"
            )
        return self

    def keeps_its_last_value(self) -> bool:
        """Whether the value stays as it is from some epoch on, whatever the training's length."""
        return False

    def factor(self, epoch: float, epochs: float) -> float:
        """Factor on the base learning rate at a point of the training, warmup left aside.

        `epoch` is counted in epochs from 0 (fractions within an epoch), `epochs` is the length of
        the course, cooldown left out; `epoch` equals it throughout the cooldown.
        """
        raise NotImplementedError

    def progress(self, epoch: float, epochs: float) -> float:
        """Share of the course after the warmup that has passed at `epoch`, in [0, 1]."""
        rest = epochs - self.warmup_epochs
        return max(0.0, epoch - self.warmup_epochs) / rest if rest > 0 else 0.0

    def lr(self, base_lr: float, epoch: float, epochs: float) -> float:
        """Learning rate at `epoch` (float, in epochs) of a training of `epochs` epochs."""
        warmup = linear_warmup(epoch, warmup_epochs=self.warmup_epochs, start=self.warmup_start)
        course = epochs - self.cooldown_epochs
        return base_lr * self.factor(min(epoch, course), course) * warmup

    def after_epoch(self, memory: dict[str, Any], val_loss: float) -> dict[str, Any]:
        """What is remembered after an epoch's validation: {} for a function of progress.

        `factor` in it multiplies the learning rate from the next epoch on.
        """
        return memory

    def refuse_unreached(self, epochs: float) -> None:
        """ValueError if something of the schedule does not fit a training of `epochs` epochs."""
        if self.warmup_epochs >= epochs:
            raise ValueError(
                f"schedule.warmup_epochs ({self.warmup_epochs:g}) leaves no epoch after it "
                f"(epochs: {epochs}): the schedule itself would never act"
            )
        if self.cooldown_epochs > 0 and self.warmup_epochs + self.cooldown_epochs >= epochs:
            raise ValueError(
                f"schedule.warmup_epochs ({self.warmup_epochs:g}) and schedule.cooldown_epochs "
                f"({self.cooldown_epochs:g}) leave no epoch between them (epochs: {epochs})"
            )
        for key, value in self.turns().items():
            many = isinstance(value, tuple)
            late = [v for v in (value if many else (value,)) if v >= epochs - self.cooldown_epochs]
            if late:
                course = f"the training has {epochs} epochs"
                course += f", {self.cooldown_epochs:g} of cooldown" if self.cooldown_epochs else ""
                said = f" {late} never come" if many else f" ({value:g}) never comes"
                raise ValueError(f"schedule.{key}{said}: {course}")

    def turns(self) -> dict[str, float | tuple[float, ...]]:
        """Options that are epochs at which something happens, each before the course's end."""
        return {}
