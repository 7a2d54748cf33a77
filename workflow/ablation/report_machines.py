"""Where a report's numbers come from: machines, versions, time, dates."""

from __future__ import annotations

from collections import Counter

from .frames import StudyData
from .markup import Column, Entry, Table
from .results import CellRecord
from .sentences import count, duration


def hardware(records: dict[str, CellRecord]) -> Table:
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


def versions(records: dict[str, CellRecord]) -> Table:
    found: dict[str, Counter[str]] = {}
    for record in records.values():
        origin = record.provenance
        code = origin.get("code_version") or "not recorded"
        for name, version in {
            "this project (git tree of workflow/)": code,
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


def time_table(studies: list[StudyData], records: dict[str, CellRecord]) -> Table:
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


def dates(records: dict[str, CellRecord]) -> str:
    """When the cells were trained; the report has no date of its own, so that it repeats."""
    began = sorted(str(r.provenance.get("started"))[:10] for r in records.values())
    if not began:
        return ""
    return began[0] if began[0] == began[-1] else f"{began[0]} to {began[-1]}"
