"""Curves over epochs: a line a variant, with a band over its seeds. Called by figures.py, which
sets the style."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from . import stats
from .collect import axes_of
from .config.study import Curves
from .figure_parts import axis_label, headline, unique
from .frames import StudyData, curve_frame, diverged_frame, shown, sort_value
from .grid import Variant
from .metrics import METRICS
from .palette import DASHES, MOST_COLOURS, Pen, pens

_MARKERS_UP_TO = 30  # epochs: more of them would merge into a thick line


@dataclass(frozen=True)
class Look:
    """How a variant's line is told apart: the key of its colour, dashes and panel."""

    colour: str
    style: str
    panel: str


def looks(data: StudyData, spec: Curves) -> dict[str, Look]:
    """The look of each variant. Axes that no channel tells apart join the colour, so that two
    variants never look alike; a named row has a colour of its own in every panel."""
    channels = {spec.colour, spec.style, spec.panel}
    others = [axis for axis in data.plan.config.grid if axis not in channels]
    found = {}
    for variant in data.plan.variants:
        if "row" in variant.axes:
            found[variant.label] = Look(variant.label, "", "")
            continue
        told = [spec.colour] if spec.colour else []
        told += [a for a in others if len(data.plan.config.grid[a]) > 1 or not (told or others[1:])]
        colour = ", ".join(
            shown(variant, axis, short=True)
            if told == [axis]
            else f"{axis.split('.')[-1]} {shown(variant, axis, short=True)}"
            for axis in told
        )
        style = shown(variant, spec.style, short=True) if spec.style else ""
        panel = shown(variant, spec.panel, short=True) if spec.panel else ""
        found[variant.label] = Look(colour, style, panel)
    return found


