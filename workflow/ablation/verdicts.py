"""Verdicts for readers: the table of a study's claims, its files, and how findings are written."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from . import products
from .claims import INCONCLUSIVE, Finding, Verdict
from .config.claim import Entry as ClaimEntry
from .files import write_text
from .frames import StudyData
from .markup import Column, Entry, Table, to_csv, to_markdown
from .metrics import METRICS

DASH = "–"
HEADINGS = ("Claim", "It says", "Verdict", "Compared", "Measured", "Interval", "Claimed", "n")
HEADINGS += ("Resolves", "Would take")
_HEAD = ("claim", "document", "place", "says", "study", "scale", "verdict", "reason", "alpha")
_HEAD += ("n_diverged", "n_missing")
_FOUND = ("state", "method", "n", "estimate", "sd", "low", "high", "low95", "high95")
_FOUND += ("inside", "resolvable", "seeds_needed", "sampling")
_ASKED = ("compared", "measured", "unit", "above", "below")
COLUMNS = (*_HEAD, *_ASKED, *_FOUND)
"""Of claims.csv."""


def write_claims(data: StudyData, found: list[Verdict], folder: Path) -> None:
    """Write claims.csv (a row a comparison), claims.json and claims.md."""
    folder.mkdir(parents=True, exist_ok=True)
    table = study_table(data, found)
    write_text(folder / "claims.csv", to_csv(table) if found else ",".join(COLUMNS) + "\n")
    write_text(folder / "claims.md", to_markdown(table) if found else "No claim is tested here.\n")
    content = [_plain(verdict, data) for verdict in found]
    write_text(folder / "claims.json", json.dumps(content, indent=1, allow_nan=False) + "\n")
    products.write_list(folder)


def study_table(data: StudyData, found: list[Verdict]) -> Table:
    """The verdicts of one study."""
    caption = f"{data.plan.config.title}, {data.plan.scale_name} scale: claims of its document"
    records = tuple(record for verdict in found for record in _records(verdict, data))
    rows = tuple(map(_row, found))
    notes = (*notes_of(found), *_readings(found))
    ids = tuple(row_id(v.planned.number) for v in found)
    return Table("claims", caption, _columns(), rows, notes, records, ids=ids)


def row_id(number: int) -> str:
    """Where a claim's row stands on its study's page."""
    return f"claim-{number}"


def _columns() -> tuple[Column, ...]:
    numeric = ("Claim", "Measured", "n", "Resolves", "Would take")
    return tuple(Column(h, numeric=h in numeric, header=h == "Claim") for h in HEADINGS)


def name_entries(number: int, entry: ClaimEntry, link: str = "") -> tuple[Entry, Entry]:
    """A claim's number and its sentence with its place."""
    return Entry(str(number), number, link), Entry(f"{entry.says} ({entry.place})")


def verdict_text(verdict: Verdict) -> str:
    """`supported`, `inconclusive: 2 of at least 5 seeds`."""
    return verdict.verdict + (f": {verdict.reason}" if verdict.reason else "")


def compared_text(verdict: Verdict) -> str:
    """What the finding that is shown compares, and how many more comparisons there are."""
    shown, more = verdict.decisive, len(verdict.findings) - 1
    return f"{_what(shown)}: {shown.question.label}" + (f" (and {more} more)" if more else "")


def _row(verdict: Verdict) -> tuple[Entry, ...]:
    planned, shown = verdict.planned, verdict.decisive
    said = verdict_text(verdict)
    first = (*name_entries(planned.number, planned.entry), Entry(said, mark=verdict.verdict))
    if shown is None:
        return (*first, *(Entry(DASH, math.nan) for _ in HEADINGS[3:]))
    take = verdict.seeds_needed if verdict.verdict == INCONCLUSIVE else None
    unknown = "unknown" if verdict.verdict == INCONCLUSIVE else DASH
    resolves = DASH if math.isnan(shown.resolvable) else _number(shown, shown.resolvable)
    return (
        *first,
        Entry(compared_text(verdict)),
        Entry(estimate_text(shown), shown.estimate),
        Entry(interval_text(shown)),
        Entry(region_text(shown)),
        Entry(str(shown.n), shown.n),
        Entry(resolves, shown.resolvable),
        Entry(unknown if take is None else f"{take} seeds", math.nan if take is None else take),
    )


def notes_of(found: list[Verdict]) -> list[str]:
    """What the numbers mean; nothing where no claim was tested."""
    if not any(v.findings for v in found):
        return []
    alphas = sorted({v.planned.alpha for v in found if v.findings})
    levels = " or ".join(f"{100 * (1 - 2 * a):.2f}" for a in alphas)
    notes = [
        f"Interval: at the level that decides ({levels} %, 5 % over all claims of a document), of "
        "the mean, or of the median where runs diverged, times were not reached, or values do not "
        "vary. A claim is supported if it lies where the claim says, contradicted if it lies "
        f"elsewhere{_shared(found)}. Resolves: the smallest distance from what is claimed that "
        "so many seeds show in four of five cases. Would take: seeds that would decide in four of "
        "five cases, were what was seen the truth."
    ]
    sampling = [f.sampling for v in found for f in v.findings if not math.isnan(f.sampling)]
    if sampling:
        notes.append(
            "Intervals hold for these validation images. Other images of their kind would move an "
            f"accuracy difference by a standard error of {max(sampling):.2f} points at most; both "
            "sides are measured on the same ones."
        )
    return notes


