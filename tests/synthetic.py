"""Plausible results of every cell of a plan, without training: for what comes after training."""

from __future__ import annotations

import atexit
import json
import re
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from ablation import collect, record
from ablation.diagnosis import cell_noise_scale
from ablation.frames import StudyData, load
from ablation.grid import Cell, StudyPlan
from ablation.identity import identity
from ablation.meters import NOTHING


@cache
def config_dir() -> Path:
    """A copy of config/ whose demo scale has two seeds, whatever it and its studies have."""
    config = Path(tempfile.mkdtemp(prefix="config-")) / "config"
    atexit.register(shutil.rmtree, config.parent, ignore_errors=True)
    shutil.copytree(Path(__file__).resolve().parent.parent / "config", config)
    scale = config / "scales/demo.yaml"
    text, changed = re.subn(r"max_seeds: \d+", "max_seeds: 2", scale.read_text())
    assert changed == 1
    scale.write_text(text)
    for study in (config / "studies").glob("*.yaml"):
        study.write_text(re.sub(r"^seeds_at:.*\n", "", study.read_text(), flags=re.M))
    return config


def write_cells(
    plan: StudyPlan,
    cells: Path,
    *,
    diverged: dict[str, int] | None = None,
    missing: tuple[str, ...] = (),
    alone: bool = True,
    torch: str = "2.15.0",
    metered: bool = False,
) -> None:
    """Write `cells/{id}/` for a plan. diverged: cell id -> epoch in which the loss broke down;
    metered: whether the machine had meters of energy."""
    for cell in plan.cells:
        if cell.id not in missing:
            write_cell(plan, cell, cells, (diverged or {}).get(cell.id), alone, torch, metered)


def write_cell(
    plan: StudyPlan,
    cell: Cell,
    cells: Path,
    broke: int | None,
    alone: bool,
    torch: str,
    metered: bool,
) -> None:
    """Write one cell."""
    folder = cells / cell.id
    folder.mkdir(parents=True, exist_ok=True)
    epochs = curve(cell)[: broke - 1 if broke else None]
    times = [
        {"train_time_s": 1.5, "eval_time_s": 0.25, "images_per_s": 1600.0, **_reading(metered)}
        for _ in epochs
    ]
    facts = {
        "steps_per_epoch": 19,
        "train_images": 2500,
        "val_images": 5000,
        "clean_images": 1000,
        "parameters": 78234,
        "noise_scale": cell_noise_scale(cell.config, 2500, 19),
        "weight_decay_scalars": {"decayed": 78234, "not_decayed": 0},
    }
    at = {"epoch": broke, "step": 7} if broke else None
    wanted = cell.config.schedule.records_steps
    steps = range_steps(cell)[: 19 * broke if broke else None] if wanted else None
    metrics = record.metrics(cell.id, epochs, at, facts, steps)
    _json(folder / "metrics.json", metrics)
    (folder / "epochs.csv").write_text(record._epochs_csv(epochs, times))
    _json(folder / "timing.json", _timing(epochs, times, alone, broke is not None))
    _json(folder / "provenance.json", _provenance(cell, torch))
    _json(
        folder / "cell.json",
        {
            "cell_id": cell.id,
            "variant": cell.variant.label,
            "study": plan.name,
            "scale": plan.scale_name,
            "dataset": cell.dataset.name,
            "dataset_digest": cell.dataset.digest,
            "command": f"python workflow/train_cell.py --study {plan.name} --seed "
            f"{cell.config.seed}",
            "config": cell.config.model_dump(mode="json"),
            "identity": identity(cell.config, cell.dataset.digest),
        },
    )


def old_cell(cells: Path, cell_id: str) -> Path:
    """A copy of tests/old_cell under another id: real results of a cell of three epochs, trained
    before there were meters, diagnosis and `clean_images`. Its folder."""
    folder = cells / cell_id
    shutil.copytree(Path(__file__).with_name("old_cell"), folder)
    metrics = folder / "metrics.json"
    metrics.write_text(metrics.read_text().replace("c3a32ae49246", cell_id))
    return folder


def range_steps(cell: Cell) -> list[list[float]]:
    """Steps of a range test: the loss falls fastest at 0.1, is lowest near 1, and blows up."""
    noise, config = np.random.default_rng(int(cell.id, 16)), cell.config
    empty = [0.0] * 19
    steps = [s for e in range(config.epochs) for s in record.steps_of(config, e, 0, 19, empty)]
    lrs = np.array([lr for lr, _ in steps])
    losses = 1.3 - np.tanh(1.5 * np.log10(lrs / 0.1)) + (lrs / 4) ** 3
    losses += noise.normal(0, 0.02, len(lrs))
    return np.stack([lrs, losses], axis=1).tolist()


