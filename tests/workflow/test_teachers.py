"""A cell that needs another one's weights, through real Snakemake: who is trained, and when."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from .project import analysis_jobs, cells, edit, make, planned_jobs, snakemake, train_jobs

TEACHER, PLAIN = "config/studies/teachers.yaml", "config/studies/plain.yaml"
TEACHERS = """\
title: Teachers
document: a test
place: nowhere
question: Who teaches?
recipe: aime_resnet50
rows:
  teacher: {lr: 0.2}
baseline: {row: teacher}
seeds: 1
"""
TAUGHT = """\
rows:
  taught: {distill: {alpha: 0.5, teacher: {name: cell, study: teachers, variant: {row: teacher}}}}
  tuned: {pretrained: {weights: {name: cell, study: teachers, variant: {row: teacher}}}}
baseline: {lr: 0.1}
"""
FILE = "{name: timm, arch: vit_tiny_patch16_224.augreg_in21k}"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished project of one study; two rows need a cell of a study that nobody asks for."""
    folder = make(tmp_path_factory.mktemp("finished") / "project")
    (folder / TEACHER).write_text(TEACHERS)
    edit(folder, PLAIN, "baseline: {lr: 0.1}\n", TAUGHT)
    edit(folder, "config/config.yaml", ", augmented", "")
    snakemake(folder)
    return folder


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    shutil.copytree(finished, folder, symlinks=True)
    return folder


def the_teacher(folder: Path) -> str:
    return cells(folder, "teachers")[("teacher", 0)]


def test_the_teacher_is_trained_and_its_weights_are_used(finished: Path) -> None:
    assert planned_jobs(finished) == set()
    ids, teacher = cells(finished, "plain"), the_teacher(finished)
    results = finished / "results/cells"
    assert sorted(p.name for p in results.iterdir()) == sorted([*ids.values(), teacher])
    start = json.loads((results / ids["tuned", 0] / "metrics.json").read_text())["pretrained"]
    assert start["loaded_tensors"] > 10
    told = json.loads((results / ids["taught", 0] / "cell.json").read_text())
    assert told["identity"]["distill.teacher.cell_id"] == teacher
    command = json.loads((results / teacher / "cell.json").read_text())["command"]
    assert f"--cell {teacher}" in command and "--study plain" in command
    for student in ("taught", "tuned"):
        page = (finished / f"results/report/cells/{ids[student, 0]}.html").read_text()
        assert "given weights of cell" in page and teacher in page


def test_another_teacher_trains_it_and_who_needs_it(project: Path) -> None:
    edit(project, TEACHER, "lr: 0.2", "lr: 0.3")
    ids = cells(project, "plain")
    new = train_jobs(the_teacher(project), ids["taught", 0], ids["tuned", 0])
    assert planned_jobs(project) == new | analysis_jobs("plain", plan=True)


def test_another_student_leaves_the_teacher_alone(project: Path) -> None:
    edit(project, PLAIN, "alpha: 0.5", "alpha: 0.6")
    new = train_jobs(cells(project, "plain")["taught", 0])
    assert planned_jobs(project) == new | analysis_jobs("plain", plan=True)


def test_a_deleted_teacher_alone_is_trained_again(project: Path) -> None:
    shutil.rmtree(project / f"results/cells/{the_teacher(project)}")
    assert planned_jobs(project) == train_jobs(the_teacher(project))


def test_deleted_weights_are_made_again_for_a_cell_that_needs_them(project: Path) -> None:
    teacher = the_teacher(project)
    (project / f"results/cells/{teacher}/weights.pt").unlink()
    assert planned_jobs(project) == set()
    edit(project, PLAIN, "alpha: 0.5", "alpha: 0.6")
    (data,) = (project / "results/data").iterdir()
    shutil.rmtree(data)  # nobody needed it till now
    student = cells(project, "plain")["taught", 0]
    name, digest = data.name.rsplit("-", 1)
    expected = train_jobs(teacher, student) | analysis_jobs("plain", plan=True)
    assert planned_jobs(project) == expected | {f"convert_dataset dataset={name}, digest={digest}"}
    said = snakemake(project, "-n")
    line = f"its weights.pt was deleted and cell {student} needs it: it is trained again"
    assert f"cell {teacher}" in said.stdout + said.stderr and line in said.stdout + said.stderr


def test_missing_weights_are_said_before_any_job(project: Path) -> None:
    old = "{name: cell, study: teachers, variant: {row: teacher}}}}\nbaseline"
    edit(project, PLAIN, old, FILE + "}}\nbaseline")
    edit(project, PLAIN, "tuned: {", "tuned: {model: {name: timm, arch: vit_tiny_patch16_224}, ")
    done = snakemake(project, "-n", check=False)
    text = done.stdout + done.stderr
    assert done.returncode == 1 and "Traceback" not in text
    said = [line for line in text.splitlines() if "put the file model.safetensors" in line]
    assert len(said) == 1 and "weights/vit_tiny_patch16_224.augreg" in said[0]
