"""The table of a document's numbers beside the measured ones."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from .collect import threshold_name
from .config.load import title_of
from .config.study import EPOCHS_TO, Published
from .entries import DASH, columns_of, difference_text, level, reached_entry, why_not_compared
from .frames import StudyData
from .grid import Variant
from .markup import Column, Entry, Table
from .metrics import METRICS
from .stats import Summary

# The best-epoch value of a metric, where one is recorded.
BEST = {"val_top1": "best_val_top1", "best_val_top1": "best_val_top1"}
_EPOCHS = {"last": "last epoch", "best": "best epoch", "run": "whole run", "unstated": "unstated"}


def published_table(data: StudyData, config_dir: Path) -> Table:
    """Published values beside measured ones; every row says what was measured, and on what."""
    headings = ("Place", "Variant", "Metric", "Published", "It measures", "Measured, last epoch")
    columns = [Column(h, numeric=h.startswith("Measured")) for h in headings]
    columns += [Column("Measured, best epoch", True), Column("Measured on"), Column("Note")]
    rows, records = [], []
    for published in data.plan.config.published:
        row, record = _published_row(data, published, config_dir)
        rows.append(row)
        records.append(record)
    caption = (
        f"{data.plan.config.title}: numbers of {data.plan.config.document} beside the measured, "
        "mean ± half the width of the 95 % interval"
    )
    notes = ()
    unnamed = [p.metric for p in data.plan.config.published if not p.variant]
    if any(metric not in (None, EPOCHS_TO) for metric in unnamed):
        notes = ("Where the document names no variant, the one with the best mean stands for it.",)
    return Table("published", caption, tuple(columns), tuple(rows), notes, tuple(records))


def _published_row(
    data: StudyData, published: Published, config_dir: Path
) -> tuple[tuple[Entry, ...], dict[str, Any]]:
    named = [v for v in data.plan.variants if v.axes == published.variant]
    if published.metric in (None, EPOCHS_TO):
        return _other_row(data, published, named[0] if named else None, config_dir)
    variant = named[0] if named else data.best(published.metric) or data.plan.baseline
    label = variant.label if named else f"{variant.label} (best of {len(data.plan.variants)})"
    empty, best = Summary(0), BEST.get(published.metric)
    comparable = not why_not_compared(data, published.metric)
    last_found = _measured(data, variant, published, published.metric) if comparable else empty
    best_found = _measured(data, variant, published, best) if best else empty
    if published.measures in ("last", "run"):
        best_found = empty
    elif published.measures == "best":
        last_found = empty
    metric = METRICS[published.metric]
    relation = "" if published.relation == "=" else f"{published.relation} "
    value = f"{relation}{_published_value(published)}"
    where = measured_on(data, variant, config_dir)
    row = (
        Entry(published.where),
        Entry(label),
        Entry(metric.heading),
        Entry(value, published.value),
        Entry(_EPOCHS[published.measures]),
        _measured_entry(data, variant, published, published.metric, last_found),
        _measured_entry(data, variant, published, best or published.metric, best_found),
        Entry(where),
        Entry(published.note),
    )
    record = {"where": published.where, "variant": variant.label, "named_by_document": bool(named)}
    record |= {"metric": published.metric, "quantity": metric.heading, "of": published.of}
    record |= {"relation": published.relation}
    record |= {"published": published.value, "to": published.to, "measures": published.measures}
    record |= columns_of("measured_last", last_found) | columns_of("measured_best", best_found)
    return row, {**record, "measured_on": where, "note": published.note}


def _range(published: Published) -> str:
    ends = (published.value, published.to)
    return " to ".join(f"{end:.10g}" for end in ends if end is not None)


def _other_row(
    data: StudyData, published: Published, variant: Variant | None, config_dir: Path
) -> tuple[tuple[Entry, ...], dict[str, Any]]:
    """A published number that is no metric's mean: epochs to an accuracy, or none of our own."""
    heading, dash = published.quantity, Entry(DASH, math.nan)
    measured = dash
    if published.metric == EPOCHS_TO:
        heading = f"Epochs to {threshold_name(published.threshold)} %"
        if published.threshold in data.plan.scale.thresholds:
            measured = reached_entry(data, variant, published.threshold, EPOCHS_TO)
    where = measured_on(data, variant, config_dir) if measured is not dash else DASH
    relation = "" if published.relation == "=" else f"{published.relation} "
    row = (
        Entry(published.where),
        Entry(variant.label if variant else DASH),
        Entry(heading),
        Entry(f"{relation}{_range(published)}", published.value),
        Entry(_EPOCHS[published.measures]),
        measured,
        dash,
        Entry(where),
        Entry(published.note),
    )
    record = {"where": published.where, "variant": variant.label if variant else None}
    record |= {"named_by_document": variant is not None, "metric": published.metric}
    record |= {"quantity": heading, "of": published.of, "relation": published.relation}
    record |= {"published": published.value, "to": published.to, "measures": published.measures}
    record |= columns_of("measured_last", Summary(0)) | columns_of("measured_best", Summary(0))
    return row, {**record, "measured_on": where, "note": published.note}


def _published_value(published: Published) -> str:
    unit = METRICS[published.metric].unit
    if published.of == "ratio":
        return f"{_range(published)} × the baseline's"
    if published.of == "gain":
        points = "points" if unit == "%" else unit
        return f"{published.value:+g} {points} to the baseline".replace("-", "−")
    return f"{_range(published)}{' ' + unit if unit else ''}"


def _measured(data: StudyData, variant: Variant, published: Published, metric: str) -> Summary:
    """The measured counterpart of a published number, paired by seed where it is a comparison."""
    if published.of == "gain":
        return data.difference(variant, data.plan.baseline, metric)
    if published.of == "ratio":
        return data.ratio(variant, data.plan.baseline, metric)
    return data.summary(variant, metric)


def _measured_entry(
    data: StudyData, variant: Variant, published: Published, metric: str, found: Summary
) -> Entry:
    if not found.n:
        return Entry(DASH, math.nan)
    if published.of == "gain":
        return Entry(difference_text(metric, found), found.mean)
    if published.of == "ratio":
        half = f" ± {found.half:.2g}" if found.has_interval else ""
        return Entry(f"{found.mean:.3g}{half} ×", found.mean)
    return level(data, variant, metric)


def measured_on(data: StudyData, variant: Variant, config_dir: Path) -> str:
    """Dataset and scale of a measured number, and whether it may stand beside a published one."""
    here, document = variant.training, variant.document
    title = title_of(here.dataset, config_dir)
    place = f"{title}, {data.plan.scale_name} scale"
    published = title_of(document.dataset, config_dir)
    if here.dataset != document.dataset:
        return f"{place}; not comparable with the published {published} number"
    same = {"compute", "measure", "reading"}  # these change no training
    if here.model_dump(exclude=same) != document.model_dump(exclude=same):
        return f"{place}; not the training of the published number"
    return place
