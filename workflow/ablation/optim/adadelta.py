"""AdaDelta."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ..config.base import NonNegative, Positive
from .base import Beta, Optimizer, OptimizerState, zero_slots

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

    def fresh(self, parameter: torch.nn.Parameter) -> dict[str, torch.Tensor]:
        return zero_slots(parameter, "square_avg", "acc_delta", "step")

    def update(
        self,
        parameters: list[torch.Tensor],
        grads: list[torch.Tensor],
        slots: dict[str, list[torch.Tensor]],
        *,
        weight_decay: float,
        lr: float,
    ) -> None:
        from torch.optim.adadelta import adadelta

        adadelta(
            parameters,
            grads,
            slots["square_avg"],
            slots["acc_delta"],
            slots["step"],
            foreach=parameters[0].is_cuda,
            lr=lr,
            rho=self.options.rho,
            eps=self.options.eps,
            weight_decay=weight_decay,
            maximize=False,
        )
