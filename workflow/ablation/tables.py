"""The tables of a study: its variants with their uncertainty, and published beside measured."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .collect import at_scale, axes_of, scaled_axes, threshold_name
from .config.load import load_dataset
from .config.study import Published
from .errors import UserError
from .files import write_text
from .frames import StudyData, shown, sort_value
from .grid import Variant
from .markup import Column, Entry, Table, to_csv, to_latex, to_markdown
from .metrics import METRICS
from .stats import Summary, median_reached

DASH = "–"
# Columns of the main table beside the axes, n, the difference and the thresholds, in order.
ACCURACIES = ("val_top1", "best_val_top1", "val_top5", "train_top1", "clean_top1")
# The best-epoch value of a metric, where one is recorded.
BEST = {"val_top1": "best_val_top1", "best_val_top1": "best_val_top1"}
_EXTENSIONS: dict[str, Callable[[Table], str]] = {
    "csv": to_csv,
    "md": to_markdown,
    "tex": to_latex,
}


def study_tables(data: StudyData, config_dir: Path) -> list[Table]:
    """The tables of a study: `main`, and `published` where the document gives numbers."""
    tables = [main_table(data)]
    if data.plan.config.published:
        tables.append(published_table(data, config_dir))
    return tables


def write_tables(tables: list[Table], folder: Path) -> None:
    """Write each table as CSV, Markdown and LaTeX."""
    folder.mkdir(parents=True, exist_ok=True)
    for table in tables:
        for extension, render in _EXTENSIONS.items():
            write_text(folder / f"{table.name}.{extension}", render(table))


def number(metric: str, value: float, sign: bool = False) -> str:
    """A number rounded as its metric is shown; a dash when unknown."""
    if math.isnan(value):
        return DASH
    text = METRICS[metric].format.format(value)
    if sign and not text.startswith("-"):
        text = f"+{text}"
    return text.replace("-", "−") if text.startswith("-") else text


def mean_text(metric: str, found: Summary) -> str:
    """Mean ± half-width of its interval; the mean alone for one value."""
    text = number(metric, found.mean)
    return f"{text} ± {number(metric, found.half)}" if found.has_interval else text


def difference_text(metric: str, found: Summary) -> str:
    """Difference with its interval in brackets."""
    text = number(metric, found.mean, sign=True)
    if not found.has_interval:
        return text
    low, high = (number(metric, v, sign=True) for v in (found.low, found.high))
    return f"{text} [{low}, {high}]"


def epochs_text(epochs: list[float | None], planned: int) -> str:
    """Epochs to an accuracy over the runs: `4`, `3 to 5`, `4 (3 to > 18)`; `> 18` if never."""
    if not epochs:
        return DASH
    ranked = sorted(epochs, key=lambda e: math.inf if e is None else e)
    low, high = (_epoch(e, planned) for e in (ranked[0], ranked[-1]))
    if low == high:
        return low
    span = f"{low} to {high}"
    return span if len(epochs) == 2 else f"{_epoch(median_reached(epochs), planned)} ({span})"


def _epoch(epoch: float | None, planned: int) -> str:
    return f"> {planned}" if epoch is None else f"{epoch:g}"


def main_table(data: StudyData) -> Table:
    """A row per variant, in the study's order."""
    plan, reason = data.plan, data.why_times_differ()
    axes, variants = axes_of(plan), plan.variants
    columns = [Column(axis, numeric=_numeric(variants, axis), header=True) for axis in axes]
    columns += [Column("Runs"), Column("Top-1 (%)", True), Column("Difference to baseline", True)]
    columns += [Column(METRICS[m].heading, True) for m in ACCURACIES[1:]]
    columns += [Column(f"Epochs to {threshold_name(t)} %", True) for t in plan.scale.thresholds]
    columns += [] if reason else [Column(METRICS["train_time_s"].heading, True)]
    columns += [Column("Diverged", True)]
    rows = tuple(_main_row(data, variant, not reason) for variant in variants)
    caption = (
        f"{plan.config.title}, {data.dataset_title}, {plan.scale_name} scale: mean over "
        "seeds at the last epoch ± half the width of its 95 % interval"
    )
    baseline = [i for i, v in enumerate(variants) if v.label == plan.baseline.label]
    return Table(
        "main",
        caption,
        tuple(columns),
        rows,
        tuple(_main_notes(data, reason)),
        tuple(_main_record(data, variant, reason) for variant in variants),
        tuple(baseline),
    )


def _numeric(variants: tuple[Variant, ...], axis: str) -> bool:
    return all(isinstance(v.axes.get(axis, 0), (int, float)) for v in variants)


def _main_row(data: StudyData, variant: Variant, times: bool) -> tuple[Entry, ...]:
    plan = data.plan
    accuracies = [level(data, variant, m) for m in ACCURACIES]
    difference = data.difference(variant, plan.baseline, "val_top1")
    compared = Entry(difference_text("val_top1", difference), difference.mean)
    if variant.label == plan.baseline.label:
        compared = Entry("baseline", 0.0)
    planned = len(data.of(variant))
    row = [Entry(shown(variant, axis), sort_value(variant, axis)) for axis in axes_of(plan)]
    n = planned - data.count(variant, "missing")
    row += [Entry(f"{n} of {planned}", n), accuracies[0], compared, *accuracies[1:]]
    for threshold in plan.scale.thresholds:
        epochs = data.epochs_to(variant, threshold)
        median = median_reached(epochs)
        after_all = variant.training.epochs + 1 if epochs else math.nan
        row.append(
            Entry(
                epochs_text(epochs, variant.training.epochs),
                after_all if median is None else median,
            )
        )
    if times:
        spent = data.summary(variant, "train_time_s")
        row.append(Entry(mean_text("train_time_s", spent), spent.mean))
    diverged = data.count(variant, "diverged")
    return (*row, Entry(str(diverged), diverged))