def curve(cell: Cell) -> list[dict[str, Any]]:
    """Epochs of a cell: rises to a level that depends on the learning rate, with a little noise."""
    config = cell.config
    noise = np.random.default_rng(int(cell.id, 16))
    level = 86 - 4 * abs(np.log10(config.lr / 0.1)) ** 2
    steps = np.arange(1, config.epochs + 1)
    top1 = level - (level - 10) * np.exp(-steps * (0.15 + 2 * min(config.lr, 0.4)))
    top1 = np.clip(top1 + noise.normal(0, 0.8, len(steps)), 8, 100)
    epochs = [_epoch(int(e), float(t), config.lr) for e, t in zip(steps, top1, strict=True)]
    if config.averaging is not None:  # as loop.py has it: at the last epoch alone
        for epoch in epochs:
            last = epoch["epoch"] == config.epochs
            raw = (2.5 * epoch["val_loss"], epoch["val_top1"] - 3, epoch["val_top5"] - 1)
            epoch |= dict(zip(collect.RAW_METRICS, raw if last else (None,) * 3, strict=True))
    return epochs


def _epoch(epoch: int, top1: float, lr: float) -> dict[str, Any]:
    train = min(99.5, top1 + epoch)
    return {
        "epoch": epoch,
        "lr": lr,
        "train_loss": 2.3 * (1 - train / 101),
        "train_top1": train,
        "train_top5": min(100.0, train + 12),
        "val_loss": 2.3 * (1 - top1 / 101),
        "val_top1": top1,
        "val_top5": min(100.0, top1 + 13),
        "clean_loss": 2.3 * (1 - train / 100.5),
        "clean_top1": min(100.0, train + 0.4),
        "clean_top5": min(100.0, train + 12),
    }


def _reading(metered: bool) -> dict[str, Any]:
    """What the meters of a machine with a GPU say of an epoch."""
    if not metered:
        return NOTHING
    energy = {"energy_j": 210.0, "gpu_energy_j": 175.0, "cpu_energy_j": 35.0}
    return {**energy, "gpu_load_percent": 71.0, "gpu_power_w": 100.0, "energy_source": "nvml+rapl"}


def _timing(epochs: list, times: list, alone: bool, diverged: bool) -> dict[str, Any]:
    train, evaluation = 1.5 * len(epochs), 0.25 * len(epochs)
    return {
        "train_time_s": train,
        "eval_time_s": evaluation,
        "startup_time_s": 3.0,
        "wall_time_s": train + evaluation + 3.2,
        "images_per_s": 1600.0,
        "peak_mem_gib": 0.6,
        **record.metered(times),
        **record.seconds_to(epochs, times, diverged=diverged),
        "alone": alone,
        "attempts": 1,
    }


def _provenance(cell: Cell, torch: str) -> dict[str, Any]:
    return {
        "code_version": "8824951c0ffee",
        "packages": {"torch": torch, "numpy": "2.4.6"},
        "python": "3.11.7",
        "hardware": {"cpu": "A CPU", "cpu_count": 2, "isa": "AVX2", "gpu": None, "gpu_count": 0},
        "hardware_id": "77d1aeb17bcb",
        "host": "node",
        "threads": 1,
        "dataset_digest": cell.dataset.digest,
        "started": "2026-11-21T05:00:00+00:00",
        "finished": "2026-11-21T05:01:00+00:00",
    }


def _json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")


def study_copy(folder: Path, name: str, **changes: Any) -> Path:
    """A copy of config/ with the AIME Fig. 1 study, changed, under another name. Its folder.

    Without the claims: the change may have other variants.
    """
    config = folder / "config"
    shutil.copytree(config_dir(), config)
    content = yaml.safe_load((config / "studies/aime_fig1_constant_lr.yaml").read_text())
    del content["claims"]
    (config / f"studies/{name}.yaml").write_text(json.dumps(content | changes))
    return config


def collected(plan: StudyPlan, results: Path, **options: Any) -> StudyData:
    """Write a plan's cells, collect them, and load what was collected."""
    write_cells(plan, results / "cells", **options)
    records, _ = collect.collect(plan, results / "cells", partial=bool(options.get("missing")))
    folder = results / "studies" / plan.scale_name / plan.name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "runs.csv").write_text(collect.runs_table(plan, records))
    (folder / "epochs.csv").write_text(collect.epochs_table(plan, records))
    (folder / "steps.csv").write_text(collect.steps_table(plan, records))
    return load(plan, folder / "runs.csv", folder / "epochs.csv")
