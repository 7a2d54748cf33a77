"""The data of the figures of importance and of Pareto fronts, and why one may not be drawn.

Apart from the drawing, so that the report needs no drawing library.
"""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pandas as pd

from . import stats
from .collect import axes_of
from .comparisons import common
from .config.study import Importance, Pareto
from .entries import why_not_compared
from .frames import StudyData
from .grid import Variant
from .importance import Component, importance
from .metrics import ENERGY_METRICS, METRICS
from .pareto import beaten_by
from .sentences import count, listed

COSTS = {
    "images_seen": "Images seen in training",
    "seconds": METRICS["train_time_s"].heading,
    "energy_j": METRICS["energy_j"].heading,
}
_TIMES = {"seconds": "train_time_s", "energy_j": "energy_j"}
# What an image costs depends on these: images seen compare only variants that share them.
_PER_IMAGE = ("model", "img_size", "progressive_resize", "distill")


def why_not(data: StudyData, name: str) -> str:
    """Why a figure is not drawn, as a sentence in its place; empty if it is."""
    spec = data.plan.config.all_figures[name]
    reason = ""
    if isinstance(spec, Importance):
        reason = _why_no_importance(data, spec)
    elif isinstance(spec, Pareto):
        reason = _why_no_front(data, spec)
    return f"{spec.title}: not drawn, {reason}." if reason else ""


# ---- importance ----------------------------------------------------------------------------------


def _why_no_importance(data: StudyData, spec: Importance) -> str:
    seeds = len(_seeds(data))
    if seeds < 2:
        return "with one seed noise cannot be told from an effect"
    crossed = math.prod(map(len, data.plan.config.grid.values()))
    if len(_points(data)) < crossed:
        return f"{len(_points(data))} of the {crossed} points of its grid are run at this scale"
    wanted = crossed * seeds
    there = sum(len(data.values(v, spec.metric)) for v in _points(data))
    if there < wanted:
        return (
            f"{wanted - there} of the {wanted} runs of its grid have no value: shares of variance "
            "want every point of the grid with every seed"
        )
    if all(math.isnan(c.share) for c in shares(data, spec)):
        return "the runs do not differ"
    return ""


def _seeds(data: StudyData) -> list[int]:
    return sorted({cell.config.seed for cell in data.plan.cells})


def _points(data: StudyData) -> list[Variant]:
    """The points of the grid; named rows stand beside it."""
    return [v for v in data.plan.variants if "row" not in v.axes]


def shares(data: StudyData, spec: Importance) -> list[Component]:
    """Components of the variance over the grid; a diverged run counts at chance, as in claims."""
    axes = [axis for axis, values in data.plan.config.grid.items() if len(values) > 1]
    points, seeds = _points(data), _seeds(data)
    levels = [list(dict.fromkeys(str(v.axes[axis]) for v in points)) for axis in axes]
    values = np.full([*map(len, levels), len(seeds)], np.nan)
    for variant in points:
        place = tuple(k.index(str(variant.axes[a])) for a, k in zip(axes, levels, strict=True))
        found = data.values(variant, spec.metric)
        values[place] = [found.get(seed, np.nan) for seed in seeds]
    return importance(values, axes)


def importance_frame(data: StudyData, spec: Importance) -> pd.DataFrame:
    """A row for each source of variance."""
    frame = pd.DataFrame(shares(data, spec)).drop(columns="axes")
    seeds, lost = len(_seeds(data)), _diverged(data, _points(data))
    return frame.assign(metric=spec.metric, seeds=seeds, n_diverged=lost)


def _diverged(data: StudyData, variants: list[Variant]) -> int:
    return sum(data.count(variant, "diverged") for variant in variants)


def importance_caption(data: StudyData, spec: Importance) -> str:
    """What the figure shows."""
    seeds, metric = len(_seeds(data)), METRICS[spec.metric].heading
    text = f"{spec.title}. Share of the variance of {metric} at the last epoch that each axis, "
    text += f"each pair of axes and the noise between {seeds} seeds explain over the grid, less "
    text += "what noise alone would give (omega squared). What all cells of a seed have in common "
    text += "is taken out; a share below zero is drawn as none. "
    interval = "Lines: 95 % intervals over seeds (jackknife)."
    text += interval if seeds > 2 else "Two seeds give no interval."
    if lost := _diverged(data, _points(data)):
        text += f" {count(lost, 'diverged run')} at chance accuracy may be most of the variance."
    if rows := len(data.plan.variants) - len(_points(data)):
        text += f" Without {count(rows, 'named row')}."
    return text


