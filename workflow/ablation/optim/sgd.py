"""Stochastic gradient descent with momentum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from ..config.base import NoBool
from .base import Optimizer, OptimizerState

if TYPE_CHECKING:
    import torch


class SGD(Optimizer):
    """Steps along the gradient and a decaying sum of past gradients.

    Sutskever et al. 2013, as torch.optim.SGD has it: dampening 0, the learning rate outside the
    momentum buffer, weight decay coupled (added to the gradient, the L2 penalty of the loss).
    """

    name: Literal["sgd"] = "sgd"
    momentum: Annotated[float, NoBool, Field(ge=0, lt=1)] = 0.9
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
    """Momentum buffers; the arithmetic is torch's functional SGD.

    The class torch.optim.SGD would import torch._dynamo, which costs a short cell more than its
    first epoch; the function beneath it is the same code without that.
    """

    def __init__(self, model: torch.nn.Module, options: SGD) -> None:
        super().__init__(model, options)
        self.buffers: list[list[torch.Tensor | None]] = [[None] * len(ps) for _, ps in self.groups]

    def step(self, lr: float) -> None:
        import torch
        from torch.optim.sgd import sgd

        with torch.no_grad():
            for (decay, parameters), buffers in zip(self.groups, self.buffers, strict=True):
                active = [i for i, p in enumerate(parameters) if p.grad is not None]
                momenta = [buffers[i] for i in active]
                sgd(
                    [parameters[i] for i in active],
                    [parameters[i].grad for i in active],
                    momenta,
                    weight_decay=decay,
                    momentum=self.options.momentum,
                    lr=lr,
                    dampening=0.0,
                    nesterov=self.options.nesterov,
                    maximize=False,
                    foreach=bool(parameters) and parameters[0].is_cuda,
                )
                for i, momentum in zip(active, momenta, strict=True):
                    buffers[i] = momentum

    def state_dict(self) -> dict[str, Any]:
        return {"momentum": self.buffers}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for mine, theirs, (_, parameters) in zip(
            self.buffers, state["momentum"], self.groups, strict=True
        ):
            for i, parameter in enumerate(parameters):
                mine[i] = None if theirs[i] is None else theirs[i].to(parameter.device)
