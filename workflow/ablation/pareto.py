"""Which variants another one beats in accuracy at no higher cost, by more than chance."""

from __future__ import annotations

import numpy as np

from . import inference
from .comparisons import ALPHA, shown_better

COST_MARGIN = 0.05
"""A measured cost that is shown to be less than 5 % higher counts as no higher: a number of ours,
above the scatter of times on one machine. Of counted costs (images) none may be higher at all."""


def beaten_by(
    values: np.ndarray, costs: np.ndarray, free: np.ndarray | None = None, *, counted: bool = False
) -> np.ndarray:
    """Index of a variant that beats each one, or -1 for those on the front: (..., variants).

    values, costs: (..., variants, n), of the same seeds; more is better, less is cheaper. free:
    (..., variants), where a run diverged; NaN where its cost is unknown, which may then be any.
    counted: costs are exact numbers.

    One beats another if both bounds of their differences within seeds say so, that of the values
    above zero and that of the costs below the margin: each at 5 % over the number of ordered pairs.
    So a variant that none beats is taken off the front with a probability of at most 5 %, for all
    variants together.
    """
    count = values.shape[-2]
    free = np.zeros(values.shape[:-1], bool) if free is None else free
    found = np.full(values.shape[:-1], -1)
    alpha = ALPHA / max(1, count * (count - 1))
    for mine in range(count):
        for other in range(count):
            if mine == other:
                continue
            effects = values[..., other, :] - values[..., mine, :]
            better = shown_better(effects, alpha, free[..., mine] | free[..., other])
            if counted:
                cheap = (costs[..., other, :] <= costs[..., mine, :]).all(axis=-1)
            else:
                dearer = costs[..., other, :] - (1 + COST_MARGIN) * costs[..., mine, :]
                exact = np.ptp(dearer, axis=-1) == 0  # a meter's full steps; no scatter to bound
                least, most = (np.where(np.isnan(dearer), e, dearer) for e in (-np.inf, np.inf))
                upper = np.where(exact, dearer[..., 0], inference.bounds(least, most, alpha)[1])
                cheap = upper < 0
            beaten = better & cheap & (found[..., mine] < 0)
            found[..., mine] = np.where(beaten, other, found[..., mine])
    return found
