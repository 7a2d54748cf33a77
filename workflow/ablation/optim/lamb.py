"""LAMB: Adam with a step length for each layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import model_validator

from ..config.base import NonNegative, Positive
from .base import Betas, Optimizer, OptimizerState, Update

if TYPE_CHECKING:
    import torch


def clip_divisor(grads: list[torch.Tensor], *, max_grad_norm: float) -> torch.Tensor:
    """What all gradients are divided by so that their common L2 norm is at most `max_grad_norm`."""
    import torch

    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(grads)))
    return (norm / max_grad_norm).clamp_(min=1.0)


def trust_ratios(weights: list[torch.Tensor], updates: list[torch.Tensor]) -> list[torch.Tensor]:
    """Norm of each weight over that of its update (0-d tensors); 1 where either is zero."""
    import torch

    weight_norms = torch.stack(torch._foreach_norm(weights))
    update_norms = torch.stack(torch._foreach_norm(updates))
    both = (weight_norms > 0) & (update_norms > 0)
    return list(torch.where(both, weight_norms / update_norms, 1.0).unbind())


def lamb(
    parameters: list[torch.Tensor],
    grads: list[torch.Tensor],
    exp_avgs: list[torch.Tensor],
    exp_avg_sqs: list[torch.Tensor],
    *,
    divisor: torch.Tensor | None,
    step: int,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    adapt: bool,
    lr: float,
) -> None:
    """One update in place. divisor: of the gradients, or None; step: counted from 1; adapt:
    whether each parameter's step is scaled by its trust ratio."""
    import torch

    if divisor is not None:
        grads = torch._foreach_div(grads, divisor)
    beta1, beta2 = betas
    torch._foreach_lerp_(exp_avgs, grads, 1 - beta1)
    torch._foreach_mul_(exp_avg_sqs, beta2)
    torch._foreach_addcmul_(exp_avg_sqs, grads, grads, value=1 - beta2)
    roots = torch._foreach_sqrt(exp_avg_sqs)
    torch._foreach_div_(roots, (1 - beta2**step) ** 0.5)
    torch._foreach_add_(roots, eps)
    updates = torch._foreach_div(exp_avgs, 1 - beta1**step)
    torch._foreach_div_(updates, roots)
    if weight_decay != 0:
        torch._foreach_add_(updates, parameters, alpha=weight_decay)
    if adapt:
        torch._foreach_mul_(updates, trust_ratios(parameters, updates))
    torch._foreach_add_(parameters, updates, alpha=-lr)


class Lamb(Optimizer):
    """Steps as Adam does, with each layer's step as long as its weights' norm times `lr`.

    You et al. 2020 (arXiv 1904.00962, algorithm 2) for large batches, as timm's Lamb, which RSB and
    the SuperGradients recipe use. Weight decay is the paper's: added to Adam's update before its
    norm is taken, not to the gradient, and scaled with the update. Parameters that are not decayed
    (`decay_norm`, `decay_bias`) take Adam's step without the ratio, unless `always_adapt`. As in
    timm, the bias correction counts the optimizer's steps, also those without a gradient.
    """

    name: Literal["lamb"] = "lamb"
    weight_decay: NonNegative = 0.0
    """Strength of LAMB's weight decay: added to Adam's update before its norm is taken."""
    betas: Betas = (0.9, 0.999)
    """Shares of the mean gradient and of the mean squared gradient that are kept at each step."""
    eps: Positive = 1e-6
    """Added to the root."""
    max_grad_norm: Positive | None = 1.0
    """Largest L2 norm of all gradients together; a larger one is scaled down to it."""
    always_adapt: bool = False
    """Scales the step by the ratio of norms for parameters without weight decay too."""

    @model_validator(mode="after")
    def _adapts_something(self) -> Lamb:
        if self.weight_decay == 0 and not self.always_adapt:
            raise ValueError(
                "lamb without weight_decay adapts no layer and is adam; set always_adapt: true"
            )
        return self

    def start(self, model: torch.nn.Module) -> LambState:
        return LambState(model, self)


class LambState(OptimizerState):
    """Mean gradients, mean squared gradients and the count of steps, which is one for all."""

    def __init__(self, model: torch.nn.Module, options: Lamb) -> None:
        super().__init__(model, options)
        self.steps = 0
        self.divisor: torch.Tensor | None = None

    def names(self) -> tuple[str, ...]:
        return ("exp_avg", "exp_avg_sq")

    def step(self, lr: float) -> None:
        self.steps += 1
        grads = [p.grad for g in self.groups for p in g.parameters if p.grad is not None]
        limit = self.options.max_grad_norm
        self.divisor = clip_divisor(grads, max_grad_norm=limit) if limit and grads else None
        super().step(lr)

    def update(self, given: Update) -> None:
        lamb(
            given.parameters,
            given.grads,
            given.slots["exp_avg"],
            given.slots["exp_avg_sq"],
            divisor=self.divisor,
            step=self.steps,
            betas=self.options.betas,
            eps=self.options.eps,
            weight_decay=given.weight_decay,
            adapt=given.weight_decay != 0 or self.options.always_adapt,
            lr=given.lr,
        )

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.steps = state["steps"]
