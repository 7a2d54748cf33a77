"""Progress and time left, from finished cells of this run and of earlier ones."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import configs
import pytest
from synthetic import old_cell

from ablation.grid import Planner
from ablation.identity import digest
from ablation.plan import Cell, StudyPlan
from ablation.time_left import Pace
from ablation.watch import Watch


@pytest.fixture
def plan(tmp_path: Path) -> StudyPlan:
    """Two rates with two seeds each: four cells of the same work."""
    return Planner(configs.write(tmp_path / "config")).plan("s", "z")


def finish(results: Path, cell: str, start: float, epoch: float) -> None:
    """Leave what a finished cell of 3 epochs leaves."""
    folder = old_cell(results / "cells", cell)
    timing = json.loads((folder / "timing.json").read_text())
    timing |= {"train_time_s": 2 * epoch, "eval_time_s": epoch, "startup_time_s": start}
    (folder / "timing.json").write_text(json.dumps(timing))


def watch(plan: StudyPlan, tmp_path: Path, at_once: int = 1) -> tuple[Watch, list[str]]:
    """A watch that is asked rather than started, and what it says."""
    said: list[str] = []
    results = tmp_path / "results"
    return Watch([plan, plan], results, tmp_path / "slurm", at_once, said.append), said


def other(cell: Cell, **change: object) -> Cell:
    """A cell that differs."""
    return replace(cell, id=digest([*change]), config=cell.config.model_copy(update=change))


def test_cells_that_were_done_before_count_and_tell_the_time_left(plan, tmp_path) -> None:
    first, second, third, _ = (cell.id for cell in plan.cells)
    results = tmp_path / "results"
    finish(results, first, start=6, epoch=20)
    one, said = watch(plan, tmp_path)
    one.tell()
    assert said[-1][10:] == "1 of 4 cells done; about 4 min of training left"  # 3 times 86 s
    one.tell()
    assert len(said) == 1  # nothing new
    finish(results, second, start=6, epoch=10)
    one.tell()
    assert said[-1][10:] == "2 of 4 cells done; about 2 min of training left"  # 2 times 66 s
    finish(results, third, start=6, epoch=15)
    one.end()
    assert said[-1][10:] == "3 of 4 cells done"


def test_side_by_side_they_take_less(plan, tmp_path) -> None:
    finish(tmp_path / "results", plan.cells[0].id, start=20, epoch=20)
    one, said = watch(plan, tmp_path, at_once=3)
    one.tell()
    assert said[-1].endswith("about 100 s of training left") or "2 min" in said[-1]


def test_what_they_get_done_together_is_measured(plan, tmp_path) -> None:
    """Two at once, and yet one at a time: the rest takes twice as long."""
    one, _ = watch(plan, tmp_path, at_once=2)
    one.look()
    one.earlier = set()
    for cell in plan.cells:
        finish(tmp_path / "results", cell.id, start=20, epoch=20)
    one.look()
    one.began -= 400  # four cells of 100 s in 400 s
    done = {cell.id for cell in plan.cells}
    assert one.side_by_side(done) == pytest.approx(1.0, abs=0.01)
    assert one.side_by_side(set()) == 2
    one.began += 399
    assert one.side_by_side(done) == 2  # never more than can be


def test_cells_of_an_earlier_run_do_not_speed_this_one_up(plan, tmp_path) -> None:
    """All that it has done itself is nothing yet: as many side by side as there can be."""
    for cell in plan.cells[:3]:
        finish(tmp_path / "results", cell.id, start=20, epoch=20)
    one, said = watch(plan, tmp_path)
    one.began -= 3000
    one.tell()
    assert said[-1][10:] == "3 of 4 cells done; about 2 min of training left"  # 100 s


def test_a_failure_of_an_earlier_run_is_tried_again(plan, tmp_path) -> None:
    log = tmp_path / f"results/logs/train/{plan.cells[0].id}.log"
    log.parent.mkdir(parents=True)
    log.write_text("=== cell x, attempt 1 ===\nerror: no disk\n")
    os.utime(log, (1, 1))
    one, said = watch(plan, tmp_path)
    one.tell()
    assert said[-1][10:] == "0 of 4 cells done; the time left is known when a cell is done"
    log.write_text("=== cell x, attempt 1 ===\nerror: no disk\n")
    one.tell()
    assert said[-1][10:].startswith("0 of 4 cells done, 1 failed;")


def test_all_done_leaves_the_tables(plan, tmp_path) -> None:
    for cell in plan.cells:
        finish(tmp_path / "results", cell.id, start=1, epoch=1)
    one, said = watch(plan, tmp_path)
    one.tell()
    assert said[-1][10:] == "4 of 4 cells done; tables, figures and the report are left"


def test_the_nearest_finished_cells_tell_the_seconds(plan, tmp_path) -> None:
    """The same work first; then model and size, by images; then anything."""
    cell, results = plan.cells[0], tmp_path / "results"
    pace = Pace(results)
    assert pace.seconds(cell) is None
    finish(results, cell.id, start=6, epoch=20)
    pace.learn(cell)
    assert pace.seconds(plan.cells[1]) == 6 + 4 * 20
    assert pace.seconds(other(cell, epochs=8)) == 6 + 8 * 20
    half = other(cell, train_share=0.5, batch_size=64)
    assert pace.seconds(half) == pytest.approx(6 + 4 * 10)
    finish(results, half.id, start=2, epoch=30)
    pace.learn(half)
    assert pace.seconds(half) == 2 + 4 * 30  # its own kind, no mixture
    assert pace.seconds(cell) == 6 + 4 * 20
    large = other(cell, img_size=56)
    assert pace.seconds(large) == pytest.approx(4 + 4 * (20 + 30) / 1.5)
