"""Models: their sizes, their shapes, and weights that depend on the seed alone."""

from __future__ import annotations

import socket
import sys

import pytest
import torch
from configs import ROOT
from torch import nn

from ablation.models import MODELS, MobileNetV1, ResNet56V2, ResNetSmall, Timm, Torchvision
from ablation.models._resnet56_v2 import Bottleneck, he_normal_
from ablation.models._resnet_small import BasicBlock, drop_path
from ablation.models.base import NARROW, Model
from ablation.models.zoo import arch_names

sys.path.insert(0, str(ROOT / "tools"))
import arch_lists


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


# Parameters with 1,000 classes, as torchvision's and timm's model tables and the papers have them
# (in millions); of MobileNetV1 x0.25 the paper's 0.5 (table 6).
SIZES = [
    (Torchvision(arch="resnet18"), 11_689_512),
    (Torchvision(arch="resnet34"), 21_797_672),
    (Torchvision(arch="resnet50"), 25_557_032),
    (Torchvision(arch="resnet101"), 44_549_160),
    (Torchvision(arch="mobilenet_v2"), 3_504_872),
    (Torchvision(arch="mobilenet_v2", width_mult=0.25), 1_519_112),
    (Torchvision(arch="mobilenet_v3_large"), 5_483_032),
    (Torchvision(arch="mobilenet_v3_small"), 2_542_856),
    (Timm(arch="resnet50d"), 25_576_264),
    (Timm(arch="beit_base_patch16_224"), 86_530_984),
    (MobileNetV1(), 4_231_976),
    (MobileNetV1(width_mult=0.25), 470_072),
]


@pytest.mark.parametrize(("options", "count"), SIZES, ids=lambda v: getattr(v, "label", None))
def test_published_sizes(options: Model, count: int) -> None:
    with torch.device("meta"):  # the shapes alone
        assert parameters(options.build(1000)) == count


