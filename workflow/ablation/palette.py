"""How lines and points are told apart, also by colour-blind readers. One palette for all figures.

Up to eight names: the colours of Okabe and Ito (2008). Three or more ordered numbers (learning
rates, batch sizes): an even stretch of viridis, dark to light, without its ends that vanish on dark
or on white, and from seven on with dashes that take turns. More than eight names: colours come
again with other dashes (or markers, where an axis of the figure has the dashes). More than eight of
either: each line is numbered at its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.colors import to_hex

OKABE_ITO = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442"),
)
"""Blue, vermillion, green, purple, orange, sky, black, and yellow last: it is faint on white."""
DASHES = ("-", (0, (4, 2)), (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5)), (0, (7, 2)))
MARKERS = ("o", "s", "^", "D", "v")
MOST_COLOURS = len(OKABE_ITO)
_MOST_ORDERED = 6
"""Of more numbers, neighbouring colours are too near for readers without green cones."""
_VIRIDIS = (0.1, 0.8)
"""From lightness 20 to 77 of 100."""


class Pen(NamedTuple):
    """The look of a key; no two keys of a figure have the same one."""

    colour: str
    dash: Any = "-"
    marker: str = "o"


def pens(
    keys: Sequence[str], values: Sequence[Any] | None = None, *, dashes_taken: bool = False
) -> dict[str, Pen]:
    """A pen for each key. values: what the keys stand for, to order them if these are numbers;
    dashes_taken: an axis is told by dashes, so that markers tell what colours cannot."""
    if values is not None and _ordered(values):
        order = sorted(range(len(keys)), key=lambda i: values[i])
        low, high = _VIRIDIS
        step = (high - low) / (len(keys) - 1)
        colours = {keys[i]: to_hex(mpl.colormaps["viridis"](low + step * k)) for k, i in
                   enumerate(order)}  # fmt: skip
        turns = {keys[i]: k % 3 if len(keys) > _MOST_ORDERED else 0 for k, i in enumerate(order)}
    else:
        colours = {key: OKABE_ITO[i % MOST_COLOURS] for i, key in enumerate(keys)}
        turns = {key: i // MOST_COLOURS for i, key in enumerate(keys)}
    many = len(DASHES)  # and beyond 40 names, markers take turns too
    if dashes_taken:
        return {k: Pen(colours[k], "-", MARKERS[turns[k] % many]) for k in keys}
    return {
        k: Pen(colours[k], DASHES[turns[k] % many], MARKERS[turns[k] // many % many]) for k in keys
    }


def _ordered(values: Sequence[Any]) -> bool:
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)
    return numbers and len(set(values)) == len(values) >= 3
