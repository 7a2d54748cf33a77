"""The cell id: what changes it, what does not, and a list of golden ids.

    PYTHONPATH=workflow:tests python tests/unit/test_identity.py     # write the golden ids anew

A golden id that changes renames cells that people have trained: all their results of that kind are
trained again. Write the list anew only when that is meant (docs/decisions/0004-reruns.md).
"""

from __future__ import annotations

import json
from pathlib import Path

import configs
import pytest

from ablation import identity as identity_module
from ablation.augment import Standard
from ablation.config.load import validate
from ablation.config.recipe import CellConfig
from ablation.grid import Planner
from ablation.identity import IDENTITY_DEFAULTS, cell_id, identity
from ablation.optim import SGD
from ablation.schedules import Step

GOLDEN = configs.ROOT / "tests/golden/cell_ids.json"
RENAMED = (
    "cell ids changed: everybody's cells of this kind get new names and are trained again. A new "
    "field wants a line in IDENTITY_DEFAULTS; write the golden ids anew only if this is meant"
)
STUDY, RECIPE, SCALE = "studies/s.yaml", "recipes/r.yaml", "scales/z.yaml"
DATASET, LOCK = "datasets/fashion_mnist.yaml", "datasets/fashion_mnist.lock.json"

PLAIN = {
    "dataset": "d", "model": {"name": "resnet_small"}, "img_size": 28, "epochs": 4,
    "batch_size": 128, "lr": 0.1, "optimizer": {"name": "sgd"}, "schedule": {"name": "constant"},
    "loss": {"name": "cross_entropy"}, "augment": {"name": "none"}, "reading": "resident",
    "seed": 0,
}  # fmt: skip
# A golden id each, beside those of our studies: every technique, and what else can be set.
HAND_MADE = {
    "plain": {},
    "seed": {"seed": 123456},
    "step, period": {"schedule": {"name": "step", "every": 2.5, "decay": 0.2}},
    "step, milestones": {"schedule": {"name": "step", "milestones": [1, 3], "warmup_epochs": 1}},
    "cosine": {
        "schedule": {"name": "cosine", "final_ratio": 0.01, "warmup_epochs": 1, "warmup_start": 0.1}
    },
    "sgd": {"optimizer": {"name": "sgd", "momentum": 0.8, "nesterov": True, "weight_decay": 5e-5}},
    "polynomial": {"schedule": {"name": "polynomial", "power": 0.9, "cooldown_epochs": 1}},
    "exponential": {"schedule": {"name": "exponential", "decay": 0.97, "every": 2.4}},
    "one cycle": {"schedule": {"name": "one_cycle", "anneal_strategy": "linear"}},
    "cyclic": {"schedule": {"name": "cyclic", "up_epochs": 1, "mode": "triangular2"}},
    "piecewise": {"schedule": {"name": "piecewise", "milestones": [1, 3], "factors": [0.1, 0.5]}},
    "piecewise linear": {
        "schedule": {"name": "piecewise_linear", "start": 0, "points": [1, 4], "factors": [1, 0]}
    },
    "range test": {"schedule": {"name": "lr_range", "ratio": 1e4, "growth": "linear"}},
    "rmsprop": {"optimizer": {"name": "rmsprop", "momentum": 0.9, "eps": 1e-3}},
    "adadelta": {"optimizer": {"name": "adadelta"}},
    "adam": {"optimizer": {"name": "adam", "betas": [0.9, 0.99]}},
    "adamw": {"optimizer": {"name": "adamw", "weight_decay": 0.05}},
    "lamb": {"optimizer": {"name": "lamb", "weight_decay": 0.02, "decay_norm": False}},
    "clipped": {"clip_grad_norm": 1},
    "no decay": {"optimizer": {"name": "sgd", "decay_norm": False, "decay_bias": False}},
    "smoothing": {"loss": {"name": "cross_entropy", "label_smoothing": 0.1}},
    "standard": {"augment": {"name": "standard"}},
    "standard, gentle": {
        "augment": {"name": "standard", "scale": [0.35, 1], "ratio": [1, 1], "flip": 0}
    },
    "shift": {"augment": {"name": "shift", "fraction": 0.125}},
    "torchvision": {"model": {"name": "torchvision", "arch": "resnet50"}, "img_size": 224},
    "timm": {"model": {"name": "timm", "arch": "mobilenetv3_large_100"}, "img_size": 160},
    "narrow": {"model": {"name": "resnet_small", "width": 8}},
    "wide": {"model": {"name": "resnet_small", "width": 64, "blocks": 3, "stem_stride": 1}},
    "streaming": {"reading": "streaming"},
    "dropped": {"model": {"name": "resnet_small", "dropout": 0.2, "stochastic_depth": 0.1}},
    "mobilenet_v1": {"model": {"name": "mobilenet_v1", "width_mult": 0.25}},
    "mobilenet_v2, thin": {
        "model": {"name": "torchvision", "arch": "mobilenet_v2", "width_mult": 0.25, "dropout": 0}
    },
    "timm, dropped": {"model": {"name": "timm", "arch": "resnet50", "stochastic_depth": 0.05}},
    "resnet56_v2": {"model": {"name": "resnet56_v2"}},
    "fine-tuned": {"optimizer": {"name": "sgd", "layer_lr_decay": 0.75, "head_lr_factor": 10}},
    "convolutions alone": {"optimizer": {"name": "adam", "decay_linear": False}},
    "shares": {"train_share": 0.5, "val_share": 0.1, "val_crop_ratio": 1},
    "compute": {"compute": {"threads": 4, "deterministic": False}},
    "shift, gentle": {"augment": {"name": "shift", "fraction": 0.07}},
    "randaugment": {"policy": {"name": "randaugment", "m": 7, "mstd": 0.5, "increasing": True}},
    "autoaugment": {"policy": {"name": "autoaugment", "policy": "cifar10"}},
    "trivialaugment": {"policy": {"name": "trivialaugment"}},
    "cutout": {"erase": {"name": "cutout"}},
    "random erasing": {"erase": {"name": "random_erasing", "fill": "noise"}},
    "gridmask": {"erase": {"name": "gridmask"}},
    "hide and seek": {"erase": {"name": "hide_and_seek"}},
    "mixup": {"mix": {"name": "mixup", "alpha": 0.2}},
    "cutmix": {"mix": {"name": "cutmix", "per": "batch"}},
    "mixup or cutmix": {"mix": {"name": "mixup_cutmix"}},
    "bce": {"loss": {"name": "bce", "target_threshold": 0.2}},
    "repeated augmentation": {"repeated_augment": 3},
    "ema": {"averaging": {"name": "ema", "decay": 0.9999, "ramp_beta": 15}},
    "ema, half-life": {"averaging": {"name": "ema", "half_life_epochs": 8}},
    "checkpoints": {"averaging": {"name": "checkpoints", "which": "best", "count": 3}},
    "checkpoints of an average": {
        "averaging": {"name": "checkpoints", "count": 3, "ema": {"half_life_epochs": 8}}
    },
    "swa": {"averaging": {"name": "swa", "start_epoch": 2}},
    "plateau": {"schedule": {"name": "reduce_on_plateau", "patience": 2}},
    "accumulated": {"accumulate": 4},
    "test size": {"val_img_size": 32, "flip_tta": True},
    "growing": {"progressive_resize": {"start_size": 14, "end_epoch": 2, "multiple": 14}},
    "bf16": {"precision": "bf16"},
    "kernels": {"compute": {"channels_last": False, "compile": True, "tf32": True}},
    "started": {
        "pretrained": {
            "weights": {"name": "cell", "study": "s", "variant": {"lr": 0.1}, "cell_id": "1" * 12},
            "head": "new",
        }
    },
    "taught": {
        "distill": {
            "teacher": {"name": "timm", "arch": "beit_base_patch16_224.in22k_ft_in22k_in1k"},
            "alpha": 0.8,
        }
    },
    "measure": {"measure": {"clean_images": 0, "clean_every": 5}},
}


