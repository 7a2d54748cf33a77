"""RMSProp."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ..config.base import NonNegative, Positive
from .base import Beta, Optimizer, OptimizerState, zero_slots

if TYPE_CHECKING:
    import torch


class RMSprop(Optimizer):
    """Steps along the gradient divided by the root of the mean squared gradient.

    Tieleman and Hinton 2012 (lecture 6.5), with the options of torch.optim.RMSprop. Weight decay is
    coupled: added to the gradient (the L2 penalty of the loss). The recipes of TensorFlow's
    authors (Inception, MobileNet, EfficientNet) add `eps` inside the root and start the mean at 1:
    their eps of 0.001 to 1 is not this one.
    """

    name: Literal["rmsprop"] = "rmsprop"
    weight_decay: NonNegative = 0.0
    """Strength of the coupled weight decay (L2 penalty): added to the gradient."""
    alpha: Beta = 0.99
    """Share of the mean squared gradient that is kept at each step."""
    eps: Positive = 1e-8
    """Added to the root."""
    momentum: Beta = 0.0
    """Share of the last update that is kept."""
    centered: bool = False
    """Divides by the root of the gradient's variance instead (Graves 2013, arXiv 1308.0850)."""

    def start(self, model: torch.nn.Module) -> RMSpropState:
        return RMSpropState(model, self)


class RMSpropState(OptimizerState):
    """Mean squared gradients and, where the options want them, mean gradients and momenta."""

    def fresh(self, parameter: torch.nn.Parameter) -> dict[str, torch.Tensor]:
        names = ["square_avg", "step"]
        names += ["grad_avg"] if self.options.centered else []
        names += ["momentum"] if self.options.momentum > 0 else []
        return zero_slots(parameter, *names)

    def update(
        self,
        parameters: list[torch.Tensor],
        grads: list[torch.Tensor],
        slots: dict[str, list[torch.Tensor]],
        *,
        weight_decay: float,
        lr: float,
    ) -> None:
        from torch.optim.rmsprop import rmsprop

        rmsprop(
            parameters,
            grads,
            slots["square_avg"],
            slots.get("grad_avg", []),
            slots.get("momentum", []),
            slots["step"],
            foreach=parameters[0].is_cuda,
            lr=lr,
            alpha=self.options.alpha,
            eps=self.options.eps,
            weight_decay=weight_decay,
            momentum=self.options.momentum,
            centered=self.options.centered,
        )
