"""What is said while the workflow runs: how many cells are done, how long the rest will take."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from .plan import Cell, StudyPlan
from .status import CellStatus, cells_of, duration, of_cell
from .time_left import FINISHED, Pace, seconds_left

LOOK_S = 10.0
TELL_S = 300.0
"""A line is written when a cell has ended, and every so often when none has."""


class Watch(threading.Thread):
    """Looks at the results beside a running Snakemake; ends with it.

    at_once: cells that can run side by side. What they get done together, with the time between
    jobs and in a cluster's queue, is measured as soon as enough of them have ended.
    say: where a line goes.
    """

    def __init__(
        self, plans: Iterable[StudyPlan], results: Path, slurm_logs: Path, at_once: int,
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        super().__init__(daemon=True, name="watch")
        self.named = cells_of(plans)
        self.cells = {cell.id: cell for cell, _ in self.named.values()}
        self.results, self.slurm_logs = results, slurm_logs
        self.at_once, self.say = at_once, say
        self.pace = Pace(results)
        self.since, self.began, self.told_at = time.time(), time.monotonic(), 0.0
        self.rows: dict[str, CellStatus] = {}
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
            if self.is_alive():
                self.join()
            self.tell(last=True)

    def look(self) -> list[CellStatus]:
        """Where the cells stand; those that are done are read once, as of a thousand cells they
        are most."""
        for key, named in self.named.items():
            if key not in self.rows or self.rows[key].state not in FINISHED:
                row = of_cell(*named, self.results, self.slurm_logs)
                self.rows[key] = self.now(row)
                if row.state in FINISHED:
                    self.pace.learn(self.cells[key])
        return list(self.rows.values())

    def tell(self, last: bool = False) -> None:
        """A line when something is new, or when none was said for long."""
        rows = self.look()
        done = {row.cell for row in rows if row.state in FINISHED}
        self.earlier = done if self.earlier is None else self.earlier
        new = (len(done), sum(row.state == "failed" for row in rows))
        now = time.monotonic()
        if last or new != self.told or now - self.told_at >= TELL_S:
            self.told, self.told_at = new, now
            left = None if last else left_text(rows, self.cells, self.pace, self.side_by_side(done))
            self.say(line(rows, left))

    def now(self, row: CellStatus) -> CellStatus:
        """A cell as this run sees it: one that failed in an earlier run is tried again."""
        if row.state == "failed" and row.log is not None and modified(row.log) < self.since:
            return replace(row, state="planned")
        return row

    def side_by_side(self, done: set[str]) -> float:
        """Seconds of cells that pass in a second."""
        mine = done - (self.earlier or set())
        if len(mine) < 2 * self.at_once:
            return self.at_once
        passed = sum(self.pace.seconds(self.cells[cell]) or 0.0 for cell in mine)
        return min(self.at_once, passed / (time.monotonic() - self.began)) or self.at_once


def modified(path: Path) -> float:
    """When a file was written; now, if it has just been deleted."""
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()


def line(rows: list[CellStatus], left: str | None) -> str:
    """`12:34:56  57 of 204 cells done, 2 running, 1 failed; about 12 min of training left`.

    left: how long the rest will take; None at the end, when nothing runs any more.
    """
    states = [row.state for row in rows]
    text = f"{sum(state in FINISHED for state in states)} of {len(rows)} cells done"
    for state in ("running", "failed", "damaged") if left else ("failed", "damaged"):
        if state in states:
            text += f", {states.count(state)} {state}"
    return f"{time.strftime('%H:%M:%S')}  {text}" + (f"; {left}" if left else "")


def left_text(rows: list[CellStatus], cells: Mapping[str, Cell], pace: Pace, at_once: float) -> str:
    """How long the rest will take, in words."""
    if all(row.state in FINISHED for row in rows):
        return "tables, figures and the report are left"
    seconds = seconds_left(rows, cells, pace, at_once)
    if seconds is None:
        return "the time left is known when a cell is done"
    return f"about {duration(seconds)} of training left"
