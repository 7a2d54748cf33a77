"""The tables of a study: its variants with their uncertainty, and published beside measured."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import loader_table, lr_range
from .collect import at_scale, axes_of, scaled_axes, threshold_name
from .config.load import load_dataset
from .config.study import EPOCHS_TO, Published
from .diagnosis import OVERFIT_POINTS
from .errors import UserError
from .files import write_text
from .frames import StudyData, shown, sort_value
from .grid import Variant
from .markup import Column, Entry, Table, to_csv, to_latex, to_markdown
from .metrics import ENERGY_METRICS, METRICS, TABLE_METRICS, TABLE_TIMES, TIME_METRICS
from .stats import Summary, median_reached

DASH = "–"
FIT_NOTE = (
    "Fit: clean train against validation top-1 at the last epoch (PaddleClas, 2.2.8). Overfitting: "
    f"more than {OVERFIT_POINTS:g} points above, a number of ours; underfitting: below; both by "
    "more than twice the standard error of such a difference."
)
# The best-epoch value of a metric, where one is recorded.
BEST = {"val_top1": "best_val_top1", "best_val_top1": "best_val_top1"}
_EPOCHS = {"last": "last epoch", "best": "best epoch", "run": "whole run", "unstated": "unstated"}
_EXTENSIONS: dict[str, Callable[[Table], str]] = {
    "csv": to_csv,
    "md": to_markdown,
    "tex": to_latex,
}


def study_tables(data: StudyData, config_dir: Path) -> list[Table]:
    """The tables of a study: `main`; `thresholds` where the scale has some; `published` where the
    document gives numbers. Of a range test, `main` holds what it suggests, of a loader
    benchmark its images per second, and is all."""
    if data.plan.config.kind == "lr_range":
        return [range_table(data)]
    if data.plan.config.kind == "loader":
        return [loader_table.rates_table(data, _axis_columns(data))]
    tables = [main_table(data)]
    if data.plan.scale.thresholds:
        tables.append(threshold_table(data))
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


def main_table(data: StudyData) -> Table:
    """A row per variant, in the study's order."""
    plan, more = data.plan, _more_columns(data)
    variants = plan.variants
    columns = _axis_columns(data)
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


def _axis_columns(data: StudyData) -> list[Column]:
    variants = data.plan.variants
    axes = axes_of(data.plan)
    return [Column(axis, numeric=_numeric(variants, axis), header=True) for axis in axes]


def _more_columns(data: StudyData) -> list[str]:
    """What stands in the main table besides: what the study asks for, and times and energies where
    they were measured; of all these, only what may be compared."""
    asked = data.plan.config.columns
    metered = [m for m in TABLE_TIMES if m not in ENERGY_METRICS or data.measured(m)]
    return [m for m in (*asked, *metered) if not why_not_compared(data, m)]


def why_not_compared(data: StudyData, metric: str) -> str:
    """Why a metric of the study's runs may not be compared between them; empty if it may."""
    if metric in ENERGY_METRICS:
        return data.why_energy_differs()
    return data.why_times_differ() if metric in TIME_METRICS else ""


def _numeric(variants: tuple[Variant, ...], axis: str) -> bool:
    return all(isinstance(v.axes.get(axis, 0), (int, float)) for v in variants)


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
    row += [_reached_entry(data, variant, t, "epochs_to") for t in plan.scale.thresholds]
    row += [_more_entry(data, variant, metric) for metric in more]
    diverged = data.count(variant, "diverged")
    return (*row, Entry(str(diverged), diverged))


def _reached_entry(data: StudyData, variant: Variant, threshold: float, kind: str) -> Entry:
    found, planned = data.epochs_to(variant, threshold, kind), float(variant.training.epochs)
    seconds = kind.startswith("seconds")
    if seconds:  # censored when the training ended, of the runs that did not reach it
        planned = data.shortest(variant)
    median = median_reached(found)
    after_all = planned + 1 if found else math.nan
    text = epochs_text(found, planned, "{:.0f}" if seconds else "{:g}")
    return Entry(text, after_all if median is None else median)


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


def level(data: StudyData, variant: Variant, metric: str) -> Entry:
    """A variant's mean ± half-width. Where all runs diverged, chance accuracy and the word: an
    interval of no width would look like certainty."""
    found = data.summary(variant, metric)
    if found.n and found.n == data.count(variant, "diverged"):
        return Entry(f"{number(metric, found.mean)} (diverged)", found.mean)
    return Entry(mean_text(metric, found), found.mean)


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
        record |= _columns(metric, data.summary(variant, metric))
    difference = data.difference(variant, plan.baseline, "val_top1")
    record |= _columns("val_top1_difference", difference)
    for threshold in plan.scale.thresholds:
        record |= _threshold_columns(data, variant, threshold)
    for metric in dict.fromkeys(("train_time_s", *more)):
        if metric == "fit":
            record |= {"fit": fit_entry(data, variant).text}
        else:
            found = Summary(0) if metric not in more else data.summary(variant, metric)
            record |= _columns(metric, found)
    return {**record, "train_time_not_compared": reason}


def _columns(name: str, found: Summary) -> dict[str, Any]:
    return {f"{name}_{key}": value for key, value in found._asdict().items()}


def _threshold_columns(
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


def threshold_table(data: StudyData) -> Table:
    """When each variant reached the scale's accuracies, and from when on it held them."""
    plan, kinds = data.plan, ["epochs_to", "epochs_to_hold"]
    words = {"epochs_to": "Epochs to {} %", "epochs_to_hold": "Epochs to hold {} %"}
    words |= {"seconds_to": "Seconds to {} %", "seconds_to_hold": "Seconds to hold {} %"}
    if not data.why_times_differ():
        kinds += ["seconds_to", "seconds_to_hold"]
    wanted = [(t, kind) for t in plan.scale.thresholds for kind in kinds]
    columns = _axis_columns(data)
    columns += [Column(words[kind].format(threshold_name(t)), True) for t, kind in wanted]
    rows, records = [], []
    for variant in plan.variants:
        row = [Entry(shown(variant, a), sort_value(variant, a)) for a in axes_of(plan)]
        record: dict[str, Any] = {"variant": variant.label}
        record |= {f"axis.{axis}": variant.axes.get(axis) for axis in axes_of(plan)}
        for threshold, kind in wanted:
            row.append(_reached_entry(data, variant, threshold, kind))
            record |= _threshold_columns(data, variant, threshold, kind)
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


def range_table(data: StudyData) -> Table:
    """What a range test suggests: a row a run, and the geometric mean of a variant's runs."""
    keys = ("steepest", "tenth", "lowest")
    headings = ("Steepest descent at lr", "Tenth of the lowest's lr", "Loss is lowest at lr")
    axes, found = axes_of(data.plan), lr_range.curves(data)
    columns = [*_axis_columns(data), Column("Seed", header=True), Column("Steps", True)]
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
    record |= _columns("measured_last", last_found) | _columns("measured_best", best_found)
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
            measured = _reached_entry(data, variant, published.threshold, EPOCHS_TO)
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
    record |= _columns("measured_last", Summary(0)) | _columns("measured_best", Summary(0))
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
