"""The optimizer against torch.optim.SGD bit by bit, and which parameters are decayed."""

from __future__ import annotations

import copy
import io

import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from ablation.optim import SGD
from ablation.optim.base import parameter_groups


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
    spared = {id(p) for p in groups[1][1]}
    assert id(start.layer2[0].downsample[1].weight) in spared
    assert id(start.layer2[0].downsample[0].weight) not in spared


def test_other_normalisations_and_attention() -> None:
    model = nn.Sequential(
        nn.LayerNorm(4), nn.GroupNorm(2, 4), nn.Conv1d(4, 4, 1), nn.MultiheadAttention(4, 2)
    )
    attention = 3 * 4 * 4 + 4 * 4
    assert count(model, decay_norm=False) == (4 * 4 + 4 + attention + 16, 16)
    assert count(model, decay_bias=False) == (4 * 4 + attention + 16, 4 + 3 * 4 + 4)


def test_shared_and_frozen_parameters_count_once_or_not_at_all() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    model[1].bias.requires_grad_(False)
    assert count(model) == (9 + 3, 0)
    groups = parameter_groups(model, SGD(weight_decay=1e-4))
    assert len({id(p) for _, ps in groups for p in ps}) == sum(len(ps) for _, ps in groups) == 2


def test_no_decay_is_recorded_as_none() -> None:
    assert SGD().start(nn.Linear(2, 2)).record() == {"decayed": 0, "not_decayed": 6}


def test_nesterov_without_momentum_is_refused() -> None:
    with pytest.raises(ValueError, match="nesterov"):
        SGD(momentum=0, nesterov=True)
