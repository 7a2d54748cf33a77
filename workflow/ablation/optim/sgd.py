"""Stochastic gradient descent with momentum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import model_validator

from .base import Beta, Optimizer, OptimizerState, Update

if TYPE_CHECKING:
    import torch


class SGD(Optimizer):
    """Steps along the gradient and a decaying sum of past gradients.

    Sutskever et al. 2013, as torch.optim.SGD has it: dampening 0, the learning rate outside the
    momentum buffer, weight decay coupled (added to the gradient, the L2 penalty of the loss).
    """

    name: Literal["sgd"] = "sgd"
    momentum: Beta = 0.9
    """Share of the last update that is kept."""
    nesterov: bool = False
    """Nesterov's form of the momentum."""

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> SGD:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov does nothing without momentum")
        return self

    def start(self, model: torch.nn.Module) -> SGDState:
        return SGDState(model, self)


class SGDState(OptimizerState):
    """Momentum buffers."""

    def fresh(self, parameter: torch.nn.Parameter) -> dict[str, torch.Tensor | None]:
        return {"momentum": None}  # the first gradient itself

    def update(self, given: Update) -> None:
        from torch.optim.sgd import sgd

        sgd(
            given.parameters,
            given.grads,
            given.slots["momentum"],
            weight_decay=given.weight_decay,
            momentum=self.options.momentum,
            lr=given.lr,
            dampening=0.0,
            nesterov=self.options.nesterov,
            maximize=False,
            foreach=given.foreach,
        )
