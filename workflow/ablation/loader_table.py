"""What a loader benchmark found: images per second of each variant, and against the baseline."""

from __future__ import annotations

import math
from typing import Any

from .collect import axes_of
from .frames import StudyData, shown, sort_value
from .grid import Variant
from .markup import Column, Entry, Table
from .stats import Summary

DASH = "–"
COLD = 0.05
"""A first epoch is from the medium when at most this share of the beton is in the page cache."""


def rates_table(data: StudyData, axes: list[Column]) -> Table:
    """A row a variant. Ratios only where every cell ran alone on equal hardware."""
    plan, reason = data.plan, data.why_times_differ()
    columns = [*axes, Column("Runs"), Column("Images/s", True), Column("× the baseline", True)]
    columns += [Column("First epoch, images/s", True), Column("× the baseline, first epoch", True)]
    columns += [Column("First epoch, MB/s", True), Column("In the cache before it (%)", True)]
    columns += [Column("On")]
    caption = f"{plan.config.title}, {data.dataset_title}, {plan.scale_name} scale: mean over "
    caption += "repetitions ± half the width of its 95 % interval"
    rows = tuple(_row(data, variant, reason) for variant in plan.variants)
    records = tuple(_record(data, variant, reason) for variant in plan.variants)
    marked = [i for i, v in enumerate(plan.variants) if v.label == plan.baseline.label]
    notes = tuple(_notes(data, reason))
    return Table("main", caption, tuple(columns), rows, notes, records, tuple(marked))


def _row(data: StudyData, variant: Variant, reason: str) -> tuple[Entry, ...]:
    planned, missing = len(data.of(variant)), data.count(variant, "missing")
    row = [Entry(shown(variant, a), sort_value(variant, a)) for a in axes_of(data.plan)]
    row.append(Entry(f"{planned - missing} of {planned}", planned - missing))
    for metric in ("images_per_s", "first_images_per_s"):
        row.append(_mean(data.summary(variant, metric), 0))
        ratio = _ratio(data, variant, metric, reason)
        is_baseline = variant.label == data.plan.baseline.label
        row.append(Entry("baseline", 1.0) if is_baseline else _mean(ratio, 2))
    row.append(_mean(data.summary(variant, "first_mb_per_s"), 1))
    cached = 100 * data.summary(variant, "cached_before").mean
    row.append(Entry(DASH if math.isnan(cached) else f"{cached:.0f}", cached))
    return (*row, Entry(_lies_on(data, variant)))


def _ratio(data: StudyData, variant: Variant, metric: str, reason: str) -> Summary:
    return Summary(0) if reason else data.ratio(variant, data.plan.baseline, metric)


def _mean(found: Summary, digits: int) -> Entry:
    if not found.n:
        return Entry(DASH, math.nan)
    text = f"{found.mean:.{digits}f}"
    text += f" ± {found.half:.{digits}f}" if found.has_interval else ""
    return Entry(text, found.mean)


def _lies_on(data: StudyData, variant: Variant) -> str:
    """The disks and file systems that the variant's cells found: `SSD, ext4`."""
    done = data.of(variant, "completed")
    found = dict.fromkeys(
        ", ".join(filter(None, (run.disk, run.file_system))) for run in done.itertuples()
    )
    return " and ".join(filter(None, found)) or DASH


def _notes(data: StudyData, reason: str) -> list[str]:
    notes = [
        "Images/s: of the epochs after the first, read, decoded, cropped and resized. First epoch: "
        "resident reading with the load before it. MB/s: stored bytes that it read. Ratios are "
        "paired by repetition. On: as the machine's kernel says; a virtual disk may say anything."
    ]
    cached = data.runs["cached_before"]
    if (cached > COLD).any():
        notes.append(
            "Where more than a few percent of the beton were in the page cache before it, the "
            "first epoch was none from the medium (memory has no other place)."
        )
    if data.runs.loc[data.runs["status"] == "completed", "cached_before"].isna().any():
        notes.append(
            f"In the cache {DASH}: the machine does not say, so the first epoch may be warm."
        )
    if reason:
        notes.append(f"Rates are not compared: {reason}.")
    missing = int((data.runs["status"] == "missing").sum())
    return [*notes, f"Missing runs ({missing}) are in no mean."] if missing else notes


def _record(data: StudyData, variant: Variant, reason: str) -> dict[str, Any]:
    record: dict[str, Any] = {"variant": variant.label}
    record |= {"baseline": variant.label == data.plan.baseline.label}
    record |= {f"axis.{axis}": variant.axes.get(axis) for axis in axes_of(data.plan)}
    names = ("images_per_s", "first_images_per_s", "first_mb_per_s", "cached_before")
    parts = {name: data.summary(variant, name) for name in (*names, "load_time_s")}
    for name in names[:2]:
        parts[f"{name}_ratio"] = _ratio(data, variant, name, reason)
    for name, found in parts.items():
        record |= {f"{name}_{key}": value for key, value in found._asdict().items()}
    return {**record, "on": _lies_on(data, variant), "not_compared": reason}


def findings(data: StudyData) -> list[str]:
    """The fastest variant, in the first epoch and after it, against the baseline."""
    reason, baseline, said = data.why_times_differ(), data.plan.baseline, []
    if (data.runs["status"] == "missing").all():
        return ["No run of this study has finished."]
    if reason:
        return [f"Rates are not compared: {reason}."]
    for metric, when in (("images_per_s", "After"), ("first_images_per_s", "In")):
        means = {v.label: data.summary(v, metric).mean for v in data.plan.variants}
        known = [v for v in data.plan.variants if not math.isnan(means[v.label])]
        best = max(known, key=lambda v: means[v.label])
        text = f"{when} the first epoch {best.label} is the fastest of {len(known)}, with "
        text += f"{means[best.label]:,.0f} images/s"
        ratio = data.ratio(best, baseline, metric)
        if best.label == baseline.label:
            text += ": it is the baseline"
        elif ratio.n:
            text += f", {ratio.mean:.2f} times the baseline {baseline.label}"
            if ratio.has_interval:
                part = "includes" if ratio.low <= 1 <= ratio.high else "excludes"
                text += f" (95 % interval {ratio.low:.2f} to {ratio.high:.2f}; it {part} 1)"
            elif ratio.n == 1:
                text += " (one repetition, so no interval)"
        said.append(f"{text}.")
    return said
