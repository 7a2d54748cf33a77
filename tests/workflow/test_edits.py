"""Nothing stale: what is edited or deleted of a finished project, and the exact jobs that follow.

The tables below are the promise; each row is a dry run of real Snakemake. No row trains but those
that say so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ablation import made_from

from .dry_runs import DryRuns
from .project import (
    NOTE_PAGES,
    analysis_jobs,
    copy,
    edit,
    first_cell,
    jobs_of,
    new_study_jobs,
    note,
    part_jobs,
    train_jobs,
)

BOTH = ("plain", "augmented")
CELLS = analysis_jobs(*BOTH) | note("cells", *BOTH)
TABLES, FIGURES, CLAIMS = (part_jobs(part, *BOTH) for part in ("tables", "figures", "claims"))
PAGES = {NOTE_PAGES, "build_report"}
EVERYTHING = CELLS | TABLES | FIGURES | CLAIMS | PAGES
NOTHING: set[str] = set()
Change = Callable[[Path], object]

LIBRARY, STUDY = "workflow/ablation", "config/studies/plain.yaml"


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Path:
    return copy(finished, tmp_path / "project")


def said(old: str, new: str) -> Callable[[str], Change]:
    """An edit of a text file."""
    return lambda path: lambda folder: edit(folder, path, old, new)


def appended(text: str) -> Callable[[str], Change]:
    def of(path: str) -> Change:
        def change(folder: Path) -> None:
            with open(folder / path, "a") as file:
                file.write(text)

        return change

    return of


comment = appended("\n# a comment\n")
EDITS: dict[str, tuple[str, Callable[[str], Change], set[str]]] = {
    # What the project is asked for.
    "a comment in a study": (STUDY, comment, NOTHING),
    "a comment in the claims": ("config/claims.yaml", comment, NOTHING),
    "a comment in a study that is not asked for": ("config/studies/other.yaml", comment, NOTHING),
    "a sentence of a claim": (
        "config/claims.yaml", said("A rate of 1 ends far below", "A rate of 1 ends below"), PAGES,
    ),
    "the claims' error rate": ("config/claims.yaml", said("error_rate: 0.05", "error_rate: 0.06"),
                               PAGES),
    "a study that is not asked for": (
        "config/studies/other.yaml", said("Does it run?", "Why does it run?"), PAGES,
    ),
    "the title of a document's dataset": (
        "config/datasets/imagenet.yaml", said("title: ImageNet", "title: The ImageNet"),
        TABLES | PAGES,
    ),
    "the title of the dataset that is run": (
        "config/datasets/fashion_mnist.yaml", said("title: ", "title: The "),
        CELLS | note("tables", *BOTH) | PAGES,
    ),
    "what a lock says against its images": (
        "config/datasets/fashion_mnist.lock.json",
        said('"rejected": {},', '"rejected": {}, "accepted": ["9 classes, expected 10"],'), CELLS,
    ),
    "the title of a recipe": (
        "config/recipes/aime_resnet50.yaml", said("title: ", "title: The "), CELLS,
    ),
    "the title of the scale": ("config/scales/smoke.yaml", said("title: ", "title: The "), CELLS),
    "what a cell asks of a cluster": (
        "config/scales/smoke.yaml", said("mem_mb: 1500", "mem_mb: 1600"), NOTHING,
    ),
    "the loader's workers": ("config/config.yaml", appended("loader_workers: 2\n"), NOTHING),
    # The programs.
    "collect_study.py": ("workflow/collect_study.py", comment, CELLS),
    "study_tables.py": ("workflow/study_tables.py", comment, TABLES),
    "study_figures.py": ("workflow/study_figures.py", comment, FIGURES),
    "study_claims.py": ("workflow/study_claims.py", comment, CLAIMS),
    "build_report.py": ("workflow/build_report.py", comment, PAGES),
    "train_cell.py": ("workflow/train_cell.py", comment, NOTHING),
    "time_loader.py": ("workflow/time_loader.py", comment, NOTHING),
    "convert_dataset.py": ("workflow/convert_dataset.py", comment, NOTHING),
    # The library.
    "how a claim's window rounds": (
        f"{LIBRARY}/claim_plan.py", said("round(epochs[1] * share)", "int(epochs[1] * share)"),
        EVERYTHING,
    ),
    "settings.py": (f"{LIBRARY}/settings.py", comment, TABLES | FIGURES | PAGES),
    "verdicts.py": (f"{LIBRARY}/verdicts.py", comment, CLAIMS | PAGES),
    "palette.py": (f"{LIBRARY}/palette.py", comment, FIGURES),
    "tables.py": (f"{LIBRARY}/tables.py", comment, TABLES | PAGES),
    "identity.py": (f"{LIBRARY}/identity.py", comment, EVERYTHING),
    "an optimizer": (f"{LIBRARY}/optim/adamw.py", comment, EVERYTHING),
    "the training loop": (f"{LIBRARY}/loop.py", comment, NOTHING),
    "the learner": (f"{LIBRARY}/learner.py", comment, NOTHING),
    "a reader of betons": (f"{LIBRARY}/data/resident.py", comment, NOTHING),
    "a module that nothing imports": (f"{LIBRARY}/unheard_of.py", comment, NOTHING),
    "the figures' style": (f"{LIBRARY}/style.mplstyle", comment, FIGURES),
    "a list of architectures": (
        f"{LIBRARY}/models/timm_archs.txt", appended("imagined_net\n"), EVERYTHING,
    ),
    "a template": ("workflow/report/study.html.j2", appended("{# new #}"), PAGES),
    "a style sheet": ("workflow/report/style.css.j2", appended("/* new */"), PAGES),
    # Round about.
    "white space in a rule": ("rules/train.smk", said('" --study', '"  --study'), NOTHING),
    "another torch": ("requirements.lock", said("torch==2.", "torch==3."), NOTHING),
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_leads_to_these_jobs(project: Path, dry_runs: DryRuns, name: str) -> None:
    path, how, jobs = EDITS[name]
    how(path)(project)
    assert dry_runs.plan(project) == jobs


def test_touching_every_file_leads_to_nothing(project: Path, dry_runs: DryRuns) -> None:
    """As a fresh checkout does."""
    for part in ("workflow", "config", "rules"):
        for path in (project / "Snakefile", *(project / part).rglob("*")):
            os.utime(path)
    assert dry_runs.plan(project) == NOTHING


PLAIN = analysis_jobs("plain")
OF_PLAIN = "results/studies/smoke/plain"
# Deleted -> jobs. {cell}: one of the study `plain`, {data}: the converted dataset.
DELETIONS: dict[str, set[str]] = {
    f"{OF_PLAIN}/tables/main.csv": part_jobs("tables", "plain"),
    f"{OF_PLAIN}/tables/comparisons.tex": part_jobs("tables", "plain"),
    f"{OF_PLAIN}/tables": part_jobs("tables", "plain") - note("tables", "plain"),
    f"{OF_PLAIN}/figures/accuracy.svg": part_jobs("figures", "plain"),
    f"{OF_PLAIN}/figures/accuracy.png": part_jobs("figures", "plain"),
    f"{OF_PLAIN}/figures/accuracy.csv": part_jobs("figures", "plain"),
    f"{OF_PLAIN}/figures/.products": part_jobs("figures", "plain"),
    f"{OF_PLAIN}/claims/claims.json": part_jobs("claims", "plain"),
    f"{OF_PLAIN}/runs.csv": PLAIN,
    f"{OF_PLAIN}/epochs.csv": PLAIN,
    f"{OF_PLAIN}/steps.csv": PLAIN,
    f"{OF_PLAIN}/.claims-*": part_jobs("claims", "plain"),
    OF_PLAIN: new_study_jobs("plain") - {NOTE_PAGES},
    "results/studies": EVERYTHING - {NOTE_PAGES},
    "results/report/index.html": {"build_report"},
    "results/report/report.md": PAGES,
    "results/report/studies/plain.html": PAGES,
    "results/report/cells/{cell}.html": PAGES,
    "results/report/studies": PAGES,
    "results/report": PAGES,
    "results/cells/{cell}": {"train"} | PLAIN,
    "results/cells/{cell}/metrics.json": {"train"} | PLAIN,
    "results/cells/{cell}/weights.pt": NOTHING,
    "results/cells/{cell}/epochs.csv": NOTHING,
    "results/cells/{cell}/timing.json": NOTHING,
    "results/cells/{cell}/provenance.json": NOTHING,
    "results/cells/{cell}/cell.json": NOTHING,
    "results/data": NOTHING,
    "results/logs": NOTHING,
    ".snakemake": NOTHING,
}


@pytest.mark.parametrize("path", DELETIONS)
def test_a_deletion_leads_to_these_jobs(project: Path, dry_runs: DryRuns, path: str) -> None:
    cell = first_cell(project)
    (deleted,) = project.glob(path.format(cell=cell))
    shutil.rmtree(deleted) if deleted.is_dir() else deleted.unlink()
    text = dry_runs.text(project)
    jobs = DELETIONS[path]
    expected = (jobs - {"train"}) | (train_jobs(cell) if "train" in jobs else set())
    assert jobs_of(text) == expected
    # A cell that is not whole is named, with what to do; it is not deleted for anyone.
    damaged = deleted.suffix in (".csv", ".json") and deleted.parent.name == cell
    what = f"results/cells/{cell}/{deleted.name} is missing; delete the folder results/cells/{cell}"
    assert (what in text) == (damaged and deleted.name != "metrics.json")
    if not damaged:
        assert "delete the folder" not in text


def test_a_result_cut_short_is_named(project: Path, dry_runs: DryRuns) -> None:
    cell = first_cell(project)
    path = project / f"results/cells/{cell}/metrics.json"
    content, times = path.read_bytes(), path.stat()
    path.unlink()
    path.write_bytes(content[: len(content) // 2])
    os.utime(path, (times.st_atime, times.st_mtime))
    text = dry_runs.text(project)
    assert jobs_of(text) == NOTHING
    assert f"cell {cell} (plain, lr=0.1, seed 0): results/cells/{cell}/metrics.json is cut" in text
    shutil.rmtree(path.parent)
    assert dry_runs.plan(project) == train_jobs(cell) | PLAIN


# -- every file of the library --------------------------------------------------------------------

PROGRAMS = ("collect_study", "study_tables", "study_figures", "study_claims", "build_report")


def test_every_file_of_the_library_counts_for_the_programs_that_import_it(tmp_path: Path) -> None:
    """Each file in turn: the digests that change are of those that are made of it; and of files
    that nobody imports none does. What such a digest does is in the table above."""
    shutil.copytree(made_from.PROGRAMS, tmp_path / "workflow")
    code = (
        "import sys; sys.path.insert(0, 'workflow')\n"
        "from ablation import made_from as m\n"
        f"programs = {PROGRAMS}\n"
        "def digests():\n"
        "    m.code_digest.cache_clear()\n"
        "    return {p: m.code_digest(p, 'report/*', 'ablation/*.mplstyle') for p in programs}\n"
        "before = digests()\n"
        "made = {p: set(m.code(p)) for p in programs}\n"
        "for file in sorted(m.PROGRAMS.rglob('*.py')):\n"
        "    text = file.read_bytes()\n"
        "    file.write_bytes(text + b'\\n# edited\\n')\n"
        "    after = digests()\n"
        "    file.write_bytes(text)\n"
        "    changed = {p for p in programs if after[p] != before[p]}\n"
        "    assert changed == {p for p in programs if file in made[p]}, file\n"
        "    print(file.relative_to(m.PROGRAMS), *sorted(changed))\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    rows = {line.split()[0]: set(line.split()[1:]) for line in done.stdout.splitlines()}
    assert len(rows) > 150
    assert rows["ablation/claim_plan.py"] == rows["ablation/__init__.py"] == set(PROGRAMS)
    assert rows["ablation/loop.py"] == rows["train_cell.py"] == set()
