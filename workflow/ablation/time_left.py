"""How long the cells that are left will take, judged by those that are done."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from . import estimate
from .plan import Cell
from .status import CellStatus

FINISHED = ("done", "diverged")


@dataclass
class _Seen:
    """Finished cells of one kind, added up."""

    cells: int = 0
    start_s: float = 0.0
    epoch_s: float = 0.0
    images: int = 0
    """Of an epoch."""


class Pace:
    """What cells take, learnt from finished ones.

    From the mean of those that do the same work in an epoch (`estimate.work`); where none is done,
    of those with the same model and image size, else of all, by the images of an epoch. What is
    asked of a cluster follows the slowest and is never guessed from unlike cells: a limit that is
    too low ends a job, a time left that is wrong only misleads.
    """

    def __init__(self, results: Path) -> None:
        self.results = results
        self._seen: dict[Hashable, _Seen] = {}
        self._known: set[str] = set()
        self._keys: dict[str, tuple[Hashable, ...]] = {}

    def learn(self, cell: Cell) -> None:
        """Take note of a finished cell; it is read once."""
        if cell.id in self._known:
            return
        self._known.add(cell.id)
        took = estimate.of_cell(self.results, cell.id)
        if took is None:
            return
        for key in self._kinds(cell):
            seen = self._seen.setdefault(key, _Seen())
            seen.cells += 1
            seen.start_s += took.start_s
            seen.epoch_s += took.epoch_s
            seen.images += _images(cell)

    def seconds(self, cell: Cell) -> float | None:
        """Of a whole cell; None when nothing is known."""
        for key in self._kinds(cell):
            if (seen := self._seen.get(key)) is not None:
                each = seen.epoch_s / seen.images
                return seen.start_s / seen.cells + cell.config.epochs * _images(cell) * each
        return None

    def left(self, cell: Cell, row: CellStatus) -> float | None:
        """Seconds that a cell still wants; None when nothing is known."""
        if row.state in FINISHED:
            return 0.0
        if row.left_s is not None:
            return row.left_s
        whole = self.seconds(cell)
        return None if whole is None else whole * (1 - row.epoch / max(row.epochs, 1))

    def _kinds(self, cell: Cell) -> tuple[Hashable, ...]:
        """What a cell is like, the nearest first."""
        if cell.id not in self._keys:
            shape = (repr(cell.config.model), cell.config.img_size)
            loader = cell.variant.loader is not None  # reads images and trains nothing
            self._keys[cell.id] = (estimate.work(cell), (shape, loader), loader, "any")
        return self._keys[cell.id]


def _images(cell: Cell) -> int:
    return max(cell.dataset.images("train", cell.config.train_share), 1)


def seconds_left(
    rows: Iterable[CellStatus], cells: Mapping[str, Cell], pace: Pace, at_once: float
) -> float | None:
    """Seconds until all are done with so many side by side; None when nothing is known.

    Cells that failed are left out: they are not tried again before the workflow is. So are damaged
    ones, which somebody has to look at.
    """
    tried = (row for row in rows if row.state not in ("failed", "damaged"))
    left = [pace.left(cells[row.cell], row) for row in tried]
    if any(seconds is None for seconds in left):
        return None
    return max(sum(left) / at_once, max(left, default=0.0))
