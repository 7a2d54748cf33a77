"""Optimizers against torch.optim and timm.optim bit by bit, and which parameters are decayed."""

from __future__ import annotations

import copy
import io
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from ablation.data.source import Batch
from ablation.learner import Learner
from ablation.optim import OPTIMIZERS, SGD, Adadelta, Adam, AdamW, Lamb, RMSprop
from ablation.optim.base import Optimizer, OptimizerState, parameter_groups
from ablation.ranks import Ranks


def reference(model: nn.Module, options: SGD) -> torch.optim.SGD:
    """torch's own optimizer, its groups told apart by torch's module types alone."""
    norm = [p for m in model.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters()]
    bias = [m.bias for m in model.modules() if isinstance(m, (nn.Linear, nn.Conv2d))]
    spared = [] if options.decay_norm else norm
    spared = spared + ([] if options.decay_bias else [b for b in bias if b is not None])
    ids = {id(p) for p in spared}
    decayed = [p for p in model.parameters() if id(p) not in ids]
    groups = [
        {"params": decayed, "weight_decay": options.weight_decay},
        {"params": spared, "weight_decay": 0.0},
    ]
    if not spared:
        groups.pop()
    return torch.optim.SGD(groups, lr=1, momentum=options.momentum, nesterov=options.nesterov)


def one_step(model: nn.Module, step: int) -> None:
    generator = torch.Generator().manual_seed(step)
    model.zero_grad(set_to_none=True)
    model(torch.rand(2, 3, 32, 32, generator=generator)).square().mean().backward()


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


OPTIONS = [
    SGD(momentum=0.0),
    SGD(momentum=0.9, weight_decay=1e-2),
    SGD(momentum=0.9, weight_decay=1e-2, nesterov=True, decay_norm=False, decay_bias=False),
    SGD(momentum=0.5, weight_decay=1e-2, decay_norm=False),
    SGD(momentum=0.0, weight_decay=1e-2, decay_bias=False),
]


@pytest.fixture(scope="module")
def start() -> nn.Module:
    torch.manual_seed(0)
    return resnet18(num_classes=7)


@pytest.mark.parametrize("options", OPTIONS)
def test_bit_equal_to_torch_and_through_a_state_dict(start: nn.Module, options: SGD) -> None:
    torch.set_num_threads(1)
    mine, torchs = copy.deepcopy(start), copy.deepcopy(start)
    state, optimizer = options.start(mine), reference(torchs, options)
    for step in range(4):
        lr = 0.05 / (step + 1)
        one_step(mine, step)
        state.step(lr)
        one_step(torchs, step)
        for group in optimizer.param_groups:
            group["lr"] = lr
        optimizer.step()
        assert same(mine, torchs), f"step {step}"
        if step == 1:  # cut here: the same through a file, on a new object
            buffer = io.BytesIO()
            torch.save(state.state_dict(), buffer)
            buffer.seek(0)
            state = options.start(mine)
            state.load_state_dict(torch.load(buffer, weights_only=True))


def test_a_cut_before_the_first_step_and_a_parameter_without_gradient() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(3, 2))
    state = SGD(momentum=0.9).start(model)
    state.load_state_dict(state.state_dict())
    untouched = model[1].weight.clone()
    for _ in range(2):
        model.zero_grad(set_to_none=True)
        model[0](torch.ones(1, 3)).sum().backward()
        state.step(0.1)
    assert torch.equal(model[1].weight, untouched)
    # Two steps on a gradient of ones: 0.1 + 0.1 * 1.9.
    other = SGD(momentum=0.9).start(model)
    other.load_state_dict(state.state_dict())
    assert float(other.slots[1][0]["momentum"][0, 0]) == pytest.approx(1.9)


def count(model: nn.Module, **options: bool) -> tuple[int, int]:
    record = SGD(weight_decay=1e-4, **options).start(model).record()
    return record["decayed"], record["not_decayed"]


