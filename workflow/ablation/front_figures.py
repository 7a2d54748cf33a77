"""The figures of importance and of Pareto fronts. Called by figures.py, which sets the style."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from .config.study import Importance, Pareto
from .figure_data import COSTS, importance_frame, pareto_frame
from .frames import StudyData
from .importance import NOISE, SEED
from .metrics import METRICS
from .palette import MARKERS, OKABE_ITO, pens

_AXIS, _PAIR, _GREY = OKABE_ITO[0], OKABE_ITO[5], "#9a9a9a"


def draw_importance(data: StudyData, spec: Importance) -> tuple[Figure, pd.DataFrame]:
    """A bar for each axis, pair of axes, and the noise; largest first, the noise last."""
    frame = importance_frame(data, spec)
    drawn = frame[frame["name"] != SEED]
    effects = drawn[drawn["name"] != NOISE].sort_values("share", ascending=False, kind="stable")
    drawn = pd.concat([effects, drawn[drawn["name"] == NOISE]]).reset_index(drop=True)
    figure, ax = plt.subplots(figsize=(6.2, 1.25 + 0.42 * len(drawn)))
    for place, row in drawn.iterrows():
        colour = _GREY if row["name"] == NOISE else _PAIR if "×" in row["name"] else _AXIS
        share = max(0.0, row["share"])
        ax.barh(place, share, height=0.62, color=colour)
        end = share
        if pd.notna(row["low"]):
            ends = [min(100.0, max(0.0, row[key])) for key in ("low", "high")]
            ax.plot(ends, [place, place], color="#333333", linewidth=1.2, solid_capstyle="butt")
            end = max(end, ends[1])
        ax.text(end + 1.2, place, f"{share:.0f} %", va="center", fontsize=9, color="#333333")
    ax.set_yticks(range(len(drawn)), drawn["name"])
    ax.set_ylim(len(drawn) - 0.5, -0.5)
    ax.set_xlim(0, 112)
    ax.set_xticks(range(0, 101, 20))
    ax.grid(axis="y", visible=False)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel(f"Share of the variance of {METRICS[spec.metric].label.lower()} (%)")
    return figure, frame


def draw_pareto(data: StudyData, spec: Pareto) -> tuple[Figure, pd.DataFrame]:
    """A point a variant with both intervals; hollow where another one beats it."""
    frame = pareto_frame(data, spec)
    names = list(frame["variant"])
    figure, ax = plt.subplots(figsize=(4.9, 3.6))
    handles = []
    look = pens(names)
    for number, (name, row) in enumerate(zip(names, frame.to_dict("records"), strict=True)):
        # A dash tells lines apart, points have none: beyond eight, markers take turns.
        marker = MARKERS[number // len(OKABE_ITO) % len(MARKERS)]
        colour = look[name].colour
        fill = colour if row["on_front"] else "white"
        pen = {"color": colour, "marker": marker, "markersize": 7, "markerfacecolor": fill}
        bars = {"xerr": _half(row, "cost_"), "yerr": _half(row, ""), "elinewidth": 1.1}
        ax.errorbar(row["cost"], row["mean"], linestyle="", zorder=3, **bars, **pen)
        handles.append(Line2D([], [], linestyle="", label=name, **pen))
    _line_of_the_front(ax, frame)
    if len(names) and frame["cost"].max() > 8 * frame["cost"].min() > 0:
        ax.set_xscale("log")
    else:
        ax.xaxis.set_major_locator(MaxNLocator(nbins=6))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    ax.set_xlabel(COSTS[spec.cost])
    ax.set_ylabel(METRICS[spec.metric].heading)
    ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.02, 1.02), handlelength=1.4)
    return figure, frame


def _half(row: dict, prefix: str) -> float | None:
    half = (row[f"{prefix}high"] - row[f"{prefix}low"]) / 2
    return half if half > 0 else None


def _line_of_the_front(ax: plt.Axes, frame: pd.DataFrame) -> None:
    """Steps along the best means: what a front without intervals would be."""
    ranked = frame.sort_values(["cost", "mean"], ascending=[True, False])
    best = ranked[ranked["mean"] > ranked["mean"].cummax().shift(fill_value=float("-inf"))]
    ax.step(best["cost"], best["mean"], where="post", color=_GREY, linewidth=1.0, zorder=1)
