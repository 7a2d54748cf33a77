"""Runs of a world in which a document is right, or wrong the other way round, without training."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import configs
import numpy as np
import pandas as pd

from ablation import claims
from ablation.config.recipe import Training
from ablation.frames import StudyData
from ablation.grid import StudyPlan, Variant

SEEDS = 9
NOISE = 0.1
METRICS = ("val_top1", "train_top1")
Effect = Callable[[Training, float, str, int], float]
"""Points that a training (as the document has it) has more than another at a share of its length,
of a metric; with 1 the document is right, with -1 it is the other way round."""


def config_with_locks(folder: Path) -> Path:
    """A copy of config/ with locks of all datasets, and enough seeds at demo scale."""
    config = folder / "config"
    shutil.copytree(configs.ROOT / "config", config)
    write_lock(config, "imagenet", classes=1000, train=1281, val=50, pixels=200_000)
    write_lock(config, "cifar10", classes=10, train=5000, val=1000, pixels=1024)
    scale = config / "scales/demo.yaml"
    scale.write_text(re.sub(r"max_seeds: \d+", f"max_seeds: {SEEDS}", scale.read_text()))
    return config


def write_lock(config: Path, name: str, *, classes: int, train: int, val: int, pixels: int) -> None:
    """A lock of a dataset with so many images a class, each of so many pixels."""

    def split(images: int) -> dict[str, Any]:
        size = {"min_size": [32, 32], "max_size": [500, 500]}
        total = images * classes
        return {"images": total, "per_class": [images] * classes, "pixels": total * pixels} | size

    lock = {"digest": "0" * 64, "on_bad_image": "fail", "rejected": {}}
    lock |= {"classes": [f"c{i}" for i in range(classes)], "mean": [120] * 3, "std": [60] * 3}
    lock |= {"train": split(train), "val": split(val)}
    (config / "datasets" / f"{name}.lock.json").write_text(json.dumps(lock))


def verdict(plan: StudyPlan, number: int, effect: Effect, sign: int) -> claims.Verdict:
    """The verdict of one claim of a study in such a world."""
    planned = next(c for c in plan.claims if c.number == number)
    found = claims.verdicts(_data(replace(plan, claims=(planned,)), effect, sign))
    return found[0]


def _data(plan: StudyPlan, effect: Effect, sign: int) -> StudyData:
    terms = [t for claim in plan.claims for q in claim.questions for t in q.terms]
    used = {t.variant.label: t.variant for t in terms}.values()
    rng, runs, epochs = np.random.default_rng(0), [], []
    for variant in used:
        for seed in plan.config.seed_list[: plan.scale.max_seeds]:
            mine = _curve(variant, effect, sign, rng)
            labels = {"variant": variant.label, "seed": seed}
            epochs += [labels | epoch for epoch in mine]
            runs.append(labels | {"status": "completed"} | mine[-1])
    return StudyData(plan, pd.DataFrame(runs), pd.DataFrame(epochs))


def _curve(variant: Variant, effect: Effect, sign: int, rng: np.random.Generator) -> list[dict]:
    """Rises from 10 % to 75 %, with the effect and the noise."""
    total, curve = variant.training.epochs, []
    for epoch in range(1, total + 1):
        share = epoch / total
        level = 10 + 65 * (1 - np.exp(-5 * share))
        values = {
            m: level + effect(variant.document, share, m, sign) + rng.normal(0, NOISE)
            for m in METRICS
        }
        curve.append({"epoch": epoch, "train_time_s": 1.0, "eval_time_s": 0.1} | values)
    return curve
