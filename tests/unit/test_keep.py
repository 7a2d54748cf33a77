"""What is set aside of a cell ahead of a job that deletes it, and when it comes back."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from ablation import keep, record
from ablation.grid import Planner
from ablation.products import marker, whole, write_list

CONFIG = Path(__file__).resolve().parents[2] / "config"


def trained(folder: Path, text: str = "old", cell: str = "id") -> dict[str, str]:
    """A cell's results, in which `text` tells whose they are."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in record.RESULTS:
        (folder / name).write_text(json.dumps({"cell_id": cell, "of": text}))
    return content(folder)


def content(folder: Path) -> dict[str, str]:
    return {p.name: p.read_text() for p in folder.iterdir() if p.is_file()}


def deleted(folder: Path) -> None:
    """As Snakemake does before a job, and after one that failed."""
    for name in record.RESULTS:
        (folder / name).unlink(missing_ok=True)


def test_what_a_job_deletes_comes_back_with_its_log(tmp_path):
    folder, log = tmp_path / "cell", tmp_path / "log.txt"
    before = trained(folder)
    log.write_text("trained\n")
    keep.set_aside(folder, log)
    deleted(folder)
    log.unlink()
    assert (folder / ".kept/log.txt").read_text() == "trained\n"  # recalled by the next attempt
    assert keep.put_back(folder)
    assert content(folder) == before
    keep.release(folder)
    assert not (folder / ".before").exists() and not (folder / ".kept").exists()


def test_weights_that_were_deleted_stay_so(tmp_path):
    before = trained(tmp_path)
    (tmp_path / "weights.pt").unlink()
    keep.set_aside(tmp_path, tmp_path / "none")
    deleted(tmp_path)
    (tmp_path / "weights.pt").write_text("of a job that ended in the middle")
    assert keep.put_back(tmp_path)
    assert content(tmp_path) == {k: v for k, v in before.items() if k != "weights.pt"}


def test_a_whole_successor_comes_back_before_what_was(tmp_path):
    trained(tmp_path)
    keep.set_aside(tmp_path, tmp_path / "none")
    deleted(tmp_path)
    new = trained(tmp_path / ".kept", "new")
    assert keep.put_back(tmp_path)
    assert content(tmp_path) == new


def test_nothing_is_set_aside_over_what_is_kept_unless_whole(tmp_path):
    before = trained(tmp_path)
    keep.set_aside(tmp_path, tmp_path / "none")
    deleted(tmp_path)
    (tmp_path / "cell.json").write_text("half")
    keep.set_aside(tmp_path, tmp_path / "none")  # a run after one that was killed
    assert keep.put_back(tmp_path)
    assert content(tmp_path) == before


def test_without_links_copies_are_kept(tmp_path, monkeypatch):
    before = trained(tmp_path)

    def no_links(*_args, **_options):
        raise PermissionError(1, "no links here")

    with monkeypatch.context() as patched:
        patched.setattr(os, "link", no_links)
        keep.set_aside(tmp_path, tmp_path / "none")
    deleted(tmp_path)
    assert keep.put_back(tmp_path) and content(tmp_path) == before


def test_a_cell_in_training_is_left_alone(tmp_path):
    from ablation.lease import Lease

    trained(tmp_path / "cell")
    keep.set_aside(tmp_path / "cell", tmp_path / "none")
    deleted(tmp_path / "cell")
    with Lease(tmp_path / "lease.json"):
        assert not keep.settle(tmp_path / "cell", tmp_path / "lease.json")
    assert keep.settle(tmp_path / "cell", tmp_path / "lease.json")


@pytest.mark.parametrize("name", [n for n in record.RESULTS if n != "metrics.json"])
def test_a_cell_that_is_not_whole_is_named(tmp_path, name):
    trained(tmp_path)
    assert keep.problem(tmp_path) == ""
    (tmp_path / name).unlink()
    found = "" if name == "weights.pt" else f"{tmp_path / name} is missing"
    assert keep.problem(tmp_path) == found


def test_a_result_cut_short_is_named_and_an_untrained_cell_is_not(tmp_path):
    assert keep.problem(tmp_path) == ""
    trained(tmp_path)
    text = (tmp_path / "metrics.json").read_text()
    for cut in (text[:-1], text[:4], ""):
        (tmp_path / "metrics.json").write_text(cut)
        assert keep.problem(tmp_path) == f"{tmp_path / 'metrics.json'} is cut short"


def test_a_cell_of_a_loader_benchmark_has_its_results_back(tmp_path, program):
    cell = (
        Planner(Path(__file__).resolve().parents[2] / "config")
        .plan("loader_storage", "smoke")
        .cells[0]
        .id
    )
    folder, log = tmp_path / "cells" / cell, tmp_path / "log.txt"
    trained(folder, cell=cell)
    (folder / "weights.pt").unlink()
    before = content(folder)
    keep.set_aside(folder, log)
    deleted(folder)
    with open(log, "w") as errors:
        done = program(
            "time_loader", "--study", "loader_storage", "--scale", "smoke", "--cell", cell,
            "--data", tmp_path / "none", "--medium", tmp_path, "--out", folder,
            "--checkpoints", tmp_path / "checkpoints",
            capture_output=False, stderr=errors,
        )  # fmt: skip
    assert done.returncode == 0, log.read_text()
    assert "the results that the cell had are put back" in log.read_text()
    assert content(folder) == before


def test_the_name_of_a_part_changes_once_when_something_of_it_is_deleted(tmp_path):
    part = tmp_path / "tables"
    part.mkdir()
    first = marker(tmp_path, "tables", "0" * 12, part)
    first.touch()
    (part / "main.csv").touch()
    write_list(part)
    assert whole(part) and marker(tmp_path, "tables", "0" * 12, part) == first
    (part / "main.csv").unlink()
    second = marker(tmp_path, "tables", "0" * 12, part)
    assert second != first and second == marker(tmp_path, "tables", "0" * 12, part)
    first.unlink(), second.touch(), (part / "main.csv").touch()  # what its rule does
    assert marker(tmp_path, "tables", "0" * 12, part) == second
    assert marker(tmp_path, "tables", "1" * 12, part).name == f".tables-{'1' * 12}"
    shutil.rmtree(part)  # Snakemake sees that itself
    assert marker(tmp_path, "tables", "0" * 12, part) == second
