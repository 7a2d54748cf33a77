"""The report: what was run on what, each study with figures and tables, hardware, versions, time.

Everything that is said comes from the plan and the results; render.py and the templates only lay
it out.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import recommendation, sentences
from .captions import caption
from .claim_plan import check_one_decision
from .claims import NOT_HERE, NOT_TESTED, Verdict, verdicts
from .collect import CellRecord, log_of, read_cell, reads_only, scaled_axes
from .config.load import load_study
from .config.study import StudyConfig
from .entries import level
from .errors import ConfigError, DataError, NotAtScale, UserError
from .figure_data import why_not
from .files import write_text
from .frames import StudyData, load
from .grid import Cell, Planner
from .markup import Column, Entry, Table
from .published_table import title_of
from .render import inline_svg, render_html, render_markdown
from .sentences import count, duration, listed
from .settings import model_text, settings_table
from .tables import study_tables
from .verdicts import document_tables, study_table, tally


@dataclass(frozen=True)
class Place:
    """Where things lie, and what the report is about."""

    scale: str
    studies: tuple[str, ...]
    results: Path
    out: Path
    config_dir: Path

    def study(self, name: str) -> Path:
        """Folder of a study's tables and figures."""
        return self.results / "studies" / self.scale / name

    @property
    def cells(self) -> Path:
        """Folder of the cells."""
        return self.results / "cells"


def build(place: Place) -> None:
    """Write index.html and report.md."""
    content = gather(place)
    place.out.mkdir(parents=True, exist_ok=True)
    write_text(place.out / "index.html", render_html(content))
    write_text(place.out / "report.md", render_markdown(content))


def gather(place: Place) -> dict[str, Any]:
    """All that the templates show."""
    planner = Planner(place.config_dir)
    studies, not_run = [], []
    for name in place.studies:
        try:
            folder, plan = place.study(name), planner.plan(name, place.scale)
        except NotAtScale:
            not_run.append(load_study(place.config_dir, name))
            continue
        studies.append(load(plan, folder / "runs.csv", folder / "epochs.csv"))
    if not studies:
        raise UserError(f"none of these studies is run at scale {place.scale}")
    trained = [data for data in studies if data.plan.config.kind != "loader"]
    records = _records(studies, place.cells)
    decided = {data.plan.name: verdicts(data) for data in studies}
    names = {t.dataset for d in studies for v in d.plan.variants for t in (v.document, v.training)}
    titles = {name: title_of(name, place.config_dir) for name in names}
    val_images = max((r.metrics.get("val_images") or 0 for r in records.values()), default=0)
    return {
        "scale": place.scale,
        "scale_title": studies[0].plan.scale.title,
        "trial": studies[0].plan.scale.trial,
        "notice": sentences.notice(trained or studies, place.scale, titles),
        "facts": _facts(studies, records),
        "claims": _claims(studies, planner, decided),
        "tips": recommendation.summary(studies, decided),
        "overview": _overview(studies),
        "not_run": _not_run(not_run, place.scale),
        "studies": [_study(data, records, place, decided) for data in studies],
        "hardware": _hardware(records),
        "versions": _versions(records),
        "mixtures": [note for data in studies for note in sentences.mixtures(data)],
        "time": _time(studies, records),
        "trained": _dates(records),
        "how_to_read": sentences.how_to_read(trained, val_images) if trained else [],
    }


def _records(studies: list[StudyData], cells: Path) -> dict[str, CellRecord]:
    """Records of the cells that runs.csv counts as there."""
    records = {}
    for data in studies:
        there = set(data.runs.loc[data.runs["status"] != "missing", "cell_id"])
        for cell in there - set(records):
            records[cell] = read_cell(cells / cell, cell)
    return records


def _facts(studies: list[StudyData], records: dict[str, CellRecord]) -> list[tuple[str, str]]:
    """(what, text): what was run on what."""
    cells = {c.id: c for data in studies for c in data.plan.cells}
    status = Counter(r.metrics["status"] for r in records.values())
    datasets = {c.dataset.name: c.dataset for c in cells.values()}
    spent = sum(r.timing["wall_time_s"] for r in records.values())
    text = f"{count(len(cells), 'cell')} planned: {status['completed']} completed, "
    text += f"{status['diverged']} diverged, {len(cells) - len(records)} missing"
    seeds = sorted({c.config.seed for c in cells.values()})
    facts = [("Scale", studies[0].plan.scale.title)]
    for name, dataset in datasets.items():
        used = {
            f"{r.metrics['train_images']:,} training and "
            f"{r.metrics['val_images']:,} validation images"
            for cell, r in records.items()
            if r.cell["dataset"] == name and not reads_only(cell)
        }
        grey = "" if dataset.config.colour else ", grey images"
        title = f"{dataset.config.title}, {count(len(dataset.lock.classes), 'class')}{grey}"
        facts.append(("Dataset", f"{title}; {listed(sorted(used))} used" if used else title))
        facts.append(("Licence", dataset.config.licence or "none given"))
    if models := _models(cells, records):
        facts.append(("Model", listed(sorted(models))))
    facts.append(("Cells", text))
    facts.append(("Seeds", listed(seeds) if len(seeds) < 8 else f"{len(seeds)} ({seeds[0]} ...)"))
    return [*facts, ("Computing time", f"{duration(spent)}, summed over the cells")]


