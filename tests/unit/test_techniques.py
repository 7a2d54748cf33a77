"""What holds for every registered technique. A new technique is one more row of ROWS."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch

from ablation.augment import (
    AUGMENTATIONS,
    ERASURES,
    MIXES,
    POLICIES,
    AutoAugment,
    CutMix,
    Cutout,
    GridMask,
    HideAndSeek,
    Mixup,
    MixupCutMix,
    NoAugmentation,
    RandAugment,
    RandomErasing,
    Shift,
    Standard,
    TrivialAugment,
)
from ablation.augment.base import Augmentation, Erasing, Mixing, Policy
from ablation.averaging import AVERAGES, Checkpoints, Ema, Swa
from ablation.config.base import Technique
from ablation.data.draws import Draws
from ablation.losses import LOSSES, Bce, CrossEntropy
from ablation.models import MODELS, MobileNetV1, ResNet56V2, ResNetSmall, Timm, Torchvision
from ablation.optim import OPTIMIZERS, SGD, Adadelta, Adam, AdamW, Lamb, RMSprop
from ablation.schedules import (
    SCHEDULES,
    Constant,
    Cosine,
    Cyclic,
    Exponential,
    LrRange,
    OneCycle,
    Piecewise,
    PiecewiseLinear,
    Polynomial,
    ReduceOnPlateau,
    Step,
)
from ablation.weights import WEIGHTS, OtherCell, TimmWeights, WeightsFile

WORKFLOW = Path(__file__).resolve().parents[2] / "workflow"
FAMILIES = {
    "schedule": SCHEDULES, "optimizer": OPTIMIZERS, "loss": LOSSES, "augment": AUGMENTATIONS,
    "policy": POLICIES, "erase": ERASURES, "mix": MIXES, "averaging": AVERAGES,
    "weights": WEIGHTS, "model": MODELS,
}  # fmt: skip
REGISTERED = [technique for family in FAMILIES.values() for technique in family]


@dataclass(frozen=True)
class Row:
    """How a technique is tested."""

    name: str
    """The key by which a recipe names it."""
    options: dict[str, Any] = field(default_factory=dict)
    """Options that make a valid instance."""
    wrong: dict[str, Any] = field(default_factory=dict)
    """An option with a value that is refused."""
    file: str | None = None
    """Module it lies in, where that has not its name."""
    off: dict[str, Any] | None = None
    """Augmentations, policies, erasures, mixes: options at which square images stay as they are."""
    always: bool = False
    """Policies: there are no such options."""
    random: bool = True
    """Augmentations and policies: whether seeds differ."""


WEIGHTS_FILE = {"path": "teacher.pt", "sha256": "0" * 64}
ROWS = {
    Constant: Row("constant", wrong={"warmup_epochs": -1}),
    Step: Row("step", {"every": 30}, {"every": 0}),
    Cosine: Row("cosine", wrong={"final_ratio": 1.5}),
    Polynomial: Row("polynomial", wrong={"power": 0}),
    Exponential: Row("exponential", {"decay": 0.97}, {"every": 0}),
    OneCycle: Row("one_cycle", wrong={"div_factor": 0.5}),
    Cyclic: Row("cyclic", {"up_epochs": 2}, {"mode": "sawtooth"}),
    Piecewise: Row("piecewise", {"milestones": (2,), "factors": (0.1,)}, {"factors": (0,)}),
    PiecewiseLinear: Row("piecewise_linear", {"points": (2,), "factors": (0,)}, {"points": (0,)}),
    ReduceOnPlateau: Row("reduce_on_plateau", wrong={"decay": 1.0}),
    LrRange: Row("lr_range", {"ratio": 1e4}, {"ratio": 1}),
    SGD: Row("sgd", wrong={"momentum": 1.0}),
    RMSprop: Row("rmsprop", wrong={"alpha": 1.0}),
    Adadelta: Row("adadelta", wrong={"rho": 1.0}),
    Adam: Row("adam", wrong={"betas": (0.9, 1.0)}),
    AdamW: Row("adamw", wrong={"eps": 0}),
    Lamb: Row("lamb", {"weight_decay": 0.02}, {"max_grad_norm": 0}),
    CrossEntropy: Row("cross_entropy", wrong={"label_smoothing": 1.0}),
    Bce: Row("bce", wrong={"target_threshold": 1.0}),
    NoAugmentation: Row("none", wrong={"flip": 0.5}, off={}, random=False),
    Standard: Row(
        "standard", wrong={"scale": (1.0, 0.5)}, off={"scale": (1, 1), "ratio": (1, 1), "flip": 0}
    ),
    Shift: Row("shift", wrong={"fraction": 1.5}, off={"fraction": 0, "flip": 0}),
    RandAugment: Row("randaugment", wrong={"m": 11}, off={"prob": 0}),
    AutoAugment: Row("autoaugment", wrong={"policy": "mnist"}, always=True),
    TrivialAugment: Row("trivialaugment", wrong={"fill": 300}, always=True),
    Cutout: Row("cutout", wrong={"size": 0}, off={"prob": 0}),
    RandomErasing: Row("random_erasing", wrong={"scale": (0.5, 1.5)}, off={"prob": 0}),
    GridMask: Row("gridmask", wrong={"ratio": 1}, off={"prob": 0}),
    HideAndSeek: Row("hide_and_seek", wrong={"sizes": (0,)}, off={"hide_prob": 0}),
    Mixup: Row("mixup", wrong={"alpha": 0}, off={"prob": 0}),
    CutMix: Row("cutmix", wrong={"per": "pair"}, off={"prob": 0}),
    MixupCutMix: Row("mixup_cutmix", wrong={"switch_prob": 0}, off={"prob": 0}),
    Ema: Row("ema", {"decay": 0.999}, wrong={"half_life_epochs": 1}),
    Checkpoints: Row("checkpoints", wrong={"which": "first"}),
    Swa: Row("swa", {"start_epoch": 3}, wrong={"start_epoch": 0}),
    OtherCell: Row("cell", {"study": "s", "variant": {"lr": 0.1}}, wrong={"seed": -1}, file="cell"),
    WeightsFile: Row("file", WEIGHTS_FILE, wrong={"sha256": "abc"}),
    TimmWeights: Row("timm", {"arch": "resnet50.a1_in1k"}, wrong={"arch": "resnet50"}),
    ResNetSmall: Row("resnet_small", wrong={"width": 0}),
    MobileNetV1: Row("mobilenet_v1", {"width_mult": 0.25}, {"width_mult": 0.3}),
    ResNet56V2: Row("resnet56_v2", wrong={"bn_momentum": 0}),
    Torchvision: Row("torchvision", {"arch": "resnet50"}, {"arch": "resnet"}, file="zoo"),
    Timm: Row("timm", {"arch": "resnet50"}, {"arch": "no_such_net"}, file="zoo"),
}
every_technique = pytest.mark.parametrize("technique", REGISTERED, ids=lambda t: t.__name__)
every_augmentation = pytest.mark.parametrize(
    "technique", AUGMENTATIONS + POLICIES, ids=lambda t: t.__name__
)
every_erasure = pytest.mark.parametrize("technique", ERASURES, ids=lambda t: t.__name__)
every_mix = pytest.mark.parametrize("technique", MIXES, ids=lambda t: t.__name__)


def test_each_technique_has_a_row_and_each_row_a_technique() -> None:
    assert set(ROWS) == set(REGISTERED)
    assert len(REGISTERED) == len(set(REGISTERED))


@every_technique
def test_docstring_says_the_effect_in_its_first_line(technique: type[Technique]) -> None:
    own = technique.__dict__.get("__doc__") or ""
    first = own.strip().splitlines()[0] if own.strip() else ""
    assert len(first) > 20 and first[0].isupper() and first.rstrip()[-1] in ".;"


@every_technique
def test_every_option_is_described(technique: type[Technique]) -> None:
    silent = [k for k, f in technique.model_fields.items() if k != "name" and not f.description]
    known = {"warmup_epochs", "warmup_start", "weight_decay", "decay_norm", "decay_bias"}
    assert set(silent) <= known  # described by the family's base


@every_technique
def test_name_is_the_registry_key_and_the_file(technique: type[Technique]) -> None:
    row = ROWS[technique]
    assert get_args(technique.model_fields["name"].annotation) == (row.name,)
    assert technique(**row.options).name == row.name
    module = technique.__module__.rsplit(".", 1)[1]
    assert module == (row.file or row.name)
    assert isinstance(technique.version, int) and technique.version >= 1


@pytest.mark.parametrize("family", FAMILIES)
def test_names_within_a_family_differ(family: str) -> None:
    names = [ROWS[technique].name for technique in FAMILIES[family]]
    assert len(set(names)) == len(names)


@every_technique
def test_options_are_frozen_typed_and_closed(technique: type[Technique]) -> None:
    row = ROWS[technique]
    made = technique(**row.options)
    with pytest.raises(ValueError, match="frozen"):
        made.name = "other"
    with pytest.raises(ValueError, match="Extra inputs"):
        technique(**row.options, no_such_option=1)
    (key,) = row.wrong
    with pytest.raises(ValueError, match=key):
        technique(**row.options | row.wrong)
    again = technique.model_validate(made.model_dump(mode="json"))
    assert again == made


def test_importing_the_registry_takes_no_torch() -> None:
    code = (
        "import sys, ablation.config.recipe;"
        "heavy = {'torch', 'torchvision', 'timm', 'ffcv', 'numba', 'pandas'} & set(sys.modules);"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=WORKFLOW, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"imported: {done.stderr}"


# -- augmentations and policies --------------------------------------------------------------------

SIZES = np.array([[28, 28], [40, 30], [30, 40], [64, 64]] * 16)


def augmented(
    options: Augmentation | Policy, seed: int, epoch: int = 0, sizes: np.ndarray = SIZES
) -> tuple[np.ndarray, torch.Tensor]:
    """Windows (a policy has none of its own) and a batch of images of one epoch."""
    draws = Draws(seed, epoch, len(sizes))
    windowed = options if isinstance(options, Augmentation) else NoAugmentation()
    windows = windowed.windows(sizes, draws, crop_ratio=1.0)
    index = np.arange(len(sizes))[::-1].copy()
    return windows, options.batch(pixels(len(sizes)), index, draws)


def pixels(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 8, 8, 3), dtype=torch.uint8, generator=generator)


@every_augmentation
def test_shape_dtype_and_range_are_kept(technique: type[Technique]) -> None:
    windows, images = augmented(technique(**ROWS[technique].options), 0)
    assert windows.shape == (len(SIZES), 4) and windows.dtype == np.int32
    assert (windows[:, 2:] > 0).all() and (windows >= 0).all()
    assert (windows[:, :2] + windows[:, 2:] <= SIZES).all()
    assert images.shape == (len(SIZES), 8, 8, 3) and images.dtype == torch.uint8


@every_augmentation
def test_the_same_seed_draws_the_same_and_another_differs(technique: type[Technique]) -> None:
    options, row = technique(**ROWS[technique].options), ROWS[technique]
    windows, images = augmented(options, 0)
    np.random.seed(1)
    torch.manual_seed(1)
    again = augmented(options, 0)
    assert np.array_equal(windows, again[0]) and torch.equal(images, again[1])
    for seed, epoch in ((1, 0), (0, 1)):
        other = augmented(options, seed, epoch)
        differs = not (np.array_equal(windows, other[0]) and torch.equal(images, other[1]))
        assert differs == row.random


@every_augmentation
def test_a_batch_is_augmented_by_sample_not_by_place(technique: type[Technique]) -> None:
    """What a sample gets does not depend on the batch that it comes in."""
    options, images = technique(**ROWS[technique].options), pixels(32)
    index = Draws(7, 0, 32).order()
    whole = options.batch(images, index, Draws(0, 0, 32))
    draws = Draws(0, 0, 32)
    parts = [options.batch(images[i : i + 5], index[i : i + 5], draws) for i in range(0, 32, 5)]
    assert torch.equal(whole, torch.cat(parts))


@every_augmentation
def test_at_strength_zero_it_is_no_augmentation(technique: type[Technique]) -> None:
    off = ROWS[technique].off
    if ROWS[technique].always:
        pytest.skip("has no strength: its operations at strength zero are tested in test_ops")
    assert off is not None, "say at which options it does nothing"
    square = np.array([[28, 28], [64, 64]] * 8)
    windows, images = augmented(technique(**off), 0, sizes=square)
    plain, untouched = augmented(NoAugmentation(), 0, sizes=square)
    assert np.array_equal(windows, plain) and torch.equal(images, untouched)


@every_augmentation
def test_the_images_that_are_given_stay_as_they_are(technique: type[Technique]) -> None:
    images, index = pixels(32), np.arange(32)
    technique(**ROWS[technique].options).batch(images, index, Draws(0, 0, 32))
    assert torch.equal(images, pixels(32))


@every_augmentation
def test_grey_images_stay_grey(technique: type[Technique]) -> None:
    grey = pixels(64)[..., :1].expand(-1, -1, -1, 3).contiguous()
    done = technique(**ROWS[technique].options).batch(grey, np.arange(64), Draws(0, 0, 64))
    assert torch.equal(done, done[..., :1].expand_as(done))


def test_flip_mirrors_about_its_share_left_to_right() -> None:
    images, index, draws = pixels(2000), np.arange(2000), Draws(0, 0, 2000)
    flipped = Standard(flip=0.25).batch(images, index, draws)
    mirrored = (flipped == images.flip(2)).flatten(1).all(1)
    same = (flipped == images).flatten(1).all(1)
    assert (mirrored ^ same).all()
    assert 0.2 < float(mirrored.float().mean()) < 0.3
    everything = Standard(flip=1.0).batch(images, index, draws)
    assert torch.equal(everything, images.flip(2))


# -- erasures and mixes ----------------------------------------------------------------------------


def model_input(count: int) -> torch.Tensor:
    """Normalised images as the model sees them, channels last in memory."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, 28, 28, 3, generator=generator).permute(0, 3, 1, 2)


