"""Adam."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ..config.base import NonNegative, Positive
from .base import Betas, Optimizer, OptimizerState, Update

if TYPE_CHECKING:
    import torch


class Adam(Optimizer):
    """Steps along the mean gradient divided by the root of the mean squared gradient.

    Kingma and Ba 2015 (arXiv 1412.6980, algorithm 1), as torch.optim.Adam has it. Weight decay is
    coupled: added to the gradient (the L2 penalty of the loss), and so divided by the root too. For
    decoupled weight decay there is `adamw`.
    """

    name: Literal["adam"] = "adam"
    weight_decay: NonNegative = 0.0
    """Strength of the coupled weight decay (L2 penalty): added to the gradient."""
    betas: Betas = (0.9, 0.999)
    """Shares of the mean gradient and of the mean squared gradient that are kept at each step."""
    eps: Positive = 1e-8
    """Added to the root."""

    def start(self, model: torch.nn.Module) -> AdamState:
        return AdamState(model, self, decoupled=False)


class AdamState(OptimizerState):
    """Mean gradients, mean squared gradients and counts of steps."""

    def __init__(self, model: torch.nn.Module, options: Optimizer, *, decoupled: bool) -> None:
        super().__init__(model, options)
        self.decoupled = decoupled

    def names(self) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq", "step")

    def update(self, given: Update) -> None:
        from torch.optim.adam import adam

        adam(
            given.parameters,
            given.grads,
            given.slots["exp_avg"],
            given.slots["exp_avg_sq"],
            [],
            given.slots["step"],
            foreach=given.foreach,
            decoupled_weight_decay=self.decoupled,
            amsgrad=False,
            beta1=self.options.betas[0],
            beta2=self.options.betas[1],
            lr=given.lr,
            weight_decay=given.weight_decay,
            eps=self.options.eps,
            maximize=False,
        )