def _models(cells: dict[str, Cell], records: dict[str, CellRecord]) -> set[str]:
    cells = {name: cell for name, cell in cells.items() if not reads_only(name)}
    found = {model_text(c.config): "" for c in cells.values()}
    for cell in set(cells) & set(records):
        record = records[cell]
        found[model_text(cells[cell].config)] = f", {record.metrics['parameters']:,} parameters"
    return {text + parameters for text, parameters in found.items()}


def _overview(studies: list[StudyData]) -> Table:
    headings = ("Study", "Place", "Variants", "Cells", "Diverged", "Missing", "Best variant")
    headings += ("Its top-1 (%)",)
    rows = []
    for data in studies:
        plan, status = data.plan, data.runs["status"]
        best = data.best() if plan.config.kind == "grid" else None
        lost, missing = (int((status == s).sum()) for s in ("diverged", "missing"))
        numbers = (len(plan.variants), len(plan.cells), lost, missing)
        rows.append(
            (
                Entry(plan.config.title),
                Entry(plan.config.place),
                *(Entry(str(n), n) for n in numbers),
                Entry(best.label if best else "–"),
                level(data, best, "val_top1") if best else Entry("–"),
            )
        )
    columns = [
        Column(h, numeric=i in (2, 3, 4, 5, 7), header=not i) for i, h in enumerate(headings)
    ]
    notes = ["Best: by mean top-1 at the last epoch, ± half the width of its 95 % interval."]
    if any(scaled_axes(data.plan) for data in studies):
        notes.append(
            "Variants are named by the values in the document, also where the scale ran others."
        )
    return Table(
        "overview", "The studies of this report", tuple(columns), tuple(rows), tuple(notes)
    )


def _claims(
    studies: list[StudyData], planner: Planner, decided: dict[str, list[Verdict]]
) -> list[tuple[Table, str]]:
    """(table, tally) of each document's claims, also of those that no study here tests."""
    if not (planner.config_dir / "claims.yaml").is_file():
        return []
    check_one_decision(data.plan for data in studies)
    found = {v.planned.number: (v, name) for name, mine in decided.items() for v in mine}
    absent = _absent(planner.config_dir, studies[0].plan.scale_name)
    tables = document_tables(planner.register, found, absent)
    return [(table, tally(table)) for table in tables]


def _absent(config_dir: Path, scale: str) -> dict[int, str]:
    """What is said of a claim whose study is not in the report, of all studies that can be read."""
    found = {}
    for path in sorted((config_dir / "studies").glob("*.yaml")):
        try:
            study = load_study(config_dir, path.stem)
        except ConfigError:
            continue  # it is none of this report's, whose studies have been planned
        text = f"{NOT_TESTED}: study {path.stem} is not in this report"
        if scale in study.not_at:
            text = f"{NOT_HERE}: {study.not_at[scale]}"
        found |= {claim.number: text for claim in study.claims}
    return found


def _not_run(studies: list[StudyConfig], scale: str) -> Table | None:
    """Studies that were asked for and that this scale cannot carry; None without any."""
    columns = tuple(Column(h, header=not i) for i, h in enumerate(("Study", "From", "Why")))
    rows = [
        tuple(map(Entry, (s.title, f"{s.document}, {s.place}", s.not_at[scale]))) for s in studies
    ]
    return Table("not_run", f"Not run at scale {scale}", columns, tuple(rows)) if rows else None


def _study(
    data: StudyData,
    records: dict[str, CellRecord],
    place: Place,
    decided: dict[str, list[Verdict]],
) -> dict[str, Any]:
    plan = data.plan
    tables = {table.name: table for table in study_tables(data, place.config_dir)}
    return {
        "id": plan.name,
        "config": plan.config,
        "recipe": plan.recipe.title,
        "findings": sentences.findings(data),
        "figures": [_figure(data, name, place) for name in plan.config.all_figures],
        "main": tables["main"],
        "comparisons": tables.get("comparisons"),
        "thresholds": tables.get("thresholds"),
        "published": tables.get("published"),
        "claims": study_table(data, decided[plan.name]) if plan.claims else None,
        "settings": settings_table(plan),
        "troubles": _troubles(data, records, place),
        "command": _command(data, records),
    }


def _figure(data: StudyData, name: str, place: Place) -> dict[str, Any]:
    if reason := why_not(data, name):
        return {"svg": "", "caption": reason, "png": "", "id": f"{data.plan.name}-{name}"}
    folder = place.study(data.plan.name) / "figures"
    try:
        svg = (folder / f"{name}.svg").read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(
            f"{folder / name}.svg cannot be read ({error.strerror}); "
            "run `python workflow/study_figures.py` first"
        ) from None
    text = caption(data, name)
    identity = f"{data.plan.name}-{name}"
    png = Path(os.path.relpath(folder / f"{name}.png", place.out)).as_posix()
    return {"svg": inline_svg(svg, identity, text), "caption": text, "png": png, "id": identity}


