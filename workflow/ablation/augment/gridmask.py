"""GridMask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from ..config.base import Fraction, NoBool, ShareRange
from ..config.units import Epochs
from ..data.draws import Draws
from .base import Erasing

if TYPE_CHECKING:
    import torch


def gridmask(
    images: torch.Tensor,
    *,
    unit: np.ndarray,
    line: np.ndarray,
    offset: np.ndarray,
    angle: np.ndarray,
    masked: np.ndarray,
    hide_lines: bool = False,
) -> torch.Tensor:
    """Hide what lies between the lines of a grid, or under them (Chen et al. 2020).

    images: (b, 3, h, w) float, normalised; unit: (b,) pixels from line to line; line: (b,) a
    line's width in pixels; offset: (b, 2) pixels by which the grid is moved down and right; angle:
    (b,) radians by which it is turned about the middle; masked: (b,) bool, the images that get it.
    Returns images of the same shape and memory format.
    """
    import torch

    from ._hiding import hide

    height, width = images.shape[2:]
    table = np.stack([unit, line, offset[:, 0], offset[:, 1], np.cos(angle), np.sin(angle)])
    table = torch.from_numpy(table.astype(np.float32)).to(images.device)
    unit_, line_, down, right, cos, sin = table[:, :, None, None]
    y = torch.arange(height, dtype=torch.float32, device=images.device)[None, :, None]
    x = torch.arange(width, dtype=torch.float32, device=images.device)[None, None, :]
    if angle.any():
        y, x = y - (height - 1) / 2, x - (width - 1) / 2
        y, x = cos * y - sin * x, sin * y + cos * x
        y, x = y + (height - 1) / 2, x + (width - 1) / 2
    lines = (torch.remainder(y - down, unit_) < line_) | (torch.remainder(x - right, unit_) < line_)
    hidden = lines if hide_lines else ~lines
    chosen = torch.from_numpy(masked).to(images.device)[:, None, None, None]
    return hide(images, hidden[:, None] & chosen)


class GridMask(Erasing):
    """Hides the squares between the lines of a grid of random pitch and place.

    Chen et al. 2020 (arXiv 2001.04086; defaults of the authors' ImageNet code: pitch
    96 to 224 of 224 pixels, ratio 0.6, turned by any angle, probability up to 0.8; there rising
    over the first 240 of 300 epochs, which is `ramp_epochs: 240`). Draws: `gridmask`, five a
    sample (whether, pitch, place down and right, angle). Departs from that code: lengths are
    shares of the image's side, so that a smaller scale sees the same picture; line widths are
    rounded instead of rounded up; angles are any real number, each pixel's centre is looked up in
    the turned grid, and the turn is about the middle exactly.
    """

    name: Literal["gridmask"] = "gridmask"
    d_range: ShareRange = (3 / 7, 1.0)
    """Range of the grid's pitch (from line to line) as a share of the image's side; any whole
    number of pixels between, both ends included."""
    ratio: Annotated[float, NoBool, Field(gt=0, lt=1)] = 0.6
    """Width of a line as a share of the pitch. Hidden area: (1 - ratio)² for squares,
    1 - (1 - ratio)² for lines."""
    hidden: Literal["squares", "lines"] = "squares"
    """What is hidden: the squares between the lines, as in the paper, or the lines, as in the
    authors' revised version and in PaddleClas's configuration."""
    rotate: Annotated[float, NoBool, Field(ge=0, le=360)] = 360.0
    """The grid is turned by an angle between 0 and this, degrees; 0 for never."""
    prob: Fraction = 0.8
    """Probability of masking an image, at the end of the ramp."""
    ramp_epochs: Epochs = 0.0
    """Epochs over which the probability rises from 0 in proportion to the epochs done, a step an
    epoch; 0 for the same probability throughout."""

    @model_validator(mode="after")
    def _ramp_rises(self) -> GridMask:
        if self.ramp_epochs > 0 and self.prob == 0:
            raise ValueError("ramp_epochs does nothing at prob 0")
        return self

    def pitches(self, img_size: int) -> tuple[int, int]:
        """Shortest and longest pitch in pixels."""
        low, high = (round(share * img_size) for share in self.d_range)
        # Between the ends a line and its square only grow.
        if not 1 <= int(low * self.ratio + 0.5) < low:
            raise ValueError(
                f"erase.d_range: a pitch of {self.d_range[0]:g} of {img_size} pixels ({low}) has "
                f"no room for a line and a square at ratio {self.ratio:g}"
            )
        return low, high

    def refuse_unfit(self, img_size: int, epochs: float) -> None:
        self.pitches(img_size)
        if self.ramp_epochs > epochs:
            raise ValueError(
                f"erase.ramp_epochs ({self.ramp_epochs:g}) is longer than the training "
                f"(epochs: {epochs:g})"
            )

    def prob_at(self, epoch: int) -> float:
        """Probability of masking an image in an epoch, counted from 0."""
        return self.prob * min(1.0, epoch / self.ramp_epochs) if self.ramp_epochs else self.prob

    def batch(self, images: torch.Tensor, index: np.ndarray, draws: Draws) -> torch.Tensor:
        low, high = self.pitches(min(images.shape[2:]))
        u = draws.of("gridmask", index, 5)
        unit = low + (u[:, 1] * (high - low + 1)).astype(np.int64)
        return gridmask(
            images,
            unit=unit,
            line=(unit * self.ratio + 0.5).astype(np.int64),
            offset=(u[:, 2:4] * unit[:, None]).astype(np.int64),
            angle=u[:, 4] * np.deg2rad(self.rotate),
            masked=u[:, 0] < self.prob_at(draws.epoch),
            hide_lines=self.hidden == "lines",
        )
