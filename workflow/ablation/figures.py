"""The figures of a study: curves over epochs and heat maps, each with the data behind it.

Drawing only: what is drawn comes as data frames from frames.py, labels from the table of metrics.
The same data give the same bytes: no date, no random ids.
"""

from __future__ import annotations

import io
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from . import stats
from .collect import axes_of
from .config.study import Curves, Heatmap, Importance, LoaderRates, Pareto, RangeCurves
from .errors import ConfigError
from .figure_data import why_not
from .files import publish, write_text
from .frames import StudyData, curve_frame, diverged_frame, level_frame, shown, sort_value
from .front_figures import draw_importance, draw_pareto
from .grid import Variant
from .loader_figure import draw_rates
from .metrics import METRICS
from .palette import DASHES, MOST_COLOURS, Pen, pens
from .range_figure import draw_range

STYLE = Path(__file__).with_name("style.mplstyle")
_MARKERS_UP_TO = 30  # epochs: more of them would merge into a thick line


@dataclass(frozen=True)
class Drawn:
    """A finished figure: the content of its files."""

    name: str
    svg: str = ""
    png: bytes = b""
    table: str = ""
    why_not: str = ""
    """Why it is not drawn; it then has nothing else."""


def study_figures(data: StudyData) -> list[Drawn]:
    """All figures of a study, in its order; of one that its data do not carry, the reason."""
    return [draw(data, name) for name in data.plan.config.all_figures]


def write_figures(figures: list[Drawn], folder: Path) -> None:
    """Write each figure as SVG and PNG, and its data as CSV; or, as a text, why it is not drawn."""
    folder.mkdir(parents=True, exist_ok=True)
    for figure in figures:
        if figure.why_not:
            write_text(folder / f"{figure.name}.txt", f"{figure.why_not}\n")
            continue
        write_text(folder / f"{figure.name}.svg", figure.svg)
        temporary = folder / f".{figure.name}.png.tmp"
        temporary.write_bytes(figure.png)
        publish(temporary, folder / f"{figure.name}.png")
        write_text(folder / f"{figure.name}.csv", figure.table)


def draw(data: StudyData, name: str) -> Drawn:
    """Draw one figure of the study."""
    spec = data.plan.config.all_figures[name]
    _check_metric(data, name)
    if reason := why_not(data, name):
        return Drawn(name, why_not=reason)
    with plt.style.context(STYLE):
        if isinstance(spec, RangeCurves):
            figure, frame = draw_range(data)
            _headline(figure, data, spec.title)
        elif isinstance(spec, LoaderRates):
            figure, frame = draw_rates(data, spec)
            _headline(figure, data, spec.title)
        elif isinstance(spec, (Importance, Pareto)):
            drawing = draw_importance if isinstance(spec, Importance) else draw_pareto
            figure, frame = drawing(data, spec)
            _headline(figure, data, spec.title)
        elif isinstance(spec, Curves):
            figure, frame = draw_curves(data, spec)
        else:
            figure, frame = draw_heatmap(data, spec)
        svg, png = io.StringIO(), io.BytesIO()
        fit = {"bbox_inches": "tight", "pad_inches": 0.08}
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None}, **fit)
        figure.savefig(png, format="png", metadata={"Software": None}, **fit)
        plt.close(figure)
    table = frame.to_csv(index=False, lineterminator="\n")
    return Drawn(name, svg.getvalue(), png.getvalue(), table)


def _check_metric(data: StudyData, name: str) -> None:
    spec = data.plan.config.all_figures[name]
    if isinstance(spec, (RangeCurves, LoaderRates)):
        return
    columns = data.epochs.columns if isinstance(spec, Curves) else data.runs.columns
    if spec.metric not in columns:
        kind = "is not measured each epoch" if isinstance(spec, Curves) else "has no column"
        raise ConfigError(
            f"config/studies/{data.plan.name}.yaml: figures.{name}.metric: {spec.metric} {kind}"
        )


# ---- curves -------------------------------------------------------------------------------------


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
    panels = _unique(x.panel for x in look.values() if x.panel) or [""]
    dashes = dict(zip(_unique(x.style for x in look.values()), itertools.cycle(DASHES)))
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
    _headline(figure, data, spec.title)
    for ax, lines in ends.items():
        _number_ends(ax, lines, list(colours))
    _legend(axes[0][-1], data, spec, colours, dashes)
    return figure, _curves_table(data, frame, lost)


def _unique(values: Any) -> list[str]:
    return list(dict.fromkeys(values))


def colour_pens(
    data: StudyData, spec: Curves, look: dict[str, Look], *, dashes_taken: bool
) -> dict[str, Pen]:
    """A pen for each key of colour; numbers of one axis are ordered."""
    keys = _unique(x.colour for x in look.values())
    values = {look[v.label].colour: sort_value(v, spec.colour) for v in data.plan.variants
              if spec.colour in v.axes}  # fmt: skip
    one_axis = len(values) == len(keys) and keys == _unique(
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
    return _axis_label(data, axis) if axis else "variant"


def _headline(figure: Figure, data: StudyData, title: str, metric: str = "") -> None:
    """Title, and below it in grey what every figure must say: the scale and the data."""
    height = figure.get_size_inches()[1]
    top = 1 - 0.12 / height
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.5 / height))
    left = figure.axes[0].get_position().x0
    figure.text(left, top, title, va="top", ha="left", fontsize=12, fontweight="bold")
    scale = f"{metric}{data.plan.scale_name} scale, {data.dataset_title}"
    grey = {"fontsize": 9, "color": "#666666"}
    figure.text(left, top - 0.22 / height, scale, va="top", ha="left", **grey)


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


# ---- heat map -----------------------------------------------------------------------------------


def draw_heatmap(data: StudyData, spec: Heatmap) -> tuple[Figure, pd.DataFrame]:
    """Mean ± half-width at the last epoch over two axes; a panel for each point of the others."""
    frame = level_frame(data, spec.metric)
    plain = [v for v in data.plan.variants if "row" not in v.axes]
    panels: dict[str, list[Variant]] = {}
    for variant in plain:
        others = [a for a in data.plan.config.grid if a not in (spec.x, spec.y)]
        key = ", ".join(f"{a} {shown(variant, a, short=True)}" for a in others)
        panels.setdefault(key, []).append(variant)
    columns, rows = (_unique(shown(v, a, short=True) for v in plain) for a in (spec.x, spec.y))
    width, height = 1.0 + 1.15 * len(columns) * len(panels), 1.5 + 0.72 * len(rows)
    figure, axes = plt.subplots(
        1, len(panels), figsize=(max(4.2, width), height), sharey=True, squeeze=False
    )
    limits = _colour_limits(frame)
    for ax, (key, variants) in zip(axes[0], panels.items(), strict=True):
        _draw_panel(ax, data, spec, frame, variants, limits)
        if key:
            ax.set_title(key, fontweight="normal")
    axes[0][0].set_ylabel(_axis_label(data, spec.y))
    _headline(figure, data, spec.title, f"{METRICS[spec.metric].heading}, ")
    for axis in axes_of(data.plan):
        value = {v.label: v.axes.get(axis, "") for v in data.plan.variants}
        frame[f"axis.{axis}"] = frame["variant"].map(value)
    return figure, frame


def _axis_label(data: StudyData, axis: str) -> str:
    changed = any("(" in shown(v, axis, short=True) for v in data.plan.variants)
    return f"{axis} (in the document)" if changed else axis


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
    rows, columns = (_unique(shown(v, a, short=True) for v in variants) for a in (spec.y, spec.x))
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
    ax.set_xlabel(_axis_label(data, spec.x))
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
