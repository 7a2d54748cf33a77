"""The figure of a loader benchmark. Called by figures.py, which sets the style."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .collect import axes_of
from .config.study import LoaderRates
from .frames import StudyData, shown
from .palette import pens

_WHEN = {
    "images_per_s": {"linestyle": "-", "label": "after the first epoch"},
    "first_images_per_s": {"linestyle": (0, (4, 2)), "label": "first epoch"},
}


def draw_rates(data: StudyData, spec: LoaderRates) -> tuple[Figure, pd.DataFrame]:
    """Images per second over an axis, a colour for each point of the axes that are left."""
    frame = _frame(data, spec)
    panels = list(dict.fromkeys(frame["panel"]))
    places = {x: i for i, x in enumerate(dict.fromkeys(frame["x"]))}
    keys = list(dict.fromkeys(frame["colour"]))
    colours = {key: pen.colour for key, pen in pens(keys).items()}
    size = (4.9 if len(panels) == 1 else 3.1 * len(panels), 3.3)
    figure, axes = plt.subplots(1, len(panels), figsize=size, sharey=True, squeeze=False)
    for ax, panel in zip(axes[0], panels, strict=True):
        _draw_panel(ax, frame[frame["panel"] == panel], places, colours)
        ax.set_xticks(range(len(places)), list(places))
        ax.set_xlim(-0.4, len(places) - 0.6)
        ax.set_xlabel(spec.x)
        if panel:
            ax.set_title(f"{spec.panel} {panel}", fontweight="normal")
    axes[0][0].set_ylabel("Images per second")
    axes[0][0].set_ylim(bottom=0)
    _legend(axes[0][-1], colours)
    return figure, frame


def _frame(data: StudyData, spec: LoaderRates) -> pd.DataFrame:
    """A row for each variant and rate: where it stands in the figure, n, mean and interval."""
    others = [axis for axis in axes_of(data.plan) if axis not in (spec.x, spec.panel)]
    rows = []
    for variant in data.plan.variants:
        place = {
            "variant": variant.label,
            "x": shown(variant, spec.x, short=True),
            "panel": shown(variant, spec.panel, short=True) if spec.panel else "",
            "colour": ", ".join(shown(variant, axis, short=True) for axis in others),
        }
        for metric in _WHEN:
            found = data.summary(variant, metric)
            numbers = {"n": found.n, "mean": found.mean, "low": found.low, "high": found.high}
            rows.append({**place, "metric": metric, **numbers})
    return pd.DataFrame(rows)


def _draw_panel(
    ax: Axes, frame: pd.DataFrame, places: dict[str, int], colours: dict[str, Any]
) -> None:
    for number, (key, colour) in enumerate(colours.items()):
        aside = 0.06 * (number - (len(colours) - 1) / 2)  # else equal rates hide one another
        for metric, look in _WHEN.items():
            mine = frame[(frame["colour"] == key) & (frame["metric"] == metric) & (frame["n"] > 0)]
            if mine.empty:
                continue
            x = [places[value] + aside for value in mine["x"]]
            half = ((mine["high"] - mine["low"]) / 2).to_numpy()
            ax.errorbar(
                x,
                mine["mean"],
                yerr=None if np.isnan(half).all() else half,
                color=colour,
                linestyle=look["linestyle"],
                marker="o",
                markerfacecolor=colour if metric == "images_per_s" else "white",
                capsize=2,
            )


def _legend(ax: Axes, colours: dict[str, Any]) -> None:
    handles = [Line2D([], [], color=c, marker="o", label=key) for key, c in colours.items() if key]
    for metric, look in _WHEN.items():
        fill = "#555555" if metric == "images_per_s" else "white"
        handles.append(Line2D([], [], color="#555555", marker="o", markerfacecolor=fill, **look))
    ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.02, 1.02), handlelength=2.6)
