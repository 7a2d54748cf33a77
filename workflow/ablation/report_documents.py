"""The first page: studies and claims by document, with what they come to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import summary
from .claim_plan import check_one_decision, why_elsewhere
from .claims import NOT_HERE, NOT_TESTED, Verdict
from .collect import scaled_axes
from .comparison_table import to_baseline
from .config.claim import Document
from .config.load import load_study
from .entries import difference_text, level
from .errors import ConfigError
from .frames import StudyData
from .grid import Planner
from .markup import Column, Entry, Table
from .standings import TESTED, Standing, counts, standings, tally, tally_table, verdict_table
from .stats import Summary

_OVERVIEW = ("Study", "Place", "Variants", "Cells", "Diverged", "Missing", "Best variant")
_OVERVIEW += ("Its top-1 (%)", "Difference to baseline")


@dataclass
class Group:
    """A document with the claims of the register and the studies of the report."""

    title: str
    document: Document | None = None
    claims: list[Standing] = field(default_factory=list)
    studies: list[StudyData] = field(default_factory=list)
    id: str = ""
    """Where its section stands on the first page."""

    @property
    def name(self) -> str:
        """What it is called for short: its title up to a colon."""
        return self.title.partition(":")[0]

    @property
    def tested(self) -> bool:
        """Whether any of its claims was put to a test."""
        return any(claim.word in TESTED for claim in self.claims)


def grouped(
    studies: list[StudyData], found: dict[str, list[Verdict]], planner: Planner
) -> list[Group]:
    """Documents with claims, those tested first, then others that studies come from. A study is
    its document's by the name before the colon."""
    groups = _with_claims(studies, found, planner)
    by_name = {group.name: group for group in groups}
    for data in studies:
        title = data.plan.config.document
        group = by_name.get(title.partition(":")[0])
        if group is None:
            group = by_name.setdefault(title.partition(":")[0], Group(title))
            groups.append(group)
        group.studies.append(data)
    groups.sort(key=lambda g: (not g.tested, not g.studies))
    for number, group in enumerate(groups, 1):
        group.id = f"document-{number}"
    return groups


def _with_claims(
    studies: list[StudyData], found: dict[str, list[Verdict]], planner: Planner
) -> list[Group]:
    if not (planner.config_dir / "claims.yaml").is_file():
        return []
    check_one_decision(data.plan for data in studies)
    decided = {
        verdict.planned.number: (verdict, data.plan.name, data.plan.config.title)
        for data in studies
        for verdict in found[data.plan.name]
    }
    absent = _absent(planner.config_dir, studies[0].plan.scale_name)
    return [Group(d.title, d, standings(d, decided, absent)) for d in planner.register.documents]


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
        for claim in study.claims:
            there = scale in claim.scales or scale in study.not_at
            found[claim.number] = text if there else f"{NOT_HERE}: {why_elsewhere(claim)}"
    return found


def claims_content(groups: Sequence[Group], scale: str) -> dict[str, Any]:
    """The verdicts of all documents: their number, and sentences; both empty without a register."""
    mine = [group for group in groups if group.claims]
    return {
        "totals": counts([claim for group in mine for claim in group.claims]),
        "tally": tally_table([(g.title, g.id, g.claims) for g in mine]) if mine else None,
        "summary": summary.overall([g.claims for g in mine], scale) if mine else [],
    }


def document_content(group: Group) -> dict[str, Any]:
    """The section of a document on the first page."""
    return {
        "id": group.id,
        "title": group.title,
        "name": group.name,
        "tally": tally(group.claims) if group.claims else "",
        "sentences": summary.of_document(group.claims) if group.claims else [],
        "verdicts": verdict_table(group.document, group.claims) if group.document else None,
        "open": group.tested,
        "overview": overview(group) if group.studies else None,
        "studies": [
            {"name": d.plan.name, "title": d.plan.config.title, "place": d.plan.config.place}
            for d in group.studies
        ],
    }


def overview(group: Group) -> Table:
    """A row a study: its cells and its best variant."""
    columns = [
        Column(h, numeric=i in (2, 3, 4, 5, 7, 8), header=not i) for i, h in enumerate(_OVERVIEW)
    ]
    notes = [
        "Best: by mean top-1 at the last epoch, ± half the width of its 95 % interval; difference "
        "in points, paired by seed, with the simultaneous 95 % interval of all such differences of "
        "the study, as the best of many is flattered."
    ]
    if any(scaled_axes(data.plan) for data in group.studies):
        notes.append(
            "Variants are named by the values in the document, also where the scale ran others."
        )
    rows = tuple(map(_overview_row, group.studies))
    return Table("overview", f"{group.name}: the studies", tuple(columns), rows, tuple(notes))


def _overview_row(data: StudyData) -> tuple[Entry, ...]:
    plan, status = data.plan, data.runs["status"]
    page = f"studies/{plan.name}.html"
    best = data.best() if plan.config.kind == "grid" else None
    lost, missing = (int((status == s).sum()) for s in ("diverged", "missing"))
    troubles = f"{page}#troubles"
    row = [
        Entry(plan.config.title, link=page),
        Entry(plan.config.place),
        Entry(str(len(plan.variants)), len(plan.variants), f"{page}#results"),
        Entry(str(len(plan.cells)), len(plan.cells), f"{page}#runs"),
        Entry(str(lost), lost, troubles if lost else ""),
        Entry(str(missing), missing, troubles if missing else ""),
    ]
    if best is None:
        return (*row, *(Entry("–", float("nan")) for _ in range(3)))
    top1, found = level(data, best, "val_top1"), to_baseline(data, best)
    bounded = math.isfinite(found.high - found.low)
    ends = (found.low, found.high) if bounded else (math.nan, math.nan)
    text = difference_text("val_top1", Summary(found.n, found.mean, found.sd, *ends))
    compared = Entry(text, found.mean, f"{page}#results")
    if best.label == plan.baseline.label:
        compared = Entry("is the baseline", 0.0)
    return (*row, Entry(best.label), Entry(top1.text, top1.sort, f"{page}#results"), compared)
