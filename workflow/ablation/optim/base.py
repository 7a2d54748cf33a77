"""What every optimizer shares: weight decay and which parameters it leaves alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..config.base import NonNegative, Technique

if TYPE_CHECKING:
    import torch


class Optimizer(Technique):
    """Options of an optimizer; `start` makes its state for a model."""

    weight_decay: NonNegative = 0.0
    """Strength of the weight decay; the optimizer's own entry says how it is applied."""
    decay_norm: bool = True
    """Whether weight decay applies to the scales and shifts of normalisation layers."""
    decay_bias: bool = True
    """Whether weight decay applies to the biases of convolutions and linear layers."""

    def start(self, model: torch.nn.Module) -> OptimizerState:
        """State for `model`, with `step(lr)`, `state_dict()` and `load_state_dict()`."""
        raise NotImplementedError


class OptimizerState:
    """Parameters with their weight decays, and what the optimizer remembers of each."""

    def __init__(self, model: torch.nn.Module, options: Optimizer) -> None:
        self.options = options
        self.groups = parameter_groups(model, options)

    def step(self, lr: float) -> None:
        """One update of every parameter from its `.grad`, at learning rate `lr`."""
        raise NotImplementedError

    def record(self) -> dict[str, int]:
        """How many scalars are decayed and not decayed, for the cell's record."""
        counts = {"decayed": 0, "not_decayed": 0}
        for decay, parameters in self.groups:
            counts["decayed" if decay > 0 else "not_decayed"] += sum(p.numel() for p in parameters)
        return counts


def parameter_groups(
    model: torch.nn.Module, options: Optimizer
) -> list[tuple[float, list[torch.nn.Parameter]]]:
    """[(weight decay, parameters)] with normalisation and bias parameters told apart by role.

    A parameter belongs to a normalisation layer when the module that owns it has running
    statistics or a `normalized_shape`/`num_groups`; else it is a bias when it is one-dimensional
    and registered as `bias` (in attention `in_proj_bias` or `q_bias`). Names of modules play no
    part: ResNet's `downsample.1` is a batch norm too.
    """
    decayed: list[torch.nn.Parameter] = []
    exempt: list[torch.nn.Parameter] = []
    seen: set[int] = set()
    for module in model.modules():
        norm = any(hasattr(module, a) for a in ("running_mean", "normalized_shape", "num_groups"))
        for role, parameter in module.named_parameters(recurse=False):
            if id(parameter) in seen or not parameter.requires_grad:
                continue
            seen.add(id(parameter))
            bias = role.endswith("bias") and parameter.ndim == 1
            keep = options.decay_norm if norm else options.decay_bias if bias else True
            (decayed if keep and options.weight_decay > 0 else exempt).append(parameter)
    return [(options.weight_decay, decayed), (0.0, exempt)]
