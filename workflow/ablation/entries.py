"""What the tables of a study are made of: numbers as texts, entries of a row, columns of a CSV."""

from __future__ import annotations

import math
from typing import Any

from .collect import axes_of, threshold_name
from .frames import StudyData
from .grid import Variant
from .markup import Column, Entry
from .metrics import ENERGY_METRICS, METRICS, TIME_METRICS
from .stats import Summary, median_reached

DASH = "–"


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


def epochs_text(epochs: list[float | None], planned: float, form: str = "{:g}") -> str:
    """Epochs to an accuracy over the runs: `4`, `3 to 5`, `4 (3 to > 18)`; `> 18` if never.

    planned: where the training ended, a bound and so rounded down; form: of a number, `{:.0f}` for
    seconds.
    """
    if not epochs:
        return DASH
    ranked = sorted(epochs, key=lambda e: math.inf if e is None else e)
    middle = median_reached(epochs)
    low, high, median = (
        f"> {form.format(math.floor(planned))}" if e is None else form.format(e)
        for e in (ranked[0], ranked[-1], middle)
    )
    if low == high:
        return low
    return f"{low} to {high}" if len(epochs) == 2 else f"{median} ({low} to {high})"


def axis_columns(data: StudyData) -> list[Column]:
    variants = data.plan.variants
    axes = axes_of(data.plan)
    return [Column(axis, numeric=_numeric(variants, axis), header=True) for axis in axes]


def _numeric(variants: tuple[Variant, ...], axis: str) -> bool:
    return all(isinstance(v.axes.get(axis, 0), (int, float)) for v in variants)


def why_not_compared(data: StudyData, metric: str) -> str:
    """Why a metric of the study's runs may not be compared between them; empty if it may."""
    if metric in ENERGY_METRICS:
        return data.why_energy_differs()
    return data.why_times_differ() if metric in TIME_METRICS else ""


def level(data: StudyData, variant: Variant, metric: str) -> Entry:
    """A variant's mean ± half-width. Where all runs diverged, chance accuracy and the word: an
    interval of no width would look like certainty."""
    found = data.summary(variant, metric)
    if found.n and found.n == data.count(variant, "diverged"):
        return Entry(f"{number(metric, found.mean)} (diverged)", found.mean)
    return Entry(mean_text(metric, found), found.mean)


def reached_entry(data: StudyData, variant: Variant, threshold: float, kind: str) -> Entry:
    found, planned = data.epochs_to(variant, threshold, kind), float(variant.training.epochs)
    seconds = kind.startswith("seconds")
    if seconds:  # censored when the training ended, of the runs that did not reach it
        planned = data.shortest(variant)
    median = median_reached(found)
    after_all = planned + 1 if found else math.nan
    text = epochs_text(found, planned, "{:.0f}" if seconds else "{:g}")
    return Entry(text, after_all if median is None else median)


def columns_of(name: str, found: Summary) -> dict[str, Any]:
    return {f"{name}_{key}": value for key, value in found._asdict().items()}


def threshold_columns(
    data: StudyData, variant: Variant, threshold: float, kind: str = "epochs_to"
) -> dict[str, Any]:
    epochs, name = data.epochs_to(variant, threshold, kind), f"{kind}_{threshold_name(threshold)}"
    reached = [e for e in epochs if e is not None]
    seconds = kind.startswith("seconds")
    return {
        f"{name}_median": median_reached(epochs),
        f"{name}_min": min(reached, default=None),
        f"{name}_max": max(reached) if reached and len(reached) == len(epochs) else None,
        f"{name}_reached": len(reached),
        f"{name}_censored": len(epochs) - len(reached),
        f"{name}_censored_after": data.shortest(variant) if seconds else variant.training.epochs,
    }
