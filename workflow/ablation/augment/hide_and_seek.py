"""Hide-and-Seek."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from ..config.base import Fraction
from ..data.draws import Draws
from .base import Erasing

if TYPE_CHECKING:
    import torch


def hide_and_seek(images: torch.Tensor, *, patch: np.ndarray, hidden: np.ndarray) -> torch.Tensor:
    """Hide patches of a grid under the training set's mean (Singh and Lee 2017).

    images: (b, 3, h, w) float, normalised; patch: (b,) side of an image's patches in pixels, the
    first at the upper left corner; hidden: (b, n, n) bool, patches by row and column, of which the
    first ceil(h / patch) and ceil(w / patch) are used. Returns images of the same shape and memory
    format.
    """
    import torch

    from ._hiding import hide

    (height, width), n = images.shape[2:], hidden.shape[1]
    side = torch.from_numpy(patch).to(images.device)[:, None]
    row = torch.arange(height, device=images.device) // side
    column = torch.arange(width, device=images.device) // side
    place = (row[:, :, None] * n + column[:, None, :]).flatten(1)
    table = torch.from_numpy(hidden.reshape(len(hidden), -1)).to(images.device)
    return hide(images, table.gather(1, place).view(-1, 1, height, width))


class HideAndSeek(Erasing):
    """Hides each patch of a grid with a probability, in a grid of random patch size.

    Singh and Lee 2017 (arXiv 1704.04232; ImageNet's sizes 16, 32, 44, 56 of 224 pixels
    and the whole image, as in the authors' code). Draws: `hide_and_seek`, one a sample (the size),
    and `hide_and_seek_patches`, one a patch of the finest grid.
    """

    name: Literal["hide_and_seek"] = "hide_and_seek"
    sizes: Annotated[tuple[Fraction, ...], Field(min_length=1)] = (0, 1 / 14, 1 / 7, 11 / 56, 0.25)
    """Sides of the patches as shares of the image's side, rounded to pixels, of which each image
    gets one at random; 0 for an image that is left as it is."""
    hide_prob: Fraction = 0.5
    """Probability of hiding a patch."""

    @model_validator(mode="after")
    def _something_is_hidden(self) -> HideAndSeek:
        if not any(self.sizes):
            raise ValueError("sizes holds nothing but 0: nothing would be hidden")
        return self

    def sides(self, img_size: int) -> np.ndarray:
        """Sides of the patches in pixels, 0 for none; (sizes,) int64."""
        sides = np.rint(np.array(self.sizes) * img_size).astype(np.int64)
        for share, side in zip(self.sizes, sides, strict=True):
            if share > 0 and side < 1:
                raise ValueError(
                    f"erase.sizes: {share:g} of {img_size} pixels is less than a pixel"
                )
        return sides

    def refuse_unfit(self, img_size: int, epochs: float) -> None:
        self.sides(img_size)

    def batch(self, images: torch.Tensor, index: np.ndarray, draws: Draws) -> torch.Tensor:
        height, width = images.shape[2:]
        sides = self.sides(min(height, width))
        n = -(-max(height, width) // int(sides[sides > 0].min()))
        choice = (draws.of("hide_and_seek", index)[:, 0] * len(sides)).astype(np.int64)
        patch = sides[choice]
        hidden = draws.of("hide_and_seek_patches", index, n * n) < self.hide_prob
        hidden[patch == 0] = False
        patch = np.where(patch == 0, max(height, width), patch)
        return hide_and_seek(images, patch=patch, hidden=hidden.reshape(-1, n, n))
