"""The whole workflow for real: images to report, on the embedded dataset at scale smoke."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from .project import cells, edit, make, snakemake


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished project: two studies, one of whose cells diverges."""
    folder = make(tmp_path_factory.mktemp("end_to_end") / "project")
    edit(folder, "config/studies/plain.yaml", "[0.1, 0.01]", "[0.1, 1.0e+6]")
    snakemake(folder)
    return folder


def read_csv(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_every_stage_left_its_results(project: Path) -> None:
    (data,) = (project / "results/data").iterdir()
    assert {p.name for p in data.iterdir()} == {"train.beton", "val.beton", "manifest.json"}
    for study in ("plain", "augmented"):
        folder = project / "results/studies/smoke" / study
        assert (folder / "runs.csv").stat().st_size > 0
        assert (folder / "tables/main.csv").stat().st_size > 0
        for ending in ("svg", "png", "csv"):
            assert (folder / f"figures/accuracy.{ending}").stat().st_size > 0
    assert (project / "results/report/index.html").stat().st_size > 10_000
    assert (project / "results/report/report.md").stat().st_size > 500
    pages = {page.stem for page in (project / "results/report/cells").glob("*.html")}
    assert pages == {cell for s in ("plain", "augmented") for cell in cells(project, s).values()}
    left = [p for p in (project / "results").rglob("*") if p.name.endswith(".tmp")]
    assert left == []
    assert not list((project / "results/checkpoints").glob("*/*"))


def test_collected_numbers_are_the_cells_own(project: Path) -> None:
    for study in ("plain", "augmented"):
        ids = set(cells(project, study).values())
        runs = {
            r["cell_id"]: r for r in read_csv(project / f"results/studies/smoke/{study}/runs.csv")
        }
        assert set(runs) == ids
        for cell, run in runs.items():
            metrics = json.loads((project / f"results/cells/{cell}/metrics.json").read_text())
            assert run["status"] == metrics["status"]
            if metrics["last"]:
                assert float(run["val_top1"]) == metrics["last"]["val_top1"]


def test_diverged_cell_is_data(project: Path) -> None:
    cell = cells(project, "plain")[("lr=1e+06", 0)]
    metrics = json.loads((project / f"results/cells/{cell}/metrics.json").read_text())
    assert metrics["status"] == "diverged"
    page = (project / f"results/report/cells/{cell}.html").read_text()
    assert "diverged in epoch" in page
    assert metrics["cell_id"] in (project / "results/report/studies/plain.html").read_text()


def test_cell_trained_by_hand_has_the_same_numbers(project: Path, tmp_path: Path) -> None:
    """The command in cell.json, without Snakemake, into another folder: bit for bit."""
    import shlex
    import subprocess
    import sys

    cell = cells(project, "augmented")[("lr=0.1", 0)]
    command = json.loads((project / f"results/cells/{cell}/cell.json").read_text())["command"]
    words = shlex.split(command)
    assert words[0] == "python"
    words[0] = sys.executable
    words[words.index("--out") + 1] = str(tmp_path / "again")
    subprocess.run(words, cwd=project, check=True, capture_output=True)
    again = (tmp_path / "again/metrics.json").read_bytes()
    assert again == (project / f"results/cells/{cell}/metrics.json").read_bytes()


def test_snakemakes_own_report_works(project: Path, tmp_path: Path) -> None:
    done = snakemake(project, "--report", str(tmp_path / "report.html"), check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "report.html").read_text()
    assert "accuracy.svg" in page


def test_user_mistake_is_one_line_before_any_job(project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(project, folder, symlinks=True)
    edit(folder, "config/studies/plain.yaml", "lr:", "learning_rate:")
    done = snakemake(folder, check=False)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "plain.yaml" in said and "learning_rate" in said
    assert "Traceback" not in said


def test_failed_cell_names_its_log(project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(project, folder, symlinks=True)
    edit(folder, "config/studies/plain.yaml", "0.1, 1.0e+6", "0.1, 0.5")
    edit(folder, "config/studies/plain.yaml", "seeds: 1", "seeds: 1\n# edited")
    (beton,) = folder.glob("results/data/*/train.beton")
    with open(beton, "rb+") as file:
        file.truncate(1_000_000)
    cell = cells(folder, "plain")[("lr=0.5", 0)]
    done = snakemake(folder, check=False)
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert f"results/logs/train/{cell}.log" in said
    assert "truncated" in said
    assert not (folder / f"results/cells/{cell}/metrics.json").exists()
