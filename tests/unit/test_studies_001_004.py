"""The studies of PaddleClas and of Jeong: they plan at every scale, and every number is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import configs
import pytest

from ablation.config.load import load_scale, load_study
from ablation.errors import NotAtScale
from ablation.grid import Planner, StudyPlan

CONFIG = configs.ROOT / "config"
STUDIES = sorted(
    p.stem for p in (CONFIG / "studies").glob("*.yaml") if p.stem.startswith(("paddle_", "jeong_"))
)
# Comparisons that a scale cannot carry; anything else is run there.
NOT_AT = {
    "demo": {
        "jeong_precision",
        "jeong_sync_bn",
        "paddle_finetune_large",
        "paddle_weight_decay_mobilenet",
        "paddle_weight_decay_resnet50",
    },
    "smoke": {"jeong_sync_bn"},
    "cifar": {"jeong_sync_bn", "paddle_finetune_large"},
}


@pytest.fixture(scope="module")
def planner(tmp_path_factory) -> Planner:
    """The shipped configuration with locks of the datasets that are not embedded."""
    return Planner(configs.with_locks(tmp_path_factory.mktemp("locks")))


@pytest.mark.parametrize("scale", ["smoke", "demo", "cifar", "imagenet"])
@pytest.mark.parametrize("study", STUDIES)
def test_every_study_is_planned_or_says_why_not(planner, study, scale):
    if study in NOT_AT.get(scale, ()):
        with pytest.raises(NotAtScale, match=f"not run at scale {scale}: "):
            planner.plan(study, scale)
        return
    plan = planner.plan(study, scale)
    seeds = plan.config.seed_list(scale)[: plan.scale.max_seeds]
    assert len(plan.cells) == len(seeds) * len(plan.variants)
    assert len({cell.id for cell in plan.cells}) == len(plan.cells)
    if scale == "imagenet":
        for variant in plan.variants:
            here, document = variant.training, variant.document
            assert here.model_copy(update={"lr": document.lr}) == document


def test_no_study_but_of_several_gpus_is_left_out_of_a_smoke_run():
    left_out = {study for study in STUDIES if "smoke" in load_study(CONFIG, study).not_at}
    assert left_out == {"jeong_sync_bn"}


@pytest.mark.parametrize("scale", ["smoke", "demo", "cifar"])
def test_batch_sizes_keep_their_ratios(scale):
    table = load_scale(CONFIG, scale).batch_sizes
    assert set(table) >= {256, 512, 1024, 2048, 4096}
    for size in (256, 512, 1024, 2048, 4096):
        assert table[size] * 256 == table[256] * size


def ids(plan: StudyPlan, *labels: str) -> list[str]:
    """Of the five seeds that all studies have."""
    return [c.id for c in plan.cells if c.variant.label in labels and c.config.seed < 5]


@pytest.mark.parametrize(
    ("first", "of_first", "second", "of_second"),
    [
        ("paddle_lr_decay", ["schedule=piecewise", "schedule=cosine"],
         "paddle_cosine_length", ["piecewise 120", "cosine 120"]),
        ("jeong_schedule", ["model=ResNet50, schedule=exponential",
                            "model=ResNet50, schedule=warmup + cosine"],
         "jeong_batch_reduction", ["exponential, 4096", "warmup + cosine, 4096"]),
        ("paddle_augmentations", ["Random-Augment"],
         "paddle_weight_decay_resnet50", ["weight_decay=0.0001"]),
    ],
)  # fmt: skip
def test_equal_trainings_of_two_studies_are_the_same_cells(
    planner, first, of_first, second, of_second
):
    shared = ids(planner.plan(first, "imagenet"), *of_first)
    assert len(shared) == 5 * len(of_first)
    assert set(shared) <= set(ids(planner.plan(second, "imagenet"), *of_second))


def test_fine_tuning_starts_from_a_cell_where_the_scale_has_one(planner):
    for scale, images in (("smoke", 100), ("demo", 900), ("cifar", 900)):
        plan = planner.plan("paddle_finetune_small", scale)
        assert {c.variant.label for c in plan.parents} == {"schedule=piecewise"}
        training = plan.variants[0].training
        assert plan.cells[0].dataset.images("train", training.train_share) == images
        assert plan.cells[-1].parents == ()  # from scratch
    plan = planner.plan("paddle_finetune_small", "imagenet")
    assert plan.parents == () and plan.cells[0].config.pretrained.weights.name == "timm"
    assert plan.missing_files(Path())[0].endswith("at this path")


# -- every number of the documents ------------------------------------------------------------

TRAIN_TEST = ("train_top1", "train_top5", "val_top1", "val_top5")


def rows(key: str, *numbers: float, **labels: Any) -> list[tuple]:
    """Train and test accuracies of one row of a table."""
    return [(key, labels, m, "level", "=", v) for m, v in zip(TRAIN_TEST, numbers, strict=True)]


def top1(key: str, value: float, of: str = "level", relation: str = "=", **labels: Any) -> tuple:
    return (key, labels, "val_top1", of, relation, value)


DECAY, SMOOTH = "optimizer.weight_decay", "loss.label_smoothing"
LIST = [
    *rows("paddle_weight_decay_mobilenet", 43.79, 67.61, 50.41, 74.70, **{DECAY: 1e-4}),
    *rows("paddle_weight_decay_mobilenet", 47.38, 70.83, 51.45, 75.45, **{DECAY: 3e-5}),
    *rows("paddle_weight_decay_resnet50", 75.13, 90.42, 77.65, 93.79, **{DECAY: 1e-4}),
    *rows("paddle_weight_decay_resnet50", 75.56, 90.55, 78.04, 93.74, **{DECAY: 7e-5}),
    top1("paddle_label_smoothing", 77.9, model="ResNet50_vd", **{SMOOTH: 0}),
    top1("paddle_label_smoothing", 78.4, model="ResNet50_vd", **{SMOOTH: 0.1}),
    *rows("paddle_label_smoothing", 69.81, 87.70, 70.98, 89.92, model="ResNet18", **{SMOOTH: 0}),
    *rows("paddle_label_smoothing", 68.00, 86.56, 70.81, 89.89, model="ResNet18", **{SMOOTH: 0.1}),
    *rows("paddle_crop_scale", 50.36, 72.98, 52.35, 75.65,
          **{"augment.scale": "0.08 to 1", "augment.ratio": "3/4 to 4/3"}),
    *rows("paddle_crop_scale", 54.39, 77.08, 53.18, 76.14,
          **{"augment.scale": "0.2 to 1", "augment.ratio": "3/4 to 4/3"}),
    *(
        top1("paddle_augmentations", value, row=row)
        for row, value in {
            "Baseline": 77.31, "Auto-Augment": 77.95, "Mixup": 78.28, "Cutmix": 78.39,
            "Cutout": 78.01, "Gridmask": 77.85, "Random-Augment": 77.70, "Random-Erasing": 77.91,
            "Hide-and-Seek": 77.43,
        }.items()
    ),
    top1("jeong_whole_list", 70, row="off"),
    top1("jeong_whole_list", 14, "gain", row="on"),
    ("jeong_whole_list", {"row": "on"}, "train_time_s", "ratio", "=", 1 / 4),
    ("jeong_whole_list", {"row": "on"}, "train_time_s", "ratio", "=", 1 / 16),
    top1("jeong_schedule", 60, relation="about", model="ResNet50", schedule="exponential"),
    ("jeong_schedule", {"model": "ResNet50", "schedule": "exponential"}, "train_time_s", "level",
     "about", 24 * 3600),
    top1("jeong_label_smoothing", 2, "gain", **{SMOOTH: 0.1}),
    top1("jeong_bias_decay", 0, "gain", "about", row="biases and norms not"),
    ("jeong_precision", {"precision": "fp16"}, "images_per_s", "ratio", "up to", 3),
    top1("jeong_precision", 0, "gain", "<", precision="fp16"),
]  # fmt: skip


def test_every_published_number_is_in_its_study_and_no_other():
    found = [
        (study, p.variant, p.metric, p.of, p.relation, p.value)
        for study in STUDIES
        for p in load_study(CONFIG, study).published
    ]
    assert [n for n in LIST if n not in found] == []
    assert [n for n in found if n not in LIST] == []
    assert len(found) == len(LIST) == 53


# Settings that the documents state, where they are not results: study, variant, key, value.
SETTINGS = [
    ("paddle_lr_decay", "schedule=piecewise", "lr", 0.1),
    ("paddle_lr_decay", "schedule=piecewise", "schedule.every", 30),
    ("paddle_lr_decay", "schedule=piecewise", "schedule.decay", 0.1),
    ("paddle_lr_decay", "schedule=piecewise", "epochs", 120),
    ("paddle_cosine_length", "cosine 200", "epochs", 200),
    ("paddle_warmup", "batch_size=2048, warmup_epochs=5", "schedule.warmup_epochs", 5),
    ("paddle_warmup", "batch_size=2048, warmup_epochs=5", "schedule.warmup_start", 0),
    ("paddle_linear_scaling", "batch 256", "absolute_lr", 0.1),
    ("paddle_linear_scaling", "batch_size=512, lr=in proportion", "absolute_lr", 0.2),
    ("paddle_linear_scaling", "batch_size=1024, lr=in proportion", "absolute_lr", 0.4),
    ("paddle_linear_scaling", "batch_size=1024, lr=fixed", "absolute_lr", 0.1),
    ("paddle_label_smoothing", "model=ResNet18, label_smoothing=0.1", "loss.label_smoothing", 0.1),
    ("paddle_crop_scale", "scale=0.08 to 1, ratio=3/4 to 4/3", "augment.scale", (0.08, 1)),
    ("paddle_crop_scale", "scale=0.08 to 1, ratio=3/4 to 4/3", "augment.ratio", (3 / 4, 4 / 3)),
    ("paddle_crop_scale", "scale=0.2 to 1, ratio=1", "augment.scale", (0.2, 1)),
    ("paddle_finetune_small", "lr=0.001", "batch_size", 256),
    ("paddle_finetune_large", "lr=0.01", "batch_size", 256),
    ("jeong_schedule", "model=ResNet34, schedule=warmup + cosine", "schedule.warmup_epochs", 5),
    ("jeong_schedule", "model=ResNet50, schedule=exponential", "epochs", 50),
    ("jeong_batch_reduction", "warmup + cosine, 4096", "batch_size", 4096),
    ("jeong_batch_reduction", "warmup + cosine, 256", "batch_size", 256),
    ("jeong_batch_lr", "batch_size=1024, lr=in proportion", "absolute_lr", 0.4),
    ("jeong_batch_lr", "batch_size=256, lr=in proportion", "absolute_lr", 0.1),
    ("jeong_batch_lr", "batch_size=256, lr=fixed", "absolute_lr", 0.2),
    ("jeong_whole_list", "on", "batch_size", 256),
    ("jeong_whole_list", "off", "batch_size", 4096),
]


@pytest.mark.parametrize(("study", "variant", "key", "value"), SETTINGS)
def test_settings_that_a_document_states(planner, study, variant, key, value):
    plan = planner.plan(study, "imagenet")
    here: Any = {v.label: v.document for v in plan.variants}[variant]
    for part in key.split("."):
        here = getattr(here, part)
    assert here == value