def one_hot(count: int) -> torch.Tensor:
    return torch.eye(10)[torch.arange(count) % 10]


def changed(
    options: Erasing | Mixing, seed: int, epoch: int = 0, step: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Images and targets of a batch of 32; an erasure leaves the targets."""
    images, targets, index = model_input(32), one_hot(32), np.arange(32)[::-1].copy()
    draws = Draws(seed, epoch, 32)
    if isinstance(options, Mixing):
        return options.batch(images, targets, index, draws, step)
    return options.batch(images, index, draws), targets


@pytest.mark.parametrize("technique", ERASURES + MIXES, ids=lambda t: t.__name__)
def test_model_input_keeps_shape_type_and_memory_and_is_not_written_to(technique: type) -> None:
    images, targets, draws = model_input(32), one_hot(32), Draws(0, 0, 32)
    options = technique(**ROWS[technique].options)
    if isinstance(options, Mixing):
        made, _ = options.batch(images, targets, np.arange(32), draws, 0)
    else:
        made = options.batch(images, np.arange(32), draws)
    assert made.shape == images.shape and made.dtype == torch.float32
    assert made.is_contiguous(memory_format=torch.channels_last)
    assert made.isfinite().all() and not torch.equal(made, images)
    assert torch.equal(images, model_input(32)) and torch.equal(targets, one_hot(32))


@pytest.mark.parametrize("technique", ERASURES + MIXES, ids=lambda t: t.__name__)
def test_model_input_is_changed_alike_by_one_seed_and_otherwise_by_another(
    technique: type,
) -> None:
    options = technique(**ROWS[technique].options)
    images, targets = changed(options, 0)
    np.random.seed(1)
    torch.manual_seed(1)
    again = changed(options, 0)
    assert torch.equal(images, again[0]) and torch.equal(targets, again[1])
    for seed, epoch in ((1, 0), (0, 1)):
        assert not torch.equal(images, changed(options, seed, epoch)[0])
    if isinstance(options, Mixing):
        assert not torch.equal(images, changed(options, 0, step=1)[0])


@pytest.mark.parametrize("technique", ERASURES + MIXES, ids=lambda t: t.__name__)
def test_at_strength_zero_model_input_keeps_its_bits(technique: type) -> None:
    off = ROWS[technique].off
    assert off is not None, "say at which options it does nothing"
    images, targets = changed(technique(**off), 0)
    assert torch.equal(images, model_input(32)) and torch.equal(targets, one_hot(32))


@every_erasure
def test_a_batch_is_erased_by_sample_not_by_place(technique: type[Erasing]) -> None:
    options, images = technique(**ROWS[technique].options), model_input(32)
    index = Draws(7, 0, 32).order()
    whole = options.batch(images, index, Draws(0, 0, 32))
    draws = Draws(0, 0, 32)
    parts = [options.batch(images[i : i + 5], index[i : i + 5], draws) for i in range(0, 32, 5)]
    assert torch.equal(whole, torch.cat(parts))


@every_mix
@pytest.mark.parametrize("per", ["image", "batch"])
def test_mixed_targets_are_shares_of_the_classes(technique: type[Mixing], per: str) -> None:
    for step in range(8):
        _, targets = changed(technique(per=per), 0, step=step)
        assert targets.shape == (32, 10) and targets.dtype == torch.float32
        assert (targets >= 0).all()
        assert torch.allclose(targets.sum(1), torch.ones(32), atol=1e-6)
