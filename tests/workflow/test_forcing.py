"""Nothing destroyed: whatever flag Snakemake is given, what a cell had is not lost before its
successor is whole."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .dry_runs import DryRuns
from .project import edit, first_cell, snakemake, train_jobs

ALL_TRIGGERS = ("--rerun-triggers", "mtime", "params", "input", "code", "software-env")
FLAGS = {
    "-R": ("-R", "train_cell"),
    "--forceall": ("--forceall",),
    "-f": ("-f",),
    "params": ("--rerun-triggers", "params"),
    "all triggers": ALL_TRIGGERS,
    "-R without hooks": ("-R", "train_cell", "--no-hooks"),
}


@pytest.fixture(scope="module")
def project(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the finished project whose betons are deleted; a rule was edited."""
    folder = tmp_path_factory.mktemp("forcing") / "project"
    shutil.copytree(finished, folder, symlinks=True)
    shutil.move(folder / "results/data", folder / "betons")
    edit(folder, "rules/train.smk", '" --study', '"  --study')
    with open(folder / "config/config.yaml", "a") as settings:
        settings.write("loader_workers: 0\n")
    return folder


def held(folder: Path) -> dict[str, bytes]:
    """What lies in a cell's folder, hidden files too."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def target_of(folder: Path) -> tuple[str, Path, str]:
    """The cell that is forced, its folder and its target."""
    cell = first_cell(folder)
    return cell, folder / f"results/cells/{cell}", f"results/cells/{cell}/metrics.json"


def log_of(folder: Path, cell: str) -> str:
    return (folder / f"results/logs/train/{cell}.log").read_text()


@pytest.mark.parametrize("name", FLAGS)
def test_a_forced_cell_whose_betons_are_gone_has_its_results_back(
    project: Path, dry_runs: DryRuns, name: str
) -> None:
    cell, results, target = target_of(project)
    before, log = held(results), log_of(project, cell)
    assert set(before) >= {"metrics.json", "epochs.csv", "weights.pt"}
    flags, settings = FLAGS[name], project / "config/config.yaml"
    # A parameter of the rule, which Snakemake has on record: another one each time.
    text, _, number = settings.read_text().rpartition("loader_workers: ")
    settings.write_text(f"{text}loader_workers: {int(number) + 1}\n")
    assert dry_runs.plan(project, *flags, "--", target) == train_jobs(cell)
    snakemake(project, *flags, "--", target)
    after = held(results)
    shutil.rmtree(results / ".before", ignore_errors=True)  # without hooks nobody takes it away
    shutil.rmtree(results / ".kept", ignore_errors=True)
    assert held(results) == before
    assert set(after) == set(before) or "--no-hooks" in flags
    new = log_of(project, cell)
    assert log in new  # what the training said is kept too
    assert "the results that the cell had are put back: delete results/cells" in new[len(log) :]


def test_all_output_is_not_deleted_at_once(project: Path) -> None:
    before = held(project / "results/cells")
    done = snakemake(project, "--delete-all-output", check=False)
    assert done.returncode and "would delete every trained cell" in done.stdout + done.stderr
    assert held(project / "results/cells") == before


def test_a_forced_cell_that_fails_has_its_results_back(project: Path, tmp_path: Path) -> None:
    cell, results, target = target_of(project)
    before = held(results)
    shutil.copytree(project / "betons", project / "results/data")
    for beton in (project / "results/data").glob("*/*.beton"):
        beton.write_bytes(b"no beton")
    done = snakemake(project, "-R", "train_cell", "--", target, check=False)
    shutil.rmtree(project / "results/data")
    assert done.returncode
    said = done.stdout + done.stderr
    assert f"failed: cell {cell}" in said
    assert f"cell {cell}: not trained again; its earlier results are put back" in said
    assert held(results) == before


def test_a_forced_cell_whose_betons_are_there_is_trained_again(project: Path) -> None:
    cell, results, target = target_of(project)
    before, times = held(results), (results / "metrics.json").stat().st_mtime
    shutil.copytree(project / "betons", project / "results/data")
    log = log_of(project, cell)
    snakemake(project, "-R", "train_cell", "--", target)
    after = held(results)
    assert set(after) == set(before) and after["metrics.json"] == before["metrics.json"]
    assert after["timing.json"] != before["timing.json"]
    assert (results / "metrics.json").stat().st_mtime > times
    new = log_of(project, cell)
    assert log in new and "done in" in new[len(log) :]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill"])
def test_a_forced_cell_that_is_interrupted_loses_nothing(
    project: Path, number: signal.Signals
) -> None:
    cell, results, target = target_of(project)
    if not (project / "results/data").exists():
        shutil.copytree(project / "betons", project / "results/data")
    before = held(results)
    program = Path(sys.executable).parent / "snakemake"
    driver = subprocess.Popen(
        [program, "--cores", "1", "-R", "train_cell", "--", target], cwd=project,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 300
    while (project / target).exists() and driver.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not (project / target).exists() and driver.poll() is None
    os.killpg(driver.pid, number)
    driver.communicate()
    if number == signal.SIGINT:  # as soon as the driver has ended
        assert {k: v for k, v in held(results).items() if not k.startswith(".")} == before
    else:  # beside them, until somebody comes
        aside = held(results / ".before")
        assert aside == before
        snakemake(project, "--unlock")
    snakemake(project, target)
    after = held(results)
    assert set(after) == set(before) and after["metrics.json"] == before["metrics.json"]
