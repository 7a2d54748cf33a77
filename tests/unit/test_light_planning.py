"""Planning is light: no torch, whatever the number of cells; and the program that prints a plan."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import configs
import images
import plan_study
import pytest

from ablation.cli import run
from ablation.grid import Planner

HEAVY = ("torch", "torchvision", "timm", "ffcv", "numba", "pandas", "scipy", "matplotlib", "PIL")

PLAN_MANY = """
import sys
from ablation.grid import Planner
cells = Planner(sys.argv[1]).plan("s", "z").cells
print(len({cell.id for cell in cells}), *sorted(set(sys.argv[2:]) & set(sys.modules)))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return configs.write(tmp_path / "config")


def test_a_thousand_cells_are_planned_without_torch(folder):
    values = ", ".join(str(n / 1000) for n in range(1, 101))
    configs.edit(folder / "studies/s.yaml", "[0.1, 0.2]", f"[{values}]")
    configs.edit(folder / "studies/s.yaml", "seeds: 2", "seeds: 10")
    done = subprocess.run(
        [sys.executable, "-c", PLAN_MANY, str(folder), *HEAVY],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(configs.ROOT / "workflow")},
    )
    assert (done.stdout, done.stderr) == ("1000\n", "")


def test_the_printed_plan_shows_document_and_run(folder, tmp_path, capsys):
    configs.edit(folder / "scales/z.yaml", "title: z", "title: z\nbatch_divide_by: 2")
    cells = Planner(folder).plan("s", "z").cells
    done = tmp_path / "cells" / cells[0].id
    done.mkdir(parents=True)
    (done / "metrics.json").write_text("{}")
    (tmp_path / "cells" / cells[1].id).mkdir()  # a cell that is being trained
    options = ["--study", "s", "--scale", "z", "--config-dir", str(folder)]
    options += ["--cells", str(tmp_path / "cells")]

    assert run(plan_study.main, options) == 0
    shown = capsys.readouterr().out
    assert "batch_size: 128 -> 64" in shown and "lr=0.1 (baseline)" in shown
    assert all(cell.id in shown for cell in cells)
    # 5,000 images are 78 batches of 64, 4 epochs: 19,968 images a cell.
    assert "2 variants x 2 seeds = 4 cells: 1 done, 3 to train; 16 epochs, 79,872 images" in shown

    assert run(plan_study.main, [*options, "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["total"] == {
        "variants": 2, "cells": 4, "done": 1, "to_train": 3, "epochs": 16, "images": 79872,
        "images_to_train": 59904,
    }  # fmt: skip
    first = plan["variants"][0]
    assert first["axes"] == {"lr": 0.1} and first["run"]["batch_size"] == 64
    assert first["document"]["batch_size"] == 128
    assert first["cells"][0] == {"id": cells[0].id, "seed": 0, "done": True}
    assert first["data"].startswith("data/fashion_mnist-")


def test_values_with_parts_and_rows_are_shown_by_name(folder, capsys):
    axis = "schedule: {flat: {name: constant}, fall: {name: cosine}}"
    text = configs.STUDY.replace("lr: [0.1, 0.2]", axis).replace("{lr: 0.1}", "{row: hot}")
    (folder / "studies/s.yaml").write_text(text + "rows: {hot: {lr: 1}}\n")
    assert run(plan_study.main, ["--study", "s", "--scale", "z", "--config-dir", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert "schedule=fall" in shown and "hot (baseline)" in shown
    assert "{" not in shown


def test_a_mistake_is_one_line(folder, capsys):
    assert run(plan_study.main, ["--study", "ss", "--config-dir", str(folder)]) == 2
    said = capsys.readouterr().err
    assert said == f"error: there is no 'ss' in {folder}/studies; did you mean 's'?\n"


def test_the_plan_repeats_what_the_lock_says_against_its_images(folder, capsys):
    shared = {"in_both_splits": 3, "in_two_classes": 0, "examples": ["train/a/x = val/a/y"]}
    images.edit_lock(folder, "fashion_mnist", shared=shared)
    options = ["--study", "s", "--scale", "z", "--config-dir", str(folder)]
    assert run(plan_study.main, options) == 0
    shown = capsys.readouterr().out
    assert "note: fashion_mnist: 3 of 5,000 validation images are training images too" in shown
    assert "fashion_mnist: equal files: train/a/x = val/a/y" in shown
