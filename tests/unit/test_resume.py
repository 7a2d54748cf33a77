"""A training cut anywhere and resumed is the unbroken one, for every pair of techniques."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from training import broken, cell, same, trained, trainer

from ablation import loop
from ablation.augment import AUGMENTATIONS, ERASURES, MIXES, POLICIES
from ablation.averaging import AVERAGES
from ablation.config.explain import tag
from ablation.evaluate import Normalize
from ablation.losses import LOSSES
from ablation.models import ResNetSmall
from ablation.optim import OPTIMIZERS
from ablation.schedules import SCHEDULES
from ablation.teacher import Teacher
from tests.unit import betons

DISTILL = {"teacher": {"name": "timm", "arch": "beit_base_patch16_224.x"}, "alpha": 0.5}
# Values of each setting; every two values of two settings meet in a recipe below.
SETTINGS: dict[str, list[Any]] = {
    "optimizer": [
        {"name": "sgd", "nesterov": True, "weight_decay": 1e-3, "decay_norm": False},
        {"name": "rmsprop", "momentum": 0.9},
        {"name": "adam"},
        {"name": "adamw", "weight_decay": 0.1},
        {"name": "adadelta"},
        {"name": "lamb", "weight_decay": 0.02, "decay_bias": False},
    ],
    "schedule": [
        {"name": "constant", "warmup_epochs": 1},
        {"name": "step", "every": 1, "decay": 0.5},
        {"name": "piecewise", "milestones": [1], "factors": [0.1]},
        {"name": "piecewise_linear", "start": 0, "points": [1, 3], "factors": [1, 0]},
        {"name": "polynomial"},
        {"name": "exponential", "decay": 0.9, "every": 1},
        {"name": "cosine", "cooldown_epochs": 1},
        {"name": "one_cycle"},
        {"name": "cyclic", "up_epochs": 1},
        {"name": "reduce_on_plateau", "patience": 0, "threshold": 0.5},
        {"name": "lr_range", "ratio": 10},
    ],
    "augment": [{"name": "none"}, {"name": "standard"}, {"name": "shift", "fraction": 0.1}],
    "policy": [
        None, {"name": "randaugment", "mstd": 0.5}, {"name": "autoaugment"},
        {"name": "trivialaugment"},
    ],
    "erase": [
        None, {"name": "cutout"}, {"name": "random_erasing", "prob": 1.0},
        {"name": "gridmask"}, {"name": "hide_and_seek"},
    ],
    "mix": [None, {"name": "mixup"}, {"name": "cutmix", "per": "batch"}, {"name": "mixup_cutmix"}],
    "loss": [{"name": "cross_entropy", "label_smoothing": 0.1}, {"name": "bce"}],
    "averaging": [
        None, {"name": "ema", "half_life_epochs": 1, "ramp_beta": 15},
        {"name": "checkpoints", "count": 2, "which": "best"}, {"name": "swa", "start_epoch": 1},
        {"name": "checkpoints", "count": 2, "which": "best", "ema": {"half_life_epochs": 1}},
    ],
    "model": [
        {"name": "resnet_small", "width": 4},
        {"name": "resnet_small", "width": 4, "dropout": 0.3, "stochastic_depth": 0.3},
    ],
    "precision": ["fp32", "bf16", "fp16"],
    "accumulate": [1, 2],
    "repeated_augment": [1, 3],
    "progressive_resize": [None, {"start_size": 8, "end_epoch": 1, "multiple": 8}],
    "distill": [None, DISTILL],
    "clip_grad_norm": [None, 1.0],
    "flip_tta": [False, True],
}  # fmt: skip


def covering() -> list[dict[str, Any]]:
    """Recipes in which every two values of two settings meet at least once (greedy)."""
    keys = list(SETTINGS)
    open_pairs = {
        frozenset({(a, i), (b, j)})
        for a, b in itertools.combinations(keys, 2)
        for i in range(len(SETTINGS[a]))
        for j in range(len(SETTINGS[b]))
    }
    recipes = []
    while open_pairs:
        chosen = dict(sorted(min(open_pairs, key=sorted)))
        for key in keys:
            if key not in chosen:
                gains = [
                    sum(frozenset({(key, i), one}) in open_pairs for one in chosen.items())
                    for i in range(len(SETTINGS[key]))
                ]
                chosen[key] = gains.index(max(gains))
        open_pairs -= {frozenset(pair) for pair in itertools.combinations(chosen.items(), 2)}
        recipes.append({key: SETTINGS[key][i] for key, i in chosen.items()})
    return recipes


RECIPES = covering()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("betons")
    for split, count in (("train", 24), ("val", 12)):
        betons.write(folder / f"{split}.beton", count, "raw", (20, 24))
    return folder


def teacher() -> Teacher:
    torch.manual_seed(9)
    seen = Normalize.of((120.0, 125.0, 130.0), (60.0, 61.0, 62.0), torch.device("cpu"))
    return Teacher(ResNetSmall(width=4).build(3), seen, seen)


def test_every_technique_is_in_a_recipe() -> None:
    registries = {
        "optimizer": OPTIMIZERS, "schedule": SCHEDULES, "augment": AUGMENTATIONS,
        "policy": POLICIES, "erase": ERASURES, "mix": MIXES, "loss": LOSSES, "averaging": AVERAGES,
    }  # fmt: skip
    for key, registry in registries.items():
        named = {value["name"] for value in SETTINGS[key] if value}
        assert named == {tag(technique) for technique in registry}, key


@pytest.mark.parametrize("number", range(len(RECIPES)))
def test_a_broken_training_is_the_unbroken_one(number: int, data: Path, tmp_path: Path) -> None:
    """Stopped in the middle of an epoch and at every epoch's end, resumed from the file."""
    config = cell(**RECIPES[number])
    options = {"teacher": teacher() if config.distill else None}
    whole = trained(config, data, tmp_path / "whole", **options)
    assert whole.state.diverged_at is None
    cut = broken(config, data, tmp_path / "cut", {(0, 2), (1, 0), (1, 1), (2, 0)}, **options)
    assert cut.state.attempts == 5 and same(whole, cut)


@pytest.mark.parametrize("beside", [{(0, 0)}, {(1, 2)}])
def test_another_cell_beside_is_noticed_within_an_epoch_too(
    beside: set[tuple[int, int]], data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that has come and gone between two epochs' ends has made the times incomparable."""
    monkeypatch.setattr(loop, "_SAY_EVERY_S", 0.0)
    made = trainer(cell(), data, tmp_path)
    made.alone = lambda: (made.state.epoch, made.state.step) not in beside
    made.run(0.0)
    assert not made.state.alone
    again = trainer(cell(), data, tmp_path / "alone")
    (tmp_path / "alone").mkdir()
    again.run(0.0)
    assert again.state.alone
