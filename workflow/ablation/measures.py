"""Measures of one run: pure functions of its curve, for the claims.

A measure is a pair of numbers between which the value lies: equal, where it is known; (19, inf) for
a time that was not reached within 18 epochs; None where nothing was measured, and the run is left
out. A diverged run is never left out: it counts at chance accuracy from where it broke down on, its
loss as infinite, and what cannot be said of it as anything between -inf and inf.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import diagnosis
from .claim_plan import threshold, window
from .config import claim as options
from .metrics import METRICS
from .stats import chance

UNKNOWN = (-math.inf, math.inf)
Value = tuple[float, float] | None


@dataclass(frozen=True)
class Run:
    """A run as measures see it."""

    status: str
    """`completed` or `diverged`."""
    row: dict[str, Any]
    """Its row of runs.csv."""
    epochs: list[dict[str, Any]]
    """Its rows of epochs.csv, in order; of a diverged run up to where it broke down."""
    planned: int
    """Epochs that it was to train."""
    document: int
    """Epochs in the document, by which the claims name theirs."""
    classes: int

    @property
    def diverged(self) -> bool:
        """Whether its loss broke down."""
        return self.status == "diverged"

    def window(self, epochs: tuple[int, int]) -> tuple[int, int]:
        """First and last epoch here of a window of the document: the same share of the training."""
        return window(epochs, self.document, self.planned)

    def curve(self, metric: str) -> list[float] | None:
        """The metric of each planned epoch; None where one is missing. After a divergence chance
        accuracy, or infinity for a loss."""
        values = [e.get(metric) for e in self.epochs]
        if any(v is None or math.isnan(v) for v in values):
            return None
        guess = chance(metric, self.classes)
        rest = [math.inf if guess is None else guess] * (self.planned - len(values))
        return values + rest

    def at_chance(self, metric: str) -> Value:
        """What a diverged run counts as: chance accuracy, an infinite loss, else unknown."""
        guess = chance(metric, self.classes)
        if guess is not None:
            return guess, guess
        return (math.inf, math.inf) if metric.endswith("_loss") else UNKNOWN


def counts(option: options.Measure) -> bool:
    """Whether it takes few different values, so that no t interval describes it."""
    return isinstance(option, options.Reached | options.Diverged)


def measure(option: options.Measure, run: Run, scale: str) -> Value:
    """The measure of a run; scale: for thresholds that differ by scale."""
    function = _FUNCTIONS[type(option)]
    return function(option, run, scale)


def _mean(values: list[float], first: int, last: int) -> float:
    return statistics.fmean(values[first - 1 : last])


def _exact(value: float | None) -> Value:
    if value is None or math.isnan(value):
        return None
    return float(value), float(value)


def _last(option: options.Last, run: Run, _scale: str) -> Value:
    if run.diverged:
        return run.at_chance(option.metric)
    return _exact(run.epochs[-1].get(option.metric))


def _best(option: options.Best, run: Run, _scale: str) -> Value:
    if run.diverged:
        return run.at_chance(option.metric)
    curve = run.curve(option.metric)
    best = min if METRICS[option.metric].better == "lower" else max
    return None if curve is None else _exact(best(curve))


def _at(option: options.AtEpoch, run: Run, _scale: str) -> Value:
    if run.diverged:
        return run.at_chance(option.metric)
    curve = run.curve(option.metric)
    return None if curve is None else _exact(_mean(curve, *run.window(option.epochs)))


def _change(option: options.Change, run: Run, _scale: str) -> Value:
    curve = run.curve(option.metric)
    if curve is None:
        return None
    before, after = (_mean(curve, *run.window(w)) for w in (option.before, option.after))
    return UNKNOWN if math.isinf(before) else _exact(after - before)


def _peak_minus_last(option: options.PeakMinusLast, run: Run, _scale: str) -> Value:
    curve = run.curve(option.metric)
    if curve is None:
        return None
    first, _ = run.window((option.first, option.first))
    best = min if METRICS[option.metric].better == "lower" else max
    peak = best(curve[first - 1 :])
    return UNKNOWN if math.isinf(peak) else _exact(peak - curve[-1])


def _fluctuation(option: options.Fluctuation, run: Run, _scale: str) -> Value:
    if run.diverged:
        return UNKNOWN
    curve = run.curve(option.metric)
    if curve is None:
        return None
    first, last = run.window(option.epochs) if option.epochs else (1, run.planned)
    values = curve[first - 1 : last]
    if option.relative:
        values = [math.log(v) if v > 0 else -math.inf for v in values]
    steps = [b - a for a, b in itertools.pairwise(values)]
    if len(steps) < 2 or not all(map(math.isfinite, steps)):
        return UNKNOWN
    scatter = statistics.stdev(steps) / math.sqrt(2)
    return _exact(math.log(scatter)) if scatter > 0 else (-math.inf, -math.inf)


def _time_to(option: options.EpochsTo | options.SecondsTo, run: Run, scale: str) -> Value:
    aim = threshold(option, scale)
    times = [{key: e[key] for key in ("train_time_s", "eval_time_s")} for e in run.epochs]
    found = diagnosis.time_to(run.epochs, times, aim, diverged=run.diverged)
    spent = sum(sum(t.values()) for t in times)
    if isinstance(option, options.SecondsTo):
        reached = found.seconds_held if option.held else found.seconds
        low, high = (spent, math.inf) if reached is None else (reached, reached)
        return (_log(low), _log(high)) if option.log else (low, high)
    reached = found.epochs_held if option.held else found.epochs
    stretch = run.document / run.planned
    if reached is None:  # in the epoch after the last one at the earliest
        return (run.planned + 1) * stretch, math.inf
    return reached * stretch, reached * stretch


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf


def _at_crossing(option: options.AtCrossing, run: Run, scale: str) -> Value:
    when = diagnosis.reached(run.epochs, threshold(option, scale))
    if when is None:
        return UNKNOWN
    return _exact(run.epochs[when - 1].get(option.metric))


def _reached(option: options.Reached, run: Run, scale: str) -> Value:
    return _exact(float(diagnosis.reached(run.epochs, threshold(option, scale)) is not None))


def _diverged(_option: options.Diverged, run: Run, _scale: str) -> Value:
    return _exact(float(run.diverged))


def _of_run(option: options.OfRun, run: Run, _scale: str) -> Value:
    if run.diverged:
        return run.at_chance(option.metric)
    return _exact(run.row.get(option.metric))


_FUNCTIONS: dict[type[options.Measure], Callable[[Any, Run, str], Value]] = {
    options.Last: _last,
    options.Best: _best,
    options.AtEpoch: _at,
    options.Change: _change,
    options.PeakMinusLast: _peak_minus_last,
    options.Fluctuation: _fluctuation,
    options.EpochsTo: _time_to,
    options.SecondsTo: _time_to,
    options.AtCrossing: _at_crossing,
    options.Reached: _reached,
    options.Diverged: _diverged,
    options.OfRun: _of_run,
}
