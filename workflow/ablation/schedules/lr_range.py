"""The course of a learning-rate range test."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ..config.base import NoBool
from .base import Schedule


def lr_range(progress: float, *, ratio: float, growth: str) -> float:
    """From 1 at `progress` 0 to `ratio` at 1: by equal factors (`exponential`) or equal amounts."""
    if growth == "exponential":
        return ratio**progress
    return 1.0 + (ratio - 1.0) * progress


class LrRange(Schedule):
    """Raises the learning rate from `lr` to a multiple of it, and has each step's loss recorded.

    The range test of Smith 2017 (arXiv 1506.01186, section 3.3: linear growth, accuracy over it).
    Exponential growth with the loss over it is the form in which fastai's `lr_find` made it common.
    A study of the kind `lr_range` sets this schedule, draws the curve and reads rates off it.
    """

    name: Literal["lr_range"] = "lr_range"
    records_steps: ClassVar[bool] = True
    ratio: Annotated[float, NoBool, Field(gt=1, le=1e15)]
    """Learning rate at the end of the course as a multiple of the first."""
    growth: Literal["exponential", "linear"] = "exponential"
    """By equal factors or by equal amounts a step."""

    def factor(self, epoch: float, epochs: float) -> float:
        return lr_range(self.progress(epoch, epochs), ratio=self.ratio, growth=self.growth)
