"""How claims are decided: bounds of an effect from few seeds, a decision, and its power.

Every question of a claim has one shape: does the effect (a difference, a difference of differences,
a level) lie in an open region (a, b)? "Better by more than 1" is (1, inf), "no different by 2" is
(-2, 2). From n values of the effect, one a seed, come a lower and an upper bound, and

    supported     lower > a and upper < b     each bound wrong with probability alpha at most
    contradicted  upper < a or  lower > b     wrong with probability alpha at most, altogether
    inconclusive  else

For a two-sided region, "supported" is the TOST (Schuirmann 1987). Of a claim with several questions
all must be supported, an intersection-union test (Berger 1982): each at alpha, and together wrong
with alpha at most. One contradicted question contradicts the claim, so each gets its part of alpha
(Bonferroni). At one truth only one of the two verdicts can be wrong.

Two methods, of which the data choose (docs/decisions/0013-verdicts.md):

- `t`, bounds of the mean: n finite values that differ. One-sample t bounds; of differences within
  seeds, that is the paired t-test.
- `ranks`, bounds of the median from order statistics (the sign test turned round; e.g. Conover,
  Practical Nonparametric Statistics, 3rd ed., 3.2): diverged runs, censored times, values without
  spread, whose distribution no t describes. It assumes nothing, and wants more seeds.

A value may be known to lie between two numbers only: a time that was not reached is longer than the
training. `low` and `high` are arrays of these ends with the seeds as their last dimension; all else
is vectorised, so that the tests can simulate.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
import scipy

POWER = 0.8
MOST_SEEDS = 10_000
Method = Literal["t", "ranks"]


class Region(NamedTuple):
    """Where a claim says that an effect lies: strictly between, an end may be infinite."""

    low: float
    high: float

    @property
    def two_sided(self) -> bool:
        """Whether it is bounded on both sides, as for "no different"."""
        return math.isfinite(self.low) and math.isfinite(self.high)


class Levels(NamedTuple):
    """Probabilities of error of each one-sided bound of a question."""

    support: float
    contradict: float


def levels(alpha: float, questions: int, two_sided: bool) -> Levels:
    """Levels of one of a claim's questions, for a claim wrong with probability alpha at most.

    Support needs all questions, so each has alpha; one contradicted question is enough, so they
    share it, and a two-sided region has two sides to lie outside of.
    """
    return Levels(alpha, alpha / (questions * (2 if two_sided else 1)))


# ---- bounds --------------------------------------------------------------------------------------


def t_bounds(values: np.ndarray, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bound of the mean, each wrong with probability alpha. values: (..., n)."""
    n = values.shape[-1]
    mean = values.mean(axis=-1)
    half = scipy.stats.t.isf(alpha, n - 1) * values.std(axis=-1, ddof=1) / math.sqrt(n)
    return mean - half, mean + half


