"""The heat map of a study. Called by figures.py, which sets the style."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .collect import axes_of
from .config.study import Heatmap
from .figure_parts import axis_label, headline, unique
from .frames import StudyData, level_frame, shown
from .grid import Variant
from .metrics import METRICS


def draw_heatmap(data: StudyData, spec: Heatmap) -> tuple[Figure, pd.DataFrame]:
    """Mean ± half-width at the last epoch over two axes; a panel for each point of the others."""
    frame = level_frame(data, spec.metric)
    plain = [v for v in data.plan.variants if "row" not in v.axes]
    panels: dict[str, list[Variant]] = {}
    for variant in plain:
        others = [a for a in data.plan.config.grid if a not in (spec.x, spec.y)]
        key = ", ".join(f"{a} {shown(variant, a, short=True)}" for a in others)
        panels.setdefault(key, []).append(variant)
    columns, rows = (unique(shown(v, a, short=True) for v in plain) for a in (spec.x, spec.y))
    width, height = 1.0 + 1.15 * len(columns) * len(panels), 1.5 + 0.72 * len(rows)
    figure, axes = plt.subplots(
        1, len(panels), figsize=(max(4.2, width), height), sharey=True, squeeze=False
    )
    limits = _colour_limits(frame)
    for ax, (key, variants) in zip(axes[0], panels.items(), strict=True):
        _draw_panel(ax, data, spec, frame, variants, limits)
        if key:
            ax.set_title(key, fontweight="normal")
    axes[0][0].set_ylabel(axis_label(data, spec.y))
    headline(figure, data, spec.title, f"{METRICS[spec.metric].heading}, ")
    for axis in axes_of(data.plan):
        value = {v.label: v.axes.get(axis, "") for v in data.plan.variants}
        frame[f"axis.{axis}"] = frame["variant"].map(value)
    return figure, frame


def _colour_limits(frame: pd.DataFrame) -> tuple[float, float]:
    """Range of colours: over variants without diverged runs, or chance would take all of it."""
    sound = frame.loc[(frame["n_diverged"] == 0) & frame["mean"].notna(), "mean"]
    sound = sound if len(sound) else frame["mean"].dropna()
    if sound.empty:
        return 0.0, 1.0
    low, high = float(sound.min()), float(sound.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _draw_panel(
    ax: Axes,
    data: StudyData,
    spec: Heatmap,
    frame: pd.DataFrame,
    variants: list[Variant],
    limits: tuple[float, float],
) -> None:
    rows, columns = (unique(shown(v, a, short=True) for v in variants) for a in (spec.y, spec.x))
    means = pd.DataFrame(np.nan, index=rows, columns=columns)
    texts = pd.DataFrame("missing", index=rows, columns=columns)
    special = []
    by_label = frame.set_index("variant")
    for variant in variants:
        y, x = shown(variant, spec.y, short=True), shown(variant, spec.x, short=True)
        found = by_label.loc[variant.label]
        means.loc[y, x] = found["mean"]
        texts.loc[y, x] = _annotation(spec.metric, found)
        if found["n_diverged"] or not found["n"]:
            special.append((columns.index(x), rows.index(y)))
            means.loc[y, x] = np.nan
    low, high = limits
    sns.heatmap(
        means,
        annot=texts,
        fmt="",
        ax=ax,
        vmin=low,
        vmax=high,
        cmap="cividis" if METRICS[spec.metric].better != "lower" else "cividis_r",
        cbar=False,
        linewidths=1.5,
        linecolor="white",
        annot_kws={"fontsize": 9},
    )
    for x, y in special:  # outside the colours: they would be all taken by chance accuracy
        text = texts.iloc[y, x]
        edge = "#d55e00" if "diverged" in text else "#bbbbbb"
        box = {"facecolor": "#fbf1ea" if "diverged" in text else "#f4f4f4", "edgecolor": edge}
        ax.add_patch(plt.Rectangle((x + 0.02, y + 0.03), 0.96, 0.94, linewidth=1.6, **box))
        ax.text(x + 0.5, y + 0.5, text, ha="center", va="center", fontsize=9, color="#333333")
    ax.grid(False)
    ax.set_xlabel(axis_label(data, spec.x))
    ax.set_ylabel("")
    ax.tick_params(length=0, rotation=0)


def _annotation(metric: str, found: pd.Series) -> str:
    if not found["n"]:
        return "diverged" if found["n_diverged"] else "missing"
    form = METRICS[metric].format
    text = form.format(found["mean"])
    if found["n_diverged"]:
        return f"{text}\n{found['n_diverged']:.0f} of {found['n']:.0f} diverged"
    if found["n_missing"]:
        text += f"\n{found['n_missing']:.0f} of {found['n'] + found['n_missing']:.0f} missing"
    elif found["n"] > 1:
        text += "\n± " + form.format((found["high"] - found["low"]) / 2)
    return text
