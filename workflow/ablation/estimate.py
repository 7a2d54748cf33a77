"""What a cell will need, from what finished cells like it took: time to ask of the cluster, memory.

Like are cells that do the same work in an epoch; learning rate, schedule, seed and the number of
epochs may differ. Where no such cell is finished, nothing is estimated.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .config.resources import Resources
from .foreign import LARGE, Unreadable, read_text
from .identity import digest
from .plan import Cell
from .results import Spent, typed

# Of a cell's settings, those that do not change what an epoch costs.
_FREE = {"seed", "epochs", "lr", "schedule", "clip_grad_norm", "pretrained"}
# So many finished cells are read: seeds and rates of one study are alike enough, and a plan of a
# thousand cells is not to open a thousand files.
_ENOUGH = 5
# Asked for is half as much again: nodes differ, and others use them too. Beside that the starts of
# Snakemake and Python in the job, minutes on a slow file system.
_TIMES, _STARTS_MIN = 1.5, 3


@dataclass(frozen=True)
class Took:
    """What cells took, each figure that of the one that took most."""

    start_s: float
    """From the start of the program to the first step."""
    epoch_s: float
    """An epoch of training and its evaluation."""
    memory_mb: float | None
    """Memory of the host, all processes of the cell; None if Snakemake did not measure it."""

    def seconds(self, epochs: int) -> float:
        """Of a cell of so many epochs."""
        return self.start_s + epochs * self.epoch_s


class Estimates:
    """What finished cells took, read when it is asked for."""

    def __init__(self, cells: Iterable[Cell], results: Path) -> None:
        self.results = results
        self._like: dict[str, list[Cell]] = {}
        self._found: dict[str, Took | None] = {}
        for cell in cells:
            self._like.setdefault(work(cell), []).append(cell)

    def took(self, cell: Cell) -> Took | None:
        """What finished cells like this one took; None if there are none."""
        like = work(cell)
        if like not in self._found:
            self._found[like] = self._read(self._like.get(like, []))
        return self._found[like]

    def resources(self, asked: Resources, cell: Cell) -> Resources:
        """What to ask for: measured where it can be, within the maxima, else as it is set."""
        took = self.took(cell) if asked.estimate and cell.variant.loader is None else None
        if took is None:
            return asked
        minutes = took.seconds(cell.config.epochs) / 60
        found = {"runtime": _STARTS_MIN + math.ceil(_TIMES * minutes)}
        if took.memory_mb is not None:
            found["mem_mb"] = 100 * math.ceil(_TIMES * took.memory_mb / 100)
        for key, value in found.items():
            most = getattr(asked, f"max_{key}")
            found[key] = value if most is None else min(value, most)
        return asked.model_copy(update=found)

    def _read(self, cells: list[Cell]) -> Took | None:
        found = []
        for cell in cells:
            if (took := of_cell(self.results, cell.id)) is not None:
                found.append(took)
            if len(found) == _ENOUGH:
                break
        if not found:
            return None
        memory = [took.memory_mb for took in found if took.memory_mb is not None]
        return Took(
            max(took.start_s for took in found),
            max(took.epoch_s for took in found),
            max(memory, default=None),
        )


def work(cell: Cell) -> str:
    """Names cells that do the same work in an epoch."""
    return digest([cell.dataset.digest, cell.config.model_dump(mode="json", exclude=_FREE)])


def of_cell(results: Path, cell: str) -> Took | None:
    """What one cell took; None if it is not finished, or has no whole epoch."""
    folder = results / "cells" / cell
    try:
        timing = typed(folder / "timing.json", Spent)
        epochs = len(read_text(folder / "epochs.csv", LARGE).splitlines()) - 1
    except (OSError, Unreadable):
        return None
    if epochs < 1:
        return None
    spent = timing.train_time_s + timing.eval_time_s
    return Took(max(timing.startup_time_s or 0.0, 0.0), spent / epochs, _memory(results, cell))


def _memory(results: Path, cell: str) -> float | None:
    """Most memory in MB of a job's processes, as Snakemake measured it."""
    try:
        lines = read_text(results / f"logs/train/{cell}.benchmark.tsv").splitlines()
        rows = csv.DictReader(lines, delimiter="\t")
        most = max(float(row["max_rss"]) for row in rows)
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return None  # a job of under a second has no value
    return most if 0 <= most < 1e9 else None
