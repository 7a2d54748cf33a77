"""Where the panels of a curve figure stand in its SVG, and which pen drew which variant.

The report's page reads off the curves at an epoch: the numbers come from the CSV behind the figure,
the places from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

POINTS = 72  # of an SVG, to the inch


def layout(
    figure: Figure, cut: Bbox, pens: Mapping[str, Mapping[str, Any]], panels: Mapping[str, str]
) -> dict[str, Any]:
    """Panels in the units of the SVG's viewBox, and the pen of each variant.

    cut: the part of the figure that was saved, in inches; panels: variant -> title of its panel,
    empty where it stands in all of them.
    """
    width, height = figure.get_size_inches()
    places = []
    for ax, name in zip(figure.axes, _names(panels), strict=True):
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
            "colour": to_hex(pen["color"]),
            "dashes": [] if pen["linestyle"] == "-" else list(pen["linestyle"][1]),
            "panel": panels[label],
        }
        for label, pen in pens.items()
    }
    return {"panels": places, "variants": lines}


def _names(panels: Mapping[str, str]) -> list[str]:
    """The panels' titles, in their order; one without a title where there are none."""
    return [*dict.fromkeys(filter(None, panels.values()))] or [""]
