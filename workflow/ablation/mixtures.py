"""What differs in where the numbers of one table come from: packages, code, machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from .frames import StudyData
from .markup import Table
from .sentences import count, listed

UNKNOWN = "not recorded"


def mixtures(data: StudyData) -> list[str]:
    """`mixes versions of packages: torch 2.14.0 (3 cells) and 2.15.0 (5 cells)`, and the like."""
    there = data.runs[data.runs["status"] != "missing"]
    columns = {
        name: [str(v or "") for v in there[name]] if name in there else []
        for name in ("packages", "code_version", "hardware_id", "machine")
    }
    notes = []
    installed = [_versions(text) for text in columns["packages"]]
    names = sorted({name for one in installed for name in one})
    found = ((name, [one.get(name, UNKNOWN) for one in installed]) for name in names)
    if texts := [f"{name} {_each(values)}" for name, values in found if len(set(values)) > 1]:
        notes.append(f"mixes versions of packages: {'; '.join(texts)}")
    if len(set(columns["code_version"])) > 1:
        notes.append(f"mixes versions of the code: {_each(map(_short, columns['code_version']))}")
    if len(set(columns["hardware_id"])) > 1:
        machines = zip(columns["machine"], columns["hardware_id"], strict=False)
        known = [f"{name or UNKNOWN} [{kind}]" for name, kind in machines]
        notes.append(f"mixes kinds of hardware: {_each(known)}")
    return notes


def noted(table: Table, data: StudyData) -> Table:
    """A table with these notes below it."""
    notes = [f"This table {note}." for note in mixtures(data)]
    return replace(table, notes=(*table.notes, *notes))


def _versions(text: str) -> dict[str, str]:
    """`numpy 2.4.6, torch 2.15.0` by name."""
    pairs = (part.rpartition(" ") for part in text.split(", ") if part)
    return {name: version for name, _, version in pairs}


def _each(values: Iterable[str]) -> str:
    counts = sorted(Counter(values).items(), key=lambda pair: (-pair[1], pair[0]))
    return listed(f"{value} ({count(n, 'cell')})" for value, n in counts)


def _short(value: str) -> str:
    commit, plus, changes = value.partition("+")
    long_hash = len(commit) > 12 and all(c in "0123456789abcdef" for c in commit)
    return f"{commit[:12]}{plus}{changes}" if long_hash else value or UNKNOWN
