"""What every schedule shares: linear warmup, and the learning rate of a step."""

from __future__ import annotations

from ..config.base import Fraction, Technique
from ..config.units import Epochs


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

    warmup_epochs: Epochs = 0.0
    """Epochs of linear warmup, in which the schedule's own value is multiplied by a factor."""
    warmup_start: Fraction = 0.0
    """Factor at the first step of the warmup."""

    def factor(self, epoch: float, epochs: float) -> float:
        """Factor on the base learning rate at a point of the training, warmup left aside.

        `epoch` is counted in epochs from 0 (fractions within an epoch), `epochs` is the whole.
        """
        raise NotImplementedError

    def lr(self, base_lr: float, epoch: float, epochs: float) -> float:
        """Learning rate at `epoch` (float, in epochs) of a training of `epochs` epochs."""
        warmup = linear_warmup(epoch, warmup_epochs=self.warmup_epochs, start=self.warmup_start)
        return base_lr * self.factor(epoch, epochs) * warmup