def made(**changes: object) -> CellConfig:
    """A hand-made cell."""
    return validate(CellConfig, PLAIN | changes, "here")


def golden() -> dict:
    """The ids as this code makes them: our studies at two scales, and the hand-made cells."""
    planner = Planner(configs.ROOT / "config")
    studies = sorted(path.stem for path in (configs.ROOT / "config/studies").glob("aime_*.yaml"))
    return {
        **{
            f"{study} at {scale}": {
                cell.variant.label: cell.id
                for cell in planner.plan(study, scale).cells
                if cell.config.seed == 0
            }
            for scale in ("smoke", "demo")
            for study in studies
        },
        "hand-made": {
            name: cell_id(made(**changes), "0" * 12) for name, changes in HAND_MADE.items()
        },
    }


def ids(folder: Path) -> list[str]:
    return [cell.id for cell in Planner(folder).plan("s", "z").cells]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return configs.write(tmp_path / "config")


# -- golden ---------------------------------------------------------------------------------------


def test_ids_are_the_golden_ones():
    assert golden() == json.loads(GOLDEN.read_text()), RENAMED


def test_ids_are_twelve_digits_and_differ():
    found = [i for group in golden().values() for i in group.values()]
    assert all(len(i) == 12 and set(i) <= set("0123456789abcdef") for i in found)
    hand_made = golden()["hand-made"]
    assert len(set(hand_made.values())) == len(HAND_MADE)


