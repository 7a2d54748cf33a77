"""The commands of the README and the docs are run; every program's --help is true."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from .project import PARTS, REPO

PAGES = [REPO / "README.md", *sorted((REPO / "docs").rglob("*.md")), REPO / "results/README.md"]
PROGRAMS = sorted((REPO / "workflow").glob("*.py"))


def commands() -> list[str]:
    """Every line of a ```sh block, comments taken off, each once."""
    found = []
    for page in PAGES:
        for block in re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.S | re.M):
            found += [shlex.join(shlex.split(line, comments=True)) for line in block.splitlines()]
    return sorted({line for line in found if line})


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the repository with the environment in its place."""
    folder = tmp_path_factory.mktemp("checkout")
    for part in (*PARTS, "Makefile", "tools", "tests"):
        source = REPO / part
        ignore = shutil.ignore_patterns("__pycache__")
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=ignore)
        else:
            shutil.copy2(source, folder / part)
    (folder / ".venv").symlink_to(Path(sys.executable).parent.parent)
    return folder


@pytest.mark.parametrize("command", commands())
def test_command_of_the_docs_works(checkout: Path, command: str) -> None:
    words = shlex.split(command)
    if words[0] == "make":  # set-up, demo and tests themselves are run by CI and by people
        words.insert(1, "-n")
    elif "snakemake" in words[0] and "scale=smoke" not in words and "-n" not in words:
        words.append("-n")  # the demo's minutes of training are left out
    done = subprocess.run(words, cwd=checkout, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr


def test_smoke_run_of_the_docs_leaves_a_report_of_every_study(checkout: Path) -> None:
    studies = yaml.safe_load((checkout / "config/config.yaml").read_text())["studies"]
    assert studies
    for name in studies:
        study = yaml.safe_load((checkout / f"config/studies/{name}.yaml").read_text())
        page = (checkout / f"results/report/studies/{name}.html").read_text()
        assert page.count("<svg") >= len(study["figures"]) >= 1, name


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.name)
def test_help_is_there_and_the_rules_use_only_its_options(program: Path) -> None:
    done = subprocess.run(
        [sys.executable, program, "--help"], capture_output=True, text=True, check=True
    )
    offered = set(re.findall(r"--[a-z-]+", done.stdout))
    for rule_file in (REPO / "rules").glob("*.smk"):
        for block in rule_file.read_text().split("shell:")[1:]:
            if f"workflow/{program.name}" in block:
                used = set(re.findall(r'^ +" (--[a-z-]+)', block, re.M))
                assert used <= offered, used - offered
