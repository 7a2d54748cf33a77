"""Data frames between the tidy tables and what is shown: values per variant and seed.

Here it is decided which runs enter a number: a completed run with its value, a diverged run with
chance accuracy, a missing run not at all (and it is counted).
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from . import stats
from .collect import at_scale, run_columns, threshold_name
from .csv_text import unguarded
from .errors import DataError
from .foreign import TABLE, read_text
from .grid import StudyPlan, Variant, format_value
from .metrics import METRICS
from .results import RAW_METRICS

_TEXT = (
    *("cell_id", "variant", "status", "fit", "energy_source", "hardware_id", "torch"),
    *("code_version", "packages", "machine", "file_system", "disk"),
)


@dataclass(frozen=True)
class StudyData:
    """A study's plan with its runs and, where they are needed, its epochs."""

    plan: StudyPlan
    runs: pd.DataFrame
    epochs: pd.DataFrame | None = None
    steps: pd.DataFrame | None = None
    """Of a range test: learning rate and loss of each step."""

    @cached_property
    def classes(self) -> int:
        """Number of classes of the dataset that the study is run on."""
        return len(self.plan.cells[0].dataset.lock.classes)

    @property
    def dataset_title(self) -> str:
        """Name for readers of the dataset(s) that the study is run on."""
        return ", ".join(dict.fromkeys(c.dataset.config.title for c in self.plan.cells))

    @cached_property
    def _known(self) -> dict[tuple[str | None, ...], Any]:
        """What was looked up before: tables ask for the same runs and values some hundred times."""
        return {}

    def of(self, variant: Variant, status: str | None = None) -> pd.DataFrame:
        """The runs of a variant, all or those of one status."""
        key = ("runs", variant.label, status)
        if key not in self._known:
            mine = self.runs[self.runs["variant"] == variant.label]
            self._known[key] = mine if status is None else mine[mine["status"] == status]
        return self._known[key]

    def count(self, variant: Variant, status: str) -> int:
        """How many runs of a variant have a status."""
        return len(self.of(variant, status))

    def values(self, variant: Variant, metric: str) -> dict[int, float]:
        """Value by seed. A diverged run counts at chance where the metric is an accuracy."""
        key = ("values", variant.label, metric)
        if key not in self._known:
            self._known[key] = self._values(variant, metric)
        return dict(self._known[key])

    def _rows(self, variant: Variant) -> list[dict[str, Any]]:
        key = ("rows", variant.label)
        if key not in self._known:
            self._known[key] = self.of(variant).to_dict("records")
        return self._known[key]

    def _values(self, variant: Variant, metric: str) -> dict[int, float]:
        if metric in RAW_METRICS and variant.training.averaging is None:
            return {}
        guess = stats.chance(metric, self.classes)
        found = {}
        for run in self._rows(variant):
            if run["status"] == "completed" and pd.notna(run[metric]):
                found[int(run["seed"])] = float(run[metric])
            elif run["status"] == "diverged" and guess is not None:
                found[int(run["seed"])] = guess
        return found

    def lost_seeds(self, variant: Variant) -> set[int]:
        """Seeds whose run of a variant diverged."""
        return {int(seed) for seed in self.of(variant, "diverged")["seed"]}

    def summary(self, variant: Variant, metric: str) -> stats.Summary:
        """Mean over seeds with its interval."""
        return stats.summarise(self.values(variant, metric).values())

    def difference(self, variant: Variant, other: Variant, metric: str) -> stats.Summary:
        """Mean difference variant - other, paired by seed.

        Without an interval where a run of either side diverged: t intervals do not cover such a
        mean (0013); the table of comparisons has the median's.
        """
        found = stats.paired_difference(self.values(variant, metric), self.values(other, metric))
        lost = any(self.lost_seeds(v) for v in (variant, other))
        return stats.Summary(found.n, found.mean) if lost else found

    def ratio(self, variant: Variant, other: Variant, metric: str) -> stats.Summary:
        """Mean of variant / other, paired by seed."""
        values, others = self.values(variant, metric), self.values(other, metric)
        return stats.summarise(values[s] / others[s] for s in values if others.get(s))

    def epochs_to(
        self, variant: Variant, threshold: float, kind: str = "epochs_to"
    ) -> list[float | None]:
        """Epoch in which each run first reached an accuracy; None where it never did.

        kind: `epochs_to_hold` for the epoch from which it stayed there, `seconds_to` and
        `seconds_to_hold` for the seconds.
        """
        runs = self.of(variant)
        reached = runs.loc[runs["status"] != "missing", f"{kind}_{threshold_name(threshold)}"]
        return [None if pd.isna(value) else float(value) for value in reached]

    def shortest(self, variant: Variant) -> float:
        """Seconds of training and evaluation of a variant's shortest completed run (without any:
        its shortest diverged one; NaN without runs). A time not reached is longer than this."""
        runs = self.of(variant, "completed")
        runs = self.of(variant, "diverged") if runs.empty else runs
        spent = runs[["train_time_s", "eval_time_s"]]
        return float(spent.sum(axis=1).min()) if len(spent) else stats.NAN

    def fits(self, variant: Variant) -> dict[str, int]:
        """How many runs of a variant over- and underfit, most frequent first."""
        found = self.of(variant, "completed")["fit"]
        return {str(name): int(n) for name, n in found[found != ""].value_counts().items()}

    def why_times_differ(self) -> str:
        """Why the training times of the study's runs may not be compared; empty if they may."""
        done = self.runs[self.runs["status"] == "completed"]
        return stats.why_times_differ(list(done["alone"]), list(done["hardware_id"]))

    def why_energy_differs(self) -> str:
        """Why the energies of the study's runs may not be compared; empty if they may."""
        done = self.runs[self.runs["status"] == "completed"]
        sources = sorted(set(done["energy_source"]) - {""})
        if len(sources) > 1:
            return f"their meters differ ({' and '.join(sources)})"
        return self.why_times_differ()

    def measured(self, metric: str) -> bool:
        """Whether any completed run has a value of a metric."""
        done = self.runs[self.runs["status"] == "completed"]
        return bool(done[metric].notna().any())

    def best(self, metric: str = "val_top1") -> Variant | None:
        """The variant with the best mean; None when no run is there. Ties: the study's order."""
        means = {v.label: self.summary(v, metric).mean for v in self.plan.variants}
        known = [v for v in self.plan.variants if pd.notna(means[v.label])]
        sign = -1 if METRICS[metric].better == "lower" else 1
        return max(known, key=lambda v: sign * means[v.label], default=None)


