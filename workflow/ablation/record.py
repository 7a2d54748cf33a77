"""What a cell writes: metrics that repeat bit for bit, and apart from them its times."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import os
import shutil
from pathlib import Path
from typing import Any

from .checkpoint import write_tensors
from .errors import UserError
from .files import disk_error, stable_json, write_text

# Accuracies, in percent, for which every cell records when it first reached them.
THRESHOLDS = tuple(range(10, 100, 5))
RESULTS = (
    *("cell.json", "epochs.csv", "timing.json", "provenance.json", "weights.pt"),
    "metrics.json",
)
_TIMES = ("train_time_s", "eval_time_s", "images_per_s")


def reached(epochs: list[dict[str, Any]], threshold: float) -> int | None:
    """First epoch (from 1) whose validation top-1, in percent, is at least `threshold`."""
    return next((e["epoch"] for e in epochs if e["val_top1"] >= threshold), None)


def best_epoch(epochs: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Epoch of the highest validation top-1, the first of equals."""
    if not epochs:
        return None
    best = max(epochs, key=lambda e: (e["val_top1"], -e["epoch"]))
    return {key: best[key] for key in ("epoch", "val_top1", "val_top5")}


def metrics(
    cell_id: str,
    epochs: list[dict[str, Any]],
    diverged_at: dict[str, int | None] | None,
    facts: dict[str, Any],
) -> dict[str, Any]:
    """The content of metrics.json. epochs: one record an epoch, times already taken out."""
    return {
        "cell_id": cell_id,
        "status": "completed" if diverged_at is None else "diverged",
        "last": epochs[-1] if diverged_at is None else None,
        "best": best_epoch(epochs),
        "diverged_at": diverged_at,
        "epochs_to_top1": {str(t): reached(epochs, t) for t in THRESHOLDS},
        **facts,
        "epochs": epochs,
    }


def seconds_to(epochs: list[dict[str, Any]], times: list[dict[str, float]]) -> dict[str, Any]:
    """Seconds of training and evaluation until each accuracy was first reached; None if never."""
    spent = list(itertools.accumulate(t["train_time_s"] + t["eval_time_s"] for t in times))
    found = {t: reached(epochs, t) for t in THRESHOLDS}
    return {str(t): None if epoch is None else spent[epoch - 1] for t, epoch in found.items()}


def finite(record: dict[str, Any]) -> bool:
    """Whether every number of an epoch's record is finite."""
    return all(math.isfinite(v) for v in record.values() if v is not None)


def write_results(
    folder: Path,
    *,
    cell: dict[str, Any],
    metrics: dict[str, Any],
    times: list[dict[str, float]],
    timing: dict[str, Any],
    provenance: dict[str, Any],
    weights: dict[str, Any],
) -> None:
    """Write a finished cell. `metrics.json` comes last: with it the cell is done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "metrics.json").unlink(missing_ok=True)
        write_text(folder / "cell.json", stable_json(cell) + "\n")
        write_text(folder / "epochs.csv", _epochs_csv(metrics["epochs"], times))
        write_text(folder / "timing.json", stable_json(timing) + "\n")
        write_text(folder / "provenance.json", stable_json(provenance) + "\n")
        write_tensors(folder / "weights.pt", weights)
        write_text(folder / "metrics.json", stable_json(metrics) + "\n")
    except OSError as error:
        raise disk_error(folder, error) from None


def adopt(kept: Path, folder: Path) -> None:
    """Put a cell's results, whole in `kept`, into `folder`; `metrics.json` comes last.

    Snakemake deletes the outputs of a job that failed, was interrupted or shared its fate with
    other cells: what was trained by then is put back from here. Links take no room.
    """
    try:
        for name in RESULTS:
            temporary = folder / f".{name}.{os.getpid()}.tmp"
            temporary.unlink(missing_ok=True)
            os.link(kept / name, temporary)
            os.utime(temporary)  # newer than the job's inputs
            os.replace(temporary, folder / name)
            temporary.unlink(missing_ok=True)  # a rename onto the same file does nothing
    except OSError as error:
        raise disk_error(folder, error) from None


def release(folder: Path) -> None:
    """Drop what `adopt` puts back, once the results in `folder` are known to stay."""
    if (folder / "metrics.json").is_file():
        shutil.rmtree(folder / ".kept", ignore_errors=True)


def complete(folder: Path, cell_id: str) -> bool:
    """Whether a cell's results are all there; UserError when they are another cell's."""
    if not all((folder / name).is_file() for name in RESULTS):
        return False
    try:
        found = json.loads((folder / "metrics.json").read_text()).get("cell_id")
    except (OSError, ValueError, AttributeError):
        return False
    if found != cell_id:
        raise UserError(f"{folder}: holds the results of cell {found}, not of {cell_id}")
    return True


def _epochs_csv(epochs: list[dict[str, Any]], times: list[dict[str, float]]) -> str:
    out = io.StringIO()
    rows = [{**e, **t} for e, t in zip(epochs, times, strict=True)]
    columns = list(rows[0]) if rows else ["epoch", *_TIMES]
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
