"""What every average of weights shares: what it watches, and what it gives at an epoch's end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..config.base import Count, Technique

if TYPE_CHECKING:
    import torch

Weights = dict[str, "torch.Tensor"]
"""A model's state dict, apart from the model: parameters and the buffers of its norms."""


class Averaging(Technique):
    """Options of an average of weights; `start` makes its memory for a model.

    Where an average is there at an epoch's end, it is what is evaluated, and at the last epoch
    what the cell yields; the trained weights' own accuracy at the last epoch stands beside it
    (`raw_val_*`).
    """

    def start(self, model: torch.nn.Module, *, steps_per_epoch: int, epochs: int) -> Average:
        """Memory for a training of `epochs` epochs of `steps_per_epoch` updates."""
        raise NotImplementedError

    def refuse_unreached(self, epochs: float) -> None:
        """ValueError if a training of `epochs` epochs leaves nothing to average."""


class Recalibrating(Averaging):
    """An average whose batch norms need statistics of their own."""

    bn_images: Count = 10000
    """Training images, augmented as in training, on which the average's batch norms measure their
    statistics anew; all of an epoch's if it has fewer."""


class Average:
    """The memory of an average; all of it is part of the cell's saved state."""

    def after_step(self, model: torch.nn.Module, step: int) -> None:
        """Called after every update; step counts updates over the whole training, from 1."""

    def after_epoch(self, model: torch.nn.Module, epoch: int, val_top1: float) -> None:
        """Called after an epoch's evaluation of the trained weights, or of `judged`; epoch counts
        from 1, val_top1 in percent."""

    def weights(self, epoch: int) -> Weights | None:
        """The average at the end of an epoch (from 1); None where there is none yet."""
        raise NotImplementedError

    def bn_images(self, epoch: int) -> int:
        """Images on which batch norms measure their statistics anew at the end of an epoch (from
        1); 0 where they are averaged themselves."""
        return 0

    def judged(self, epoch: int) -> Weights | None:
        """Weights whose validation accuracy `after_epoch` needs, in place of the trained ones'."""
        return None

    def wants_trained(self, epoch: int) -> bool:
        """Whether `after_epoch` needs the trained weights' own validation accuracy."""
        return False

    def state_dict(self) -> dict[str, Any]:
        """All that is remembered, tensors and plain values; not a copy."""
        raise NotImplementedError

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a memory."""
        raise NotImplementedError


def copied(model: torch.nn.Module, device: str | None = None) -> Weights:
    """A copy of the model's weights and buffers, on its device or another one."""
    return {
        name: value.detach().to(device or value.device, copy=True)
        for name, value in model.state_dict().items()
    }


def mean(weights: list[Weights]) -> Weights:
    """The plain mean of several weights; what is counted (whole numbers) is the last one's."""
    import torch

    result = {}
    for name, last in weights[-1].items():
        if last.is_floating_point():
            result[name] = torch.stack([w[name].double() for w in weights]).mean(0).to(last.dtype)
        else:
            result[name] = last.clone()
    return result
