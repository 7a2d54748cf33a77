"""Statistics of the tables: pure functions of numbers, without data frames and without drawing.

Formulas as in any textbook (e.g. Casella and Berger, Statistical Inference, 2nd ed., 9.2 and
8.3.4): a mean of n values with standard deviation s has the two-sided confidence interval
mean +- t(1 - alpha/2, n - 1) s / sqrt(n), with Student's t distribution (scipy.stats.t).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import scipy  # loads scipy.stats where it is used: 1.7 s of a core, for nothing with single runs

CONFIDENCE = 0.95
NAN = float("nan")


class Summary(NamedTuple):
    """Mean of n values with its interval. What cannot be known is NaN: all of it for n = 0, the
    standard deviation and the interval for n = 1."""

    n: int
    mean: float = NAN
    sd: float = NAN
    """Sample standard deviation, with n - 1."""
    low: float = NAN
    high: float = NAN

    @property
    def half(self) -> float:
        """Half the width of the interval."""
        return (self.high - self.low) / 2

    @property
    def has_interval(self) -> bool:
        """Whether there is an interval: values enough, and a spread that means something."""
        return self.n > 1 and not math.isnan(self.low)


def summarise(values: Iterable[float], confidence: float = CONFIDENCE) -> Summary:
    """n, mean, standard deviation and the t interval of the mean.

    Equal values have a standard deviation of exactly zero and an interval of no width.
    """
    x = np.asarray(list(values), dtype=float)
    if len(x) == 0:
        return Summary(0)
    if len(x) == 1:
        return Summary(1, float(x[0]))
    if np.all(x == x[0]):  # np.mean and np.std would leave a rounding error
        value = float(x[0])
        return Summary(len(x), value, 0.0, value, value)
    mean, sd = float(np.mean(x)), float(np.std(x, ddof=1))
    half = t_factor(len(x), confidence) * sd
    return Summary(len(x), mean, sd, mean - half, mean + half)


def t_factor(n: int, confidence: float = CONFIDENCE) -> float:
    """Half-width of the interval of a mean in standard deviations: t(1 - alpha/2, n-1)/sqrt(n).

    For n = 2 it is 8.98, for n = 5 it is 1.24.
    """
    return float(scipy.stats.t.ppf((1 + confidence) / 2, n - 1)) / math.sqrt(n)


def paired_difference(
    values: Mapping[int, float], baseline: Mapping[int, float], confidence: float = CONFIDENCE
) -> Summary:
    """Summary of values[seed] - baseline[seed] over the seeds that both have.

    The interval is that of the paired t-test (scipy.stats.ttest_rel(...).confidence_interval()),
    which is the t interval of the mean difference.
    """
    seeds = sorted(set(values) & set(baseline))
    return summarise([values[s] - baseline[s] for s in seeds], confidence)


def chance(metric: str, classes: int) -> float | None:
    """Accuracy of guessing, in percent: 100 / classes for top-1, 100 min(5, classes) / classes for
    top-5; None for a metric that is no accuracy. A diverged run counts as this."""
    if metric.endswith("_top1"):
        return 100 / classes
    if metric.endswith("_top5"):
        return 100 * min(5, classes) / classes
    return None


def why_times_differ(alone: Sequence[bool], hardware: Sequence[str]) -> str:
    """Why the times of these cells may not be compared; empty when they may.

    alone: whether each cell had its machine to itself; hardware: what it ran on.
    """
    shared = sum(not a for a in alone)
    if shared:
        return f"{shared} of {len(alone)} cells shared their machine with other cells"
    kinds = len(set(hardware))
    return f"the cells ran on {kinds} kinds of hardware" if kinds > 1 else ""


def median_reached(epochs: Sequence[float | None]) -> float | None:
    """Median of epochs to an accuracy, a censored one (None) counting as later than any other.

    None when the median itself is censored.
    """
    if not epochs:
        return None
    median = float(np.median([math.inf if e is None else e for e in epochs]))
    return None if math.isinf(median) else median
