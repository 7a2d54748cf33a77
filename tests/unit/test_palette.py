"""The palette: neighbours in a legend are told apart by readers without red or green cones."""

from __future__ import annotations

import itertools

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from ablation.curves_figure import spread
from ablation.palette import OKABE_ITO, pens

# Machado, Oliveira and Fernandes 2009, severity 1.0; they act on linear RGB.
SEEN = {
    "all": np.eye(3),
    "protanopia": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                            [-0.003882, -0.048116, 1.051998]]),
    "deuteranopia": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                              [-0.011820, 0.042940, 0.968881]]),
}  # fmt: skip
XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
                [0.0193339, 0.1191920, 0.9503041]])  # fmt: skip
WHITE = XYZ @ np.ones(3)


def linear(colour: str) -> np.ndarray:
    rgb = np.array(to_rgb(colour))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(colour: str, reader: str) -> np.ndarray:
    """CIELAB (D65) of a colour as a reader sees it."""
    x = XYZ @ np.clip(SEEN[reader] @ linear(colour), 0, 1) / WHITE
    f = np.where(x > (6 / 29) ** 3, np.cbrt(x), x / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def distance(one: str, other: str, reader: str) -> float:
    return float(np.linalg.norm(lab(one, reader) - lab(other, reader)))


def test_the_measure_is_the_known_one():
    assert lab("#ffffff", "all") == pytest.approx([100, 0, 0], abs=0.01)
    assert lab("#ff0000", "all") == pytest.approx([53.24, 80.09, 67.20], abs=0.05)
    # The pair that they confuse: red and a dark yellow green.
    assert (
        distance("#ff0000", "#808000", "deuteranopia") < distance("#ff0000", "#808000", "all") / 2
    )


CASES = {f"{n} names": ([f"v{i}" for i in range(n)], None) for n in (2, 5, 8, 9, 12, 18, 30)}
CASES |= {f"{n} numbers": ([f"{10.0**-i:g}" for i in range(n)], [10.0**-i for i in range(n)])
          for n in (3, 5, 8, 9, 14)}  # fmt: skip


@pytest.mark.parametrize("reader", SEEN)
@pytest.mark.parametrize("dashes_taken", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_neighbours_in_the_legend_differ(case, dashes_taken, reader):
    keys, values = CASES[case]
    found = pens(keys, values, dashes_taken=dashes_taken)
    assert len(set(map(str, found.values()))) == len(keys)  # no two alike
    for one, other in itertools.pairwise(keys):
        a, b = found[one], found[other]
        shaped = (a.dash, a.marker) != (b.dash, b.marker)
        assert shaped or distance(a.colour, b.colour, reader) > 8, (one, other)


@pytest.mark.parametrize("reader", SEEN)
def test_any_two_of_up_to_eight_names_differ(reader):
    found = [distance(a, b, reader) for i, a in enumerate(OKABE_ITO) for b in OKABE_ITO[:i]]
    assert min(found) > 8


@pytest.mark.parametrize("n", [3, 5, 8, 12])
def test_ordered_numbers_rise_in_lightness_and_show_on_white_and_on_dark(n):
    values = [2.0**-i for i in range(n)]
    found = pens([str(v) for v in values], values)
    light = [lab(found[str(v)].colour, "all")[0] for v in sorted(values)]
    assert light == sorted(light)
    for reader in ("protanopia", "deuteranopia"):
        seen = [lab(found[str(v)].colour, reader)[0] for v in sorted(values)]
        assert seen == sorted(seen)
    assert light[0] > 18 and light[-1] < 80


def test_only_three_or_more_numbers_are_ordered():
    assert pens(["1", "2"], [1, 2])["1"].colour == OKABE_ITO[0]
    assert pens(["a", "b", "c"], ["a", "b", "c"])["c"].colour == OKABE_ITO[2]
    assert pens(["1", "1 ", "2"], [1, 1, 2])["1"].colour == OKABE_ITO[0]
    low = mpl.colors.to_hex(mpl.colormaps["viridis"](0.1))
    assert pens(["3", "1", "2"], [3, 1, 2])["1"].colour == low


def test_numbers_at_line_ends_stand_apart_and_inside():
    assert spread([0.1, 0.9], 0.05) == [0.1, 0.9]
    assert spread([0.98, 0.99, 1.0], 0.05) == pytest.approx([0.9, 0.95, 1.0])
    crowded = spread([0.5] * 30, 0.05)
    assert np.diff(crowded).min() == pytest.approx(0.05)
