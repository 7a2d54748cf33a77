"""The rules say the truth: what a program reads is an input of its rule or in the digest of what it
is made from, and what a rule names is read."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ablation import made_from

from .dry_runs import DryRuns

READER = """
import os, runpy, sys
here, program, sys.argv = os.getcwd() + "/", sys.argv[1], sys.argv[1:]
sys.path.insert(0, "workflow")
opened = set()
def note(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes)) and "r" in (arguments[1] or "r"):
        opened.add(os.path.abspath(os.fsdecode(arguments[0])))
sys.addaudithook(note)
try:
    runpy.run_path(program, run_name="__main__")
except SystemExit as ended:
    assert not ended.code, ended.code
opened |= {m.__file__ for m in list(sys.modules.values()) if getattr(m, "__file__", None)}
for path in sorted(opened):
    if path.startswith(here) and os.path.isfile(path):
        print("read:", path.removeprefix(here))
"""
RULES = ("collect_study", "study_tables", "study_figures", "study_claims", "build_report")
PLUS = {"study_figures": ["ablation/*.mplstyle"], "build_report": ["report/*"]}
OF_CELL = ("cell.json", "epochs.csv", "timing.json", "provenance.json")


@pytest.fixture(scope="module")
def project(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reads") / "project"
    return Path(shutil.copytree(finished, folder, symlinks=True))


def planned(project: Path, dry_runs: DryRuns, rule: str) -> tuple[set[str], str]:
    """Inputs and command of a rule's job, of the study `plain` where it has one."""
    text = dry_runs.text(project, "-R", rule, "-p")
    blocks = re.split(r"\n(?=\[)", text)
    (block, *_) = [b for b in blocks if f"rule {rule}:" in b and "study=augmented" not in b]
    inputs = set(re.search(r"^    input: (.*)$", block, re.M)[1].split(", "))
    return inputs, re.search(r"python (workflow/.*?)(?: 2> .*)?$", block, re.M | re.S)[1]


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_names_what_its_program_reads(project: Path, dry_runs: DryRuns, rule: str) -> None:
    inputs, command = planned(project, dry_runs, rule)
    arguments = shlex.split(command.split(" 2> ")[0])
    done = subprocess.run(
        [sys.executable, "-c", READER, *arguments],
        cwd=project, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    read = {line[6:] for line in done.stdout.splitlines() if line.startswith("read: ")}
    read = {path for path in read if "__pycache__" not in path}
    results = {path for path in read if path.startswith("results/")} - written(project, command)
    code = {str(f.relative_to(made_from.PROGRAMS.parent)) for f in files_of(rule)}
    # Of files in config/ the table of edits shows what counts.
    assert {p for p in read - results if p.startswith("workflow/")} - code == set()

    def declared(path: str) -> bool:
        named = path in inputs or any(path.startswith(f"{folder}/") for folder in inputs)
        cell = Path(path).name in OF_CELL and f"{Path(path).parent}/metrics.json" in inputs
        return named or cell

    assert {path for path in results if not declared(path)} == set()
    unread = {path for path in inputs if not any(is_in(found, path) for found in results)}
    # steps.csv is of range tests, and empty here; the dotted file stands for code and texts.
    assert {p for p in unread if not Path(p).name.startswith(".")} <= steps(inputs)


def files_of(rule: str) -> set[Path]:
    more = (f for p in PLUS.get(rule, ()) for f in made_from.PROGRAMS.glob(p))
    return {*made_from.code(rule), *more}


def written(project: Path, command: str) -> set[str]:
    """Files below the folder that the command writes to, which it may read again."""
    out = shlex.split(command)[shlex.split(command).index("--out") + 1]
    if out.startswith("results/studies") and Path(out).name not in ("tables", "figures", "claims"):
        return set()
    return {str(p.relative_to(project)) for p in (project / out).rglob("*")}


def is_in(found: str, path: str) -> bool:
    return found == path or found.startswith(f"{path}/")


def steps(inputs: set[str]) -> set[str]:
    return {path for path in inputs if path.endswith("/steps.csv")}
