"""The report: what was run on what, each study with figures and tables, hardware, versions, time.

Everything that is said comes from the plan and the results; render.py and the templates only lay
it out.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import recommendation, sentences
from .claims import verdicts
from .config.expected import notes
from .config.load import load_study
from .config.study import StudyConfig
from .errors import NotAtScale, UserError
from .files import refuse_link, write_text
from .frames import StudyData, load
from .grid import Cell, Planner
from .markup import Column, Entry, Table
from .place import Place
from .published_table import title_of
from .render import HtmlRenderer, render_markdown
from .report_cells import cell_pages, paged_cells
from .report_documents import claims_content, document_content, grouped
from .report_machines import dates, hardware, time_table, versions
from .report_study import study_content
from .results import CellRecord, DamagedCell, MissingCell, read_cell, reads_only
from .sentences import count, duration, listed
from .settings import model_text

OWN = ("studies", "cells")
"""Folders of the report that hold its pages and nothing else."""


def build(place: Place) -> dict[str, str]:
    """Write report.md, a page for every study and cell, and at last index.html.

    Returns what is wrong with the files of damaged cells, by cell: the rest is reported on.
    """
    for folder in OWN:
        refuse_link(place.out / folder)  # pages are written and deleted there
    material = gather(place)
    content = material.content
    pages = Pages()
    shown = content["studies"]
    for study, following in zip(shown, [*shown[1:], None], strict=True):
        path = place.out / "studies" / f"{study['id']}.html"
        pages.write(path, "study", content, study=study, following=following)
    found = (material.records, material.damaged)
    for cell in cell_pages(material.studies, *found, material.paged, place):
        pages.write(place.out / "cells" / f"{cell['id']}.html", "cell", content, cell=cell)
    pages.write(place.out / "index.html", "index", content)
    write_text(place.out / "report.md", render_markdown(content))
    for folder in OWN:  # pages of an earlier choice of studies
        for page in set((place.out / folder).glob("*.html")) - pages.written:
            page.unlink()
    return material.damaged


class Pages:
    """Renders pages and writes them, and knows which ones."""

    def __init__(self) -> None:
        self.renderer = HtmlRenderer()
        self.written: set[Path] = set()

    def write(self, path: Path, template: str, content: dict[str, Any], **more: Any) -> None:
        """Write one page."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, self.renderer.page(template, {**content, **more}))
        self.written.add(path)


@dataclass(frozen=True)
class Material:
    """What a report is made from, and what its templates show of it."""

    studies: list[StudyData]
    records: dict[str, CellRecord]
    damaged: dict[str, str]
    """Cell -> what is wrong with its files."""
    paged: set[str]
    """The cells that have a page."""
    content: dict[str, Any]


def gather(place: Place) -> Material:
    """All that the templates show but for the cells, whose pages are made one by one."""
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
    records, damaged = _records(studies, place.cells)
    paged = paged_cells(studies, records, place.cells)
    found = {data.plan.name: verdicts(data) for data in studies}
    groups = grouped(studies, found, planner)
    content = {
        **_front(studies, records, place),
        **claims_content(groups, place.scale),
        "tips": recommendation.summary(studies, found),
        "documents": [document_content(group) for group in groups],
        "not_run": _not_run(not_run, place.scale),
        "studies": [
            study_content(data, found[data.plan.name], (records, damaged), paged, place)
            | {"document": {"id": group.id, "title": group.title}}
            for group in groups
            for data in group.studies
        ],
    }
    return Material(studies, records, damaged, paged, content)


def _front(
    studies: list[StudyData], records: dict[str, CellRecord], place: Place
) -> dict[str, Any]:
    """What the first page says of all studies."""
    trained = [data for data in studies if data.plan.config.kind != "loader"]
    names = {t.dataset for d in studies for v in d.plan.variants for t in (v.document, v.training)}
    titles = {name: title_of(name, place.config_dir) for name in names}
    val_images = max((r.metrics.get("val_images") or 0 for r in records.values()), default=0)
    return {
        "scale": place.scale,
        "scale_title": studies[0].plan.scale.title,
        "trial": studies[0].plan.scale.trial,
        "notice": sentences.notice(trained or studies, place.scale, titles),
        "facts": _facts(studies, records),
        "hardware": hardware(records),
        "versions": versions(records),
        "mixtures": [note for data in studies for note in sentences.mixtures(data)],
        "time": time_table(studies, records),
        "trained": dates(records),
        "how_to_read": sentences.how_to_read(trained, val_images) if trained else [],
    }


def _records(studies: list[StudyData], cells: Path) -> tuple[dict[str, CellRecord], dict[str, str]]:
    """Records of the cells that runs.csv counts as there, and what is wrong with the files of
    others: one damaged cell is told, and the rest reported on."""
    records, damaged = {}, {}
    for data in studies:
        there = set(data.runs.loc[data.runs["status"] != "missing", "cell_id"])
        for cell in data.plan.cells:
            try:
                if cell.id not in records and cell.id not in damaged:
                    record = read_cell(cells / cell.id, cell.id)
                    records |= {cell.id: record} if cell.id in there else {}
            except MissingCell:
                continue
            except DamagedCell as error:
                damaged[cell.id] = str(error)
    return records, damaged


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
        facts += [("Of its images", note) for note in notes(dataset.lock)]
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


def _not_run(studies: list[StudyConfig], scale: str) -> Table | None:
    """Studies that were asked for and that this scale cannot carry; None without any."""
    columns = tuple(Column(h, header=not i) for i, h in enumerate(("Study", "From", "Why")))
    rows = [
        tuple(map(Entry, (s.title, f"{s.document}, {s.place}", s.not_at[scale]))) for s in studies
    ]
    return Table("not_run", f"Not run at scale {scale}", columns, tuple(rows)) if rows else None
