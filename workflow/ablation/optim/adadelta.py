"""AdaDelta."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ..config.base import NonNegative, Positive
from .base import Beta, Optimizer, OptimizerState, Update

if TYPE_CHECKING:
    import torch


class Adadelta(Optimizer):
    """Steps along the gradient, scaled by the ratio of mean squared updates and gradients.

    Zeiler 2012 (arXiv 1212.5701, algorithm 1), as torch.optim.Adadelta has it. The paper has no
    learning rate: an `lr` of 1 is its method. Weight decay is coupled: added to the gradient (the
    L2 penalty of the loss).
    """

    name: Literal["adadelta"] = "adadelta"
    weight_decay: NonNegative = 0.0
    """Strength of the coupled weight decay (L2 penalty): added to the gradient."""
    rho: Beta = 0.9
    """Share of both means that is kept at each step."""
    eps: Positive = 1e-6
    """Added to both means; it sets the size of the first steps."""

    def start(self, model: torch.nn.Module) -> AdadeltaState:
        return AdadeltaState(model, self)


class AdadeltaState(OptimizerState):
    """Mean squared gradients and mean squared updates."""

    def names(self) -> tuple[str, ...]:
        return ("square_avg", "acc_delta", "step")

    def update(self, given: Update) -> None:
        from torch.optim.adadelta import adadelta

        adadelta(
            given.parameters,
            given.grads,
            given.slots["square_avg"],
            given.slots["acc_delta"],
            given.slots["step"],
            foreach=given.foreach,
            lr=given.lr,
            rho=self.options.rho,
            eps=self.options.eps,
            weight_decay=given.weight_decay,
            maximize=False,
        )
