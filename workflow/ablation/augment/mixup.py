"""Mixup."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from ..config.base import Fraction, Positive
from ..data.draws import Draws
from ._mixing import Per, beta_shares, mixing_draws, partners
from .base import Mixing

if TYPE_CHECKING:
    import torch


def mixup(
    images: torch.Tensor, targets: torch.Tensor, *, lam: np.ndarray, permutation: np.ndarray
) -> tuple[torch.Tensor, torch.Tensor]:
    """lam x each image + (1 - lam) x its partner, and the targets alike (Zhang et al. 2018).

    images: (b, 3, h, w) float; targets: (b, classes) float; lam: (b,) shares in [0, 1], 1 leaves an
    image as it is; permutation: (b,) int64, the partners' places in the batch. Returns images and
    targets of the same shapes.
    """
    import torch

    share = torch.from_numpy(lam.astype(np.float32)).to(images.device)
    order = torch.from_numpy(permutation).to(images.device)
    # lerp returns its ends exactly: an image whose share is 1 keeps its bits.
    mixed = torch.lerp(images[order], images, share[:, None, None, None])
    return mixed, torch.lerp(targets[order], targets, share[:, None])


class Mixup(Mixing):
    """Blends each image with another one of the batch, and their targets in the same shares.

    Zhang et al. 2018 (arXiv 1710.09412). Draws: `mixup`, two a sample or step (whether, and the
    share), and `mix_partner`, a permutation a step. Departs from timm, whose partner is the batch
    reversed; the shares are then the same function of the draws.
    """

    name: Literal["mixup"] = "mixup"
    alpha: Positive = 0.2
    """Shares are drawn from Beta(alpha, alpha): nearly all or nothing at 0.1, even at 1."""
    prob: Fraction = 1.0
    """Probability of mixing."""
    per: Per = "image"
    """Whether each image draws its share, or all of a batch have one (timm's mode batch)."""

    def batch(
        self,
        images: torch.Tensor,
        targets: torch.Tensor,
        index: np.ndarray,
        draws: Draws,
        step: int,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        u = mixing_draws(self.per, "mixup", index, 2, draws, step)
        lam = np.where(u[:, 0] < self.prob, beta_shares(u[:, 1], self.alpha), 1.0)
        return mixup(images, targets, lam=lam, permutation=partners(len(index), draws, step))