def draw_curves(data: StudyData, spec: Curves) -> tuple[Figure, pd.DataFrame]:
    """A line per variant over epochs, with a band over its seeds."""
    frame, lost = curve_frame(data, spec.metric), diverged_frame(data, spec.metric)
    look = looks(data, spec)
    panels = unique(x.panel for x in look.values() if x.panel) or [""]
    dashes = dict(zip(unique(x.style for x in look.values()), itertools.cycle(DASHES)))
    colours = colour_pens(data, spec, look, dashes_taken=len(dashes) > 1)
    width = 4.9 if len(panels) == 1 else 3.1 * len(panels)
    figure, axes = plt.subplots(
        1, len(panels), figsize=(width, 3.3), sharex=True, sharey=True, squeeze=False
    )
    ends: dict[Axes, list[tuple[pd.DataFrame, str, str]]] = {}
    for ax, panel in zip(axes[0], panels, strict=True):
        for variant in data.plan.variants:
            mine = look[variant.label]
            if mine.panel in ("", panel):
                one = colours[mine.colour]
                dash = dashes[mine.style] if len(dashes) > 1 else one.dash
                pen = {"color": one.colour, "linestyle": dash}
                curve = frame[frame["variant"] == variant.label]
                _draw_variant(ax, curve, pen, spec.metric, one.marker)
                _draw_lost(ax, data, variant, lost, pen)
                if len(colours) > MOST_COLOURS:
                    ends.setdefault(ax, []).append((curve, mine.colour, one.colour))
        if panel:
            ax.set_title(f"{spec.panel} {panel}", fontweight="normal")
        ax.set_xlabel("Epoch")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7))
    axes[0][0].set_ylabel(METRICS[spec.metric].heading)
    if spec.metric == "lr" and (frame["mean"] > 0).all():
        axes[0][0].set_yscale("log")
        axes[0][0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    _chance_line(axes[0], data, spec.metric)
    headline(figure, data, spec.title)
    for ax, lines in ends.items():
        _number_ends(ax, lines, list(colours))
    _legend(axes[0][-1], data, spec, colours, dashes)
    return figure, _curves_table(data, frame, lost)


def colour_pens(
    data: StudyData, spec: Curves, look: dict[str, Look], *, dashes_taken: bool
) -> dict[str, Pen]:
    """A pen for each key of colour; numbers of one axis are ordered."""
    keys = unique(x.colour for x in look.values())
    values = {look[v.label].colour: sort_value(v, spec.colour) for v in data.plan.variants
              if spec.colour in v.axes}  # fmt: skip
    one_axis = len(values) == len(keys) and keys == unique(
        shown(v, spec.colour, short=True) for v in data.plan.variants
    )
    ordered = [values[key] for key in keys] if spec.colour and one_axis else None
    return pens(keys, ordered, dashes_taken=dashes_taken)


def _number_ends(ax: Axes, lines: list[tuple[pd.DataFrame, str, str]], keys: list[str]) -> None:
    """A number at the end of each line, as in the legend: of so many, colours are no name. Beside
    the axes, moved apart and led to its line's end; at the end itself of a shorter training."""
    found = [(curve["epoch"].iloc[-1], curve["mean"].iloc[-1], str(keys.index(key) + 1), colour)
             for curve, key, colour in lines if not curve.empty]  # fmt: skip
    last = max((end[0] for end in found), default=0)
    for epoch, value, number, _ in (end for end in found if end[0] < last):
        ax.annotate(number, (epoch, value), (3, 5), textcoords="offset points", fontsize=7)
    found = sorted((end for end in found if end[0] == last), key=lambda end: end[1])
    low, high = ax.get_ylim()
    heights = spread([(end[1] - low) / (high - low) for end in found], 0.05)
    for (epoch, value, number, colour), height in zip(found, heights, strict=True):
        ax.annotate(
            number,
            (epoch, value),
            (1.015, height),
            textcoords="axes fraction",
            va="center",
            fontsize=7,
            color="#333333",
            arrowprops={"arrowstyle": "-", "linewidth": 0.5, "color": colour, "shrinkA": 0},
            annotation_clip=False,
        )


def spread(places: list[float], gap: float) -> list[float]:
    """Rising places, moved apart to a distance of `gap` and below 1 where there is room."""
    found: list[float] = []
    for place in places:
        found.append(max(place, found[-1] + gap) if found else place)
    top = max(1.0, gap * (len(places) - 1))
    for i in reversed(range(len(found))):
        found[i] = min(found[i], top)
        top = found[i] - gap
    return found


def _draw_variant(
    ax: Axes, curve: pd.DataFrame, pen: dict[str, Any], metric: str, marker: str
) -> None:
    if curve.empty:
        return
    few = len(curve) <= _MARKERS_UP_TO
    every = 1 if few else max(1, len(curve) // 8)
    marker = marker if few or marker != "o" else None
    if metric == "lr":
        ax.step(curve["epoch"], curve["mean"], where="mid", **pen)
        return
    mark = {"marker": marker, "markevery": every, "markeredgewidth": 0}
    ax.plot(curve["epoch"], curve["mean"], **mark, **pen)
    if (curve["n"] > 1).any():
        band = {"color": pen["color"], "alpha": 0.18, "linewidth": 0}
        ax.fill_between(curve["epoch"], curve["low"], curve["high"], **band)


def _draw_lost(
    ax: Axes, data: StudyData, variant: Variant, lost: pd.DataFrame, pen: dict[str, Any]
) -> None:
    """Each diverged run by itself: a thin line up to its end, and a cross. A run that broke down
    in its first epoch has no value: its cross stands on the axis."""
    cross = {"marker": "X", "markersize": 8, "markeredgecolor": "white", "color": pen["color"]}
    for run in data.of(variant, "diverged").itertuples():
        mine = lost[(lost["variant"] == variant.label) & (lost["seed"] == run.seed)]
        if mine.empty:
            on_axis = {"transform": ax.get_xaxis_transform(), "clip_on": False}
            ax.plot([run.diverged_epoch], [0.0], linestyle="", zorder=5, **cross, **on_axis)
            continue
        ax.plot(mine["epoch"], mine["value"], linewidth=0.9, **pen)
        ax.plot(mine["epoch"].iloc[-1:], mine["value"].iloc[-1:], linestyle="", zorder=5, **cross)


def _chance_line(axes: np.ndarray, data: StudyData, metric: str) -> None:
    """The accuracy of guessing, where the curves come near it."""
    guess = stats.chance(metric, data.classes)
    if guess is None or axes[0].get_ylim()[0] > guess * 1.5:
        return
    for ax in axes:
        ax.axhline(guess, color="#888888", linewidth=0.9, linestyle=(0, (2, 2)), zorder=0)
    axes[-1].annotate(
        f"chance {guess:g}",
        (1, guess),
        xycoords=("axes fraction", "data"),
        xytext=(0, 2),
        textcoords="offset points",
        ha="right",
        fontsize=8,
        color="#666666",
    )


def _legend(
    ax: Axes,
    data: StudyData,
    spec: Curves,
    colours: dict[str, Pen],
    dashes: dict[str, Any],
) -> None:
    """Below one another at the right: colours, then dashes, then the mark of divergence."""
    handles = [Line2D([], [], color="none", label=_heading(data, spec.colour))]
    for number, (key, pen) in enumerate(colours.items(), 1):
        name = f"{number}  {key}" if len(colours) > MOST_COLOURS else key
        marker = pen.marker if pen.marker != "o" else None
        look = {"color": pen.colour, "linestyle": pen.dash, "marker": marker}
        handles.append(Line2D([], [], label=name, **look))
    if len(dashes) > 1:
        handles.append(Line2D([], [], color="none", label=_heading(data, spec.style)))
        handles += [
            Line2D([], [], color="#555555", linestyle=d, label=key or "named rows")
            for key, d in dashes.items()
        ]
    if (data.runs["status"] == "diverged").any():
        cross = {"marker": "X", "linestyle": "", "markersize": 8, "markeredgecolor": "white"}
        handles.append(Line2D([], [], color="#555555", label="diverged", **cross))
    beside = 1.07 if len(colours) > MOST_COLOURS else 1.02  # numbers stand before it
    place = {"loc": "upper left", "bbox_to_anchor": (beside, 1.02)}
    legend = ax.legend(handles=handles, handlelength=2.2, **place)
    for text, handle in zip(legend.get_texts(), handles, strict=True):
        if handle.get_color() == "none":
            text.set_position((-30, 0))
            text.set_color("#333333")
            text.set_fontweight("bold")


def _heading(data: StudyData, axis: str | None) -> str:
    return axis_label(data, axis) if axis else "variant"


def _curves_table(data: StudyData, frame: pd.DataFrame, lost: pd.DataFrame) -> pd.DataFrame:
    """The data behind the lines: means of completed runs (no seed), then each diverged run."""
    single = lost.rename(columns={"value": "mean"}).assign(n=1, status="diverged")
    whole = frame.assign(seed="", status="completed")
    both = pd.concat([whole, single.astype({"seed": object})], ignore_index=True)
    for axis in axes_of(data.plan):
        value = {v.label: v.axes.get(axis, "") for v in data.plan.variants}
        both[f"axis.{axis}"] = both["variant"].map(value)
    axes = [f"axis.{axis}" for axis in axes_of(data.plan)]
    return both[["variant", *axes, "status", "seed", "epoch", "n", "mean", "low", "high"]]
