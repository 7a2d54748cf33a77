"""Collect: the cells of a study become two tidy tables, a row a cell and a row an epoch.

The order of columns is fixed by the plan, numbers keep full precision. Nothing is averaged here.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from . import diagnosis
from .csv_text import guarded
from .grid import Cell, StudyPlan, Variant
from .meters import READINGS
from .results import (
    EPOCH_METRICS,
    EPOCH_TIMES,
    LOADER_TIMES,
    LOADER_TIMING,
    RAW_METRICS,
    TIMING,
    CellRecord,
    DamagedCell,
    MissingCell,
    read_cell,
)

# Computed here from a cell's epochs (diagnosis.py), so that cells of any age have them.
DIAGNOSIS = ("val_loss_spikes", "val_loss_spike_height", "fit", "clean_gap", "running_gap")
PROVENANCE = ("hardware_id", "machine", "torch", "packages", "code_version")
# Recorded, and no number comes from it.
_NO_MATTER = ("snakemake",)


def collect(
    plan: StudyPlan, cells: Path, partial: bool = False
) -> tuple[dict[str, CellRecord], list[str]]:
    """Records by cell id, and a sentence for every cell that is not there.

    Without `partial` the first missing or damaged cell is an error.
    """
    records: dict[str, CellRecord] = {}
    absent = []
    for cell in plan.cells:
        try:
            records[cell.id] = read_cell(cells / cell.id, cell.id)
        except (MissingCell, DamagedCell) as error:
            message = (
                f"cell {cell.id} ({cell.variant.label}, seed {cell.config.seed}): {error}; "
                f"its log: {log_of(cells, cell.id)}"
            )
            if not partial:
                raise type(error)(f"{plan.name} at scale {plan.scale_name}: {message}") from None
            kind = "damaged" if isinstance(error, DamagedCell) else "missing"
            absent.append(f"{kind}: {message}")
    return records, absent


def log_of(cells: Path, cell_id: str) -> Path:
    """Where the training of a cell logs, beside the cells' directory."""
    return cells.parent / "logs" / "train" / f"{cell_id}.log"


def axis_columns(plan: StudyPlan) -> list[str]:
    """`axis.{key}` for each axis of the grid, and for named rows."""
    return [f"axis.{key}" for key in axes_of(plan)]


def axes_of(plan: StudyPlan) -> list[str]:
    """The axes of a plan in the study's order; named rows are an axis `row`."""
    return list(dict.fromkeys(key for v in plan.variants for key in v.axes))


def scaled_axes(plan: StudyPlan) -> list[str]:
    """The axes whose values the scale has changed for at least one variant."""
    return [k for k in axes_of(plan) if any(at_scale(v, k) is not None for v in plan.variants)]


def at_scale(variant: Variant, axis: str) -> Any:
    """A variant's plain value of an axis at this scale; None where it is as in the document."""
    here, document = (_setting(t, axis) for t in (variant.training, variant.document))
    plain = isinstance(here, (int, float, str)) and not isinstance(here, bool)
    return here if axis in variant.axes and plain and here != document else None


def _setting(model: Any, key: str) -> Any:
    for part in key.split("."):
        model = getattr(model, part, None)
    return model


def threshold_name(threshold: float) -> str:
    """A threshold as it stands in column names: 70, 82.5."""
    return f"{threshold:g}"


def runs_table(plan: StudyPlan, records: dict[str, CellRecord]) -> str:
    """runs.csv: a row a cell, in the plan's order."""
    rows = [_run(plan, cell, records.get(cell.id)) for cell in plan.cells]
    return _csv(run_columns(plan), rows)


def epochs_table(plan: StudyPlan, records: dict[str, CellRecord]) -> str:
    """epochs.csv: a row for every epoch of every cell that is there."""
    measured = (*EPOCH_METRICS, *RAW_METRICS, *EPOCH_TIMES, *READINGS)
    if plan.config.kind == "loader":
        measured = ("images", *LOADER_TIMES)
    columns = [*_labels(plan), "status", "epoch", *measured]
    rows = []
    for cell in plan.cells:
        record = records.get(cell.id)
        if record is None:
            continue
        labels = {**_cell_labels(plan, cell), "status": record.metrics["status"]}
        for epoch, times in zip(record.metrics["epochs"], record.times, strict=True):
            found = {**epoch, **times}
            rows.append({**labels, **{key: found.get(key) for key in ("epoch", *measured)}})
    return _csv(columns, rows)


def steps_table(plan: StudyPlan, records: dict[str, CellRecord]) -> str:
    """steps.csv: a row for every step of the cells that record them (range tests)."""
    rows = []
    for cell in plan.cells:
        steps = records[cell.id].metrics.get("steps") if cell.id in records else None
        labels = _cell_labels(plan, cell)
        pairs = zip(steps["lr"], steps["loss"], strict=True) if steps else ()
        rows += [
            {**labels, "step": step, "lr": lr, "loss": loss}
            for step, (lr, loss) in enumerate(pairs, 1)
        ]
    return _csv([*_labels(plan), "step", "lr", "loss"], rows)


