"""RMSProp."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ..config.base import NonNegative, Positive
from .base import Beta, Optimizer, OptimizerState, Update

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

    def names(self) -> tuple[str, ...]:
        centred = ("grad_avg",) if self.options.centered else ()
        return ("square_avg", "step", *centred, *(("momentum",) if self.options.momentum else ()))

    def update(self, given: Update) -> None:
        from torch.optim.rmsprop import rmsprop

        rmsprop(
            given.parameters,
            given.grads,
            given.slots["square_avg"],
            given.slots.get("grad_avg", []),
            given.slots.get("momentum", []),
            given.slots["step"],
            foreach=given.foreach,
            lr=given.lr,
            alpha=self.options.alpha,
            eps=self.options.eps,
            weight_decay=given.weight_decay,
            momentum=self.options.momentum,
            centered=self.options.centered,
        )
