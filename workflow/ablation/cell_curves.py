"""A cell's curves as paths of small SVGs: too many cells for a drawing library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 320.0, 132.0
"""Of the drawing area, in the units of its viewBox."""
MOST_LINEAR = 100
"""Values of a larger ratio would lie on one another."""
Point = tuple[int, float]
"""Epoch and value."""


@dataclass(frozen=True)
class Line:
    """One curve of a panel."""

    name: str
    path: str
    last: str
    """Its last value, as text."""


@dataclass(frozen=True)
class Panel:
    """One small diagram; its values reach from `low` to `high`."""

    title: str
    lines: tuple[Line, ...]
    low: str
    high: str
    epochs: tuple[int, int]


def panel(title: str, curves: dict[str, Sequence[Point]], form: str) -> Panel | None:
    """Curves over epochs by their names; None where no value is there. Values above zero that
    differ by more than a factor of a hundred are drawn as logarithms."""
    known = {name: points for name, points in curves.items() if points}
    if not known:
        return None
    epochs = [epoch for points in known.values() for epoch, _ in points]
    values = [value for points in known.values() for _, value in points]
    low, high = min(values), max(values)
    log = low > 0 and high > MOST_LINEAR * low
    height = math.log10 if log else float
    box = (min(epochs), max(epochs), height(low), height(high))
    lines = tuple(
        Line(name, _path([(e, height(v)) for e, v in points], box), form.format(points[-1][1]))
        for name, points in known.items()
    )
    title = f"{title} (logarithmic)" if log else title
    return Panel(title, lines, form.format(low), form.format(high), box[:2])


def _path(points: Sequence[Point], box: tuple[int, int, float, float]) -> str:
    """Straight lines between the epochs that have a value."""
    first, last, low, high = box
    parts = []
    for epoch, value in points:
        x = WIDTH * (epoch - first) / ((last - first) or 1)
        y = HEIGHT * (1 - (value - low) / ((high - low) or 1))
        parts.append(f"{'L' if parts else 'M'}{x:.1f} {y:.1f}")
    if len(parts) == 1:
        parts.append(parts[0].replace("M", "L"))  # round ends make it a dot
    return "".join(parts)