def run_columns(plan: StudyPlan) -> list[str]:
    """Columns of runs.csv, in order."""
    if plan.config.kind == "loader":
        counts = ("status", "epochs", "train_images")
        return [*_labels(plan), *counts, *TIMING, *LOADER_TIMING, *PROVENANCE]
    thresholds = [
        f"{kind}_{threshold_name(t)}"
        for t in plan.scale.thresholds
        for kind in (
            *("epochs_to", "seconds_to", "censored"),
            *("epochs_to_hold", "seconds_to_hold", "censored_hold"),
        )
    ]
    return [
        *_labels(plan),
        "status",
        "diverged_epoch",
        "diverged_step",
        "epochs",
        *EPOCH_METRICS,
        *RAW_METRICS,
        "best_val_top1",
        "best_val_top5",
        "best_epoch",
        *thresholds,
        *DIAGNOSIS,
        "noise_scale",
        "parameters",
        *TIMING,
        "epoch_time_s",
        *READINGS,
        "energy_source",
        *PROVENANCE,
    ]


def _labels(plan: StudyPlan) -> list[str]:
    scaled = [f"at_scale.{key}" for key in scaled_axes(plan)]
    return ["cell_id", "variant", *axis_columns(plan), *scaled, "seed"]


def _cell_labels(plan: StudyPlan, cell: Cell) -> dict[str, Any]:
    variant = cell.variant
    labels = {"cell_id": cell.id, "variant": variant.label, "seed": cell.config.seed}
    labels |= {f"axis.{key}": value for key, value in variant.axes.items()}
    for key in scaled_axes(plan):
        if key in variant.axes:
            here = at_scale(variant, key)
            labels[f"at_scale.{key}"] = variant.axes[key] if here is None else here
    return labels


def _run(plan: StudyPlan, cell: Cell, record: CellRecord | None) -> dict[str, Any]:
    row = _cell_labels(plan, cell)
    if record is None:
        return {**row, "status": "missing"}
    metrics = record.metrics
    row |= {key: record.timing.get(key) for key in TIMING} | _origin(record)
    if plan.config.kind == "loader":
        row |= {key: record.timing.get(key) for key in LOADER_TIMING}
        row |= {"train_images": metrics["train_images"], "epochs": len(metrics["epochs"])}
        return {**row, "status": metrics["status"]}
    best, where = metrics.get("best") or {}, metrics.get("diverged_at") or {}
    row |= {"status": metrics["status"], "epochs": len(metrics["epochs"])}
    row |= {"diverged_epoch": where.get("epoch"), "diverged_step": where.get("step")}
    row |= {key: (metrics.get("last") or {}).get(key) for key in (*EPOCH_METRICS, *RAW_METRICS)}
    row |= {f"best_{key}": best.get(key) for key in ("val_top1", "val_top5", "epoch")}
    for threshold in plan.scale.thresholds:
        row |= _time_to(record, threshold)
    row |= _diagnosed(record, cell)
    row |= {key: metrics.get(key) for key in ("noise_scale", "parameters")}
    row |= {key: record.timing.get(key) for key in (*READINGS, "energy_source")}
    times = [t["train_time_s"] + t["eval_time_s"] for t in record.times]
    return {**row, "epoch_time_s": _mean(times)}


def _origin(record: CellRecord) -> dict[str, Any]:
    """The columns of PROVENANCE."""
    origin = record.provenance
    packages, parts = origin.get("packages") or {}, origin.get("hardware") or {}
    versions = {k: v for k, v in packages.items() if k not in _NO_MATTER}
    versions |= {"python": origin["python"]} if origin.get("python") else {}
    return {
        "hardware_id": origin.get("hardware_id"),
        "machine": ", ".join(str(parts[k]) for k in ("gpu", "cpu", "isa") if parts.get(k)),
        "torch": packages.get("torch"),
        "packages": ", ".join(f"{name} {versions[name]}" for name in sorted(versions)),
        "code_version": origin.get("code_version"),
    }


def _time_to(record: CellRecord, threshold: float) -> dict[str, Any]:
    """Epochs and seconds (training and evaluation) until an accuracy was reached, and from when it
    was held; censored when it was not."""
    name, diverged = threshold_name(threshold), record.metrics["status"] == "diverged"
    found = diagnosis.time_to(record.metrics["epochs"], record.times, threshold, diverged=diverged)
    return {
        f"epochs_to_{name}": found.epochs,
        f"seconds_to_{name}": found.seconds,
        f"censored_{name}": found.epochs is None,
        f"epochs_to_hold_{name}": found.epochs_held,
        f"seconds_to_hold_{name}": found.seconds_held,
        f"censored_hold_{name}": found.epochs_held is None,
    }


def _diagnosed(record: CellRecord, cell: Cell) -> dict[str, Any]:
    """Spikes of the validation loss; over- or underfitting at the last epoch, with its gaps."""
    metrics = record.metrics
    images = [metrics.get(f"{split}_images") or 0 for split in ("train", "val")]
    fit = diagnosis.fit_record(metrics.get("last"), cell.config.measure.clean_images, *images)
    clean, running = (fit[f"fit_{name}"] or {} for name in ("clean", "running"))
    gaps = {"clean_gap": clean.get("gap"), "running_gap": running.get("gap")}
    return {**diagnosis.spike_record(metrics["epochs"]), "fit": clean.get("category"), **gaps}


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _csv(columns: list[str], rows: list[dict[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n", extrasaction="raise")
    writer.writeheader()
    writer.writerows({key: guarded(value) for key, value in row.items()} for row in rows)
    return out.getvalue()
