"""Where every cell stands, read from the results alone: the same while jobs run and after."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import causes, lease, progress
from .plan import Cell, StudyPlan
from .results import CellRecord, DamagedCell, MissingCell, read_cell

START_S = 30.0
"""Planning and a lease take a second or two, on a machine with other work ten."""
STATES = ("running", "waiting", "stopped", "failed", "damaged", "planned", "diverged", "done")


@dataclass(frozen=True)
class CellStatus:
    """One cell as a row of the table."""

    cell: str
    study: str
    variant: str
    seed: int
    state: str
    """One of STATES. waiting: sent to the cluster and not begun; stopped: goes on from its
    checkpoint when it is started again; failed: the last attempt ended with an error; damaged: its
    results cannot be read, and it is not trained again before its folder is deleted."""
    epochs: int
    epoch: int = 0
    top1: float | None = None
    """Validation top-1 of the last finished epoch, percent."""
    images_per_s: float | None = None
    left_s: float | None = None
    node: str = ""
    log: Path | None = None
    note: str = ""
    """Why it failed, what is damaged, or what is odd about it."""


def of_plans(plans: Iterable[StudyPlan], results: Path, slurm_logs: Path) -> list[CellStatus]:
    """Every cell of some studies, each once, in the order of the plan; also those whose weights
    they start from."""
    return [of_cell(*named, results, slurm_logs) for named in cells_of(plans).values()]


def cells_of(plans: Iterable[StudyPlan]) -> dict[str, tuple[Cell, str]]:
    """Every cell of some studies by its id, with the first study that asks for it."""
    found: dict[str, tuple[Cell, str]] = {}
    for plan in plans:
        for cell in (*plan.cells, *plan.parents):
            found.setdefault(cell.id, (cell, plan.name))
    return found


def of_cell(cell: Cell, study: str, results: Path, slurm_logs: Path) -> CellStatus:
    """Where one cell stands."""
    base = {
        "cell": cell.id,
        "study": study,
        "variant": cell.variant.label,
        "seed": cell.config.seed,
        "epochs": cell.config.epochs,
    }
    return _of_cell(base, results, slurm_logs)


def _of_cell(base: dict[str, Any], results: Path, slurm_logs: Path) -> CellStatus:
    cell = base["cell"]
    log = results / "logs/train" / f"{cell}.log"
    base = base | {"log": log if log.is_file() else None}
    try:
        return _finished(base, read_cell(results / "cells" / cell, cell))
    except DamagedCell as error:
        return CellStatus(**base, state="damaged", note=str(error))
    except MissingCell:
        return _unfinished(base, results, slurm_logs)


def _unfinished(base: dict[str, Any], results: Path, slurm_logs: Path) -> CellStatus:
    """A cell without results: by its lease, its log and what it noted on its way."""
    cell = base["cell"]
    log = results / "logs/train" / f"{cell}.log"
    folder = results / "checkpoints" / cell
    begun = progress.read(folder / progress.NAME)
    base |= {"epoch": begun.get("epoch", 0), "top1": begun.get("val_top1")}
    held = folder / "lease.json"
    if lease.alive(held):
        holder = lease.read(held) or {}
        node = holder.get("node") or holder.get("host") or ""
        job = f" (job {holder['job']})" if holder.get("job") else ""
        speed = {key: begun.get(key) for key in ("images_per_s", "left_s")}
        return CellStatus(
            **base, **speed, state="running", node=f"{node}{job}", note=lease.ahead(held)
        )
    if base["log"] is None:
        rules = ("rule_train_cell", "rule_time_loader")
        sent = any((slurm_logs / rule / cell).is_dir() for rule in rules)
        return CellStatus(**base, state="waiting" if sent else "planned")
    if _starts(log):
        return CellStatus(**base, state="running")
    note = causes.of_log(log, slurm_logs)
    if note == causes.STOPPED:
        return CellStatus(**base, state="stopped")
    return CellStatus(**base, state="failed", note=note)


def _starts(log: Path) -> bool:
    """Whether an attempt has begun a moment ago: its lease comes a second after its log."""
    lines = causes.last_attempt(log)
    said = len(lines) > 1 or any(line.startswith("error: ") for line in lines)
    return not said and time.time() - log.stat().st_mtime < START_S


def _finished(base: dict[str, Any], record: CellRecord) -> CellStatus:
    """A cell with results. Of a diverged one, and of one that only reads, there may be no
    accuracy."""
    epochs = record.metrics["epochs"]
    return CellStatus(
        **base | {"epoch": len(epochs)},
        state="done" if record.metrics["status"] == "completed" else "diverged",
        top1=epochs[-1].get("val_top1") if epochs else None,
        images_per_s=record.timing["images_per_s"],
        node=record.provenance.get("host") or "",
    )


def totals(rows: list[CellStatus]) -> str:
    """One line: how many cells are in which state, and how far all of them are."""
    counts = Counter(row.state for row in rows)
    said = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
    over = sum(row.epochs if row.state in ("done", "diverged") else row.epoch for row in rows)
    wanted = sum(row.epochs for row in rows)
    return f"{len(rows)} cells: {said}; {100 * over / max(wanted, 1):.0f} % of {wanted} epochs"


def duration(seconds: float | None) -> str:
    """Seconds as people say them: `45 s`, `12 min`, `3.5 h`."""
    if seconds is None:
        return ""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