# ---- Pareto front --------------------------------------------------------------------------------


def _why_no_front(data: StudyData, spec: Pareto) -> str:
    if spec.cost == "images_seen":
        settings = [v.training for v in data.plan.variants]
        differ = [k for k in _PER_IMAGE if len({repr(getattr(t, k)) for t in settings}) > 1]
        if differ:
            return f"an image does not cost the same: variants differ in {listed(differ)}"
    else:
        metric = _TIMES[spec.cost]
        if metric in ENERGY_METRICS and not data.measured(metric):
            return "no energy was measured"
        if why := why_not_compared(data, metric):
            what = "energies" if metric in ENERGY_METRICS else "times"
            return f"{what} may not be compared: {why}"
    ready = pareto_frame(data, spec)
    if len(ready) < 2:
        return "fewer than two variants have both accuracy and cost"
    return "" if ready["n"].min() else "no seed has run in all of its variants"


def _costs(data: StudyData, variant: Variant, spec: Pareto) -> dict[int, float]:
    """Cost of each run by seed. A diverged run has no time that compares: NaN."""
    if spec.cost == "images_seen":
        cells = [c for c in data.plan.cells if c.variant.label == variant.label]
        train = variant.training
        images = cells[0].dataset.images("train", train.train_share)
        seen = float(train.epochs * images * train.repeated_augment)
        return {c.config.seed: seen for c in cells}
    found = data.values(variant, _TIMES[spec.cost])
    if not found:
        return {}
    return {**dict.fromkeys(data.lost_seeds(variant), math.nan), **found}


def pareto_frame(data: StudyData, spec: Pareto) -> pd.DataFrame:
    """A row a variant that has both: mean and interval of metric and cost, and what beats it."""
    variants = data.plan.variants
    values = {v.label: data.values(v, spec.metric) for v in variants}
    costs = {v.label: _costs(data, v, spec) for v in variants}
    both = {k: {s: x for s, x in values[k].items() if s in costs[k]} for k in values}
    found = common(both, {v.label: data.lost_seeds(v) for v in variants})
    if not found.names:
        return pd.DataFrame(columns=["variant"])
    paid = np.array([[costs[name][s] for s in found.seeds] for name in found.names])
    beaten = np.full(len(found.names), -1)
    if len(found.seeds) > 1:
        beaten = beaten_by(found.values, paid, found.lost, counted=spec.cost == "images_seen")
    by_label, rows = {v.label: v for v in variants}, []
    for i, name in enumerate(found.names):
        axes = {f"axis.{a}": by_label[name].axes.get(a, "") for a in axes_of(data.plan)}
        known = paid[i][~np.isnan(paid[i])]
        level, cost = stats.summarise(found.values[i]), stats.summarise(known)
        row = {"variant": name, **axes, "n": level.n, "mean": level.mean}
        row |= {"low": level.low, "high": level.high, "cost": cost.mean, "cost_n": cost.n}
        row |= {"cost_low": cost.low, "cost_high": cost.high}
        row |= {"n_diverged": data.count(by_label[name], "diverged")}
        by = "" if beaten[i] < 0 else found.names[beaten[i]]
        rows.append({**row, "on_front": beaten[i] < 0, "beaten_by": by})
    return pd.DataFrame(rows)


def pareto_caption(data: StudyData, spec: Pareto) -> str:
    """What the figure shows."""
    frame = pareto_frame(data, spec)
    text = f"{spec.title}. {METRICS[spec.metric].heading} at the last epoch against "
    text += f"{COSTS[spec.cost].lower()}, mean of {count(int(frame['n'].min()), 'seed')} with 95 % "
    text += "intervals. Filled: on the front. Hollow: another variant is shown to be better at no "
    text += "higher cost (paired by seed, all pairs at 5 % together"
    text += ")." if spec.cost == "images_seen" else "; a cost within 5 % counts as no higher)."
    by = Counter(frame.loc[~frame["on_front"], "beaten_by"])
    text += f" Off the front: {int((~frame['on_front']).sum())} of {len(frame)}"
    text += f", beaten by {listed(by)}." if by else ": these seeds show none to be beaten."
    absent = len(data.plan.variants) - len(frame)
    text += f" {count(absent, 'variant')} without a completed run." if absent else ""
    lost = _diverged(data, list(data.plan.variants))
    cost = "" if spec.cost == "images_seen" else ", of unknown cost"
    return text + (f" {count(lost, 'diverged run')} at chance accuracy{cost}." if lost else "")