CASES = {
    ResNetSmall: (ResNetSmall(width=4, dropout=0.1, stochastic_depth=0.1), 28),
    MobileNetV1: (MobileNetV1(width_mult=0.25), 32),
    ResNet56V2: (ResNet56V2(), 16),
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


# -- options of architectures ----------------------------------------------------------------------


def test_lists_of_architectures_are_the_installed_ones() -> None:
    assert arch_names("torchvision") == arch_lists.torchvision_names()
    assert arch_names("timm") == arch_lists.timm_names()
    assert not {"googlenet", "inception_v3"} & arch_names("torchvision")


SAMPLE = {
    "torchvision": ("convnext_tiny", "densenet121", "efficientnet_b0", "mobilenet_v2",
                    "regnet_y_400mf", "resnet18", "swin_t"),
    "timm": ("beit_base_patch16_224", "densenet121", "dla34", "efficientnet_b0", "resnet50",
             "resnet50d", "vit_tiny_patch16_224", "gernet_s", "repvgg_a0"),
}  # fmt: skip


@pytest.mark.parametrize("library", SAMPLE)
def test_lists_of_options_are_what_the_installed_models_do(library: str) -> None:
    _, keywords, make = arch_lists._LIBRARIES[library]
    file = ROOT / f"workflow/ablation/models/{library}_archs.txt"
    sample = SAMPLE[library]
    listed = [line for line in file.read_text().splitlines() if line.split(" ")[0] in sample]
    assert arch_lists.lines(sample, keywords, make) == listed


def test_a_list_of_the_installed_version_is_kept_and_another_made_anew(tmp_path, monkeypatch):
    file = tmp_path / "list.txt"
    monkeypatch.setattr(arch_lists, "version", lambda library: "2.0+cu128")
    few = (lambda: ["resnet18", "mobilenet_v2"], *arch_lists._LIBRARIES["torchvision"][1:])
    monkeypatch.setitem(arch_lists._LIBRARIES, "torchvision", few)
    file.write_text("# torchvision 2.0\nkept\n")
    assert arch_lists.archs(file, "torchvision") == "# torchvision 2.0\nkept\n"
    file.write_text("# torchvision 1.9\nold\n")
    new = "# torchvision 2.0\nmobilenet_v2 dropout width_mult\nresnet18\n"
    assert arch_lists.archs(file, "torchvision") == new


@pytest.mark.parametrize(
    ("kind", "arch", "option", "value"),
    [(Torchvision, "resnet50", "dropout", 0.1), (Torchvision, "resnet50", "width_mult", 0.5),
     (Torchvision, "convnext_tiny", "dropout", 0), (Timm, "densenet121", "stochastic_depth", 0.1),
     (Torchvision, "swin_t", "stochastic_depth", 0.1)],
)  # fmt: skip
def test_an_option_that_changes_nothing_is_refused(kind, arch, option, value) -> None:
    with pytest.raises(ValueError, match=rf"{option} does nothing in \w+'s {arch}"):
        kind(arch=arch, **{option: value})


def test_options_reach_the_library() -> None:
    with torch.device("meta"):
        thin = Torchvision(arch="mobilenet_v2", width_mult=0.25, dropout=0).build(7)
        deep = Torchvision(arch="convnext_tiny", stochastic_depth=0.3).build(7)
        resnet = Timm(arch="resnet50", dropout=0.4, stochastic_depth=0.05).build(7)
    assert thin.classifier[0].p == 0 and thin.features[0][0].out_channels == 8
    assert deep.features[-1][-1].stochastic_depth.p == 0.3
    assert resnet.drop_rate == 0.4 and resnet.layer4[-1].drop_path.drop_prob == 0.05


def test_none_is_the_library_s_own_default() -> None:
    with torch.device("meta"):
        assert Torchvision(arch="mobilenet_v2").build(7).classifier[0].p == 0.2
    assert Torchvision(arch="mobilenet_v2").arguments() == {}
    assert Torchvision(arch="mobilenet_v2", dropout=0).arguments() == {"dropout": 0.0}


# -- our own networks ------------------------------------------------------------------------------


def test_dropout_and_stochastic_depth_of_zero_are_the_plain_network() -> None:
    plain, off = ResNetSmall(width=4), ResNetSmall(width=4, dropout=0, stochastic_depth=0)
    assert off == plain and off.dropout is None
    torch.manual_seed(0)
    model = plain.build(7).train()
    state = torch.get_rng_state()
    model(torch.rand(4, 3, 16, 16, generator=torch.Generator()))
    assert torch.equal(torch.get_rng_state(), state), "it draws"
    assert [type(m).__name__ for m in model][-3:] == ["AdaptiveAvgPool2d", "Flatten", "Linear"]


def test_regularized_network_has_the_plain_one_s_weights_and_its_answers_in_evaluation() -> None:
    models = []
    for options in ({}, {"dropout": 0.5, "stochastic_depth": 0.5}):
        torch.manual_seed(0)
        models.append(ResNetSmall(width=4, **options).build(7))
    plain, dropped = models
    assert plain.state_dict().keys() == dropped.state_dict().keys()
    images = torch.rand(8, 3, 16, 16)
    assert torch.equal(plain.eval()(images), dropped.eval()(images))
    assert not torch.equal(plain.train()(images), dropped.train()(images))
    torch.manual_seed(1)
    one = dropped(images)
    torch.manual_seed(1)
    assert torch.equal(one, dropped(images)), "the seed says all that it draws"


def test_depth_decays_linearly_to_the_last_block() -> None:
    model = ResNetSmall(width=4, blocks=2, stochastic_depth=0.3).build(7)
    rates = [m.drop_rate for m in model if isinstance(m, BasicBlock)]
    assert rates == pytest.approx([0.05, 0.1, 0.15, 0.2, 0.25, 0.3])


def test_drop_path_is_that_of_timm_and_torchvision() -> None:
    from timm.layers.drop import drop_path as timm_s
    from torchvision.ops import stochastic_depth

    x = torch.rand(64, 4, 2, 2)
    found = []
    for function in (drop_path, lambda x, p: timm_s(x, p, True),
                     lambda x, p: stochastic_depth(x, p, "row")):  # fmt: skip
        torch.manual_seed(0)
        found.append(function(x, 0.3))
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])
    kept = found[0].flatten(1).ne(0).all(1)
    assert 0 < int((~kept).sum()) < 64 and torch.equal(found[0][~kept], torch.zeros_like(x[~kept]))
    assert torch.allclose(found[0][kept], x[kept] / 0.7)


def test_a_dropped_block_is_its_shortcut() -> None:
    block = BasicBlock(4, 4, 1, drop_rate=0.5).train()
    x = torch.rand(32, 4, 4, 4)
    torch.manual_seed(0)
    out = block(x)
    shortcut = (out == x).flatten(1).all(1)
    assert 4 < int(shortcut.sum()) < 28


def test_mobilenet_v1_is_timm_s_but_for_relu6() -> None:
    """The same weights in order, the same answers where no activation reaches 6."""
    import timm

    torch.manual_seed(0)
    ours = MobileNetV1().build(10).eval()
    theirs = timm.create_model("mobilenetv1_100", num_classes=10).eval()
    ordered = list(ours.state_dict().values())
    keys = list(theirs.state_dict())
    assert [v.shape for v in theirs.state_dict().values()] == [v.shape for v in ordered]
    theirs.load_state_dict(dict(zip(keys, ordered, strict=True)))
    images = torch.randn(2, 3, 64, 64) / 4
    with torch.inference_mode():
        features = ours[:-1](images)
        assert float(features.abs().mean()) > 1e-4  # a signal comes through
        assert torch.allclose(features, theirs.forward_features(images).mean((2, 3)), rtol=1e-4)
        assert torch.allclose(ours(images), theirs(images), rtol=1e-4, atol=1e-6)


