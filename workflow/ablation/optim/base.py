"""What every optimizer shares: weight decay, which parameters it leaves alone, and its memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from ..config.base import NoBool, NonNegative, Technique

if TYPE_CHECKING:
    import torch

Beta = Annotated[float, NoBool, Field(ge=0, lt=1)]
Betas = tuple[Beta, Beta]


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
    """Parameters with their weight decays, and what the optimizer remembers of each.

    The arithmetic is that of torch's functions beneath its classes (torch.optim.adam.adam ...): a
    class such as torch.optim.SGD would import torch._dynamo, which costs a short cell more than its
    first epoch; the function is the same code without that. As there, a parameter without a
    gradient is passed over, and its memory with it.
    """

    def __init__(self, model: torch.nn.Module, options: Optimizer) -> None:
        self.options = options
        self.groups = parameter_groups(model, options)
        self.slots = [[self.fresh(p) for p in parameters] for _, parameters in self.groups]

    def fresh(self, parameter: torch.nn.Parameter) -> dict[str, torch.Tensor | None]:
        """What is remembered of a parameter before its first step: the same names for each.

        A slot named `step` is a count, and stays on the CPU.
        """
        raise NotImplementedError

    def update(
        self,
        parameters: list[torch.Tensor],
        grads: list[torch.Tensor],
        slots: dict[str, list[torch.Tensor | None]],
        *,
        weight_decay: float,
        lr: float,
    ) -> None:
        """One update, in place, of parameters that all have a gradient; tensors in `slots` may be
        changed or replaced. On a GPU torch's many-tensor kernels are used (`foreach`)."""
        raise NotImplementedError

    def step(self, lr: float) -> None:
        """One update of every parameter from its `.grad`, at learning rate `lr`."""
        import torch

        with torch.no_grad():
            for (weight_decay, parameters), memory in zip(self.groups, self.slots, strict=True):
                active = [i for i, p in enumerate(parameters) if p.grad is not None]
                if not active:
                    continue
                slots = {name: [memory[i][name] for i in active] for name in memory[active[0]]}
                self.update(
                    [parameters[i] for i in active],
                    [parameters[i].grad for i in active],
                    slots,
                    weight_decay=weight_decay,
                    lr=lr,
                )
                for name, values in slots.items():
                    for i, value in zip(active, values, strict=True):
                        memory[i][name] = value

    def state_dict(self) -> dict[str, Any]:
        """The memory, plain tensors by group, parameter and name; not a copy."""
        return {"slots": self.slots}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a memory; ValueError if it is another optimizer's or another model's."""
        for mine, theirs, (_, parameters) in zip(
            self.slots, state["slots"], self.groups, strict=True
        ):
            for slots, saved, parameter in zip(mine, theirs, parameters, strict=True):
                if set(slots) != set(saved):
                    raise ValueError(f"{sorted(saved)} is no memory of {self.options.name}")
                for name, value in saved.items():
                    device = "cpu" if name == "step" else parameter.device
                    slots[name] = None if value is None else value.to(device)

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
