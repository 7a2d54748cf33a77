"""What is said while the workflow runs: how many cells are done, how long the rest will take."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from .grid import StudyPlan
from .status import CellStatus, duration, of_plans
from .time_left import FINISHED, seconds_left

LOOK_S = 10.0
TELL_S = 300.0
"""A line is written when a cell has ended, and every so often when none has."""


class Watch(threading.Thread):
    """Looks at the results beside a running Snakemake; ends with it.

    at_once: cells that can run side by side. What they get done together, with the time between
    jobs and in a cluster's queue, is measured as soon as enough of them have ended.
    """

    def __init__(
        self, plans: Sequence[StudyPlan], results: Path, slurm_logs: Path, at_once: int,
        say: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
    ) -> None:  # fmt: skip
        super().__init__(daemon=True, name="watch")
        self.look = lambda: of_plans(plans, results, slurm_logs)
        self.at_once, self.say = at_once, say
        self.since, self.began, self.told_at = time.time(), time.monotonic(), 0.0
        self.earlier: set[str] | None = None
        """Cells that were done before."""
        self.told = (-1, -1)
        self._ended = threading.Event()

    def run(self) -> None:
        """Tell what is new until `end` is called."""
        while not self._ended.is_set():
            self.tell()
            self._ended.wait(LOOK_S)

    def end(self) -> None:
        """Say the last line."""
        if not self._ended.is_set():
            self._ended.set()
            self.tell(last=True)

    def tell(self, last: bool = False) -> None:
        """A line when something is new, or when none was said for long."""
        rows = [self.now(row) for row in self.look()]
        done = {row.cell for row in rows if row.state in FINISHED}
        self.earlier = done if self.earlier is None else self.earlier
        new = (len(done), sum(row.state == "failed" for row in rows))
        now = time.monotonic()
        if last or new != self.told or now - self.told_at >= TELL_S:
            self.told, self.told_at = new, now
            self.say(line(rows, self.side_by_side(rows), running=not last))

    def now(self, row: CellStatus) -> CellStatus:
        """A cell as this run sees it: one that failed in an earlier run is tried again."""
        if row.state == "failed" and row.log is not None and modified(row.log) < self.since:
            return replace(row, state="planned")
        return row

    def side_by_side(self, rows: list[CellStatus]) -> float:
        """Seconds of cells that pass in a second."""
        mine = [r for r in rows if r.state in FINISHED and r.cell not in (self.earlier or ())]
        if len(mine) < 2 * self.at_once:
            return self.at_once
        elapsed = time.monotonic() - self.began
        return min(self.at_once, sum(row.wall_s or 0.0 for row in mine) / elapsed)


def modified(path: Path) -> float:
    """When a file was written; now, if it has just been deleted."""
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()


def line(rows: list[CellStatus], at_once: float, running: bool = True) -> str:
    """`12:34:56  57 of 204 cells done, 2 running, 1 failed; about 12 min of training left`."""
    states = [row.state for row in rows]
    text = f"{sum(state in FINISHED for state in states)} of {len(rows)} cells done"
    for state in ("running", "failed") if running else ("failed",):
        if state in states:
            text += f", {states.count(state)} {state}"
    if running:
        text += f"; {left_text(rows, at_once)}"
    return f"{time.strftime('%H:%M:%S')}  {text}"


def left_text(rows: list[CellStatus], at_once: float) -> str:
    """How long the rest will take, in words."""
    if all(row.state in FINISHED for row in rows):
        return "tables, figures and the report are left"
    seconds = seconds_left(rows, at_once)
    if seconds is None:
        return "the time left is known when a cell is done"
    return f"about {duration(seconds)} of training left"
