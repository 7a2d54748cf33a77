"""What a cell writes: metrics that repeat bit for bit, and apart from them its times."""

from __future__ import annotations

import csv
import io
import math
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import diagnosis
from .checkpoint import write_tensors
from .errors import DataError, UserError
from .files import disk_error, own_file, own_folder, stable_json, write_text
from .foreign import LARGE, Unreadable
from .results import FILES, Named, typed

if TYPE_CHECKING:
    from .grid import Cell

# Accuracies, in percent, for which every cell records when it first reached them.
THRESHOLDS = tuple(range(10, 100, 5))
# metrics.json is the last: with it a cell is done.
RESULTS = (*(name for name in FILES if name != "metrics.json"), "weights.pt", "metrics.json")
_TIMES = ("train_time_s", "eval_time_s", "images_per_s")


def labels(cell: Cell, study: str, scale: str) -> dict[str, Any]:
    """How people name a cell, at the head of its cell.json."""
    return {
        "cell_id": cell.id,
        "study": study,
        "scale": scale,
        "variant": cell.variant.label,
        "dataset": cell.dataset.name,
        "dataset_digest": cell.dataset.digest,
    }


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
    steps: list[list[float]] | None = None,
) -> dict[str, Any]:
    """The content of metrics.json. epochs: one record an epoch, times already taken out.

    steps: [learning rate, loss] of each step, of a range test (`steps_of`).
    facts: what else is known of the cell; `clean_images`, `train_images` and `val_images` of them
    are needed for the diagnosis of over- and underfitting.
    """
    last = epochs[-1] if diverged_at is None else None
    lost = diverged_at is not None
    images = [facts.get(f"{name}_images") or 0 for name in ("clean", "train", "val")]
    return {
        "cell_id": cell_id,
        "status": "completed" if diverged_at is None else "diverged",
        "last": last,
        "best": best_epoch(epochs),
        "diverged_at": diverged_at,
        "epochs_to_top1": {str(t): diagnosis.reached(epochs, t) for t in THRESHOLDS},
        "epochs_to_hold_top1": {
            str(t): None if lost else diagnosis.held(epochs, t) for t in THRESHOLDS
        },
        **diagnosis.spike_record(epochs),
        **diagnosis.fit_record(last, *images),
        **facts,
        **(
            {"steps": {"lr": [s[0] for s in steps], "loss": [s[1] for s in steps]}} if steps else {}
        ),
        "epochs": epochs,
    }


def steps_of(
    config: Any, epoch: int, first: int, steps_per_epoch: int, losses: list[float]
) -> list[list[float]]:
    """[learning rate, loss] of the steps of an epoch (both from 0) that begin with `first`."""
    times = (epoch + (first + i) / steps_per_epoch for i in range(len(losses)))
    rates = (config.schedule.lr(config.lr, time, config.epochs) for time in times)
    return [[rate, loss] for rate, loss in zip(rates, losses, strict=True)]


def seconds_to(
    epochs: list[dict[str, Any]], times: list[dict[str, Any]], *, diverged: bool
) -> dict[str, dict[str, float | None]]:
    """Seconds of training and evaluation until each accuracy was reached, and until it was held;
    None if never."""
    found = {str(t): diagnosis.time_to(epochs, times, t, diverged=diverged) for t in THRESHOLDS}
    return {
        "seconds_to_top1": {t: time.seconds for t, time in found.items()},
        "seconds_to_hold_top1": {t: time.seconds_held for t, time in found.items()},
    }


def metered(times: list[dict[str, Any]]) -> dict[str, Any]:
    """A whole cell's energy, load and power, from its epochs' readings (meters.py).

    Energies are sums: None where an epoch has none, or where attempts had other meters. Load and
    power are means over the time of the epochs that have them.
    """
    sources = {t.get("energy_source") for t in times}
    one = len(sources) == 1
    record: dict[str, Any] = {}
    for key in ("energy_j", "gpu_energy_j", "cpu_energy_j"):
        values = [t.get(key) for t in times]
        record[key] = sum(values) if values and one and None not in values else None
    for key in ("gpu_load_percent", "gpu_power_w"):
        known = [(t[key], t["train_time_s"] + t["eval_time_s"]) for t in times if _read(t, key)]
        spent = sum(seconds for _, seconds in known)
        record[key] = sum(v * s for v, s in known) / spent if spent > 0 else None
    return {**record, "energy_source": sources.pop() if one else None}


def _read(times: dict[str, Any], key: str) -> bool:
    return times.get(key) is not None


def finite(record: dict[str, Any]) -> bool:
    """Whether every number of an epoch's record is finite."""
    return all(math.isfinite(v) for v in record.values() if v is not None)


def write_results(
    folder: Path,
    *,
    cell: dict[str, Any],
    metrics: dict[str, Any],
    times: list[dict[str, Any]],
    timing: dict[str, Any],
    provenance: dict[str, Any],
    weights: dict[str, Any] | None = None,
) -> None:
    """Write a finished cell; `metrics.json` comes last: with it the cell is done.

    weights: none of a cell that only reads.
    """
    try:
        own_folder(folder)
        (folder / "metrics.json").unlink(missing_ok=True)
        write_text(folder / "cell.json", stable_json(cell) + "\n")
        write_text(folder / "epochs.csv", _epochs_csv(metrics["epochs"], times))
        write_text(folder / "timing.json", stable_json(timing) + "\n")
        write_text(folder / "provenance.json", stable_json(provenance) + "\n")
        if weights is not None:
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
            if not os.path.lexists(kept / name):
                continue  # weights: of a cell that only reads, or deleted to save room
            if not own_file(kept / name):
                raise DataError(
                    f"{kept / name}: a link, or another user's file, where a kept result is due; "
                    f"delete {kept} to train the cell again"
                )
            temporary = folder / f".{name}.{secrets.token_hex(8)}.tmp"
            os.link(kept / name, temporary, follow_symlinks=False)
            os.utime(temporary, follow_symlinks=False)  # newer than the job's inputs
            os.replace(temporary, folder / name)
            temporary.unlink(missing_ok=True)  # a rename onto the same file does nothing
    except OSError as error:
        raise disk_error(folder, error) from None


def complete(folder: Path, cell_id: str) -> bool:
    """Whether a cell's results are all there; UserError when they are another cell's."""
    if not all((folder / name).is_file() for name in RESULTS):
        return False
    try:
        found = typed(folder / "metrics.json", Named, LARGE).cell_id
    except Unreadable:
        return False
    if found != cell_id:
        raise UserError(f"{folder}: holds the results of cell {found}, not of {cell_id}")
    return True


def _epochs_csv(epochs: list[dict[str, Any]], times: list[dict[str, Any]]) -> str:
    out = io.StringIO()
    rows = [{**e, **t} for e, t in zip(epochs, times, strict=True)]
    # Of a checkpoint older than the meters, only the later epochs have their columns.
    columns = list(dict.fromkeys(key for row in rows for key in row)) or ["epoch", *_TIMES]
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
