"""Models: their sizes, their shapes, and weights that depend on the seed alone."""

from __future__ import annotations

import socket

import pytest
import torch

from ablation.models import MODELS, ResNetSmall, Timm, Torchvision
from ablation.models.base import Model
from ablation.models.zoo import arch_names


def parameters(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a model asked for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_size_of_the_small_network() -> None:
    assert parameters(ResNetSmall(width=16, blocks=1, stem_stride=2).build(10)) == 78_042


def test_size_of_resnet50() -> None:
    model = Torchvision(arch="resnet50")
    assert model.label == "resnet50"
    with torch.device("meta"):  # the shapes alone
        assert parameters(model.build(1000)) == 25_557_032


CASES = {
    ResNetSmall: (ResNetSmall(width=4), 28),
    Torchvision: (Torchvision(arch="resnet18"), 32),
    Timm: (Timm(arch="resnet10t"), 32),
}


def test_every_model_has_a_case() -> None:
    assert set(CASES) == set(MODELS)


@pytest.mark.parametrize("kind", MODELS)
def test_builds_by_name_with_random_weights(kind: type[Model], no_network: None) -> None:
    options, size = CASES[kind]
    models = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        models.append(options.build(7).eval())
    images = torch.rand(2, 3, size, size)
    with torch.inference_mode():
        first, again = (model(images) for model in models[:2])
    assert first.shape == (2, 7) and first.isfinite().all()
    same = [torch.equal(a, b) for a, b in zip(*(m.parameters() for m in models[:2]), strict=True)]
    assert all(same) and torch.equal(first, again)
    differ = [
        not torch.equal(a, b)
        for a, b in zip(models[0].parameters(), models[2].parameters(), strict=True)
        if a.ndim > 1
    ]
    assert all(differ)


def test_stem_stride_sets_the_resolution_and_depth_the_blocks() -> None:
    half, whole = (ResNetSmall(width=4, stem_stride=s).build(10) for s in (2, 1))
    assert parameters(half) == parameters(whole)
    image = torch.zeros(1, 3, 32, 32)
    assert half[0](image).shape[-1] == 16 and whole[0](image).shape[-1] == 32
    convolutions = [
        sum(isinstance(m, torch.nn.Conv2d) and m.kernel_size == (3, 3) for m in model.modules())
        for model in (ResNetSmall(blocks=1).build(10), ResNetSmall(blocks=3).build(10))
    ]
    assert convolutions == [7, 19]  # depth 6 x blocks + 2, the linear layer left aside


@pytest.mark.parametrize("kind", [Torchvision, Timm])
def test_a_misspelt_architecture_is_answered_with_the_nearest(kind: type[Model]) -> None:
    with pytest.raises(ValueError, match="did you mean 'resnet50'"):
        kind(arch="resnet_50")


def test_lists_of_architectures_are_the_installed_ones() -> None:
    import timm
    import torchvision

    theirs = set(torchvision.models.list_models(module=torchvision.models))
    # These two return a second output in training, which the loop has no use for.
    assert arch_names("torchvision") == theirs - {"googlenet", "inception_v3"}
    assert arch_names("timm") == set(timm.list_models())
