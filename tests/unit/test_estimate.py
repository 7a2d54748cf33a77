"""What is asked of the cluster once cells are finished: measured, half as much again, and no more
than the maxima."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import configs
import pytest

from ablation.config.resources import Resources, Site
from ablation.estimate import Estimates
from ablation.grid import Cell, Planner, StudyPlan

ASKED = Resources(mem_mb=5000, runtime=500)


@pytest.fixture
def plan(tmp_path: Path) -> StudyPlan:
    """Two rates with two seeds each."""
    return Planner(configs.write(tmp_path)).plan("s", "z")


def finish(
    results: Path, cell: str, epochs: int, seconds: float, rss: object = None, start: float = 6
) -> None:
    """Leave what a finished cell leaves."""
    folder = results / "cells" / cell
    folder.mkdir(parents=True)
    timing = {"train_time_s": 0.75 * seconds, "eval_time_s": 0.25 * seconds, "wall_time_s": 1e9}
    (folder / "timing.json").write_text(json.dumps(timing | {"startup_time_s": start}))
    (folder / "epochs.csv").write_text("epoch,val_top1\n" + "1,2\n" * epochs)
    if rss is not None:
        path = results / f"logs/train/{cell}.benchmark.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"s\th:m:s\tmax_rss\n1\t0:00:01\t{rss}\n")


def other_epochs(cell: Cell, epochs: int) -> Cell:
    """A cell of more epochs."""
    return replace(cell, id="f" * 12, config=cell.config.model_copy(update={"epochs": epochs}))


def test_nothing_finished_asks_what_is_set(plan: StudyPlan, tmp_path: Path) -> None:
    assert Estimates(plan.cells, tmp_path).resources(ASKED, plan.cells[0]) == ASKED


def test_time_and_memory_follow_the_slowest_of_the_like(plan: StudyPlan, tmp_path: Path) -> None:
    first, second, *_ = plan.cells
    finish(tmp_path, first.id, epochs=2, seconds=2 * 60, rss=900)
    finish(tmp_path, second.id, epochs=2, seconds=2 * 90, rss=812.3)
    long = other_epochs(first, 40)
    found = Estimates([*plan.cells, long], tmp_path).resources(ASKED, long)
    # 40 epochs of 90 s and 6 s are 60.1 minutes; half as much again are 91, and 3 for the starts.
    assert (found.runtime, found.mem_mb) == (94, 1400)
    assert found.asked("runtime", 2) == 188


def test_maxima_hold(plan: StudyPlan, tmp_path: Path) -> None:
    cell = plan.cells[0]
    finish(tmp_path, cell.id, epochs=1, seconds=3600, rss=9000)
    asked = Resources(mem_mb=1000, max_mem_mb=2000, runtime=10, max_runtime=30)
    found = Estimates(plan.cells, tmp_path).resources(asked, cell)
    assert (found.runtime, found.mem_mb) == (30, 2000)


def test_estimate_false_asks_what_is_set(plan: StudyPlan, tmp_path: Path) -> None:
    finish(tmp_path, plan.cells[0].id, epochs=1, seconds=3600, rss=9000)
    asked = ASKED.model_copy(update={"estimate": False})
    assert Estimates(plan.cells, tmp_path).resources(asked, plan.cells[0]) == asked


def test_other_work_tells_nothing(plan: StudyPlan, tmp_path: Path) -> None:
    cell = plan.cells[0]
    finish(tmp_path, cell.id, epochs=1, seconds=3600)
    for change in (
        {"batch_size": 7},
        {"precision": "bf16"},
        {"img_size": 99},
        {"train_share": 0.1},
    ):
        other = replace(cell, id="e" * 12, config=cell.config.model_copy(update=change))
        assert Estimates([cell, other], tmp_path).took(other) is None, change


@pytest.mark.parametrize("rss", ["-", "", None])
def test_memory_that_was_not_measured_is_as_set(plan: StudyPlan, tmp_path: Path, rss) -> None:
    cell = plan.cells[0]
    finish(tmp_path, cell.id, epochs=1, seconds=60, rss=rss)
    found = Estimates(plan.cells, tmp_path).resources(ASKED, cell)
    assert found.mem_mb == ASKED.mem_mb and found.runtime < ASKED.runtime


@pytest.mark.parametrize("damage", ["{", "[]", '{"train_time_s": null, "eval_time_s": 1}'])
def test_a_damaged_result_tells_nothing(plan: StudyPlan, tmp_path: Path, damage: str) -> None:
    cell = plan.cells[0]
    finish(tmp_path, cell.id, epochs=1, seconds=60)
    (tmp_path / f"cells/{cell.id}/timing.json").write_text(damage)
    assert Estimates(plan.cells, tmp_path).resources(ASKED, cell) == ASKED


def test_a_run_that_diverged_in_its_first_epoch_tells_nothing(plan, tmp_path: Path) -> None:
    finish(tmp_path, plan.cells[0].id, epochs=0, seconds=5)
    assert Estimates(plan.cells, tmp_path).took(plan.cells[0]) is None


def test_it_can_be_set_like_the_other_resources(tmp_path: Path) -> None:
    folder = configs.write(tmp_path)
    with open(folder / "studies/s.yaml", "a") as file:
        file.write("resources: {z: {estimate: false}}\n")
    assert Planner(folder).plan("s", "z").resources(Site()).estimate is False