# -- what changes no id ---------------------------------------------------------------------------

HARMLESS = {
    "a number written otherwise": (STUDY, "lr: [0.1, 0.2]", "lr: [1e-1, 2.0e-1]"),
    "a number in the recipe written otherwise": (RECIPE, "lr: 0.1", "lr: 1e-1"),
    "a number as text": (RECIPE, "lr: 0.1", 'lr: "0.1"'),
    "a whole number with a point": (RECIPE, "batch_size: 128", "batch_size: 128.0"),
    "a comment": (RECIPE, "lr: 0.1", "# why\nlr: 0.1  # so"),
    "another style": (RECIPE, "optimizer: {name: sgd}", "optimizer:\n  name: sgd"),
    "a default written out": (RECIPE, "{name: sgd}", "{momentum: 0.9, name: sgd}"),
    "the order of keys": (
        RECIPE, "title: r\ndataset: fashion_mnist\n", "dataset: fashion_mnist\ntitle: r\n"),
    "the recipe's title": (RECIPE, "title: r", "title: another"),
    "origins": (RECIPE, "title: r", "title: r\nassumed: {lr: because}"),
    "a value that the axis replaces": (RECIPE, "lr: 0.1", "lr: 7"),
    "the study's title": (STUDY, "title: t", "title: another"),
    "the study's question": (STUDY, "question: q", "question: another"),
    "a figure": (STUDY, "seeds: 2", "seeds: 2\nfigures: {f: {kind: curves, title: f}}"),
    "a published value": (
        STUDY, "seeds: 2", "seeds: 2\npublished: [{where: w, value: 1, measures: last}]"),
    "the baseline": (STUDY, "{lr: 0.1}", "{lr: 0.2}"),
    "seeds as a list": (STUDY, "seeds: 2", "seeds: [0, 1]"),
    "the scale's title": (SCALE, "title: z", "title: another"),
    "resources": (SCALE, "title: z", "title: z\nresources: {cpus: 8, mem_mb: 9999, runtime: 5}"),
    "thresholds": (SCALE, "title: z", "title: z\nthresholds: [50]"),
    "a mapping of something else": (SCALE, "title: z", "title: z\nimg_sizes: {224: 28}"),
    "the dataset's title": (DATASET, "title: Fashion-MNIST (subset)", "title: another"),
    "where its images lie": (DATASET, "path: data/fashion_mnist", "path: elsewhere"),
    "the writer's processes": (DATASET, "num_workers: null", "num_workers: 4"),
    "white space in the lock": (LOCK, '  "on_bad_image"', '\n\n  "on_bad_image"'),
}  # fmt: skip


@pytest.mark.parametrize("case", HARMLESS)
def test_harmless_edits_change_no_id(folder, case):
    before = ids(folder)
    configs.edit(folder / HARMLESS[case][0], *HARMLESS[case][1:])
    assert ids(folder) == before


