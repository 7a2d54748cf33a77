"""A copy of the project in a temporary folder, with two small studies, run by real Snakemake."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
PARTS = (
    "Snakefile",
    "rules",
    "workflow",
    "config",
    "profiles",
    "slurm",
    "data",
    "requirements.lock",
)

STUDY = """\
title: Learning rates {name}
document: a test
place: nowhere
question: Does it run?
recipe: aime_resnet50
base:
  augment: {{name: {augment}}}
grid:
  lr: [0.1, 0.01]
baseline: {{lr: 0.1}}
seeds: 1
figures:
  accuracy: {{kind: curves, metric: val_top1, title: Top-1, colour: lr}}
"""


def make(folder: Path) -> Path:
    """The project with the studies `plain` (no augmentation) and `augmented`, at scale smoke."""
    for part in PARTS:
        source = REPO / part
        ignore = shutil.ignore_patterns("__pycache__")
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=ignore)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, folder / part)
    for study in (folder / "config/studies").glob("*.yaml"):
        study.unlink()
    for name, augment in (("plain", "none"), ("augmented", "standard")):
        text = STUDY.format(name=name, augment=augment)
        (folder / f"config/studies/{name}.yaml").write_text(text)
    (folder / "config/config.yaml").write_text("scale: smoke\nstudies: [plain, augmented]\n")
    edit(folder, "config/scales/smoke.yaml", "max_seeds: 1\n", "")
    return folder


def edit(folder: Path, path: str, old: str, new: str) -> None:
    """Replace a text in a file; the text must be there."""
    file = folder / path
    text = file.read_text()
    assert old in text, f"{path} holds no {old!r}"
    file.write_text(text.replace(old, new))


def snakemake(
    folder: Path, *args: str, check: bool = True, timeout: float = 600
) -> subprocess.CompletedProcess:
    """Run Snakemake in the project; the error output is part of a failure's message."""
    # As a user's shell has it: the environment is not activated.
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [Path(sys.executable).parent / "snakemake", "--cores", "2", *args],
        cwd=folder, env=env, capture_output=True, text=True, timeout=timeout,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def planned_jobs(folder: Path, *args: str) -> set[str]:
    """What a dry run would do: `rule` or `rule wildcards`, without `all`."""
    done = snakemake(folder, "-n", *args)
    return jobs_of(done.stdout + done.stderr)


def jobs_of(text: str) -> set[str]:
    """The jobs that a dry run tells."""
    jobs = set()
    for block in re.split(r"\n(?=\[)|\n\n", text):
        rule = re.search(r"^(?:local)?rule (\w+):", block, re.M)
        # The digest of what a part is made from is of no interest here.
        wildcards = re.search(r"^    wildcards: (.*?)(?:, state=[\w.]+)?$", block, re.M)
        if rule and rule[1] != "all":
            jobs.add(f"{rule[1]} {wildcards[1]}" if wildcards else rule[1])
    return jobs


def copy(finished: Path, folder: Path) -> Path:
    """A copy of a finished project, times kept, that may be edited. Results are links: replace
    them or delete them, write into none."""
    folder.mkdir()
    for part in (*PARTS, ".snakemake"):
        source = finished / part
        if source.is_dir() and part != "data":
            shutil.copytree(source, folder / part, symlinks=True)
        elif source.is_file():
            shutil.copy2(source, folder / part)
    (folder / "data").symlink_to(finished / "data")
    shutil.copytree(finished / "results", folder / "results", copy_function=os.link)
    return folder


def cells(folder: Path, study: str, scale: str = "smoke") -> dict[tuple[str, int], str]:
    """(variant, seed) -> cell id, planned in a process of its own, by the copy's code."""
    code = (
        "import sys; sys.path.insert(0, 'workflow')\n"
        "from ablation.grid import Planner\n"
        f"for c in Planner('config').plan({study!r}, {scale!r}).cells:\n"
        "    print(c.variant.label, c.config.seed, c.id, sep='|')"
    )
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split("|") for line in out.splitlines()]
    return {(label, int(seed)): cell for label, seed, cell in rows}


def first_cell(folder: Path) -> str:
    """The cell of the study `plain` with lr=0.1."""
    return cells(folder, "plain")["lr=0.1", 0]


def train_jobs(*ids: str) -> set[str]:
    """The training jobs of some cells."""
    return {f"train_cell cell={cell}" for cell in ids}


def note(part: str, *studies: str) -> set[str]:
    """The jobs that note that a part of some studies is made from something else."""
    return {f"note_source of=studies/smoke/{study}, part={part}" for study in studies}


NOTE_PAGES = "note_source of=report, part=pages"


def analysis_jobs(*studies: str, plan: bool = False) -> set[str]:
    """The jobs that collect and draw up studies again, and the report. plan: because their files
    say something else."""
    rules = ("collect_study", "study_tables", "study_claims", "study_figures")
    jobs = {f"{rule} scale=smoke, study={s}" for rule in rules for s in studies}
    return jobs | {"build_report"} | (note("cells", *studies) | {NOTE_PAGES} if plan else set())


def new_study_jobs(study: str) -> set[str]:
    """The jobs that collect and draw up a study for the first time, and the report."""
    parts = ("tables", "figures", "claims")
    return analysis_jobs(study, plan=True).union(*(note(part, study) for part in parts))


def part_jobs(part: str, *studies: str) -> set[str]:
    """The jobs that make one part of studies again, as its code is another; figures are in the
    report."""
    jobs = note(part, *studies) | {f"study_{part} scale=smoke, study={s}" for s in studies}
    return jobs | ({"build_report"} if part == "figures" else set())
