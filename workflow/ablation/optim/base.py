"""What every optimizer shares: weight decay, which parameters it leaves alone, and its memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import AfterValidator, Field

from ..config.base import NoBool, NonNegative, Positive, Technique
from .layers import layers

if TYPE_CHECKING:
    import torch

Beta = Annotated[float, NoBool, Field(ge=0, lt=1)]
Betas = tuple[Beta, Beta]
# One is written none: both are the same training, and so the same cell.
Off = AfterValidator(lambda factor: None if factor == 1 else factor)
LayerDecay = Annotated[Annotated[float, NoBool, Field(gt=0, le=1)] | None, Off]


class Optimizer(Technique):
    """Options of an optimizer; `start` makes its state for a model."""

    weight_decay: NonNegative = 0.0
    """Strength of the weight decay; the optimizer's own entry says how it is applied."""
    decay_norm: bool = True
    """Whether weight decay applies to the scales and shifts of normalisation layers."""
    decay_bias: bool = True
    """Whether weight decay applies to the biases of convolutions and linear layers."""
    decay_linear: bool = True
    """Whether weight decay applies to the weights of linear layers, the last one among them."""
    layer_lr_decay: LayerDecay = None
    """The learning rate of a layer as a share of that of the layer behind it (Clark et al. 2020,
    arXiv 2003.10555; Bao et al. 2022, arXiv 2106.08254): small steps in the first layers of a
    pre-trained model. A residual or transformer block is one layer."""
    head_lr_factor: Annotated[Positive | None, Off] = None
    """Factor of the learning rate of the head, the last layer with the norm before it."""

    def start(self, model: torch.nn.Module) -> OptimizerState:
        """State for `model`, with `step(lr)`, `state_dict()` and `load_state_dict()`."""
        raise NotImplementedError


class Group(NamedTuple):
    """Parameters that take their steps with the same weight decay and learning rate."""

    weight_decay: float
    lr_scale: float
    """Factor of the cell's learning rate."""
    parameters: list[torch.nn.Parameter]


class Update(NamedTuple):
    """What one update is made of: parameters of a group that all have a gradient."""

    parameters: list[torch.Tensor]
    grads: list[torch.Tensor]
    slots: dict[str, list[torch.Tensor | None]]
    """What is remembered of them, by name."""
    weight_decay: float
    lr: float

    @property
    def foreach(self) -> bool:
        """Whether torch's many-tensor kernels are used: on a GPU."""
        return self.parameters[0].is_cuda


