"""Learning rates by layer: which layers there are, and what the factors do."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from ablation.models import MobileNetV1, ResNet56V2, ResNetSmall, Timm, Torchvision
from ablation.models.base import Model
from ablation.optim import SGD, AdamW, Lamb
from ablation.optim.base import parameter_groups
from ablation.optim.layers import layers


def names(model: nn.Module) -> list[list[str]]:
    """Layers as names of parameters."""
    name_of = {id(p): name for name, p in model.named_parameters()}
    return [[name_of[id(p)] for p in layer] for layer in layers(model)]


def build(options: Model) -> nn.Module:
    with torch.device("meta"):
        return options.build(10)


# -- layers ----------------------------------------------------------------------------------------

DEPTHS = [
    (ResNetSmall(blocks=2), 1 + 6 + 1),
    (MobileNetV1(), 1 + 13 + 1),
    (ResNet56V2(), 1 + 18 + 1),
    (Torchvision(arch="resnet50"), 1 + 16 + 1),
    (Torchvision(arch="mobilenet_v2"), 1 + 17 + 1 + 1),
    (Torchvision(arch="vgg11"), 8 + 3),
    (Torchvision(arch="vgg11_bn"), 8 + 3),
    (Torchvision(arch="vit_b_16"), 1 + 12 + 1),
    (Timm(arch="efficientnet_b0"), 1 + 16 + 1 + 1),
    (Timm(arch="beit_base_patch16_224"), 1 + 12 + 1),
]


@pytest.mark.parametrize(("options", "depth"), DEPTHS, ids=lambda v: getattr(v, "label", None))
def test_every_parameter_is_in_one_layer(options: Model, depth: int) -> None:
    model = build(options)
    found = names(model)
    assert len(found) == depth
    flat = [name for layer in found for name in layer]
    assert sorted(flat) == sorted(name for name, _ in model.named_parameters())
    head = [m for m in model.modules() if isinstance(m, nn.Linear)][-1]
    assert {id(p) for p in head.parameters()} <= {id(p) for p in layers(model)[-1]}


@pytest.mark.parametrize(
    "arch",
    ["resnet18", "resnet50", "beit_base_patch16_224", "vit_tiny_patch16_224"],
)
def test_layers_are_timm_s(arch: str) -> None:
    """But for the last norm of a ViT, which is the head's here and in BEiT's own code."""
    from timm.optim import param_groups_layer_decay

    model = build(Timm(arch=arch))
    groups = param_groups_layer_decay(model, layer_decay=0.5)
    theirs = {id(p): group["lr_scale"] for group in groups for p in group["params"]}
    found = layers(model)
    ours = {id(p): 0.5 ** (len(found) - 1 - i) for i, layer in enumerate(found) for p in layer}
    differ = [name for name, p in model.named_parameters() if ours[id(p)] != theirs[id(p)]]
    assert differ == (["norm.weight", "norm.bias"] if arch.startswith("vit") else [])


def test_norms_and_loose_parameters() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token = nn.Parameter(torch.zeros(1, 1, 4))
            self.patches = nn.Conv2d(3, 4, 2)
            self.blocks = nn.ModuleList([Block(), Block()])
            self.norm = nn.LayerNorm(4)
            self.head = nn.Linear(4, 2)

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.LayerNorm(4)
            self.mlp = nn.Linear(4, 4)

    assert names(Tokens()) == [
        ["token", "patches.weight", "patches.bias"],
        ["blocks.0.norm.weight", "blocks.0.norm.bias", "blocks.0.mlp.weight", "blocks.0.mlp.bias"],
        ["blocks.1.norm.weight", "blocks.1.norm.bias", "blocks.1.mlp.weight", "blocks.1.mlp.bias"],
        ["norm.weight", "norm.bias", "head.weight", "head.bias"],
    ]
    flat = nn.Sequential(
        nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4), nn.PReLU(),
        nn.Conv2d(4, 4, 1, bias=False), nn.BatchNorm2d(4),
    )  # fmt: skip
    assert names(flat) == [
        ["0.weight", "0.bias", "1.weight", "2.weight", "2.bias"],
        ["3.weight", "4.weight", "5.weight", "5.bias"],
    ]
    assert names(nn.BatchNorm2d(3)) == [["weight", "bias"]]


def test_a_shared_weight_counts_where_it_comes_first() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    assert names(model) == [["0.weight", "0.bias"], ["1.bias"]]


# -- what the factors do ---------------------------------------------------------------------------


def small() -> nn.Module:
    torch.manual_seed(0)
    return ResNetSmall(width=4).build(5)


def train(model: nn.Module, optimizer, lr_of: dict[int, float] | None = None) -> None:
    """Three steps; lr_of: not ours but torch's optimizer, with its groups' factors."""
    generator = torch.Generator().manual_seed(0)
    for lr in (0.1, 0.05, 0.01):
        model.zero_grad(set_to_none=True)
        model(torch.rand(4, 3, 16, 16, generator=generator)).square().mean().backward()
        if lr_of is None:
            optimizer.step(lr)
            continue
        for number, group in enumerate(optimizer.param_groups):
            group["lr"] = lr * lr_of[number]
        optimizer.step()


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize(
    ("options", "make"),
    [(SGD(layer_lr_decay=0.5, head_lr_factor=4, weight_decay=0.01, decay_norm=False),
      lambda groups: torch.optim.SGD(groups, lr=1, momentum=0.9)),
     (AdamW(layer_lr_decay=0.75, weight_decay=0.05, decay_bias=False),
      lambda groups: torch.optim.AdamW(groups, lr=1))],
    ids=["sgd", "adamw"],
)  # fmt: skip
def test_steps_are_torch_s_with_a_group_a_layer(options, make) -> None:
    torch.set_num_threads(1)
    mine, theirs = small(), small()
    decay, factor = options.layer_lr_decay, options.head_lr_factor or 1.0
    stem, *blocks, head = theirs[0], *theirs[2:5], theirs[-1]
    groups, lr_of = [], {}
    for depth, module in enumerate((stem, *blocks, head)):
        norm = [
            p for m in module.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters()
        ]
        spared = {id(p) for p in norm if not options.decay_norm}
        if not options.decay_bias:
            spared |= {id(p) for p in [getattr(module, "bias", None)] if p is not None}
        for exempt in (False, True):
            part = [p for p in module.parameters() if (id(p) in spared) == exempt]
            if part:
                lr_of[len(groups)] = decay ** (4 - depth) * (factor if module is head else 1)
                wanted = 0.0 if exempt else options.weight_decay
                groups.append({"params": part, "weight_decay": wanted})
    train(mine, options.start(mine))
    train(theirs, make(groups), lr_of)
    assert same(mine, theirs) and not same(mine, small())


def test_without_factors_the_groups_are_two_and_nothing_is_scaled() -> None:
    plain = SGD(weight_decay=0.1, decay_norm=False)
    groups = parameter_groups(small(), plain)
    assert [(g.weight_decay, g.lr_scale) for g in groups] == [(0.1, 1.0), (0.0, 1.0)]
    assert SGD(layer_lr_decay=1, head_lr_factor=1) == SGD()
    assert "by_lr_scale" not in plain.start(small()).record()


def test_equal_rates_in_many_groups_are_one_training() -> None:
    """A factor of the head that takes the decay back: both layers at one rate."""
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    options = SGD(layer_lr_decay=0.5, head_lr_factor=0.5)
    (group,) = parameter_groups(model, options)
    assert group.lr_scale == 0.5 and len(group.parameters) == 4
    whole, parted = copy.deepcopy(model), model
    for network, chosen, lr in ((whole, SGD(), 0.05), (parted, options, 0.1)):
        network(torch.ones(2, 4)).sum().backward()
        chosen.start(network).step(lr)
    assert same(whole, parted)


def test_the_record_counts_scalars_by_factor() -> None:
    model = small()
    record = SGD(weight_decay=0.1, layer_lr_decay=0.5, decay_norm=False).start(model).record()
    sizes = [sum(p.numel() for p in layer) for layer in layers(model)]
    assert record["by_lr_scale"] == [
        {"lr_scale": 0.5 ** (4 - depth), "scalars": size} for depth, size in enumerate(sizes)
    ]
    assert record["decayed"] + record["not_decayed"] == sum(sizes)


def test_the_head_alone_can_be_faster() -> None:
    groups = parameter_groups(small(), SGD(head_lr_factor=10))
    assert [(g.lr_scale, len(g.parameters)) for g in groups] == [(1.0, 27), (10.0, 2)]


def test_frozen_layers_keep_their_place() -> None:
    model = nn.Sequential(*(nn.Linear(2, 2) for _ in range(3)))
    model[1].requires_grad_(False)
    groups = parameter_groups(model, SGD(layer_lr_decay=0.5))
    assert [g.lr_scale for g in groups] == [0.25, 1.0]


def test_a_memory_of_other_groups_is_refused_and_its_own_goes_on_exactly() -> None:
    options, model = Lamb(weight_decay=0.1, layer_lr_decay=0.5), small()
    state = options.start(model)
    with pytest.raises(ValueError, match="argument"):
        Lamb(weight_decay=0.1).start(model).load_state_dict(state.state_dict())
    train(model, state)
    twin = copy.deepcopy(model)
    again = options.start(twin)
    again.load_state_dict(copy.deepcopy(state.state_dict()))
    for optimizer in (state, again):
        for group in optimizer.groups:
            for parameter in group.parameters:
                parameter.grad = torch.ones_like(parameter)
        optimizer.step(0.1)
    assert same(twin, model)


@pytest.mark.parametrize("wrong", [{"layer_lr_decay": 0}, {"layer_lr_decay": 1.1},
                                   {"layer_lr_decay": True}, {"head_lr_factor": 0}])  # fmt: skip
def test_factors_out_of_range_are_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SGD(**wrong)