def level(data: StudyData, variant: Variant, metric: str) -> Entry:
    """A variant's mean ± half-width. Where all runs diverged, chance accuracy and the word: an
    interval of no width would look like certainty."""
    found = data.summary(variant, metric)
    if found.n and found.n == data.count(variant, "diverged"):
        return Entry(f"{number(metric, found.mean)} (diverged)", found.mean)
    return Entry(mean_text(metric, found), found.mean)


def _main_notes(data: StudyData, reason: str) -> list[str]:
    plan = data.plan
    notes = [f"Difference to {plan.baseline.label}: in top-1 points, paired by seed."]
    diverged = int((data.runs["status"] == "diverged").sum())
    missing = int((data.runs["status"] == "missing").sum())
    if diverged:
        guess = number("val_top1", 100 / data.classes)
        notes.append(f"Diverged runs ({diverged}) count at chance accuracy, {guess} % top-1.")
    if missing:
        notes.append(f"Missing runs ({missing}) are in no mean.")
    if scaled_axes(plan):
        notes.append("In parentheses: the value in the document, where the scale changed it.")
    if reason:
        notes.append(f"Training times are not compared: {reason}.")
    return notes


def _main_record(data: StudyData, variant: Variant, reason: str) -> dict[str, Any]:
    plan = data.plan
    record: dict[str, Any] = {"variant": variant.label, "baseline": variant is plan.baseline}
    record |= {f"axis.{axis}": variant.axes.get(axis) for axis in axes_of(plan)}
    for axis in scaled_axes(plan):
        here = at_scale(variant, axis)
        record[f"at_scale.{axis}"] = variant.axes.get(axis) if here is None else here
    missing = data.count(variant, "missing")
    record |= {"n": len(data.of(variant)) - missing, "n_planned": len(data.of(variant))}
    record |= {"n_diverged": data.count(variant, "diverged"), "n_missing": missing}
    for metric in ACCURACIES:
        record |= _columns(metric, data.summary(variant, metric))
    difference = data.difference(variant, plan.baseline, "val_top1")
    record |= _columns("val_top1_difference", difference)
    for threshold in plan.scale.thresholds:
        record |= _threshold_columns(data, variant, threshold)
    spent = Summary(0) if reason else data.summary(variant, "train_time_s")
    record |= _columns("train_time_s", spent)
    return {**record, "train_time_not_compared": reason}


def _columns(name: str, found: Summary) -> dict[str, Any]:
    return {f"{name}_{key}": value for key, value in found._asdict().items()}


def _threshold_columns(data: StudyData, variant: Variant, threshold: float) -> dict[str, Any]:
    epochs, name = data.epochs_to(variant, threshold), f"epochs_to_{threshold_name(threshold)}"
    reached = [e for e in epochs if e is not None]
    return {
        f"{name}_median": median_reached(epochs),
        f"{name}_min": min(reached, default=None),
        f"{name}_max": max(reached) if reached and len(reached) == len(epochs) else None,
        f"{name}_reached": len(reached),
        f"{name}_censored": len(epochs) - len(reached),
        f"{name}_censored_after": variant.training.epochs,
    }


def title_of(dataset: str, config_dir: Path) -> str:
    """A dataset's name for readers; its file name where it has no file."""
    try:
        return load_dataset(config_dir, dataset).title
    except UserError:
        return dataset


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
    if any(not p.variant for p in data.plan.config.published):
        notes = ("Where the document names no variant, the one with the best mean stands for it.",)
    return Table("published", caption, tuple(columns), tuple(rows), notes, tuple(records))


def _published_row(
    data: StudyData, published: Published, config_dir: Path
) -> tuple[tuple[Entry, ...], dict[str, Any]]:
    named = [v for v in data.plan.variants if v.axes == published.variant]
    variant = named[0] if named else data.best(published.metric) or data.plan.baseline
    label = variant.label if named else f"{variant.label} (best of {len(data.plan.variants)})"
    empty, best = Summary(0), BEST.get(published.metric)
    last_found = data.summary(variant, published.metric)
    best_found = data.summary(variant, best) if best else empty
    if published.measures == "last":
        best_found = empty
    elif published.measures == "best":
        last_found = empty
    metric = METRICS[published.metric]
    relation = "" if published.relation == "=" else f"{published.relation} "
    value = f"{relation}{published.value:g}{' ' + metric.unit if metric.unit else ''}"
    where = measured_on(data, variant, config_dir)
    said = {"last": "last epoch", "best": "best epoch", "unstated": "unstated"}
    row = (
        Entry(published.where),
        Entry(label),
        Entry(metric.heading),
        Entry(value, published.value),
        Entry(said[published.measures]),
        level(data, variant, published.metric) if last_found.n else Entry(DASH, math.nan),
        level(data, variant, best) if best and best_found.n else Entry(DASH, math.nan),
        Entry(where),
        Entry(published.note),
    )
    record = {"where": published.where, "variant": variant.label, "named_by_document": bool(named)}
    record |= {"metric": published.metric, "relation": published.relation}
    record |= {"published": published.value, "measures": published.measures}
    record |= _columns("measured_last", last_found) | _columns("measured_best", best_found)
    return row, {**record, "measured_on": where, "note": published.note}
