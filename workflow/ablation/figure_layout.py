"""Where the panels of a curve figure stand in its SVG, and which pen drew which variant.

The report's page reads off the curves at an epoch: the numbers come from the CSV behind the figure,
the places from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from .curves_figure import Line

POINTS = 72  # of an SVG, to the inch


def layout(figure: Figure, cut: Bbox, drawn: Mapping[str, Line]) -> dict[str, Any]:
    """Panels in the units of the SVG's viewBox, and how the line of each variant is drawn; its
    panel is empty where it stands in all. cut: the part of the figure that was saved, in inches.
    """
    width, height = figure.get_size_inches()
    places = []
    for ax, name in zip(figure.axes, _names(drawn), strict=True):
        box = ax.get_position()
        places.append(
            {
                "panel": name,
                "x": round((box.x0 * width - cut.x0) * POINTS, 2),
                "y": round((cut.y1 - box.y1 * height) * POINTS, 2),
                "width": round(box.width * width * POINTS, 2),
                "height": round(box.height * height * POINTS, 2),
                "epochs": [round(float(limit), 4) for limit in ax.get_xlim()],
            }
        )
    lines = {
        label: {
            "colour": line.pen.colour.lower(),
            "dashes": [] if line.dash == "-" else list(line.dash[1]),
            "number": line.number,
            "panel": line.look.panel,
        }
        for label, line in drawn.items()
    }
    return {"panels": places, "variants": lines}


def _names(drawn: Mapping[str, Line]) -> list[str]:
    """The panels' titles, in their order; one without a title where there are none."""
    return [*dict.fromkeys(line.look.panel for line in drawn.values() if line.look.panel)] or [""]
