"""Reduce the learning rate when the validation loss stops falling."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from ..config.base import Fraction, NoBool, NonNegative
from ..config.units import Epochs
from .base import Schedule


def on_plateau(
    memory: dict[str, float],
    loss: float,
    *,
    decay: float,
    patience: float,
    threshold: float,
    min_factor: float,
) -> dict[str, float]:
    """What is remembered after an epoch of validation loss `loss`.

    memory: {} before the first epoch, else `best` (lowest loss so far), `bad` (epochs since) and
    `factor` (on the learning rate, 1 at first). An epoch is good when its loss is below
    best x (1 - threshold); after more than `patience` bad ones the factor is multiplied by
    `decay`, not below `min_factor`, and the count starts anew.
    """
    best, bad = memory.get("best"), memory.get("bad", 0)
    current = memory.get("factor", 1.0)
    if best is None or loss < best * (1.0 - threshold):
        best, bad = loss, 0
    else:
        bad += 1
    if bad > patience:
        current, bad = max(current * decay, min_factor), 0
    return {"best": best, "bad": bad, "factor": current}


class ReduceOnPlateau(Schedule):
    """Multiplied by `decay` each time the validation loss has not fallen for `patience` epochs.

    As torch's ReduceLROnPlateau (mode min, relative threshold, no cooldown of its own), judged
    after every epoch. The one schedule that is no function of progress: what it remembers is part
    of the cell's saved state.
    """

    name: Literal["reduce_on_plateau"] = "reduce_on_plateau"
    decay: Annotated[float, NoBool, Field(gt=0, lt=1)] = 0.1
    """What the learning rate is multiplied by."""
    patience: Epochs = 10.0
    """Epochs without improvement that are borne; after one more the rate falls."""
    threshold: NonNegative = 1e-4
    """Share by which the loss must fall below its best to count as improved."""
    min_factor: Fraction = 0.0
    """Lowest learning rate as a share of the first."""

    def factor(self, epoch: float, epochs: float) -> float:
        return 1.0

    def keeps_its_last_value(self) -> bool:
        return True

    def after_epoch(self, memory: dict[str, Any], val_loss: float) -> dict[str, Any]:
        return on_plateau(
            memory,
            val_loss,
            decay=self.decay,
            patience=self.patience,
            threshold=self.threshold,
            min_factor=self.min_factor,
        )

    def turns(self) -> dict[str, float]:
        return {"patience": self.patience}