def test_counts_of_resnet18(start: nn.Module) -> None:
    total = sum(p.numel() for p in start.parameters())
    norm = sum(2 * m.num_features for m in start.modules() if isinstance(m, nn.BatchNorm2d))
    assert norm == 9600  # of which downsample.1: 2 x (128 + 256 + 512)
    assert count(start) == (total, 0)
    assert count(start, decay_norm=False) == (total - norm, norm)
    assert count(start, decay_bias=False) == (total - 7, 7)
    assert count(start, decay_norm=False, decay_bias=False) == (total - norm - 7, norm + 7)


def test_projection_shortcuts_norm_is_told_by_its_role(start: nn.Module) -> None:
    groups = parameter_groups(start, SGD(weight_decay=1e-4, decay_norm=False))
    spared = {id(p) for p in groups[1].parameters}
    assert id(start.layer2[0].downsample[1].weight) in spared
    assert id(start.layer2[0].downsample[0].weight) not in spared


def test_other_normalisations_and_attention() -> None:
    model = nn.Sequential(
        nn.LayerNorm(4), nn.GroupNorm(2, 4), nn.Conv1d(4, 4, 1), nn.MultiheadAttention(4, 2)
    )
    attention = 3 * 4 * 4 + 4 * 4
    assert count(model, decay_norm=False) == (4 * 4 + 4 + attention + 16, 16)
    assert count(model, decay_bias=False) == (4 * 4 + attention + 16, 4 + 3 * 4 + 4)


def test_linear_layers_can_be_spared_as_keras_does(start: nn.Module) -> None:
    """Document 003: the penalty lies on the convolutions' weights alone."""
    total = sum(p.numel() for p in start.parameters())
    assert count(start, decay_linear=False) == (total - 7 * 512, 7 * 512)
    kernels = sum(m.weight.numel() for m in start.modules() if isinstance(m, nn.Conv2d))
    spared = {"decay_linear": False, "decay_norm": False, "decay_bias": False}
    assert count(start, **spared) == (kernels, total - kernels)
    assert count(nn.MultiheadAttention(4, 2), decay_linear=False) == (16, 3 * 4 * 4 + 16)


def test_shared_and_frozen_parameters_count_once_or_not_at_all() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    model[1].bias.requires_grad_(False)
    assert count(model) == (9 + 3, 0)
    groups = parameter_groups(model, SGD(weight_decay=1e-4))
    parameters = [id(p) for group in groups for p in group.parameters]
    assert len(set(parameters)) == len(parameters) == 2


def test_no_decay_is_recorded_as_none() -> None:
    assert SGD().start(nn.Linear(2, 2)).record() == {"decayed": 0, "not_decayed": 6}


def test_nesterov_without_momentum_is_refused() -> None:
    with pytest.raises(ValueError, match="nesterov"):
        SGD(momentum=0, nesterov=True)


# -- every optimizer, step by step -----------------------------------------------------------------

STEPS = 50
PLAIN = {"weight_decay": 0.02}
SPARED = PLAIN | {"decay_norm": False, "decay_bias": False}


def timm_lamb(groups: list, **options: object) -> torch.optim.Optimizer:
    from timm.optim.lamb import Lamb as TimmLamb

    return TimmLamb(groups, lr=1, **options)


