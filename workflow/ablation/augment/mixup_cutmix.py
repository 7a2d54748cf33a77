"""Mixup or CutMix, by draw."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from ..config.base import Fraction, NoBool, Positive
from ..data.draws import Draws
from ._mixing import Per, beta_shares, cutmix_boxes, mixing_draws, partners
from .base import Mixing

if TYPE_CHECKING:
    import torch


def mixup_or_cutmix(
    images: torch.Tensor,
    targets: torch.Tensor,
    *,
    cut: np.ndarray,
    lam: np.ndarray,
    boxes: np.ndarray,
    permutation: np.ndarray,
) -> tuple[torch.Tensor, torch.Tensor]:
    """CutMix where `cut` (b,) bool is true, mixup elsewhere; both with the unmixed partner.

    The other arguments are those of `mixup` and `cutmix`. Returns images and targets of the same
    shapes.
    """
    import torch

    from ._hiding import box_mask, put

    height, width = images.shape[2:]
    boxes = np.where(cut[:, None], boxes, 0)
    areas = 1.0 - boxes[:, 2] * boxes[:, 3] / (height * width)
    # A share of 1 keeps an image's bits (lerp returns its ends), and so does a box of height 0:
    # each stage does nothing to the images of the other one.
    blend, own = np.where(cut, 1.0, lam), np.where(cut, areas, lam)
    blend, own = (torch.from_numpy(v.astype(np.float32)).to(images.device) for v in (blend, own))
    order = torch.from_numpy(permutation).to(images.device)
    partner = images[order]
    mixed = images if cut.all() else torch.lerp(partner, images, blend[:, None, None, None])
    if cut.any():
        mixed = put(mixed, partner, box_mask(boxes, images))
    return mixed, torch.lerp(targets[order], targets, own[:, None])


class MixupCutMix(Mixing):
    """Mixes each image by mixup or by CutMix, as a draw says.

    timm's Mixup with both alphas (as in Wightman et al. 2021, arXiv 2110.00476; defaults of
    Touvron et al. 2021, arXiv 2012.12877, table 9). Draws: `mixup_cutmix`, five a sample or step
    (whether, which, the share, the box's middle), and `mix_partner`, a permutation a step. Departs
    from timm, whose partner is the batch reversed.
    """

    name: Literal["mixup_cutmix"] = "mixup_cutmix"
    mixup_alpha: Positive = 0.8
    """Mixup's shares are drawn from Beta(alpha, alpha)."""
    cutmix_alpha: Positive = 1.0
    """CutMix's shares outside the box are drawn from Beta(alpha, alpha)."""
    switch_prob: Annotated[float, NoBool, Field(gt=0, lt=1)] = 0.5
    """Share of CutMix among what is mixed. For 0 and 1 there are `mixup` and `cutmix`."""
    prob: Fraction = 1.0
    """Probability of mixing."""
    per: Per = "image"
    """Whether each image draws, or a batch as a whole (timm's mode batch)."""

    def batch(
        self,
        images: torch.Tensor,
        targets: torch.Tensor,
        index: np.ndarray,
        draws: Draws,
        step: int,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        u = mixing_draws(self.per, "mixup_cutmix", index, 5, draws, step)
        cut = u[:, 1] < self.switch_prob
        lam = np.empty(len(index))
        for chosen, alpha in ((cut, self.cutmix_alpha), (~cut, self.mixup_alpha)):
            lam[chosen] = beta_shares(u[chosen, 2], alpha)
        lam[u[:, 0] >= self.prob] = 1.0
        return mixup_or_cutmix(
            images,
            targets,
            cut=cut,
            lam=lam,
            boxes=cutmix_boxes(lam, u[:, 3:], *images.shape[2:]),
            permutation=partners(len(index), draws, step),
        )