def test_names_change_no_id(folder):
    before = ids(folder)
    (folder / STUDY).rename(folder / "studies/renamed.yaml")
    (folder / RECIPE).rename(folder / "recipes/renamed.yaml")
    (folder / SCALE).rename(folder / "scales/renamed.yaml")
    configs.edit(folder / "studies/renamed.yaml", "recipe: r", "recipe: renamed")
    for name in ("fashion_mnist.yaml", "fashion_mnist.lock.json"):
        (folder / "datasets" / name).rename(folder / "datasets" / name.replace("fashion_", "re"))
    configs.edit(folder / "recipes/renamed.yaml", "fashion_mnist", "remnist")
    assert [c.id for c in Planner(folder).plan("renamed", "renamed").cells] == before


def test_more_seeds_keep_the_cells_of_the_others(folder):
    before = ids(folder)
    configs.edit(folder / STUDY, "seeds: 2", "seeds: 3")
    assert set(before) < set(ids(folder))


def test_a_value_set_by_a_scale_or_by_the_recipe_is_the_same(folder):
    configs.edit(folder / RECIPE, "epochs: 4", "epochs: 8")
    configs.edit(folder / SCALE, "title: z", "title: z\nepochs_divide_by: 2")
    scaled = ids(folder)
    configs.write(folder.parent / "plain")
    assert scaled == ids(folder.parent / "plain")


# -- what changes all ids -------------------------------------------------------------------------

TELLING = {
    "lr": (STUDY, "[0.1, 0.2]\nbaseline: {lr: 0.1}", "[0.11, 0.21]\nbaseline: {lr: 0.11}"),
    "seed": (STUDY, "seeds: 2", "seeds: [5, 6]"),
    "epochs": (RECIPE, "epochs: 4", "epochs: 5"),
    "an option": (RECIPE, "{name: sgd}", "{name: sgd, momentum: 0.91}"),
    "another technique": (RECIPE, "{name: constant}", "{name: cosine}"),
    "the clean subset": (RECIPE, "clean_images: 100", "clean_images: 101"),
    "reading": (RECIPE, "lr: 0.1", "lr: 0.1\nreading: streaming"),
    "threads": (SCALE, "title: z", "title: z\ncompute: {threads: 2}"),
    "determinism": (SCALE, "title: z", "title: z\ncompute: {deterministic: false}"),
    "share of the data": (SCALE, "title: z", "title: z\ntrain_share: 0.5"),
    "share of the validation set": (SCALE, "title: z", "title: z\nval_share: 0.5"),
    "a writer option": (DATASET, "write_mode: raw   ", "write_mode: jpg   "),
    "the stored size": (DATASET, "max_resolution: null", "max_resolution: 20"),
    "the images": (LOCK, '"digest": "35b4', '"digest": "45b4'),
}


@pytest.mark.parametrize("case", TELLING)
def test_what_can_change_a_result_changes_every_id(folder, case):
    before = ids(folder)
    configs.edit(folder / TELLING[case][0], *TELLING[case][1:])
    assert not set(ids(folder)) & set(before)


def test_precision_and_ranks_are_part_of_the_identity():
    """They have one value each so far; a second one will tell cells apart."""
    config = made()
    other = config.model_copy(update={"precision": "bf16"})
    more = config.model_copy(
        update={"compute": config.compute.model_copy(update={"ranks": 2})}
    )  # fmt: skip
    assert len({cell_id(c, "0" * 12) for c in (config, other, more)}) == 3


def test_a_writer_option_that_does_nothing_in_its_mode_changes_no_id(folder):
    """`smart_threshold` is refused with raw; the default of jpeg_quality must not count there."""
    before = Planner(folder).dataset("fashion_mnist").digest
    configs.edit(folder / DATASET, "max_resolution: null", "max_resolution: 20")
    small = Planner(folder).dataset("fashion_mnist").digest
    configs.edit(folder / DATASET, "write_mode: raw   ", "write_mode: jpg\n  jpeg_quality: 90 #")
    jpg = Planner(folder).dataset("fashion_mnist").digest
    configs.edit(folder / DATASET, "jpeg_quality: 90", "jpeg_quality: 91")
    assert len({before, small, jpg, Planner(folder).dataset("fashion_mnist").digest}) == 4