def load(plan: StudyPlan, runs: Path, epochs: Path | None = None) -> StudyData:
    """Read runs.csv (and epochs.csv; of a range test also steps.csv beside it); DataError when
    they are not of this plan."""
    table = _read(runs, _TEXT, {"alone", *_censored(plan)})
    if list(table.columns) != run_columns(plan) or list(table["cell_id"]) != [
        c.id for c in plan.cells
    ]:
        raise DataError(
            f"{runs} was not collected from study {plan.name} at scale {plan.scale_name} as it "
            "is now; run `python workflow/collect_study.py` again"
        )
    ranges = plan.config.kind == "lr_range"
    return StudyData(
        plan,
        table,
        None if epochs is None else _read(epochs, _TEXT, set()),
        _read(runs.with_name("steps.csv"), _TEXT, set()) if ranges else None,
    )


def _censored(plan: StudyPlan) -> list[str]:
    kinds = ("censored", "censored_hold")
    return [f"{kind}_{threshold_name(t)}" for t in plan.scale.thresholds for kind in kinds]


def _read(path: Path, text: tuple[str, ...], flags: set[str]) -> pd.DataFrame:
    """A CSV with texts as they stand ('None', '1e5' and 'NA' are texts) and exact numbers."""
    try:
        rows = list(csv.reader(io.StringIO(read_text(path, TABLE), newline="")))
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{path} cannot be read ({error}); collect the study first") from None
    if not rows or any(len(row) != len(rows[0]) for row in rows):
        raise DataError(f"{path} is damaged; collect the study again")
    frame = pd.DataFrame(rows[1:], columns=rows[0], dtype=object)
    for name in frame.columns:
        if name in flags:
            frame[name] = [value == "True" for value in frame[name]]
        elif name in text or name.startswith(("axis.", "at_scale.")):
            frame[name] = [unguarded(value) for value in frame[name]]
        else:
            try:
                frame[name] = [float(v) if v else stats.NAN for v in frame[name]]
            except ValueError as error:
                raise DataError(f"{path}: column {name}: {error}") from None
    return frame


def shown(variant: Variant, axis: str, *, short: bool = False) -> str:
    """A variant's value of an axis as it was run, with the document's where the scale changed it:
    `128 (768 in the document)`, or `128 (768)` for short."""
    if axis not in variant.axes:
        return "–"
    document, here = format_value(variant.axes[axis]), at_scale(variant, axis)
    if here is None:
        return document
    return f"{format_value(here)} ({document}{'' if short else ' in the document'})"


def sort_value(variant: Variant, axis: str) -> Any:
    """What a column of this axis is sorted by: numbers as run, other values by their text."""
    here = at_scale(variant, axis)
    value = variant.axes.get(axis, "") if here is None else here
    return value if isinstance(value, (int, float)) else str(value)


def curve_frame(data: StudyData, metric: str) -> pd.DataFrame:
    """Mean, lowest and highest of a metric over the completed runs, by variant and epoch."""
    epochs = data.epochs
    done = epochs[(epochs["status"] == "completed") & epochs[metric].notna()]
    grouped = done.groupby(["variant", "epoch"])[metric]
    frame = grouped.agg(n="count", mean="mean", low="min", high="max").reset_index()
    order = {v.label: i for i, v in enumerate(data.plan.variants)}
    frame = frame.sort_values(["variant", "epoch"], key=lambda c: c.map(order).fillna(c))
    return frame.astype({"epoch": int}).reset_index(drop=True)


def diverged_frame(data: StudyData, metric: str) -> pd.DataFrame:
    """The curves of diverged runs, up to where they end: variant, seed, epoch, value."""
    epochs = data.epochs
    lost = epochs[(epochs["status"] == "diverged") & epochs[metric].notna()]
    frame = lost[["variant", "seed", "epoch", metric]].rename(columns={metric: "value"})
    return frame.astype({"epoch": int, "seed": int}).reset_index(drop=True)


def level_frame(data: StudyData, metric: str) -> pd.DataFrame:
    """A metric at the last epoch, a row a variant: n, mean, interval, diverged and missing runs."""
    rows = []
    for variant in data.plan.variants:
        found = data.summary(variant, metric)
        rows.append(
            {
                "variant": variant.label,
                "n": found.n,
                "mean": found.mean,
                "low": found.low,
                "high": found.high,
                "n_diverged": data.count(variant, "diverged"),
                "n_missing": data.count(variant, "missing"),
            }
        )
    return pd.DataFrame(rows)
