"""Adam with decoupled weight decay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ..config.base import NonNegative, Positive
from .adam import AdamState
from .base import Betas, Optimizer

if TYPE_CHECKING:
    import torch


class AdamW(Optimizer):
    """Steps as Adam does, and shrinks the weights themselves.

    Loshchilov and Hutter 2019 (arXiv 1711.05101, algorithm 2), as torch.optim.AdamW has it. Weight
    decay is decoupled: at each step the weights are multiplied by 1 - lr * weight_decay, whatever
    the gradient (the paper's lambda is lr * weight_decay at the first learning rate).
    """

    name: Literal["adamw"] = "adamw"
    weight_decay: NonNegative = 0.0
    """Strength of the decoupled weight decay: each step takes off lr times this share."""
    betas: Betas = (0.9, 0.999)
    """Shares of the mean gradient and of the mean squared gradient that are kept at each step."""
    eps: Positive = 1e-8
    """Added to the root."""

    def start(self, model: torch.nn.Module) -> AdamState:
        return AdamState(model, self, decoupled=True)
