"""The table of a study's comparisons to its baseline: spread, interval, p, and what so many seeds
can resolve."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .collect import axes_of
from .comparisons import Comparison, compare
from .entries import DASH, axis_columns, columns_of, number
from .frames import StudyData, shown, sort_value
from .grid import Variant
from .markup import Column, Entry, Table

METRIC = "val_top1"


def to_baseline(data: StudyData, variant: Variant, metric: str = METRIC) -> Comparison:
    """A variant against the study's baseline, one of as many comparisons as it has others."""
    tests = max(1, len(data.plan.variants) - 1)
    return difference(data, variant, data.plan.baseline, metric, tests)


def difference(
    data: StudyData, variant: Variant, other: Variant, metric: str, tests: int
) -> Comparison:
    """variant - other over the seeds that both have; diverged runs count at chance."""
    mine, theirs = data.values(variant, metric), data.values(other, metric)
    seeds = sorted(set(mine) & set(theirs))
    lost = bool((data.lost_seeds(variant) | data.lost_seeds(other)) & set(seeds))
    return compare(np.array([mine[s] - theirs[s] for s in seeds], dtype=float), tests, lost)


def comparison_table(data: StudyData) -> Table:
    """A row a variant: n, mean, standard deviation and interval, then its difference to the
    baseline with p, smallest difference resolved and seeds that this one would take."""
    plan, axes = data.plan, axes_of(data.plan)
    columns = [*axis_columns(data), Column("n", True), Column("Top-1 (%)", True)]
    columns += [Column("SD", True), Column("95 % interval", True)]
    columns += [Column("Difference to baseline", True), Column("Its SD", True)]
    columns += [Column("Simultaneous 95 % interval", True), Column("p", True)]
    columns += [Column("p, corrected", True), Column("Resolved", True), Column("Would take", True)]
    rows, records = [], []
    for variant in plan.variants:
        found = data.summary(variant, METRIC)
        row = [Entry(shown(variant, a), sort_value(variant, a)) for a in axes]
        row += [Entry(str(found.n), found.n), _number(found.mean), _number(found.sd)]
        row.append(_range(found.low, found.high, False))
        record: dict[str, Any] = {"variant": variant.label}
        record |= {f"axis.{axis}": variant.axes.get(axis) for axis in axes}
        record |= columns_of(METRIC, found)
        is_baseline = variant.label == plan.baseline.label
        compared = Comparison(0) if is_baseline else to_baseline(data, variant)
        row += _baseline_entries() if is_baseline else _entries(compared)
        rows.append(tuple(row))
        records.append(record | {f"difference_{k}": v for k, v in _record(compared).items()})
    caption = f"{plan.config.title}, {plan.scale_name} scale: comparisons to the baseline "
    caption += f"{plan.baseline.label}, top-1 at the last epoch"
    marked = tuple(i for i, v in enumerate(plan.variants) if v.label == plan.baseline.label)
    names = (tuple(columns), tuple(rows), _notes(data), tuple(records), marked)
    return Table("comparisons", caption, *names)


def _number(value: float, sign: bool = False) -> Entry:
    return Entry(number(METRIC, value, sign) if math.isfinite(value) else DASH, value)


def _range(low: float, high: float, sign: bool) -> Entry:
    if not (math.isfinite(low) and math.isfinite(high)):
        return Entry(DASH, math.nan)
    return Entry(f"{number(METRIC, low, sign)} to {number(METRIC, high, sign)}", low)


def _baseline_entries() -> list[Entry]:
    return [Entry("baseline", 0.0), *(Entry(DASH, math.nan) for _ in range(6))]


def _entries(found: Comparison) -> list[Entry]:
    return [
        _number(found.mean, sign=True),
        _number(found.sd),
        _range(found.low, found.high, True),
        p_entry(found.p),
        p_entry(found.p_corrected),
        _number(found.resolvable),
        Entry(seeds_text(found), found.seeds_needed or math.nan),
    ]


def p_entry(p: float) -> Entry:
    """A probability: three decimals, and no zero that none is."""
    if math.isnan(p):
        return Entry(DASH, p)
    return Entry("< 0.001" if p < 0.001 else f"{p:.3f}", p)


def seeds_text(found: Comparison) -> str:
    """Seeds that would show the difference seen: `12 seeds`, or that these are enough."""
    if found.decided:
        return "shown"
    return DASH if found.seeds_needed is None else f"{found.seeds_needed:,} seeds"


def _record(found: Comparison) -> dict[str, Any]:
    """A comparison for a CSV: infinite ends are unknown ones."""
    record = found._asdict()
    ends = {key: record[key] if math.isfinite(record[key]) else None for key in ("low", "high")}
    return {**record, **ends, "decided": found.decided if found.n else None}


def _notes(data: StudyData) -> tuple[str, ...]:
    tests = max(1, len(data.plan.variants) - 1)
    notes = [
        "Differences are taken within seeds. p: paired t test, two-sided; the sign test where one "
        "of the runs diverged (it counts at chance) or nothing varies, with the interval of the "
        "median beside the mean.",
        (
            "There is one comparison, and nothing to correct for. p"
            if tests == 1
            else f"Corrected: for the {tests} comparisons of this table together (Bonferroni). It"
        )
        + " is below 0.05 exactly where the simultaneous interval excludes zero.",
        "Resolved: the smallest true difference that as many seeds show in four of five cases. "
        "Would take: seeds that would show the difference seen in four of five cases, were it and "
        "its SD the truth.",
    ]
    return tuple(notes)
