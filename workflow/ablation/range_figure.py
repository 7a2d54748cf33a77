"""The figure of a learning-rate range test. Called by figures.py, which sets the style."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from . import lr_range
from .frames import StudyData
from .lr_range import Curve
from .palette import pens

_PER_ROW = 3  # panels; a study has one for each variant


def draw_range(data: StudyData) -> tuple[Figure, pd.DataFrame]:
    """Loss over learning rate, a panel a variant and a line a seed, with what they suggest."""
    curves, variants = lr_range.curves(data), data.plan.variants
    wide = min(_PER_ROW, len(variants))
    rows = -(-len(variants) // wide)
    size = (4.9 if wide == 1 else 3.1 * wide, 0.5 + 2.8 * rows)
    figure, grid = plt.subplots(rows, wide, figsize=size, sharex=True, sharey=True, squeeze=False)
    panels = grid.ravel()
    seeds = list(dict.fromkeys(c.config.seed for c in data.plan.cells))
    colours = {seed: pen.colour for seed, pen in pens(seeds).items()}
    for ax, variant in zip(panels, variants, strict=False):
        mine = [curve for curve in curves if curve.variant is variant]
        _draw_panel(ax, mine, colours)
        if len(variants) > 1:
            ax.set_title(variant.label, fontweight="normal")
    for ax in panels[len(variants) :]:
        ax.set_axis_off()
    for ax in grid[-1]:
        ax.set_xlabel("Learning rate")
    for ax in grid[:, 0]:
        ax.set_ylabel("Train loss")
    _legend(grid[0][-1], colours)
    return figure, _table(curves)


def _draw_panel(ax: Axes, curves: list[Curve], colours: dict[int, Any]) -> None:
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    for curve in curves:
        colour = colours[curve.seed]
        ax.plot(curve.lrs, curve.losses, color=colour, alpha=0.35, linewidth=0.6)
        ax.plot(curve.lrs, curve.smoothed, color=colour)
    for key, dashes in (("steepest", (0, (4, 2))), ("tenth", (0, (1, 1.5)))):
        rate = lr_range.mean([getattr(curve.suggestion, key) for curve in curves])
        if rate is not None:
            ax.axvline(rate, color="#555555", linewidth=1.0, linestyle=dashes)
    if curves:  # above the first losses there is only the end of the blow-up
        first = max(float(np.max(curve.smoothed[:3])) for curve in curves)
        low = min(float(np.min(curve.losses)) for curve in curves)
        ax.set_ylim(max(0.0, low - 0.05 * first), 1.5 * first)


def _legend(ax: Axes, colours: dict[int, Any]) -> None:
    handles = [
        Line2D([], [], color=colour, label=f"seed {seed}") for seed, colour in colours.items()
    ]
    grey = {"color": "#555555", "linewidth": 1.0}
    handles.append(Line2D([], [], linestyle=(0, (4, 2)), label="steepest descent", **grey))
    handles.append(Line2D([], [], linestyle=(0, (1, 1.5)), label="lowest loss, lr / 10", **grey))
    ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.02, 1.02), handlelength=2.2)


def _table(curves: list[Curve]) -> pd.DataFrame:
    columns = ["variant", "seed", "step", "lr", "loss", "smoothed"]
    rows = [
        (curve.variant.label, curve.seed, step, *values)
        for curve in curves
        for step, values in enumerate(zip(curve.lrs, curve.losses, curve.smoothed, strict=True), 1)
    ]
    return pd.DataFrame(rows, columns=columns)
