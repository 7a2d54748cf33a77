"""Crop windows: (n, 4) int32 of top, left, height, width, in pixels of the stored image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .draws import Rows

_ATTEMPTS = 10  # torchvision's and FFCV's number of tries before the centre crop
_BLOCK = 65536  # rows at a time: 40 draws each for 1.28 million images would be 400 MB


def centre_windows(sizes: np.ndarray, *, crop_ratio: float) -> np.ndarray:
    """Square window of `crop_ratio` x the shorter side, in the middle.

    Equal to resizing the shorter side to `img_size / crop_ratio` and cropping the centre.
    sizes: (n, 2) int heights and widths.
    """
    height, width = sizes[:, 0].astype(np.int64), sizes[:, 1].astype(np.int64)
    side = np.maximum(1, (crop_ratio * np.minimum(height, width)).astype(np.int64))
    return np.stack([(height - side) // 2, (width - side) // 2, side, side], 1).astype(np.int32)


def random_resized_windows(
    sizes: np.ndarray, draws: Rows, *, scale: tuple[float, float], ratio: tuple[float, float]
) -> np.ndarray:
    """Windows of random area and aspect ratio (Szegedy et al. 2015), as torchvision draws them.

    sizes: (n, 2) int heights and widths; draws: 4 columns an attempt (area, ratio, top, left), 10
    attempts; scale: share of the area; ratio: width / height, drawn evenly in its logarithm. A
    sample whose 10 attempts all fall outside gets the largest centre crop within `ratio`.
    """
    blocks = [
        _block(sizes[start : start + _BLOCK].astype(np.int64), draws, scale, ratio)
        for start in range(0, len(sizes), _BLOCK)
    ]
    return np.concatenate(blocks).astype(np.int32)


def _block(
    sizes: np.ndarray, draws: Rows, scale: tuple[float, float], ratio: tuple[float, float]
) -> np.ndarray:
    u = draws.take(len(sizes)).reshape(len(sizes), _ATTEMPTS, 4)
    height, width = sizes[:, :1], sizes[:, 1:]
    area = height * width * (scale[0] + (scale[1] - scale[0]) * u[:, :, 0])
    low, high = np.log(ratio[0]), np.log(ratio[1])
    aspect = np.exp(low + (high - low) * u[:, :, 1])
    w = np.rint(np.sqrt(area * aspect)).astype(np.int64)
    h = np.rint(np.sqrt(area / aspect)).astype(np.int64)
    fits = (w > 0) & (w <= width) & (h > 0) & (h <= height)
    first = fits.argmax(1)
    rows = np.arange(len(sizes))
    w, h = w[rows, first], h[rows, first]
    top = (u[rows, first, 2] * (sizes[:, 0] - h + 1)).astype(np.int64)
    left = (u[rows, first, 3] * (sizes[:, 1] - w + 1)).astype(np.int64)
    windows = np.stack([top, left, h, w], 1)
    none = ~fits.any(1)
    windows[none] = _largest_centre(sizes[none], ratio)
    return windows


def _largest_centre(sizes: np.ndarray, ratio: tuple[float, float]) -> np.ndarray:
    """The largest centre window whose aspect ratio is within `ratio`."""
    height, width = sizes[:, 0], sizes[:, 1]
    aspect = width / height
    h = np.where(aspect < ratio[0], np.rint(width / ratio[0]), height).astype(np.int64)
    w = np.where(aspect > ratio[1], np.rint(height * ratio[1]), width).astype(np.int64)
    # Of an image one pixel thin, a window of a far ratio rounds to nothing.
    h, w = np.clip(h, 1, height), np.clip(w, 1, width)
    return np.stack([(height - h) // 2, (width - w) // 2, h, w], 1)
