"""Whether every table, figure and verdict of some studies is there, none of them empty.

    python tools/check_results.py --scale smoke --studies all

A table has a row with a number in it. A figure has data in each of its panels: a line of more than
two points or with markers, a field of a heat map, a bar; ticks, frames, legends and straight lines
of reference do not count. What a table or figure of a broken run would look like is not judged. A
figure of times or energy that the cells cannot give stands as a sentence that says why: told, no
problem.
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "workflow"))

from ablation.cli import run  # noqa: E402
from ablation.config.load import check_workflow, read_yaml, study_names  # noqa: E402
from ablation.grid import Planner  # noqa: E402
from ablation.plan import StudyPlan  # noqa: E402

_SVG = "{http://www.w3.org/2000/svg}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; 1 if something is missing or empty, each on a line of stderr."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--studies", nargs="+", help="names, or all (default: config.yaml)")
    parser.add_argument("--scale", help="default: that of config.yaml")
    parser.add_argument("--config-dir", type=Path, default=ROOT / "config")
    parser.add_argument("--results", type=Path, default=ROOT / "results")
    args = parser.parse_args(argv)
    settings = check_workflow(read_yaml(args.config_dir / "config.yaml"))
    names = study_names(args.config_dir, args.studies or settings.studies)
    plans, _ = Planner(args.config_dir).plans(names, args.scale or settings.scale)
    found = [line for plan in plans.values() for line in problems(plan, args.results)]
    page = args.results / "report/index.html"
    text = page.read_text() if page.is_file() else ""
    found += [f"{page}: does not show {plan.config.title}" for plan in plans.values()
              if plan.name not in text]  # fmt: skip
    for line in found:
        print(line, file=sys.stderr)
    for plan in plans.values():
        for why in not_drawn(plan, args.results).values():
            print(f"{plan.name}: {why}")
    figures = sum(len(plan.config.figures) for plan in plans.values())
    tables = sum(len(tables_of(plan)) for plan in plans.values())
    print(
        f"{len(plans)} studies, {tables} tables, {figures} figures: {len(found) or 'no'} problems"
    )
    return int(bool(found))


def tables_of(plan: StudyPlan) -> list[str]:
    """Names of the tables that a study must have."""
    if plan.config.kind in ("lr_range", "loader"):
        return ["main"]
    wanted = {
        "comparisons": plan.variants[1:],
        "thresholds": plan.scale.thresholds,
        "published": plan.config.published,
    }
    return ["main", *(name for name, has in wanted.items() if has)]


def problems(plan: StudyPlan, results: Path) -> Iterator[str]:
    """What a study lacks, a line each."""
    folder = results / "studies" / plan.scale_name / plan.name
    tables = {folder / f"tables/{name}.csv" for name in tables_of(plan)}
    left_out = not_drawn(plan, results)
    figures = {folder / f"figures/{n}.svg" for n in plan.config.figures if n not in left_out}
    tables |= {figure.with_suffix(".csv") for figure in figures}
    tables |= {*folder.glob("tables/*.csv"), *folder.glob("figures/*.csv")}
    figures |= {*folder.glob("figures/*.svg")}
    other = [path.with_suffix(end) for path in tables for end in (".md", ".tex")
             if path.parent.name == "tables"]  # fmt: skip
    other += [path.with_suffix(".png") for path in figures]
    other += [folder / f"claims/claims.{end}" for end in ("csv", "md", "json")]
    for path in sorted({*tables, *figures, *other}):
        if not path.is_file() or not path.stat().st_size:
            yield f"{path}: missing or empty"
    for path in sorted(tables):
        if path.is_file() and not has_numbers(path):
            yield f"{path}: no row with a number"
    for path in sorted(figures):
        if path.is_file():
            yield from (f"{path}: {line}" for line in empty_panels(path))
    verdicts = folder / "claims/claims.csv"
    decided = {row["claim"] for row in rows(verdicts)} if verdicts.is_file() else set()
    for claim in plan.claims:
        if str(claim.number) not in decided:
            yield f"{verdicts}: no row of claim {claim.number}"


def not_drawn(plan: StudyPlan, results: Path) -> dict[str, str]:
    """Figures against a cost that no cell of the study could give, with the reason."""
    folder = results / "studies" / plan.scale_name / plan.name / "figures"
    reasons = {
        name: folder / f"{name}.txt"
        for name, figure in plan.config.figures.items()
        if figure.kind == "pareto"
    }
    return {name: path.read_text().strip() for name, path in reasons.items() if path.is_file()}


def rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def has_numbers(path: Path) -> bool:
    """Whether a table holds a number beside those that the plan gives it."""
    return any(
        re.fullmatch(r"-?\d+(\.\d+)?(e[+-]?\d+)?", value or "")
        for row in rows(path)
        for key, value in row.items()
        if not re.match(r"(axis|at_scale)\.|(n|n_planned|n_missing|seed|seeds|step|epoch|x)$", key)
    )


def empty_panels(path: Path) -> Iterator[str]:
    """Panels of a figure that show no data; a figure without panels is empty, too."""
    panels = [g for g in ET.parse(path).iter(f"{_SVG}g") if re.match(r"axes_\d", g.get("id", ""))]
    shown = [g for g in panels if any(_name(child).startswith("matplotlib.axis") for child in g)]
    if not shown:
        yield "no panel"
    for panel in shown:
        if not any(_is_data(child) for child in panel):
            yield f"no data in {panel.get('id')}"


def _name(element: ET.Element) -> str:
    return element.get("id", "")


def _is_data(artist: ET.Element) -> bool:
    name = _name(artist)
    paths = [path for path in artist.iter(f"{_SVG}path") if "clip-path" in path.attrib]
    if name.startswith("line2d"):
        marked = any("clip-path" in g.attrib for g in artist.iter(f"{_SVG}g"))
        return marked or any(path.get("d", "").count("L") > 1 for path in paths)
    if name.startswith("patch"):  # a bar; frames are not clipped to the panel
        return any(path.get("d", "") for path in paths)
    if not ("Collection" in name or name.startswith(("QuadMesh", "image"))):
        return False
    return any(e.tag in (f"{_SVG}path", f"{_SVG}use", f"{_SVG}image") for e in artist.iter())


if __name__ == "__main__":
    raise SystemExit(run(main))