STEPPED = [
    (SGD(momentum=0.9, nesterov=True, **SPARED),
     lambda g: torch.optim.SGD(g, lr=1, momentum=0.9, nesterov=True)),
    (RMSprop(), lambda g: torch.optim.RMSprop(g, lr=1)),
    (RMSprop(alpha=0.9, eps=1e-3, momentum=0.9, centered=True, **SPARED),
     lambda g: torch.optim.RMSprop(g, 1, 0.9, 1e-3, 0, 0.9, True)),
    (RMSprop(momentum=0.5, **PLAIN), lambda g: torch.optim.RMSprop(g, lr=1, momentum=0.5)),
    (Adadelta(), lambda g: torch.optim.Adadelta(g, lr=1)),
    (Adadelta(rho=0.95, eps=1e-5, **SPARED), lambda g: torch.optim.Adadelta(g, 1, 0.95, 1e-5)),
    (Adam(), lambda g: torch.optim.Adam(g, lr=1)),
    (Adam(betas=(0.8, 0.95), eps=1e-4, **SPARED),
     lambda g: torch.optim.Adam(g, 1, (0.8, 0.95), 1e-4)),
    (AdamW(), lambda g: torch.optim.AdamW(g, lr=1)),
    (AdamW(betas=(0.8, 0.95), eps=1e-4, **SPARED),
     lambda g: torch.optim.AdamW(g, 1, (0.8, 0.95), 1e-4)),
    (Lamb(**SPARED), timm_lamb),
    (Lamb(max_grad_norm=None, betas=(0.8, 0.95), eps=1e-4, **PLAIN),
     lambda g: timm_lamb(g, max_grad_norm=None, betas=(0.8, 0.95), eps=1e-4)),
    (Lamb(always_adapt=True), lambda g: timm_lamb(g, always_adapt=True)),
    (Lamb(always_adapt=True, max_grad_norm=0.1, **SPARED),
     lambda g: timm_lamb(g, always_adapt=True, max_grad_norm=0.1)),
]  # fmt: skip


class Odd(nn.Module):
    """Parameters of several shapes: a scalar, one that is zero, one of other strides."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
        self.norm = nn.BatchNorm2d(4)
        self.linear = nn.Linear(5, 7)
        self.scale = nn.Parameter(torch.tensor(0.5))
        self.zero = nn.Parameter(torch.zeros(3, 2))


def give_grads(model: nn.Module, step: int) -> None:
    """The same gradients to equal models; none to some parameters, zeros to some."""
    generator = torch.Generator().manual_seed(step)
    for number, parameter in enumerate(model.parameters()):
        grad = torch.randn(parameter.shape, generator=generator) * 10.0 ** (step % 3 - 1)
        grad = grad.to(parameter.device)
        parameter.grad = grad if (step + number) % 7 else torch.zeros_like(grad)
        if (step + 2 * number) % 5 == 0:
            parameter.grad = None


def groups_by_role(model: nn.Module, options: Optimizer) -> list[dict]:
    """Groups for torch, with the parameters named by hand."""
    spared = [*model.norm.parameters()] if not options.decay_norm else []
    spared += [model.conv.bias, model.linear.bias] if not options.decay_bias else []
    ids = {id(p) for p in spared}
    decayed = [p for p in model.parameters() if id(p) not in ids]
    rest = [p for p in model.parameters() if id(p) in ids]  # LAMB's norm over all is summed so
    found = [{"params": decayed, "weight_decay": options.weight_decay}]
    return found + ([{"params": rest, "weight_decay": 0.0}] if rest else [])


def through_a_file(state: OptimizerState, model: nn.Module) -> OptimizerState:
    """The same state in a new object, written and read as a checkpoint is."""
    buffer = io.BytesIO()
    torch.save(state.state_dict(), buffer)
    buffer.seek(0)
    again = state.options.start(model)
    again.load_state_dict(torch.load(buffer, weights_only=True))
    return again


@pytest.mark.parametrize("number", range(len(STEPPED)))
def test_each_step_is_the_reference_s_to_the_bit(number: int) -> None:
    options, make = STEPPED[number]
    mine, other = Odd(), Odd()
    state, reference = options.start(mine), make(groups_by_role(other, options))
    for step in range(STEPS):
        lr = 0.05 / (1 + step % 4)
        give_grads(mine, step)
        state.step(lr)
        give_grads(other, step)
        for group in reference.param_groups:
            group["lr"] = lr
        reference.step()
        assert same(mine, other), f"step {step}"
        if step in (3, 24):
            state = through_a_file(state, mine)
    moved = zip(mine.parameters(), Odd().parameters(), strict=True)
    assert all(not torch.equal(a, b) for a, b in moved)


def test_every_optimizer_is_held_against_a_reference() -> None:
    assert {type(options) for options, _ in STEPPED} == set(OPTIMIZERS)


def test_coupled_and_decoupled_weight_decay_are_two_things() -> None:
    """Without a gradient's pull the decoupled one shrinks by lr * weight_decay exactly."""
    after = {}
    for technique in (Adam, AdamW):
        model = nn.Linear(4, 4, bias=False)
        nn.init.constant_(model.weight, 2.0)
        state = technique(weight_decay=0.1).start(model)
        model.weight.grad = torch.zeros(4, 4)
        state.step(0.01)
        after[technique] = float(model.weight.detach()[0, 0])
    assert after[AdamW] == pytest.approx(2.0 * (1 - 0.01 * 0.1), rel=1e-6)
    assert after[Adam] == pytest.approx(2.0 - 0.01, rel=1e-6)  # a whole step of Adam's