class OptimizerState:
    """Parameters with weight decays and learning rates, and what the optimizer remembers of each.

    The arithmetic is that of torch's functions beneath its classes (torch.optim.adam.adam ...): a
    class such as torch.optim.SGD would import torch._dynamo, which costs a short cell more than its
    first epoch; the function is the same code without that. As there, a parameter without a
    gradient is passed over, and its memory with it.
    """

    def __init__(self, model: torch.nn.Module, options: Optimizer) -> None:
        self.options = options
        self.groups = parameter_groups(model, options)
        self.slots = [[self.fresh(p) for p in group.parameters] for group in self.groups]

    def names(self) -> tuple[str, ...]:
        """What is remembered of each parameter, as zeros before its first step.

        Of its shape each; `step` is a count, and stays on the CPU.
        """
        raise NotImplementedError

    def fresh(self, parameter: torch.nn.Parameter) -> dict[str, torch.Tensor | None]:
        """What is remembered of a parameter before its first step: the same names for each."""
        import torch

        zeros = {name: torch.zeros_like(parameter, requires_grad=False) for name in self.names()}
        return zeros | {name: torch.tensor(0.0) for name in zeros if name == "step"}

    def update(self, given: Update) -> None:
        """One update, in place; tensors in `slots` may be changed or replaced."""
        raise NotImplementedError

    def step(self, lr: float) -> None:
        """One update of every parameter from its `.grad`, at learning rate `lr`."""
        import torch

        with torch.no_grad():
            for group, memory in zip(self.groups, self.slots, strict=True):
                parameters = group.parameters
                active = [i for i, p in enumerate(parameters) if p.grad is not None]
                if not active:
                    continue
                slots = {name: [memory[i][name] for i in active] for name in memory[active[0]]}
                self.update(
                    Update(
                        [parameters[i] for i in active],
                        [parameters[i].grad for i in active],
                        slots,
                        group.weight_decay,
                        lr * group.lr_scale,
                    )
                )
                for name, values in slots.items():
                    for i, value in zip(active, values, strict=True):
                        memory[i][name] = value

    def state_dict(self) -> dict[str, Any]:
        """The memory, plain tensors by group, parameter and name; not a copy."""
        return {"slots": self.slots}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a memory; ValueError if it is another optimizer's or another model's."""
        for mine, theirs, group in zip(self.slots, state["slots"], self.groups, strict=True):
            for slots, saved, parameter in zip(mine, theirs, group.parameters, strict=True):
                if set(slots) != set(saved):
                    raise ValueError(f"{sorted(saved)} is no memory of {self.options.name}")
                for name, value in saved.items():
                    device = "cpu" if name == "step" else parameter.device
                    slots[name] = None if value is None else value.to(device)

    def record(self) -> dict[str, Any]:
        """How many scalars are decayed and not decayed, for the cell's record.

        Where learning rates differ by layer, also how many have which factor, from the input on.
        """
        counts: dict[str, Any] = {"decayed": 0, "not_decayed": 0}
        scales: dict[float, int] = {}
        for group in self.groups:
            scalars = sum(p.numel() for p in group.parameters)
            counts["decayed" if group.weight_decay > 0 else "not_decayed"] += scalars
            scales[group.lr_scale] = scales.get(group.lr_scale, 0) + scalars
        if set(scales) != {1.0}:
            counts["by_lr_scale"] = [{"lr_scale": k, "scalars": n} for k, n in scales.items()]
        return counts


def parameter_groups(model: torch.nn.Module, options: Optimizer) -> list[Group]:
    """Decayed and not decayed parameters, told apart by role; of each layer where rates differ.

    A parameter belongs to a normalisation layer when the module that owns it has running
    statistics or a `normalized_shape`/`num_groups`; else it is a bias when it is one-dimensional
    and registered as `bias` (in attention `in_proj_bias` or `q_bias`), and a linear layer's weight
    when it is two-dimensional and registered as `weight` (`in_proj_weight`). Names of modules play
    no part: ResNet's `downsample.1` is a batch norm too.
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
            linear = role.endswith("weight") and parameter.ndim == 2
            keep = not (
                (norm and not options.decay_norm)
                or (bias and not norm and not options.decay_bias)
                or (linear and not options.decay_linear)
            )
            (decayed if keep and options.weight_decay > 0 else exempt).append(parameter)
    whole = [Group(options.weight_decay, 1.0, decayed), Group(0.0, 1.0, exempt)]
    if options.layer_lr_decay is None and options.head_lr_factor is None:
        return whole
    return _by_layer(whole, model, options)


def _by_layer(groups: list[Group], model: torch.nn.Module, options: Optimizer) -> list[Group]:
    """The groups parted by the learning rates of the model's layers, from the input on."""
    decay, head = options.layer_lr_decay or 1.0, options.head_lr_factor or 1.0
    found = layers(model)
    scales = [decay ** (len(found) - 1 - depth) for depth in range(len(found))]
    scales[-1] *= head
    scale_of = {id(p): s for ps, s in zip(found, scales, strict=True) for p in ps}
    parted = [
        Group(group.weight_decay, scale, [p for p in group.parameters if scale_of[id(p)] == scale])
        for scale in dict.fromkeys(scales)
        for group in groups
    ]
    return [group for group in parted if group.parameters]