def _troubles(data: StudyData, records: dict[str, CellRecord], place: Place) -> Table | None:
    """Cells that diverged or have no result, each with its log; None when all went well."""
    headings = ("Cell", "Variant", "Seed", "What", "Log", "Its last line")
    rows = []
    for cell in data.plan.cells:
        record, log = records.get(cell.id), log_of(place.cells, cell.id)
        if record is not None and record.metrics["status"] == "completed":
            continue
        what = "missing: no result"
        if record is not None:
            at = record.metrics.get("diverged_at") or {}
            step = at.get("step")
            where = "at its evaluation" if step is None else f"step {step}"
            what = f"diverged in epoch {at.get('epoch')}, {where}"
        rows.append(
            tuple(
                map(
                    Entry,
                    (
                        cell.id,
                        cell.variant.label,
                        str(cell.config.seed),
                        what,
                        log.as_posix(),
                        last_line(log),
                    ),
                )
            )
        )
    columns = tuple(Column(h, header=not i) for i, h in enumerate(headings))
    return Table("troubles", "Diverged and missing cells", columns, tuple(rows)) if rows else None


def last_line(log: Path, most: int = 200) -> str:
    """The last line of a log, shortened; a dash when there is no log."""
    try:
        with open(log, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 4096))
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:
        return "no log"
    last = next((line.strip() for line in reversed(lines) if line.strip()), "empty")
    return last if len(last) <= most else last[:most] + " ..."


def _command(data: StudyData, records: dict[str, CellRecord]) -> tuple[str, str] | None:
    """(label, command) that makes one cell again: the baseline's first, else any."""
    baseline = data.plan.baseline.label
    cells = sorted(data.plan.cells, key=lambda c: c.variant.label != baseline)
    for cell in cells:
        if cell.id in records:
            label = f"{cell.variant.label}, seed {cell.config.seed} (cell {cell.id})"
            return label, str(records[cell.id].cell["command"])
    return None


def _hardware(records: dict[str, CellRecord]) -> Table:
    machines: Counter[tuple[str, str]] = Counter()
    for record in records.values():
        origin, parts = record.provenance, record.provenance.get("hardware") or {}
        kind = [parts.get("cpu"), f"{parts.get('cpu_count')} CPUs", parts.get("isa")]
        if parts.get("gpu"):
            kind = [f"{parts.get('gpu_count') or 1} × {parts['gpu']}", *kind]
        text = ", ".join(str(k) for k in kind if k)
        machines[(text, f"{origin.get('threads')} per cell")] += 1
    columns = (Column("Machine", header=True), Column("Compute threads"), Column("Cells", True))
    rows = tuple(
        (Entry(text), Entry(threads), Entry(str(n), n))
        for (text, threads), n in sorted(machines.items())
    )
    return Table("hardware", "Hardware", columns, rows)


def _versions(records: dict[str, CellRecord]) -> Table:
    found: dict[str, Counter[str]] = {}
    for record in records.values():
        origin = record.provenance
        code = origin.get("code_version") or "not recorded"
        for name, version in {
            "this project": code,
            "python": origin.get("python"),
            **(origin.get("packages") or {}),
        }.items():
            found.setdefault(name, Counter())[str(version)] += 1
    rows = []
    for name, versions in found.items():
        one = len(versions) == 1
        texts = [v if one else f"{v} ({count(n, 'cell')})" for v, n in sorted(versions.items())]
        rows.append((Entry(name), Entry(", ".join(texts))))
    columns = (Column("Software", header=True), Column("Version"))
    return Table("versions", "Versions", columns, tuple(rows))


def _time(studies: list[StudyData], records: dict[str, CellRecord]) -> Table:
    headings = ("Study", "Cells", "All", "A cell: start", "Training", "Evaluation", "Ran alone")
    groups = [(d.plan.config.title, {c.id for c in d.plan.cells} & set(records)) for d in studies]
    groups.append(("All cells, each once", set(records)))
    rows = []
    for title, cells in groups:
        timing = [records[cell].timing for cell in sorted(cells)]
        total = sum(t["wall_time_s"] for t in timing)
        parts = [
            sum(t[key] for t in timing) / len(timing) if timing else 0.0
            for key in ("startup_time_s", "train_time_s", "eval_time_s")
        ]
        alone = sum(bool(t["alone"]) for t in timing)
        rows.append(
            (
                Entry(title),
                Entry(str(len(timing)), len(timing)),
                *(Entry(duration(s), s) for s in (total, *parts)),
                Entry(f"{alone} of {len(timing)}", alone),
            )
        )
    columns = tuple(Column(h, numeric=i > 0, header=not i) for i, h in enumerate(headings))
    notes = ("A cell that two studies share is counted in both rows, and once in the last.",)
    return Table("time", "Where the time went", columns, tuple(rows), notes)


def _dates(records: dict[str, CellRecord]) -> str:
    """When the cells were trained; the report has no date of its own, so that it repeats."""
    began = sorted(str(r.provenance.get("started"))[:10] for r in records.values())
    if not began:
        return ""
    return began[0] if began[0] == began[-1] else f"{began[0]} to {began[-1]}"
