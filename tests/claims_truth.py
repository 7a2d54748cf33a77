"""Runs of a plan in which a given truth holds, without training: for the verdicts on claims.

A world tells of a training (as the document has it) what its runs are like. Metrics of an epoch are
numbers or functions of the epochs, an array in the document's epochs; so is, under `sd`, how much
each scatters about that (default SCATTER; of a loss, relative to it). Other keys are values of the
run: times, power. `epoch_s` are its seconds an epoch; `diverged` its first broken epoch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import configs
import numpy as np
import pandas as pd

from ablation import claims
from ablation.config.load import load_study
from ablation.config.recipe import Training
from ablation.frames import StudyData
from ablation.grid import Planner, StudyPlan, Variant

World = Callable[[Training], dict[str, Any]]
CURVES = {"val_top1": 80.0, "train_top1": 80.0, "val_loss": 0.6, "train_loss": 0.5}
CURVES |= {"clean_top1": 80.0, "val_top5": 95.0}
SCATTER = 0.02
"""Standard deviation from epoch to epoch and of values of a run, in units of the metric."""


def planner_of_every_seed(folder: Path) -> Planner:
    """The shipped configuration with locks of all datasets, at whose scales no seed is left out."""
    config = configs.with_locks(folder)
    for scale in (config / "scales").glob("*.yaml"):
        lines = scale.read_text().splitlines(keepends=True)
        scale.write_text("".join(x for x in lines if not x.startswith("max_seeds:")))
    return Planner(config)


def asked(numbers: range) -> dict[int, tuple[str, tuple[str, ...]]]:
    """Claims of these numbers that a study asks: number -> study and scales."""
    config, found = configs.ROOT / "config", {}
    for path in sorted((config / "studies").glob("*.yaml")):
        for claim in load_study(config, path.stem).claims:
            if claim.number in numbers:
                found[claim.number] = (path.stem, claim.scales)
    return found


def verdict(plan: StudyPlan, number: int, world: World) -> claims.Verdict:
    """The verdict on a claim of a study's plan, in a world."""
    planned = next(c for c in plan.claims if c.number == number)
    plan = replace(plan, claims=(planned,))
    data = told(plan, world, {t.variant.label for q in planned.questions for t in q.terms})
    return claims.verdicts(data)[0]


def told(plan: StudyPlan, world: World, labels: set[str]) -> StudyData:
    """The runs of these variants."""
    runs, epochs = [], []
    for number, variant in enumerate(v for v in plan.variants if v.label in labels):
        for seed in plan.config.seed_list(plan.scale_name):
            rng = np.random.default_rng([number, seed])
            row, curve = _run(variant, world(variant.document), rng)
            name = {"variant": variant.label, "seed": seed}
            runs.append(row | name)
            epochs.append(curve.assign(**name))
    return StudyData(plan, pd.DataFrame(runs), pd.concat(epochs, ignore_index=True))


def _run(
    variant: Variant, facts: dict[str, Any], rng: np.random.Generator
) -> tuple[dict[str, Any], pd.DataFrame]:
    planned, document = variant.training.epochs, variant.document.epochs
    at = np.arange(1, planned + 1) * document / planned  # the ends of its epochs
    facts = dict(facts)
    sds, broken = facts.pop("sd", {}), facts.pop("diverged", None)
    seconds = facts.pop("epoch_s", 1.0)
    curve: dict[str, Any] = {"epoch": np.arange(1, planned + 1)}
    for metric, usual in CURVES.items():
        level = _at(facts.pop(metric, usual), at)
        noise = _at(sds.get(metric, SCATTER), at) * rng.normal(size=planned)
        curve[metric] = level * (1 + noise) if metric.endswith("_loss") else level + noise
    curve |= {"train_time_s": seconds, "eval_time_s": 0.0}
    row = {key: value * (1 + SCATTER * rng.normal()) for key, value in facts.items()}
    row |= {"status": "diverged" if broken else "completed", "alone": True, "hardware_id": "h"}
    row |= {"energy_source": "nvml", "val_top1": curve["val_top1"][-1]}
    frame = pd.DataFrame(curve)
    return row, frame[: broken - 1] if broken else frame


def _at(value: Any, epochs: np.ndarray) -> np.ndarray:
    found = value(epochs) if callable(value) else value
    return np.broadcast_to(np.asarray(found, dtype=float), epochs.shape)


def turned(direction: int, middle: float, value: float) -> float:
    """A published value, or the one as far on the other side of the middle."""
    return middle + direction * (value - middle)
