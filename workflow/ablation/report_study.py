"""A study's page: what was found, its figures and tables, and every run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import sentences
from .captions import caption
from .claims import Verdict
from .collect import log_of
from .config.study import Curves
from .entries import number
from .errors import DataError
from .figure_data import why_not
from .foreign import LARGE, Unreadable, read_tail, read_text
from .frames import StudyData
from .hover import hover
from .markup import Column, Entry, Table
from .metrics import METRICS, TABLE_METRICS
from .place import Place
from .printable import one_line
from .published_table import title_of
from .render import inline_svg
from .report_cells import status_text
from .results import CellRecord
from .settings import settings_table
from .tables import study_tables
from .verdicts import study_table

Records = tuple[Mapping[str, CellRecord], Mapping[str, str]]
"""By cell: what was read, and what is wrong with the files of others."""
_EVIDENCE = ("Runs", "Top-1 (%)")
"""Columns of the main table that lead to a variant's runs."""


def study_content(
    data: StudyData, found: list[Verdict], records: Records, paged: set[str], place: Place
) -> dict[str, Any]:
    """What a study's page shows. paged: the cells that have a page."""
    plan = data.plan
    names = {t.dataset for v in plan.variants for t in (v.document, v.training)}
    titles = {name: title_of(name, place.config_dir) for name in names}
    tables = {table.name: table for table in study_tables(data, place.config_dir)}
    return {
        "id": plan.name,
        "config": plan.config,
        "recipe": plan.recipe.title,
        "notice": sentences.notice([data], place.scale, titles),
        "findings": sentences.findings(data),
        "figures": [_figure(data, name, place) for name in plan.config.all_figures],
        "main": _to_runs(data, tables["main"]),
        "comparisons": tables.get("comparisons"),
        "thresholds": tables.get("thresholds"),
        "published": tables.get("published"),
        "claims": study_table(data, found) if found else None,
        "settings": settings_table(plan),
        "runs": runs_table(data, paged),
        "troubles": _troubles(data, records, paged, place),
        "command": _command(data, records, place),
    }


def _figure(data: StudyData, name: str, place: Place) -> dict[str, Any]:
    identity = f"{data.plan.name}-{name}"
    if reason := why_not(data, name):
        return {"svg": "", "caption": reason, "png": "", "id": identity, "hover": None, "csv": ""}
    folder = place.study(data.plan.name) / "figures"
    try:
        svg = read_text(folder / f"{name}.svg", LARGE)
    except (OSError, Unreadable) as error:
        raise DataError(
            f"{folder / name}.svg cannot be read ({getattr(error, 'strerror', error)}); "
            "run `python workflow/study_figures.py` first"
        ) from None
    text = caption(data, name)
    png = Path(os.path.relpath(folder / f"{name}.png", place.out)).as_posix()
    spec = data.plan.config.all_figures[name]
    return {
        "svg": inline_svg(svg, identity, text),
        "caption": text,
        "png": png,
        "id": identity,
        "hover": hover(folder, name, spec.metric) if isinstance(spec, Curves) else None,
        "csv": (folder / f"{name}.csv").as_posix(),
    }


def _to_runs(data: StudyData, table: Table) -> Table:
    """The main table with links from a variant's numbers to its runs."""
    columns = [i for i, column in enumerate(table.columns) if column.heading in _EVIDENCE]
    if len(table.rows) != len(data.plan.variants):
        return table  # of a range test: a row is a run
    first = {c.variant.label: f"#run-{c.id}" for c in reversed(data.plan.cells)}
    rows = []
    for variant, row in zip(data.plan.variants, table.rows, strict=True):
        link = first[variant.label]
        rows.append(tuple(replace(e, link=link) if i in columns else e for i, e in enumerate(row)))
    return replace(table, rows=tuple(rows))


def runs_table(data: StudyData, paged: set[str]) -> Table:
    """A row a run, with its own numbers, that leads to its page."""
    plan = data.plan
    loader = plan.config.kind == "loader"
    metrics = ("first_images_per_s", "images_per_s") if loader else TABLE_METRICS
    headings = ("First images per second (1/s)", "Images per second (1/s)")
    headings = headings if loader else tuple(METRICS[m].heading for m in metrics)
    columns = [Column("Variant", header=True), Column("Seed", True), Column("Cell")]
    columns += [Column("Status"), *(Column(heading, numeric=True) for heading in headings)]
    labels = {v.label: i for i, v in enumerate(plan.variants)}
    rows = []
    for run in data.runs.to_dict("records"):
        cell = run["cell_id"]
        link = cell_link(cell) if cell in paged else ""
        numbers = [
            Entry("–", float("nan")) if run[m] != run[m] else Entry(_shown(m, run[m]), run[m])
            for m in metrics
        ]
        first = Entry(run["variant"], labels[run["variant"]])
        seed = int(run["seed"])
        rows.append(
            (first, Entry(str(seed), seed), Entry(cell, link=link), Entry(run["status"]), *numbers)
        )
    notes = ("At the last epoch, of each run by itself." if not loader else "",)
    caption = f"{plan.config.title}: every run"
    ids = tuple(f"run-{cell.id}" for cell in plan.cells)
    return Table("runs", caption, tuple(columns), tuple(rows), tuple(filter(None, notes)), ids=ids)


def _shown(metric: str, value: float) -> str:
    return number(metric, value) if metric in METRICS else f"{value:.0f}"


def cell_link(cell: str) -> str:
    """A cell's page, seen from a study's."""
    return f"../cells/{cell}.html"


def _troubles(data: StudyData, records: Records, paged: set[str], place: Place) -> Table | None:
    """Cells that diverged or have no result, each with its log; None when all went well."""
    headings = ("Cell", "Variant", "Seed", "What", "Log", "Its last line")
    rows = []
    for cell in data.plan.cells:
        record, log = records[0].get(cell.id), log_of(place.cells, cell.id)
        if record is not None and record.metrics["status"] == "completed":
            continue
        link = cell_link(cell.id) if cell.id in paged else ""
        texts = (
            cell.variant.label,
            str(cell.config.seed),
            status_text(record, records[1].get(cell.id)),
            log.as_posix(),
            last_line(log),
        )
        rows.append((Entry(cell.id, link=link), *map(Entry, texts)))
    columns = tuple(Column(h, header=not i) for i, h in enumerate(headings))
    return Table("troubles", "Diverged and missing cells", columns, tuple(rows)) if rows else None


def last_line(log: Path, most: int = 200) -> str:
    """The last line of a log, shortened."""
    if not log.is_file():
        return "no log"
    lines = read_tail(log, 4096, follow=False).split("\n")
    return one_line(next((line for line in reversed(lines) if line.strip()), "empty"), most)


def _command(data: StudyData, records: Records, place: Place) -> tuple[str, str] | None:
    """(label, command) that makes one cell again: the baseline's first, else any."""
    baseline = data.plan.baseline.label
    cells = sorted(data.plan.cells, key=lambda c: c.variant.label != baseline)
    for cell in cells:
        if cell.id in records[0]:
            label = f"{cell.variant.label}, seed {cell.config.seed} (cell {cell.id})"
            return label, place.command(data.plan.name, cell)
    return None
