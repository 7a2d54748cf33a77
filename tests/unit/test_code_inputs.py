"""Tables, figures, verdicts and the report are made anew when the code that makes them changes.

Each rule names the library modules that its program imports, found here by reading the sources."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
ROOT = REPO / "workflow"
# They read files and options, plan and tell errors: what of it a table shows is in the plan, whose
# digest is an input of its own.
PLUMBING = {"cli", "claim_plan", "dataset_id", "errors", "files", "identity", "overrides"}
PLUMBING |= {"settings", "class_order", "memory", "storable"}
PLUMBING |= {"settings", "again", "csv_text", "foreign", "printable", "results"}


def imported(file: Path) -> set[Path]:
    """The library's files that one file imports, within functions too."""
    package = file.relative_to(ROOT).parts[:-1]
    names: set[tuple[str, ...]] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else ()
            module = (*above, *node.module.split(".")) if node.module else above
            names |= {module, *((*module, alias.name) for alias in node.names)}
    paths = [ROOT.joinpath(*name) for name in names if name[:1] == ("ablation",)]
    return {f for p in paths for f in (p.with_suffix(".py"), p / "__init__.py") if f.is_file()}


def modules(program: Path) -> set[str]:
    """Names of the library's modules that a program imports, by itself or through others; its
    packages (config, optim, ...) are the plan's, whose digest is an input of its own."""
    found, todo = set(), [program]
    while todo:
        new = imported(todo.pop()) - found
        found |= new
        todo += new
    return {f.stem for f in found if f.parent == ROOT / "ablation"} - {"__init__"}


def listed() -> dict[str, set[str]]:
    """Rule -> modules that it names as its code."""
    found = {}
    for file in ("collect", "analyse", "report"):
        text = (REPO / f"rules/{file}.smk").read_text()
        for name, body in re.findall(r"^rule (\w+):\n(.*?)(?=^rule |\Z)", text, re.S | re.M):
            if code := re.search(r"code=\[(.*?)\n        \]", body, re.S):
                found[name] = set(re.findall(r'"(\w+)"', code.group(1)))
    return found


def test_the_rules_that_follow_their_code():
    rules = {"collect_study", "study_tables", "study_figures", "study_claims", "build_report"}
    assert set(listed()) == rules


@pytest.mark.parametrize("rule", sorted(listed()))
def test_a_rule_names_every_module_of_its_program(rule):
    used = modules(ROOT / f"{rule}.py") - PLUMBING
    assert {"grid", "plan", "variants"} <= used  # the search finds what others import
    assert used - listed()[rule] == set()
    assert listed()[rule] - used - PLUMBING == set()
