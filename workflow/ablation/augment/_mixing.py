"""The draws of mixing: shares, boxes and partners, in numpy."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ..data.draws import Draws

Per = Literal["image", "batch"]


def mixing_draws(
    per: Per, purpose: str, index: np.ndarray, columns: int, draws: Draws, step: int
) -> np.ndarray:
    """(b, columns) uniform draws in [0, 1): a row a sample, or one row of the step for all."""
    if per == "image":
        return draws.of(purpose, index, columns)
    return np.broadcast_to(draws.at(purpose, step).random(columns), (len(index), columns))


def partners(count: int, draws: Draws, step: int) -> np.ndarray:
    """(count,) int64: with which image of the batch each one is mixed, at random.

    As in the papers' code. On average one image meets itself and stays as it is; timm mixes image i
    with image count - 1 - i, which is a random pairing too, but needs an even batch.
    """
    return draws.at("mix_partner", step).permutation(count)


def beta_shares(uniform: np.ndarray, alpha: float) -> np.ndarray:
    """Draws from Beta(alpha, alpha), in [0, 1], from uniform ones in [0, 1), by its quantiles.

    scipy's betaincinv: 0.1 ms for 128, and, unlike a generator's rejection method, a function of
    one uniform draw.
    """
    from scipy.special import betaincinv

    return betaincinv(alpha, alpha, uniform)


def cutmix_boxes(lam: np.ndarray, centre: np.ndarray, height: int, width: int) -> np.ndarray:
    """Boxes of area 1 - lam of the image and of its shape, anywhere, and of these the part inside.

    Yun et al. 2019 (section 3.1), in the rounding of timm's rand_bbox. lam: (b,) in [0, 1]; centre:
    (b, 2) uniform draws in [0, 1), to any pixel. Returns (b, 4) int64 of top, left, height, width.
    """
    size = np.array([height, width])
    cut = (size * np.sqrt(1.0 - lam)[:, None]).astype(np.int64)
    middle = (centre * size).astype(np.int64)
    start = np.clip(middle - cut // 2, 0, size)
    end = np.clip(middle + (cut + 1) // 2, 0, size)
    return np.concatenate([start, end - start], 1)
