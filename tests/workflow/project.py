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
    jobs = set()
    for block in re.split(r"\n(?=\[)|\n\n", done.stdout + done.stderr):
        rule = re.search(r"^(?:local)?rule (\w+):", block, re.M)
        # A plan's digest is of no interest here.
        wildcards = re.search(r"^    wildcards: (.*?)(?:, plan=\w+)?$", block, re.M)
        if rule and rule[1] != "all":
            jobs.add(f"{rule[1]} {wildcards[1]}" if wildcards else rule[1])
    return jobs


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


def train_jobs(*ids: str) -> set[str]:
    """The training jobs of some cells."""
    return {f"train_cell cell={cell}" for cell in ids}


def analysis_jobs(*studies: str, plan: bool = False, figures_only: bool = False) -> set[str]:
    """The jobs that draw up studies again, and the report. plan: because their plan is another."""
    rules = ["study_figures"]
    if not figures_only:
        rules += ["collect_study", "study_tables", "study_claims"]
    if plan:
        rules += ["note_plan"]
    return {f"{rule} scale=smoke, study={s}" for rule in rules for s in studies} | {"build_report"}
