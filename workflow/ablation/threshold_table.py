"""The table of when each variant reached the accuracies of a scale, and held them."""

from __future__ import annotations

from typing import Any

from .collect import axes_of, threshold_name
from .entries import axis_columns, reached_entry, threshold_columns
from .frames import StudyData, shown, sort_value
from .markup import Column, Entry, Table


def threshold_table(data: StudyData) -> Table:
    """When each variant reached the scale's accuracies, and from when on it held them."""
    plan, kinds = data.plan, ["epochs_to", "epochs_to_hold"]
    words = {"epochs_to": "Epochs to {} %", "epochs_to_hold": "Epochs to hold {} %"}
    words |= {"seconds_to": "Seconds to {} %", "seconds_to_hold": "Seconds to hold {} %"}
    if not data.why_times_differ():
        kinds += ["seconds_to", "seconds_to_hold"]
    wanted = [(t, kind) for t in plan.scale.thresholds for kind in kinds]
    columns = axis_columns(data)
    columns += [Column(words[kind].format(threshold_name(t)), True) for t, kind in wanted]
    rows, records = [], []
    for variant in plan.variants:
        row = [Entry(shown(variant, a), sort_value(variant, a)) for a in axes_of(plan)]
        record: dict[str, Any] = {"variant": variant.label}
        record |= {f"axis.{axis}": variant.axes.get(axis) for axis in axes_of(plan)}
        for threshold, kind in wanted:
            row.append(reached_entry(data, variant, threshold, kind))
            record |= threshold_columns(data, variant, threshold, kind)
        rows.append(tuple(row))
        records.append(record)
    caption = f"{plan.config.title}, {plan.scale_name} scale: when an accuracy was reached and held"
    notes = [
        "Reached: first epoch with that validation top-1. Held: first epoch from which it was "
        "never lower. Both runs, or the median and the range over seeds; > for a run that did "
        "not get there before its end."
    ]
    notes.append("Seconds: training and evaluation." if len(kinds) > 2 else "")
    notes = [*filter(None, notes)]
    return Table("thresholds", caption, tuple(columns), tuple(rows), tuple(notes), tuple(records))