# -- versions -------------------------------------------------------------------------------------


def schedules(folder: Path) -> dict[tuple[str, int], str]:
    """Ids of a study with a constant, a step and a cosine schedule."""
    axis = "schedule: {flat: {name: constant}, drop: {name: step, every: 2}, fall: {name: cosine}}"
    text = configs.STUDY.replace("lr: [0.1, 0.2]", axis).replace("{lr: 0.1}", "{schedule: flat}")
    (folder / STUDY).write_text(text)
    planned = Planner(folder).plan("s", "z")
    return {(c.variant.label, c.config.seed): c.id for c in planned.cells}


def test_a_technique_s_version_renames_exactly_the_cells_that_use_it(folder, monkeypatch):
    before = schedules(folder)
    monkeypatch.setattr(Step, "version", 2)
    after = schedules(folder)
    assert {key for key in before if before[key] != after[key]} == {
        ("schedule=drop", 0),
        ("schedule=drop", 1),
    }
    monkeypatch.setattr(Step, "version", 3)
    assert len({before[("schedule=drop", 0)], after[("schedule=drop", 0)]}
               | {schedules(folder)[("schedule=drop", 0)]}) == 3  # fmt: skip


def test_versions_of_two_techniques_are_told_apart(monkeypatch):
    config = made(augment={"name": "standard"})
    found = {cell_id(config, "0" * 12)}
    for technique in (SGD, Standard):
        with monkeypatch.context() as patched:
            patched.setattr(technique, "version", 2)
            found.add(cell_id(config, "0" * 12))
    assert len(found) == 3


def test_the_loop_s_version_renames_all(monkeypatch):
    before = cell_id(made(), "0" * 12)
    monkeypatch.setattr(identity_module, "LOOP_VERSION", identity_module.LOOP_VERSION + 1)
    assert cell_id(made(), "0" * 12) != before


# -- new fields -----------------------------------------------------------------------------------


class WithAverage(CellConfig):
    """What a later version of the configuration might be."""

    average_decay: float = 0.0


class Dampened(SGD):
    """The same for an option of a technique."""

    dampening: float = 0.0


class WithDampening(CellConfig):
    """A cell with it."""

    optimizer: Dampened


def test_a_new_field_with_its_line_renames_nothing(monkeypatch):
    before = cell_id(made(), "0" * 12)
    later = validate(WithAverage, PLAIN, "here")
    assert cell_id(later, "0" * 12) != before
    monkeypatch.setitem(IDENTITY_DEFAULTS, "average_decay", 0.0)
    assert cell_id(later, "0" * 12) == before
    used = validate(WithAverage, PLAIN | {"average_decay": 0.99}, "here")
    assert cell_id(used, "0" * 12) != before


def test_a_new_option_with_its_line_renames_nothing(monkeypatch):
    before = cell_id(made(), "0" * 12)
    monkeypatch.setitem(IDENTITY_DEFAULTS, "optimizer.dampening", 0.0)
    later = validate(WithDampening, PLAIN, "here")
    assert cell_id(later, "0" * 12) == before
    used = validate(WithDampening, PLAIN | {"optimizer": {"name": "sgd", "dampening": 0.1}}, "here")
    assert cell_id(used, "0" * 12) != before


def test_off_written_out_is_the_cell_without_it():
    """Rates of zero and factors of one: the same training, and so the same cell."""
    model = {"name": "resnet_small", "dropout": 0, "stochastic_depth": 0.0}
    optimizer = {"name": "sgd", "layer_lr_decay": 1, "head_lr_factor": 1.0, "decay_linear": True}
    assert cell_id(made(model=model, optimizer=optimizer), "0" * 12) == cell_id(made(), "0" * 12)


def test_the_identity_can_be_read():
    found = identity(made(), "0" * 12)
    assert found["dataset"] == "0" * 12 and found["optimizer.momentum"] == 0.9
    assert found["seed"] == 0 and found["schedule.name"] == "constant"
    assert not any("title" in key or "version" in key for key in found)


if __name__ == "__main__":
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(json.dumps(golden(), indent=2) + "\n")
    print(f"written: {GOLDEN}")