def rank_of_bound(n: int, alpha: float) -> int:
    """k so that the k-th smallest of n values is a lower bound of the median, wrong with
    probability alpha at most; 0 where n is too small for any."""
    return int(np.sum(scipy.stats.binom.cdf(np.arange(n // 2 + 1), n, 0.5) <= alpha))


def rank_bounds(low: np.ndarray, high: np.ndarray, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """Bounds of the median, each wrong with probability alpha at most; infinite for small n.

    low, high: (..., n), ends between which each value lies.
    """
    n = low.shape[-1]
    k = rank_of_bound(n, alpha)
    if k == 0:
        infinite = np.full(low.shape[:-1], math.inf)
        return -infinite, infinite
    return np.sort(low, axis=-1)[..., k - 1], np.sort(high, axis=-1)[..., n - k]


def method(low: np.ndarray, high: np.ndarray, free: np.ndarray | bool = False) -> np.ndarray:
    """True where t may be used: exact values with a spread, and nothing (`free`: a diverged run, a
    measure that counts) that asks for a method free of distributions. Shape: (...)."""
    exact = np.all(np.isfinite(low) & (low == high), axis=-1)
    with np.errstate(invalid="ignore"):  # inf - inf where a value is unknown; those are not exact
        spread = np.max(low, axis=-1) - np.min(low, axis=-1)
        scale = np.maximum(1.0, np.max(np.abs(low), axis=-1))
        differ = spread > 1e-9 * scale  # equal numbers leave rounding errors
    return exact & differ & ~np.asarray(free)


def bounds(
    low: np.ndarray, high: np.ndarray, alpha: float, free: np.ndarray | bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bound of the effect by the method that the data allow. low, high: (..., n)
    with n >= 1; of a single value nothing is known."""
    ranked = rank_bounds(low, high, alpha)
    if low.shape[-1] < 2:
        return ranked
    use_t = method(low, high, free)
    exact = np.where(use_t[..., None], low, 0.0)
    normal = t_bounds(exact, alpha)
    return tuple(np.where(use_t, t, r) for t, r in zip(normal, ranked, strict=True))


def within(low: np.ndarray, high: np.ndarray, region: Region) -> np.ndarray:
    """Whether all between low and high lies in the region; its infinite ends exclude nothing."""
    above = np.isneginf(region.low) | (low > region.low)
    return above & (np.isposinf(region.high) | (high < region.high))


# ---- decision ------------------------------------------------------------------------------------


class Decision(NamedTuple):
    """Whether a question is supported, whether contradicted; neither: inconclusive."""

    supported: np.ndarray
    contradicted: np.ndarray


def decide(
    low: np.ndarray,
    high: np.ndarray,
    region: Region,
    at: Levels,
    free: np.ndarray | bool = False,
) -> Decision:
    """Decide one question. low, high: (..., n) with the effect of each seed."""
    supported = within(*bounds(low, high, at.support, free), region)
    lower, upper = bounds(low, high, at.contradict, free)
    return Decision(supported, (upper < region.low) | (lower > region.high))


# ---- power ---------------------------------------------------------------------------------------


def t_power(distance: float, sd: float, n: int, alpha: float) -> float:
    """Probability that a one-sided t bound excludes a number that lies `distance` from the mean.

    The non-central t distribution (scipy.stats.nct) with n - 1 degrees of freedom.
    """
    if sd == 0:
        return float(distance > 0)
    limit = scipy.stats.t.isf(alpha, n - 1)
    return float(scipy.stats.nct.sf(limit, n - 1, distance * math.sqrt(n) / sd))


def tost_power(low: float, high: float, sd: float, n: int, alpha: float) -> float:
    """Probability that both one-sided t bounds of a mean exclude the ends of a region that lie
    `low` below and `high` above it.

    Over the standard deviation that is seen (the chi-square distribution, at 2,000 quantiles): both
    bounds share it, so the two chances of missing may not simply be added.
    """
    limit = scipy.stats.t.isf(alpha, n - 1)
    quantiles = (np.arange(2000) + 0.5) / 2000
    half = limit * np.sqrt(scipy.stats.chi2.ppf(quantiles, n - 1) / (n - 1))
    each = [scipy.stats.norm.cdf(d * math.sqrt(n) / sd - half) for d in (low, high)]
    return float(np.maximum(0, each[0] + each[1] - 1).mean())


def resolvable(sd: float, n: int, at: Levels, two_sided: bool, power: float = POWER) -> float:
    """Smallest distance between effect and region's end that n seeds support with this power.

    For a two-sided region the effect is in its middle, and both ends must be excluded: it is the
    smallest margin that could be shown. sd: of the effect over seeds.
    """
    if n < 2 or not sd > 0:
        return math.nan

    def missing(distance: float) -> float:
        if two_sided:
            return tost_power(distance, distance, 1, n, at.support) - power
        return t_power(distance, 1, n, at.support) - power

    # At a bound's own half-width the power is about a half, at ten times that far above 0.95.
    most = 10 * (float(scipy.stats.t.isf(at.support, n - 1)) + 1) / math.sqrt(n)
    return sd * float(scipy.optimize.brentq(missing, 0, most, xtol=1e-6))


def seeds_needed(
    estimate: float, sd: float, region: Region, at: Levels, power: float = POWER
) -> int | None:
    """How many seeds would decide with this power, were estimate and sd the truth.

    None when more than MOST_SEEDS. An effect inside the region would be supported, one outside
    contradicted.
    """
    if not sd > 0 or not math.isfinite(estimate):
        return None
    ends = [e for e in region if math.isfinite(e)]
    inside = region.low < estimate < region.high
    distances = [abs(estimate - e) for e in ends]

    def enough(n: int) -> bool:
        if inside and region.two_sided:
            return tost_power(*distances, sd, n, at.support) >= power
        level = at.support if inside else at.contradict
        return t_power(min(distances), sd, n, level) >= power

    return _first(enough)


def seeds_needed_by_ranks(
    inside: float, outside: float, at: Levels, power: float = POWER
) -> int | None:
    """The same for the method `ranks`, were these shares of the values the truth.

    inside: share of values wholly inside the region; outside: share wholly on one side of it.
    """
    share, alpha = (inside, at.support) if inside >= outside else (outside, at.contradict)
    if share <= 0.5:
        return None

    def enough(n: int) -> bool:
        # Decided when fewer than k values lie on the other side.
        k = rank_of_bound(n, alpha)
        return k > 0 and float(scipy.stats.binom.cdf(k - 1, n, 1 - share)) >= power

    return _first(enough)


def _first(enough: Callable[[int], bool]) -> int | None:
    """Smallest n >= 2 that is enough, by doubling and halving; None above MOST_SEEDS."""
    high = 2
    while not enough(high):
        high *= 2
        if high > MOST_SEEDS:
            return None
    low = high // 2  # not enough, or 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
