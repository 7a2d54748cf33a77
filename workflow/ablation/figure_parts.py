"""What figures have in common: their headline, and how an axis is called."""

from __future__ import annotations

from collections.abc import Iterable

from matplotlib.figure import Figure

from .frames import StudyData, shown


def headline(figure: Figure, data: StudyData, title: str, metric: str = "") -> None:
    """Title, and below it in grey what every figure must say: the scale and the data."""
    height = figure.get_size_inches()[1]
    top = 1 - 0.12 / height
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.5 / height))
    left = figure.axes[0].get_position().x0
    figure.text(left, top, title, va="top", ha="left", fontsize=12, fontweight="bold")
    scale = f"{metric}{data.plan.scale_name} scale, {data.dataset_title}"
    grey = {"fontsize": 9, "color": "#666666"}
    figure.text(left, top - 0.22 / height, scale, va="top", ha="left", **grey)


def axis_label(data: StudyData, axis: str) -> str:
    changed = any("(" in shown(v, axis, short=True) for v in data.plan.variants)
    return f"{axis} (in the document)" if changed else axis


def unique(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))
