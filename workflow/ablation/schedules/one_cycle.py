"""The 1cycle policy: one rise to the peak, one fall far below the start."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field

from ..config.base import NoBool
from .base import Schedule

Divisor = Annotated[float, NoBool, Field(ge=1, le=1e15)]


def anneal(start: float, end: float, share: float, *, strategy: str) -> float:
    """From `start` at share 0 to `end` at share 1, along half a cosine ("cos") or a line."""
    if strategy == "cos":
        return end + (start - end) / 2.0 * (math.cos(math.pi * share) + 1.0)
    return (end - start) * share + start


def one_cycle(
    progress: float, *, pct_start: float, div_factor: float, final_div_factor: float, strategy: str
) -> float:
    """Factor on the peak learning rate at `progress` in [0, 1].

    1 / div_factor at 0, 1 at `pct_start`, 1 / (div_factor * final_div_factor) at 1.
    """
    start = 1.0 / div_factor
    if progress <= pct_start:
        return anneal(start, 1.0, progress / pct_start, strategy=strategy)
    share = (progress - pct_start) / (1.0 - pct_start)
    return anneal(1.0, start / final_div_factor, share, strategy=strategy)


class OneCycle(Schedule):
    """Rises to the learning rate `lr` and falls to nearly nothing: super-convergence.

    Smith and Topin 2018 (arXiv 1708.07120), Smith 2018 (arXiv 1803.09820, section 4.1),
    with the options and the two phases of torch's OneCycleLR. torch puts the peak and the end one
    step earlier (its last step has the lowest rate); here, as in `cosine`, the end of the curve is
    the end of the training. Left out: the opposite cycle of the momentum (torch's `cycle_momentum`;
    the momentum stays as the optimizer has it) and torch's `three_phase`.
    The cycle spans the epochs after the warmup; it rises by itself and hardly wants one.
    """

    name: Literal["one_cycle"] = "one_cycle"
    pct_start: Annotated[float, NoBool, Field(gt=0, lt=1)] = 0.3
    """Share of the cycle in which the rate rises."""
    div_factor: Divisor = 25.0
    """The first rate is the peak divided by this."""
    final_div_factor: Divisor = 1e4
    """The last rate is the first divided by this."""
    anneal_strategy: Literal["cos", "linear"] = "cos"
    """Half a cosine in each phase, or a straight line."""

    def factor(self, epoch: float, epochs: float) -> float:
        return one_cycle(
            self.progress(epoch, epochs),
            pct_start=self.pct_start,
            div_factor=self.div_factor,
            final_div_factor=self.final_div_factor,
            strategy=self.anneal_strategy,
        )
