"""Where every cell stands, from files as a run leaves them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import configs
import pytest
import synthetic

from ablation import progress, status
from ablation.grid import Planner, StudyPlan
from ablation.lease import Lease


@pytest.fixture
def plan(tmp_path: Path) -> StudyPlan:
    return Planner(configs.write(tmp_path / "config")).plan("s", "z")


def write(path: Path, content: dict | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def test_each_state_is_told(plan: StudyPlan, tmp_path: Path) -> None:
    results, slurm = tmp_path / "results", tmp_path / "slurm"
    first, second, third, fourth = (cell.id for cell in plan.cells)

    def states() -> list[str]:
        return [row.state for row in status.of_plans([plan, plan], results, slurm)]

    assert states() == ["planned"] * 4
    (slurm / "rule_train_cell" / third).mkdir(parents=True)
    synthetic.write_cell(plan, plan.cells[0], results / "cells", None, True, "2", False)
    synthetic.write_cell(plan, plan.cells[1], results / "cells", 1, True, "2", False)
    folder = results / "checkpoints" / fourth
    write(folder / progress.NAME, {"epoch": 2, "val_top1": 33.0, "images_per_s": 9.0, "left_s": 7})
    log = results / f"logs/train/{fourth}.log"
    write(log, f"x  === cell {fourth}: s ===\n")
    with Lease(folder / "lease.json"):
        assert states() == ["done", "diverged", "waiting", "running"]
        row = status.of_plans([plan], results, slurm)[-1]
        assert (row.epoch, row.epochs, row.top1, row.left_s) == (2, 4, 33.0, 7)
        assert row.node and row.log == log
    write(
        log, f"x  === cell {fourth}: s ===\nx  stopped as asked after epoch 2, step 0; the same\n"
    )
    assert states()[-1] == "stopped"
    write(log, f"x  === cell {fourth}: s ===\nerror: it broke\n")
    row = status.of_plans([plan], results, slurm)[-1]
    assert (row.state, row.note, row.epoch) == ("failed", "it broke", 2)
    said = status.totals(status.of_plans([plan], results, slurm))
    assert said == "4 cells: 1 waiting, 1 failed, 1 diverged, 1 done; 62 % of 16 epochs"


def test_a_lease_dated_ahead_is_told(plan: StudyPlan, tmp_path: Path) -> None:
    held = tmp_path / "checkpoints" / plan.cells[0].id / "lease.json"
    write(held, {"token": "t", "host": "another-host", "pid": 1, "started": 1.0})
    os.utime(held, (2e10, 2e10))
    row = status.of_plans([plan], tmp_path, tmp_path)[0]
    assert row.state == "running" and f"{held} is dated" in row.note


def test_an_attempt_that_has_just_begun_runs_and_has_not_failed(plan, tmp_path: Path) -> None:
    """Its lease comes seconds after its log; an error is a failure at once."""
    log = tmp_path / f"logs/train/{plan.cells[0].id}.log"
    for text, state in (("", "running"), ("x  === cell x: s ===\n", "running"),
                        ("error: no disk\n", "failed")):  # fmt: skip
        write(log, text)
        assert status.of_plans([plan], tmp_path, tmp_path)[0].state == state
    write(log, "x  === cell x: s ===\n")
    os.utime(log, (1, 1))
    assert status.of_plans([plan], tmp_path, tmp_path)[0].state == "failed"


@pytest.mark.parametrize(
    ("seconds", "said"), [(None, ""), (45, "45 s"), (700, "12 min"), (12600, "3.5 h")]
)
def test_durations_are_said_as_people_do(seconds: float | None, said: str) -> None:
    assert status.duration(seconds) == said
