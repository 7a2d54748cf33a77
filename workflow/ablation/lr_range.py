"""What a learning-rate range test suggests: the loss of each step, smoothed over its rates.

Suggestions to begin with, not results: the test is one short training in which each rate acts for a
few steps on weights that the lower rates have made.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .frames import StudyData
from .grid import Variant

BLOWN_UP = 4.0  # times the lowest loss so far: where fastai's lr_find stops


class Suggestion(NamedTuple):
    """Learning rates read off a curve; None where the loss does not fall, and for the lowest loss
    where it still falls at the end of the curve."""

    steepest: float | None
    """Where the smoothed loss falls fastest over the logarithm of the rate (Gugger 2018)."""
    tenth: float | None
    """A tenth of the rate at which the smoothed loss is lowest (Gugger 2018)."""
    lowest: float | None
    """That rate itself: already too high to train with."""


class Curve(NamedTuple):
    """One run of a range test, up to where its loss has blown up."""

    variant: Variant
    seed: int
    lrs: np.ndarray
    """(steps,) rising."""
    losses: np.ndarray
    """(steps,) mean training loss of each step's batch."""
    smoothed: np.ndarray
    suggestion: Suggestion


def kept(losses: Sequence[float], length: float) -> int:
    """How many steps there are before the loss exceeds BLOWN_UP times the lowest before it.

    Later ones say nothing about good rates, and smoothing would carry them back. So the loss is
    here the running mean over `length` steps, which looks back only: a single batch may well have
    four times the loss of another.
    """
    values = np.asarray(losses, dtype=float)
    above, below = _sums(values, math.exp(-1.0 / length) if length > 0 else 0.0)
    lowest = math.inf
    for step, loss in enumerate(above / below):
        if loss > BLOWN_UP * lowest:
            return step
        lowest = min(lowest, loss)
    return len(losses)


def smooth(losses: np.ndarray, length: float) -> np.ndarray:
    """Weighted means of (steps,) values, weights exp(-distance / length) to both sides.

    The usual running mean looks back only and lags by about `length` steps, which shifts every
    rate that is read off it upwards. length 0 leaves the values as they are.
    """
    if length <= 0:
        return np.asarray(losses, dtype=float)
    keep = math.exp(-1.0 / length)
    above, below = _sums(losses, keep)
    back_above, back_below = (part[::-1] for part in _sums(losses[::-1], keep))
    return (above + back_above - losses) / (below + back_below - 1.0)


def _sums(values: np.ndarray, keep: float) -> tuple[np.ndarray, np.ndarray]:
    """Sums of values and of weights that fade by `keep` a step, from the first on."""
    above, below = np.empty(len(values)), np.empty(len(values))
    total = weight = 0.0
    for i, value in enumerate(values):
        total, weight = keep * total + value, keep * weight + 1.0
        above[i], below[i] = total, weight
    return above, below


def suggest(lrs: np.ndarray, smoothed: np.ndarray, margin: int) -> Suggestion:
    """Rates read off a smoothed curve, its first `margin` steps left out: there the mean has less
    to go by. Steepest: between these and the minimum."""
    nothing = Suggestion(None, None, None)
    if len(lrs) < margin + 3:
        return nothing
    lowest = margin + int(np.argmin(smoothed[margin:]))
    if lowest <= margin:
        return nothing
    slope = np.gradient(smoothed, np.log(lrs))[margin : lowest + 1]
    steepest = float(lrs[margin + int(np.argmin(slope))])
    if lowest == len(lrs) - 1:
        return Suggestion(steepest, None, None)
    return Suggestion(steepest, float(lrs[lowest]) / 10, float(lrs[lowest]))


def read_curve(
    variant: Variant, seed: int, lrs: Sequence[float], losses: Sequence[float], smoothing: float
) -> Curve:
    """A run's curve. smoothing: length of the smoothing as a share of the steps, in [0, 1)."""
    length = smoothing * len(losses)
    whole = kept(losses, length)
    x, y = (np.asarray(values[:whole], dtype=float) for values in (lrs, losses))
    smoothed = smooth(y, length)
    return Curve(variant, seed, x, y, smoothed, suggest(x, smoothed, math.ceil(length)))


def curves(data: StudyData) -> list[Curve]:
    """The curves of all runs of a study of the kind `lr_range`, in the plan's order."""
    found, smoothing = [], data.plan.config.range.smoothing
    for cell in data.plan.cells:
        steps = data.steps[data.steps["cell_id"] == cell.id]
        if len(steps):
            lrs, losses = list(steps["lr"]), list(steps["loss"])
            found.append(read_curve(cell.variant, cell.config.seed, lrs, losses, smoothing))
    return found


def mean(rates: Sequence[float | None]) -> float | None:
    """Geometric mean of the known rates: rates are compared by factors."""
    known = [rate for rate in rates if rate is not None]
    return math.exp(sum(map(math.log, known)) / len(known)) if known else None