def test_mobilenet_v1_has_one_resolution_of_seven_at_224() -> None:
    with torch.device("meta"):
        model = MobileNetV1(width_mult=0.25).build(10)
        assert model[:-3](torch.zeros(1, 3, 224, 224)).shape == (1, 256, 7, 7)


@pytest.mark.parametrize("width_mult", [0.3, 1 / 3, 0.01])
def test_widths_of_no_whole_channels_are_refused(width_mult: float) -> None:
    with pytest.raises(ValueError, match="whole number of channels"):
        MobileNetV1(width_mult=width_mult)


def test_resnet56_v2_is_the_document_s() -> None:
    """1,663,338 trainable parameters (document 003), and the layers that Keras's example has."""
    model = ResNet56V2().build(10)
    assert parameters(model) == 1_663_338
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    # A stem, three in each of 18 blocks, a shortcut a stage; the first block lacks its first norm.
    assert (len(convolutions), len(norms)) == (1 + 54 + 3, 1 + 53 + 1)
    assert all(conv.bias is not None and not conv.bias.any() for conv in convolutions)
    assert {(n.eps, n.momentum) for n in norms} == {(1e-3, 0.01)}
    blocks = [m for m in model if isinstance(m, Bottleneck)]
    shapes = [(b.expand[2].in_channels, b.expand[2].out_channels) for b in blocks]
    assert shapes == [(16, 64)] * 6 + [(64, 128)] * 6 + [(128, 256)] * 6
    projected = [i for i, b in enumerate(blocks) if isinstance(b.shortcut, nn.Conv2d)]
    strided = [i for i, b in enumerate(blocks) if stride_of(b) == 2]
    assert projected == [0, 6, 12] and strided == [6, 12]


def stride_of(block: Bottleneck) -> int:
    convolutions = [m for m in block.modules() if isinstance(m, nn.Conv2d)]
    assert [m.stride[0] for m in convolutions if m.kernel_size == (3, 3)] == [1]
    return max(m.stride[0] for m in convolutions)


def test_resnet56_v2_computes_what_keras_does() -> None:
    """Written out once more in the order of Keras's example, `resnet_layer` by `resnet_layer`."""
    torch.manual_seed(0)
    model = ResNet56V2(bn_momentum=0.5).build(10)
    with torch.no_grad():
        for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm2d)):
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.uniform_(-0.5, 0.5)
    images = torch.rand(2, 3, 32, 32)
    model.eval()
    modules = [m for m in model.modules() if not list(m.children())]
    norms = iter([m for m in modules if isinstance(m, nn.BatchNorm2d)])
    convolutions = iter([m for m in modules if isinstance(m, nn.Conv2d)])
    x = torch.relu(next(norms)(next(convolutions)(images)))
    for block in range(18):
        y = x if block == 0 else torch.relu(next(norms)(x))
        y = next(convolutions)(y)
        y = next(convolutions)(torch.relu(next(norms)(y)))
        y = next(convolutions)(torch.relu(next(norms)(y)))
        x = (next(convolutions)(x) if block % 6 == 0 else x) + y
    x = torch.nn.functional.avg_pool2d(torch.relu(next(norms)(x)), 8).flatten(1)
    assert torch.allclose(model(images), model[-1](x), atol=1e-5)
    assert next(norms, None) is None and next(convolutions, None) is None


def test_he_normal_is_keras_s() -> None:
    """Variance 2 / fan in after the cut, which lies at two standard deviations before it."""
    torch.manual_seed(0)
    weight = torch.empty(256, 64, 3, 3)
    he_normal_(weight)
    sd = (2 / 576) ** 0.5
    assert float(weight.std()) == pytest.approx(sd, rel=0.01)
    assert 2.2 * sd < float(weight.abs().max()) <= 2 * sd / 0.8796


# -- layout ---------------------------------------------------------------------------------------

LAYOUTS = [
    *(ResNetSmall(width=w, blocks=b) for w in (2, 15, 16) for b in (1, 2)),
    MobileNetV1(width_mult=0.25),
    ResNet56V2(),
    Torchvision(arch="resnet18"),
    Torchvision(arch="mobilenet_v2", width_mult=0.25),
    Timm(arch="resnet10t"),
    Timm(arch="gernet_s"),
    Timm(arch="repvgg_a0"),
]


@pytest.mark.parametrize("options", LAYOUTS, ids=str)
def test_the_narrowest_strided_1x1_convolution_is_the_built_model_s(options: Model) -> None:
    with torch.device("meta"):
        model = options.build(10)
    narrowest = arch_lists.strided_1x1(model)
    if isinstance(options, (Torchvision, Timm)):  # the list holds the narrow ones alone
        narrowest = narrowest if narrowest is not None and narrowest < NARROW else None
    assert options.strided_1x1 == narrowest
