"""Average of the weights at several epochs' ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from ..config.units import PositiveEpochs
from .base import Average, Recalibrating, Weights, copied, mean
from .ema import Ema

if TYPE_CHECKING:
    import torch


class Checkpoints(Recalibrating):
    """At the end, the mean of the weights of the `last` or the `best` so many epochs.

    Vaswani et al. 2017 (arXiv 1706.03762, section 6.1) average the last ones; SuperGradients'
    recipes the ten of the highest validation accuracy: those choose by the validation set, and
    their accuracy on it is biased upwards. With `ema` it is the moving average of the weights that
    is evaluated, chosen by and averaged, as SuperGradients does where both are on. Batch norm
    statistics are measured anew (SuperGradients averages them). Draws nothing but the augmentation
    of the images for that, which is that of one more epoch.
    """

    name: Literal["checkpoints"] = "checkpoints"
    which: Literal["last", "best"] = "last"
    """`best` chooses by the validation top-1 of the trained weights, or of their moving average;
    the earlier of equals."""
    count: PositiveEpochs = 10.0
    """Number of epochs' ends that are averaged. A scale maps it with the epochs, to two at the
    least, and it is rounded; fewer than two are refused."""
    ema: Ema | None = None
    """Moving average that stands in the place of the trained weights; null for none."""

    def refuse_unreached(self, epochs: float) -> None:
        if round(self.count) < 2:
            raise ValueError(f"averaging.count is {self.count:g}: no two checkpoints to average")
        if round(self.count) > epochs:
            raise ValueError(
                f"averaging.count ({self.count:g}) is more than the training's epochs ({epochs:g})"
            )

    def start(
        self, model: torch.nn.Module, *, steps_per_epoch: int, epochs: int
    ) -> CheckpointsAverage:
        ema = self.ema and self.ema.start(model, steps_per_epoch=steps_per_epoch, epochs=epochs)
        return CheckpointsAverage(self, epochs, ema)


class CheckpointsAverage(Average):
    """The weights of the epochs that are in the average so far, in the host's memory."""

    def __init__(self, options: Checkpoints, epochs: int, ema: Average | None = None) -> None:
        self.options, self.epochs, self.ema = options, epochs, ema
        self.count = round(options.count)
        self.kept: list[dict[str, Any]] = []

    def bn_images(self, epoch: int) -> int:
        return self.options.bn_images if epoch >= self.epochs else 0

    def judged(self, epoch: int) -> Weights | None:
        best = self.options.which == "best"
        return self.ema.weights(epoch) if best and self.ema is not None else None

    def wants_trained(self, epoch: int) -> bool:
        return self.options.which == "best" and self.ema is None

    def after_step(self, model: torch.nn.Module, step: int) -> None:
        if self.ema is not None:
            self.ema.after_step(model, step)

    def after_epoch(self, model: torch.nn.Module, epoch: int, val_top1: float) -> None:
        last = self.options.which == "last"
        if last and epoch <= self.epochs - self.count:
            return
        order = (epoch, 0) if last else (val_top1, -epoch)
        if len(self.kept) == self.count:
            worst = min(self.kept, key=lambda one: tuple(one["order"]))
            if order <= tuple(worst["order"]):
                return
            self.kept.remove(worst)
        self.kept.append({"epoch": epoch, "order": list(order), "weights": self._now(model, epoch)})

    def _now(self, model: torch.nn.Module, epoch: int) -> Weights:
        """A copy of the weights that are averaged, as they are now."""
        if self.ema is None:
            return copied(model, "cpu")
        return {key: value.to("cpu", copy=True) for key, value in self.ema.weights(epoch).items()}

    def weights(self, epoch: int) -> Weights | None:
        if epoch < self.epochs:
            return None if self.ema is None else self.ema.weights(epoch)
        by_epoch = sorted(self.kept, key=lambda one: one["epoch"])
        return mean([one["weights"] for one in by_epoch])

    def state_dict(self) -> dict[str, Any]:
        return {"kept": self.kept, "ema": self.ema and self.ema.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.kept = state["kept"]
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
