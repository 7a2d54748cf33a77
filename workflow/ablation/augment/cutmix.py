"""CutMix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from ..config.base import Fraction, Positive
from ..data.draws import Draws
from ._mixing import Per, beta_shares, cutmix_boxes, mixing_draws, partners
from .base import Mixing

if TYPE_CHECKING:
    import torch


def cutmix(
    images: torch.Tensor, targets: torch.Tensor, *, boxes: np.ndarray, permutation: np.ndarray
) -> tuple[torch.Tensor, torch.Tensor]:
    """Put a box of its partner into each image; targets in the shares of the areas to be seen.

    Yun et al. 2019, section 3.1. images: (b, 3, h, w) float; targets: (b, classes) float; boxes:
    (b, 4) int of top, left, height, width, inside the image, of height 0 for none; permutation:
    (b,) int64, the partners' places in the batch. Returns images and targets of the same shapes.
    """
    import torch

    from ._hiding import box_mask, put

    height, width = images.shape[2:]
    lam = 1.0 - boxes[:, 2] * boxes[:, 3] / (height * width)
    own = torch.from_numpy(lam.astype(np.float32)).to(images.device)[:, None]
    order = torch.from_numpy(permutation).to(images.device)
    mixed = put(images, images[order], box_mask(boxes, images))
    return mixed, torch.lerp(targets[order], targets, own)


class CutMix(Mixing):
    """Puts a box of another image of the batch into each image; targets follow the areas.

    Yun et al. 2019 (arXiv 1905.04899, section 3.1). Draws: `cutmix`, four a sample or step
    (whether, the share, the box's middle), and `mix_partner`, a permutation a step. The targets'
    shares are those of the box inside the image, as in the authors' and timm's code. Departs from
    timm, whose partner is the batch reversed.
    """

    name: Literal["cutmix"] = "cutmix"
    alpha: Positive = 1.0
    """The share outside the box is drawn from Beta(alpha, alpha), before the box is clipped."""
    prob: Fraction = 1.0
    """Probability of mixing."""
    per: Per = "image"
    """Whether each image draws its box, or all of a batch have one (timm's mode batch)."""

    def batch(
        self,
        images: torch.Tensor,
        targets: torch.Tensor,
        index: np.ndarray,
        draws: Draws,
        step: int,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        u = mixing_draws(self.per, "cutmix", index, 4, draws, step)
        lam = np.where(u[:, 0] < self.prob, beta_shares(u[:, 1], self.alpha), 1.0)
        boxes = cutmix_boxes(lam, u[:, 2:], *images.shape[2:])
        return cutmix(images, targets, boxes=boxes, permutation=partners(len(index), draws, step))
