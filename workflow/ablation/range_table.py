"""The table of a learning-rate range test."""

from __future__ import annotations

import math

from . import lr_range
from .collect import axes_of
from .entries import DASH, axis_columns
from .frames import StudyData, shown, sort_value
from .markup import Column, Entry, Table


def range_table(data: StudyData) -> Table:
    """What a range test suggests: a row a run, and the geometric mean of a variant's runs."""
    keys = ("steepest", "tenth", "lowest")
    headings = ("Steepest descent at lr", "Tenth of the lowest's lr", "Loss is lowest at lr")
    axes, found = axes_of(data.plan), lr_range.curves(data)
    columns = [*axis_columns(data), Column("Seed", header=True), Column("Steps", True)]
    columns += [Column(heading, True) for heading in headings]
    rows, records, marked = [], [], []
    for variant in data.plan.variants:
        mine = [curve for curve in found if curve.variant is variant]
        lines = [(str(c.seed), len(c.lrs), c.suggestion) for c in mine]
        means = [lr_range.mean([getattr(c.suggestion, key) for c in mine]) for key in keys]
        marked.append(len(rows) + len(lines))
        for seed, steps, rates in (*lines, ("mean", None, means)):
            row = [Entry(shown(variant, a), sort_value(variant, a)) for a in axes]
            row += [Entry(seed), Entry(DASH if steps is None else str(steps), steps)]
            rows.append((*row, *(_rate_entry(rate) for rate in rates)))
            record = {"variant": variant.label, "seed": seed, "steps": steps}
            records.append(record | dict(zip(keys, rates, strict=True)))
    caption = f"{data.plan.config.title}, {data.dataset_title}, {data.plan.scale_name} scale: "
    caption += "learning rates that the range test suggests"
    notes = (
        "Suggestions to begin with, read off the smoothed training loss; no accuracy is measured "
        "at them. The mean is the geometric one. Steps: those before the loss exceeds "
        f"{lr_range.BLOWN_UP:g} times the lowest before it. {DASH}: the loss does not fall, or has "
        "no minimum within the range.",
    )
    return Table("main", caption, tuple(columns), tuple(rows), notes, tuple(records), (*marked,))


def _rate_entry(rate: float | None) -> Entry:
    return Entry(DASH, math.nan) if rate is None else Entry(f"{rate:.2g}", rate)