def _shared(found: list[Verdict]) -> str:
    """What a contradiction takes where it takes more than the interval that is shown."""
    parts = [
        len(v.findings) * (1 + math.isfinite(sum(f.question.region)))
        for v in found
        for f in v.findings
    ]
    if max(parts) == 1:
        return ""
    return (
        "; several comparisons, or the two sides of a margin, share it to contradict, so an "
        "interval that lies elsewhere may leave a claim open"
    )


def _readings(found: list[Verdict]) -> list[str]:
    """How a document's words were read, and where numbers set beforehand come from."""
    notes = []
    for verdict in (v for v in found if v.findings):
        claim = verdict.planned.claim
        whys = [f"{p.kind}: {p.why}" for p in claim.parts if getattr(p, "why", "")]
        text = "; ".join(filter(None, (claim.note, *whys)))
        notes += [f"Claim {claim.number}: {text}."] if text else []
    return notes


# ---- texts ---------------------------------------------------------------------------------------


def unit_of(found: Finding) -> tuple[str, str]:
    """The unit of a finding's numbers, and the form they are shown in."""
    if found.question.kind == "ranking":
        return "", "{:.2f}"
    return found.question.terms[0].measure.unit()


def _what(found: Finding) -> str:
    """What is measured, in a few words."""
    if found.question.kind == "ranking":
        return "rank correlation"
    option = found.question.terms[0].measure
    metric = METRICS[option.metric].label if hasattr(option, "metric") else ""
    words = {
        "last": f"{metric}, last epoch",
        "best": f"{metric}, best epoch",
        "at": f"{metric} on the way",
        "change": f"change of {metric}",
        "peak_minus_last": f"{metric}, peak minus last",
        "fluctuation": f"scatter of {metric}, logarithm",
        "epochs_to": "epochs to an accuracy",
        "seconds_to": "seconds to an accuracy",
        "at_crossing": f"{metric} at an accuracy",
        "reached": "share that reached an accuracy",
        "diverged": "share that diverged",
    }
    return words.get(option.name, metric)


def _number(found: Finding, value: float) -> str:
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return unit_of(found)[1].format(value).replace("-", "−")


def estimate_text(found: Finding) -> str:
    """Mean or median with its unit; a dash where it is only known to lie beyond a bound."""
    if math.isnan(found.estimate):
        return DASH
    return f"{_number(found, found.estimate)} {unit_of(found)[0]}".strip()


def interval_text(found: Finding) -> str:
    """`[0.40, 2.10]`, `[3.00, ∞]`; a dash where so few seeds give none."""
    if math.isnan(found.low) or (math.isinf(found.low) and math.isinf(found.high)):
        return DASH
    return f"[{_number(found, found.low)}, {_number(found, found.high)}]"


def region_text(found: Finding) -> str:
    """Where the claim says that the effect lies: `> 0`, `−1 to 1`."""
    low, high = found.question.region
    low, high = low + 0.0, high + 0.0  # no minus zero
    if math.isinf(high):
        return f"> {low:g}".replace("-", "−")
    if math.isinf(low):
        return f"< {high:g}".replace("-", "−")
    return f"{low:g} to {high:g}".replace("-", "−")


# ---- records -------------------------------------------------------------------------------------


def _head(verdict: Verdict, data: StudyData) -> dict[str, Any]:
    planned, plan = verdict.planned, data.plan
    entry = planned.entry
    values = (planned.number, planned.document, entry.place, entry.says, plan.name)
    values += (plan.scale_name, verdict.verdict, verdict.reason, planned.alpha)
    return dict(zip(_HEAD, (*values, verdict.n_diverged, verdict.n_missing), strict=True))


def _finding(found: Finding | None) -> dict[str, Any]:
    if found is None:
        return dict.fromkeys((*_ASKED, *_FOUND))
    values = (found.question.label, _what(found), unit_of(found)[0], *found.question.region)
    asked = dict(zip(_ASKED, values, strict=True))
    return asked | {key: getattr(found, key) for key in _FOUND}


def _records(verdict: Verdict, data: StudyData) -> list[dict[str, Any]]:
    return [{**_head(verdict, data), **_finding(f)} for f in verdict.findings or (None,)]


def _plain(verdict: Verdict, data: StudyData) -> dict[str, Any]:
    """A verdict for JSON, where unknown and infinite numbers are null."""
    findings = [{k: _finite(v) for k, v in _finding(f).items()} for f in verdict.findings]
    test = verdict.planned.claim.model_dump(mode="json")
    return {**_head(verdict, data), "test": test, "findings": findings}


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
