"""The figures of a study: curves over epochs and heat maps, each with the data behind it.

Drawing only: what is drawn comes as data frames from frames.py, labels from the table of metrics.
The same data give the same bytes: no date, no random ids.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from . import products
from .config.study import Curves, Importance, LoaderRates, Pareto, RangeCurves
from .csv_text import guarded
from .curves_figure import draw_curves, drawn_lines
from .errors import ConfigError
from .figure_data import why_not
from .figure_layout import layout
from .figure_parts import headline
from .files import replacing, write_text
from .frames import StudyData
from .front_figures import draw_importance, draw_pareto
from .heatmap_figure import draw_heatmap
from .loader_figure import draw_rates
from .range_figure import draw_range

STYLE = Path(__file__).with_name("style.mplstyle")


@dataclass(frozen=True)
class Drawn:
    """A finished figure: the content of its files."""

    name: str
    svg: str = ""
    png: bytes = b""
    table: str = ""
    layout: str = ""
    """Of curves: where a page finds an epoch in the SVG, as JSON (figure_layout.py)."""
    why_not: str = ""
    """Why it is not drawn; it then has nothing else."""


def study_figures(data: StudyData) -> list[Drawn]:
    """All figures of a study, in its order; of one that its data do not carry, the reason."""
    return [draw(data, name) for name in data.plan.config.all_figures]


def write_figures(figures: list[Drawn], folder: Path) -> None:
    """Write each figure as SVG and PNG, its data as CSV, and the layout of curves as JSON; or, as a
    text, why it is not drawn."""
    folder.mkdir(parents=True, exist_ok=True)
    for figure in figures:
        if figure.why_not:
            write_text(folder / f"{figure.name}.txt", f"{figure.why_not}\n")
            continue
        write_text(folder / f"{figure.name}.svg", figure.svg)
        with replacing(folder / f"{figure.name}.png") as file:
            file.write(figure.png)
        write_text(folder / f"{figure.name}.csv", figure.table)
        if figure.layout:
            write_text(folder / f"{figure.name}.layout.json", figure.layout)
    products.write_list(folder)


def draw(data: StudyData, name: str) -> Drawn:
    """Draw one figure of the study."""
    spec = data.plan.config.all_figures[name]
    _check_metric(data, name)
    if reason := why_not(data, name):
        return Drawn(name, why_not=reason)
    with plt.style.context(STYLE):
        if isinstance(spec, RangeCurves):
            figure, frame = draw_range(data)
            headline(figure, data, spec.title)
        elif isinstance(spec, LoaderRates):
            figure, frame = draw_rates(data, spec)
            headline(figure, data, spec.title)
        elif isinstance(spec, (Importance, Pareto)):
            drawing = draw_importance if isinstance(spec, Importance) else draw_pareto
            figure, frame = drawing(data, spec)
            headline(figure, data, spec.title)
        elif isinstance(spec, Curves):
            figure, frame = draw_curves(data, spec)
        else:
            figure, frame = draw_heatmap(data, spec)
        svg, png = io.StringIO(), io.BytesIO()
        cut = figure.get_tightbbox(figure.canvas.get_renderer()).padded(0.08)
        fit = {"bbox_inches": cut}
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None}, **fit)
        figure.savefig(png, format="png", metadata={"Software": None}, **fit)
        places = _layout_json(figure, cut, data, spec) if isinstance(spec, Curves) else ""
        plt.close(figure)
    texts = frame.select_dtypes(exclude="number").columns
    frame = frame.assign(**{name: frame[name].map(guarded) for name in texts})
    table = frame.to_csv(index=False, lineterminator="\n")
    return Drawn(name, svg.getvalue(), png.getvalue(), table, places)


def _layout_json(figure: Figure, cut: Bbox, data: StudyData, spec: Curves) -> str:
    places = layout(figure, cut, drawn_lines(data, spec))
    return json.dumps(places, indent=1, ensure_ascii=False) + "\n"


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