def test_first_step_of_lamb_is_the_weight_s_norm_times_lr() -> None:
    model = nn.Linear(4, 4, bias=False)
    before = model.weight.detach().clone()
    state = Lamb(weight_decay=0.01).start(model)
    model.weight.grad = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    state.step(0.1)
    moved = float((model.weight.detach() - before).norm())
    assert moved == pytest.approx(0.1 * float(before.norm()), rel=1e-5)


def test_lamb_that_adapts_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="always_adapt"):
        Lamb()


def test_the_memory_of_another_optimizer_is_refused() -> None:
    model = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="no memory of adam"):
        Adam().start(model).load_state_dict(SGD().start(model).state_dict())


@pytest.mark.parametrize("limit", [None, 0.5, 1e6])
def test_gradients_are_clipped_by_their_common_norm(limit: float | None) -> None:
    """With plain SGD at rate 1 a step of the loop is as long as the gradient it was given."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.Linear(8, 3))
    before = copy.deepcopy(model)
    learner = Learner.__new__(Learner)
    learner.config = SimpleNamespace(
        seed=0,
        accumulate=1,
        precision="fp32",
        loss=lambda x, y: 100 * x.square().sum(),
        clip_grad_norm=limit,
    )
    learner.device, learner.model, learner.forward = torch.device("cpu"), model, model
    learner.teacher = learner.scaler = learner.average = None
    learner.ranks = Ranks()
    learner.inputs = lambda batch, *_: (torch.ones(4, 3, 2, 2), torch.zeros(4, dtype=torch.int64))
    learner.optimizer = SGD(momentum=0).start(model)
    batch = Batch(np.arange(4), None, None)
    learner.update(batch, None, epoch=0, step=0, lr=1.0)
    pairs = list(zip(before.parameters(), model.parameters(), strict=True))
    steps = torch.cat([(old - new).flatten() for old, new in pairs]).detach()
    for old in before.parameters():
        old.grad = None
    (100 * before(torch.ones(4, 12)).square().sum()).backward()
    whole = torch.cat([old.grad.flatten() for old, _ in pairs])
    share = 1.0 if limit is None else min(1.0, limit / float(whole.norm()))
    assert float(whole.norm()) > 100 and torch.allclose(steps, share * whole, rtol=1e-3, atol=1e-5)


def test_no_optimizer_and_no_clipping_imports_dynamo() -> None:
    """It costs more than a short cell's first epoch (torch.optim's classes import it)."""
    code = """
import sys, torch
from ablation.optim import OPTIMIZERS
model = torch.nn.Linear(2, 2)
model(torch.ones(1, 2)).sum().backward()
torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
for technique in OPTIMIZERS:
    technique(weight_decay=0.1).start(model).step(0.1)
sys.exit("torch._dynamo" in sys.modules)
"""
    workflow = Path(__file__).resolve().parents[2] / "workflow"
    assert subprocess.run([sys.executable, "-c", code], cwd=workflow, check=False).returncode == 0
