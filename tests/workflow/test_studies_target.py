"""`make studies SCALE=...`: all studies by one command, a trial marked as such, its progress told,
and each failure named at the end."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from . import project

REASON = "two epochs show nothing"
MAKE = {"cwd": project.REPO, "capture_output": True, "text": True}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two studies that run, four cells, and one that does not at this scale."""
    made = project.make(tmp_path_factory.mktemp("studies") / "project")
    shutil.copytree(project.REPO / "tools", made / "tools")
    study = (made / "config/studies/plain.yaml").read_text()
    (made / "config/studies/unfit.yaml").write_text(f"{study}not_at: {{smoke: {REASON}}}\n")
    return made


@pytest.fixture(scope="module")
def done(folder: Path) -> subprocess.CompletedProcess:
    """The run of all of them; config.yaml names two."""
    return project.snakemake(folder, "--quiet", "rules", "progress", "--config", "studies=all")


def told(run: subprocess.CompletedProcess) -> list[str]:
    """The lines of progress, without the time of the day."""
    found = re.findall(r"^\d\d:\d\d:\d\d  (\d+ of \d+ cells done.*)", run.stderr, re.M)
    return [line for line in found if line]


def test_all_studies_that_can_be_run_are_and_the_others_give_their_reason(folder, done) -> None:
    made = {path.name for path in (folder / "results/studies/smoke").iterdir()}
    assert made == {"plain", "augmented"}
    page = (folder / "results/report/report.md").read_text()
    assert REASON in page and "Learning rates augmented" in page
    assert REASON in (folder / "results/report/index.html").read_text()


def test_the_report_of_a_trial_says_so(folder, done) -> None:
    for name in ("index.html", "report.md"):
        page = " ".join((folder / "results/report" / name).read_text().split())
        assert "Ablation report of a smoke run" in page
        assert "its accuracies mean nothing" in page
    assert "smoke run: numbers mean nothing</title>" in page_title(folder)


def page_title(folder: Path) -> str:
    """The line of the page's title."""
    text = (folder / "results/report/index.html").read_text()
    return next(line for line in text.splitlines() if "<title>" in line)


def test_progress_is_told_from_none_to_all(done) -> None:
    lines = told(done)
    assert lines[0].startswith("0 of 4 cells done") and "known when a cell is done" in lines[0]
    assert lines[-1] == "4 of 4 cells done"
    counts = [int(line.split()[0]) for line in lines]
    assert counts == sorted(counts)


def check(folder: Path) -> subprocess.CompletedProcess:
    """The check that ends `make studies`."""
    return subprocess.run(
        [sys.executable, "tools/check_results.py", "--scale", "smoke", "--studies", "all"],
        cwd=folder, capture_output=True, text=True,
    )  # fmt: skip


def test_what_is_missing_or_empty_is_found(folder, done) -> None:
    found = check(folder)
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout == "2 studies, 6 tables, 2 figures: no problems\n"
    study = folder / "results/studies/smoke/plain"
    for path, empty, said in (
        ("tables/main.csv", lambda text: text.splitlines()[0] + "\n", "no row with a number"),
        ("tables/thresholds.md", lambda text: "", "missing or empty"),
        ("figures/accuracy.csv", lambda text: text.splitlines()[0] + "\n", "no row with a number"),
        ("figures/accuracy.svg", without_data, "no data in axes_1"),
        ("claims/claims.json", lambda text: "", "missing or empty"),
    ):
        whole = (study / path).read_text()
        (study / path).write_text(empty(whole))
        found = check(folder)
        (study / path).write_text(whole)
        assert found.returncode == 1 and f"{path}: {said}" in found.stderr, path


def without_data(svg: str) -> str:
    """A figure with its axes and without its lines and bands."""
    tree = ET.fromstring(svg)
    for panel in tree.iter("{http://www.w3.org/2000/svg}g"):
        if panel.get("id", "").startswith("axes_"):
            for artist in list(panel):
                if re.match(r"line2d|.*Collection", artist.get("id", "")):
                    panel.remove(artist)
    return ET.tostring(tree, encoding="unicode")


def test_after_a_restart_earlier_cells_count_and_a_failed_one_is_named(folder, done) -> None:
    """One cell cannot be trained: the others are, and the end says which it was."""
    ids = project.cells(folder, "plain")
    bad, good = ids[("lr=0.1", 0)], ids[("lr=0.01", 0)]
    results = folder / "results"
    results, start = folder / "results", "    cell = find_cell(args)\n"
    for cell in (bad, good):
        shutil.rmtree(results / "cells" / cell)
    broken = f"{start}    if cell.id == {bad!r}:\n        raise UserError('its node has no disk')\n"
    project.edit(folder, "workflow/train_cell.py", start, broken)
    run = project.snakemake(
        folder, "--quiet", "rules", "progress", "--config", "studies=all", check=False
    )
    assert run.returncode != 0
    assert (results / f"cells/{good}/metrics.json").is_file()
    lines = told(run)
    assert lines[0].startswith("2 of 4 cells done")
    assert re.search(r"about \d+ (s|min) of training left", lines[0])
    assert lines[-1] == "3 of 4 cells done, 1 failed"
    (said,) = [line for line in run.stderr.splitlines() if line.startswith("failed: cell")]
    log = f"results/logs/train/{bad}.log"
    assert said == f"failed: cell {bad} (plain, lr=0.1, seed 0): its node has no disk; log: {log}"
    again = "snakemake --cores all --config scale=smoke studies=all partial=true"
    assert again in run.stderr

    project.edit(folder, "workflow/train_cell.py", broken, start)
    run = project.snakemake(folder, "--config", "studies=all")
    assert told(run)[0].startswith("3 of 4 cells done") and "failed" not in "".join(told(run))
    assert told(run)[-1] == "4 of 4 cells done"


def test_an_unknown_scale_is_one_line() -> None:
    for given, said in (("SCALE=huge", "; there is no 'huge'"), ("SCALE=", "")):
        made = subprocess.run(["make", "-s", "known-scale", given], **MAKE)
        assert made.returncode != 0
        assert made.stderr.splitlines()[0] == f"SCALE is one of cifar demo imagenet smoke{said}"
    assert subprocess.run(["make", "-s", "known-scale", "SCALE=demo"], **MAKE).stderr == ""


def test_make_studies_runs_what_is_named() -> None:
    def lines(*args: str) -> str:
        return subprocess.run(["make", "-n", "studies", *args], **MAKE, check=True).stdout

    assert "--config scale=smoke studies=all\n" in lines("SCALE=smoke")
    some = lines("SCALE=demo", "STUDIES=lr_range_test paddle_warmup", "PROFILE=slurm")
    assert "--profile slurm --config scale=demo studies=lr_range_test,paddle_warmup\n" in some
    assert "--scale demo --studies lr_range_test paddle_warmup\n" in some
