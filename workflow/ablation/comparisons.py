"""Comparisons between a study's variants, all at once: to its baseline, and with its best.

Effects are differences within seeds. Bounds, and whether a t interval may be had at all (no
diverged run, a spread), are inference.py's; p values are scipy's of the same two methods. Of m
comparisons each has 5 % over m (Bonferroni, as the verdicts have it): a corrected p below 5 % and a
simultaneous interval without zero are then one and the same. Neither of scipy's own corrections
fits: `dunnett` wants independent groups of equal spread, where ours are paired by seed;
`false_discovery_control` bounds the share of wrong differences, not the chance of any.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import scipy

from . import inference
from .inference import Levels, Region
from .stats import NAN

ALPHA = 0.05


class Comparison(NamedTuple):
    """The difference of two variants over the seeds that both have, one of `tests`."""

    n: int
    mean: float = NAN
    sd: float = NAN
    """Of the differences over seeds."""
    low: float = -math.inf
    """Of the simultaneous 95 % interval; infinite where so few seeds bound nothing."""
    high: float = math.inf
    p: float = NAN
    """Two-sided: paired t test, or the sign test where a run diverged or nothing varies."""
    p_corrected: float = NAN
    method: str = ""
    """`t`, or `ranks` for the sign test."""
    resolvable: float = NAN
    """Smallest true difference whose interval excludes zero in four of five cases."""
    seeds_needed: int | None = None
    """Seeds whose interval would exclude zero in four of five cases, were mean and sd the truth."""

    @property
    def decided(self) -> bool:
        """Whether the simultaneous interval excludes zero."""
        return self.low > 0 or self.high < 0


def compare(effects: np.ndarray, tests: int = 1, free: bool = False) -> Comparison:
    """Compare by the differences of each seed.

    effects: (n,), finite; tests: how many comparisons share the 5 %; free: no t test, a run among
    them diverged.
    """
    n, each = len(effects), ALPHA / (2 * tests)
    if n == 0:
        return Comparison(0)
    if n == 1:
        return Comparison(1, float(effects[0]))
    mean, sd = float(effects.mean()), float(effects.std(ddof=1))
    low, high = map(float, inference.bounds(effects, effects, each, free))
    at = Levels(each, each)
    if inference.method(effects, effects, free):
        p = float(scipy.stats.ttest_1samp(effects, 0).pvalue)
        region = Region(0, math.inf) if mean > 0 else Region(-math.inf, 0)
        needed = inference.seeds_needed(mean, sd, region, at)
        least = inference.resolvable(sd, n, at, two_sided=False)
        return Comparison(n, mean, sd, low, high, p, min(1.0, tests * p), "t", least, needed)
    above, below = int((effects > 0).sum()), int((effects < 0).sum())
    one_sided = [scipy.stats.binomtest(k, n, alternative="greater").pvalue for k in (above, below)]
    p = min(1.0, 2 * float(min(one_sided)))  # a difference of zero speaks for neither side
    needed = inference.seeds_needed_by_ranks(above / n, below / n, at)
    return Comparison(n, mean, sd, low, high, p, min(1.0, tests * p), "ranks", NAN, needed)


def shown_better(effects: np.ndarray, alpha: float, free: np.ndarray | bool = False) -> np.ndarray:
    """Whether differences are shown to be above zero: their lower bound is, and so is their mean.

    effects: (..., n). Where a run diverged the bound is the median's, above zero also for one that
    wins nine seeds by a point and loses the tenth by seventy: nobody would call that one better.
    The second condition only takes away, so the error stays below alpha.
    """
    low, _ = inference.bounds(effects, effects, alpha, free)
    return (low > 0) & (effects.mean(axis=-1) > 0)


def may_be_best(values: np.ndarray, free: np.ndarray | None = None) -> np.ndarray:
    """Which variants no other one is shown to beat: the set that holds the best one.

    values: (..., variants, n), higher is better, the same seeds for all; free: (..., variants),
    where a run diverged. Returns (..., variants).

    Multiple comparisons with the best (Hsu 1996, ch. 4; as a set: Gupta 1965), here with paired
    differences and Bonferroni instead of equal variances. The truly best variant is left out only
    if one of the others seems better, each with probability 5 % / (variants - 1) at most. So it is
    in the set in 95 % of cases or more, and a set of one names a wrong winner in 5 % or fewer.
    Those left out are no better than the best of the set; equals may be among them. The highest
    mean is always in it.
    """
    count = values.shape[-2]
    free = np.zeros(values.shape[:-1], bool) if free is None else free
    kept = np.ones(values.shape[:-1], bool)
    for mine in range(count):
        for other in range(count):
            if mine != other:
                effects = values[..., other, :] - values[..., mine, :]
                lost = free[..., mine] | free[..., other]
                kept[..., mine] &= ~shown_better(effects, ALPHA / (count - 1), lost)
    return kept


class Paired(NamedTuple):
    """Values of several variants over the seeds that all of them have."""

    names: tuple[str, ...]
    seeds: tuple[int, ...]
    values: np.ndarray
    """(variants, seeds)."""
    lost: np.ndarray
    """(variants,): whether one of these runs diverged."""


def common(values: Mapping[str, Mapping[int, float]], lost: Mapping[str, set[int]]) -> Paired:
    """Values by variant and seed as an array; variants without any value are left out."""
    there = {name: found for name, found in values.items() if found}
    seeds = sorted(set.intersection(*(set(found) for found in there.values()))) if there else []
    table = np.array([[found[s] for s in seeds] for found in there.values()], dtype=float)
    diverged = np.array([bool(lost[name] & set(seeds)) for name in there], dtype=bool)
    return Paired(tuple(there), tuple(seeds), table, diverged)
