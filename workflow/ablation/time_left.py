"""How long the cells that are left will take, judged by those that are done."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable

from .status import CellStatus

FINISHED = ("done", "diverged")


class Estimate:
    """Seconds of a cell: those of the start, and of each image as often as it is seen.

    Images are counted rather than epochs, which differ from 1 to 33 and in their length. Seconds
    an image are those of cells of the same variant, else of the same model on images of the same
    size, else of all that are done.
    """

    def __init__(self, rows: Iterable[CellStatus]) -> None:
        seconds: dict[Hashable, float] = defaultdict(float)
        images: dict[Hashable, int] = defaultdict(int)
        starts = []
        for row in rows:
            if row.state in FINISHED and row.wall_s is not None and row.epoch:
                starts.append(row.startup_s)
                for key in _keys(row):
                    seconds[key] += row.wall_s - row.startup_s
                    images[key] += row.epoch * row.images
        self.start_s = sum(starts) / len(starts) if starts else 0.0
        self.per_image = {key: seconds[key] / images[key] for key in images if images[key]}

    def whole(self, row: CellStatus) -> float | None:
        """Seconds of a cell from its start to its end; None before any is done."""
        known = [self.per_image[key] for key in _keys(row) if key in self.per_image]
        return self.start_s + row.epochs * row.images * known[0] if known else None

    def left(self, row: CellStatus) -> float | None:
        """Seconds that a cell still wants; None when nothing is known of it."""
        if row.state in FINISHED:
            return 0.0
        if row.left_s is not None:
            return row.left_s
        whole = self.whole(row)
        return None if whole is None else whole * (1 - row.epoch / max(row.epochs, 1))


def _keys(row: CellStatus) -> tuple[Hashable, ...]:
    """What a cell's seconds are taken from, the nearest first."""
    return (row.study, row.variant), row.kind, "any"


def seconds_left(rows: list[CellStatus], at_once: float) -> float | None:
    """Seconds until all are done with so many side by side; None when nothing is known.

    Cells that failed are left out: they are not tried again before the workflow is.
    """
    estimate = Estimate(rows)
    left = [estimate.left(row) for row in rows if row.state != "failed"]
    if any(seconds is None for seconds in left):
        return None
    return max((sum(left) / max(at_once, 1), *_running(rows)), default=0.0)


def _running(rows: list[CellStatus]) -> list[float]:
    return [row.left_s for row in rows if row.state == "running" and row.left_s is not None]
