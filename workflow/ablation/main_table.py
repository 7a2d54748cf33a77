"""The main table of a study: a row per variant, with its uncertainty and its difference to the
baseline."""

from __future__ import annotations

from typing import Any

from .collect import at_scale, axes_of, scaled_axes, threshold_name
from .diagnosis import OVERFIT_POINTS
from .entries import (
    DASH,
    axis_columns,
    columns_of,
    difference_text,
    level,
    mean_text,
    number,
    reached_entry,
    threshold_columns,
    why_not_compared,
)
from .frames import StudyData, shown, sort_value
from .grid import Variant
from .markup import Column, Entry, Table
from .metrics import ENERGY_METRICS, METRICS, TABLE_METRICS, TABLE_TIMES
from .stats import Summary

FIT_NOTE = (
    "Fit: clean train against validation top-1 at the last epoch (PaddleClas, 2.2.8). Overfitting: "
    f"more than {OVERFIT_POINTS:g} points above, a number of ours; underfitting: below; both by "
    "more than twice the standard error of such a difference."
)


def main_table(data: StudyData) -> Table:
    """A row per variant, in the study's order."""
    plan, more = data.plan, _more_columns(data)
    variants = plan.variants
    columns = axis_columns(data)
    columns += [Column("Runs"), Column("Top-1 (%)", True), Column("Difference to baseline", True)]
    columns += [Column(METRICS[m].heading, True) for m in TABLE_METRICS[1:]]
    columns += [Column(f"Epochs to {threshold_name(t)} %", True) for t in plan.scale.thresholds]
    columns += [Column("Fit") if m == "fit" else Column(METRICS[m].heading, True) for m in more]
    columns += [Column("Diverged", True)]
    rows = tuple(_main_row(data, variant, more) for variant in variants)
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
        tuple(_main_notes(data, more)),
        tuple(_main_record(data, variant, more) for variant in variants),
        tuple(baseline),
    )


def _more_columns(data: StudyData) -> list[str]:
    """What stands in the main table besides: what the study asks for, and times and energies where
    they were measured; of all these, only what may be compared."""
    asked = data.plan.config.columns
    metered = [m for m in TABLE_TIMES if m not in ENERGY_METRICS or data.measured(m)]
    return [m for m in (*asked, *metered) if not why_not_compared(data, m)]


def _main_row(data: StudyData, variant: Variant, more: list[str]) -> tuple[Entry, ...]:
    plan = data.plan
    accuracies = [level(data, variant, m) for m in TABLE_METRICS]
    difference = data.difference(variant, plan.baseline, "val_top1")
    compared = Entry(difference_text("val_top1", difference), difference.mean)
    if variant.label == plan.baseline.label:
        compared = Entry("baseline", 0.0)
    planned = len(data.of(variant))
    row = [Entry(shown(variant, axis), sort_value(variant, axis)) for axis in axes_of(plan)]
    n = planned - data.count(variant, "missing")
    row += [Entry(f"{n} of {planned}", n), accuracies[0], compared, *accuracies[1:]]
    row += [reached_entry(data, variant, t, "epochs_to") for t in plan.scale.thresholds]
    row += [_more_entry(data, variant, metric) for metric in more]
    diverged = data.count(variant, "diverged")
    return (*row, Entry(str(diverged), diverged))


def _more_entry(data: StudyData, variant: Variant, metric: str) -> Entry:
    if metric == "fit":
        return fit_entry(data, variant)
    found = data.summary(variant, metric)
    # The noise scale is computed from settings: an interval over seeds would have no meaning.
    text = number(metric, found.mean) if metric == "noise_scale" else mean_text(metric, found)
    return Entry(text, found.mean)


def fit_entry(data: StudyData, variant: Variant) -> Entry:
    """The diagnosis of a variant's runs: `overfitting`, or `overfitting 2, balanced 1`."""
    counts = data.fits(variant)
    texts = [name if len(counts) == 1 else f"{name} {n}" for name, n in counts.items()]
    return Entry(", ".join(texts) or DASH, data.summary(variant, "clean_gap").mean)


def _main_notes(data: StudyData, more: list[str]) -> list[str]:
    plan, reason = data.plan, data.why_times_differ()
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
    if "fit" in more:
        notes.append(FIT_NOTE)
    if reason:
        notes.append(f"Training times are not compared: {reason}.")
    energies = [m for m in (*plan.config.columns, *TABLE_TIMES) if m in ENERGY_METRICS]
    if any(data.measured(m) for m in energies):
        sources = data.runs["energy_source"]
        said = f"Energy: {energy_text(max(sources))}." if len(set(sources) - {""}) == 1 else ""
        why = data.why_energy_differs()
        notes.append(f"Energy, GPU load and power are not compared: {why}." if why else said)
    return [note for note in notes if note]


def energy_text(source: str) -> str:
    """Which devices an energy is of."""
    parts = {"nvml": "the run's GPUs", "rapl": "all CPU packages of its machine"}
    return " and ".join(parts[name] for name in source.split("+"))


def _main_record(data: StudyData, variant: Variant, more: list[str]) -> dict[str, Any]:
    plan, reason = data.plan, data.why_times_differ()
    record: dict[str, Any] = {"variant": variant.label, "baseline": variant is plan.baseline}
    record |= {f"axis.{axis}": variant.axes.get(axis) for axis in axes_of(plan)}
    for axis in scaled_axes(plan):
        here = at_scale(variant, axis)
        record[f"at_scale.{axis}"] = variant.axes.get(axis) if here is None else here
    missing = data.count(variant, "missing")
    record |= {"n": len(data.of(variant)) - missing, "n_planned": len(data.of(variant))}
    record |= {"n_diverged": data.count(variant, "diverged"), "n_missing": missing}
    for metric in TABLE_METRICS:
        record |= columns_of(metric, data.summary(variant, metric))
    difference = data.difference(variant, plan.baseline, "val_top1")
    record |= columns_of("val_top1_difference", difference)
    for threshold in plan.scale.thresholds:
        record |= threshold_columns(data, variant, threshold)
    for metric in dict.fromkeys(("train_time_s", *more)):
        if metric == "fit":
            record |= {"fit": fit_entry(data, variant).text}
        else:
            found = Summary(0) if metric not in more else data.summary(variant, metric)
            record |= columns_of(metric, found)
    return {**record, "train_time_not_compared": reason}
