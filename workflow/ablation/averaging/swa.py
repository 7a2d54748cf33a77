"""Stochastic weight averaging."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from ..config.units import PositiveEpochs
from .base import Average, Recalibrating, Weights, copied

if TYPE_CHECKING:
    import torch


class Swa(Recalibrating):
    """At the end, the mean of the weights of every epoch from `start_epoch` on.

    Izmailov et al. 2018 (arXiv 1803.05407), as torch.optim.swa_utils: equal weights,
    batch norm statistics measured anew. The learning rate is the schedule's: the paper holds it
    constant or cycles it while averaging (piecewise, cyclic, cooldown_epochs). Draws nothing but
    the augmentation of the images for the batch norms, which is that of one more epoch.
    """

    name: Literal["swa"] = "swa"
    start_epoch: PositiveEpochs
    """Epochs before the first that is averaged; rounded to whole ones."""

    def refuse_unreached(self, epochs: float) -> None:
        if round(self.start_epoch) > epochs - 2:
            raise ValueError(
                f"averaging.start_epoch ({self.start_epoch:g}) leaves no two epochs to average "
                f"(epochs: {epochs:g})"
            )

    def start(self, model: torch.nn.Module, *, steps_per_epoch: int, epochs: int) -> SwaAverage:
        return SwaAverage(self, model, epochs)


class SwaAverage(Average):
    """The sum in double precision, and of how many epochs it is; in the host's memory."""

    def __init__(self, options: Swa, model: torch.nn.Module, epochs: int) -> None:
        self.first, self.epochs = round(options.start_epoch) + 1, epochs
        self._bn_images = options.bn_images
        self._dtypes = {name: value.dtype for name, value in model.state_dict().items()}
        self.count = 0
        self.sums: Weights = {}

    def bn_images(self, epoch: int) -> int:
        return self._bn_images

    def after_epoch(self, model: torch.nn.Module, epoch: int, val_top1: float) -> None:
        if epoch < self.first:
            return
        new = copied(model, "cpu")
        for name, value in new.items():
            if value.is_floating_point():
                value = value.double()
                new[name] = value if self.count == 0 else self.sums[name] + value
        self.sums, self.count = new, self.count + 1

    def weights(self, epoch: int) -> Weights | None:
        if epoch < self.epochs:
            return None
        return {
            name: (value / self.count).to(self._dtypes[name])
            if value.is_floating_point()
            else value.clone()
            for name, value in self.sums.items()
        }

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count, "sums": self.sums}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.count, self.sums = state["count"], state["sums"]
