"""Affine maps of batches, one an image: rotation, shear and translation.

Own code for one map an image in one call (torchvision takes one map a batch) and for Pillow's
geometry, whose edges torch's `affine_grid` and zero padding would blend with the fill.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional


def inverse_matrices(
    operations: np.ndarray, arguments: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """(k, 6) float64: rows a..f, with which (x, y) shows what was at (ax + by + c, dx + ey + f).

    operations (k,) in `MATRICES`, arguments (k,): degrees counter-clockwise about the centre for
    rotate; pixels a row or column for shear; a share of the width or height for translate (what
    is shown comes from there: a positive share moves the image to the left or up).
    """
    height, width = size
    rows = [
        MATRICES[name](float(argument), height, width)
        for name, argument in zip(operations.tolist(), arguments, strict=True)
    ]
    return np.array(rows, dtype=np.float64).reshape(-1, 6)


def _rotation(degrees: float, height: int, width: int) -> tuple[float, ...]:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x, y = width / 2, height / 2
    return cos, -sin, x - cos * x + sin * y, sin, cos, y - sin * x - cos * y


MATRICES: dict[str, Callable[[float, int, int], tuple[float, ...]]] = {
    "rotate": _rotation,
    "shear_x": lambda by, height, width: (1, by, 0, 0, 1, 0),
    "shear_y": lambda by, height, width: (1, 0, 0, by, 1, 0),
    "translate_x": lambda share, height, width: (1, 0, share * width, 0, 1, 0),
    "translate_y": lambda share, height, width: (1, 0, 0, 0, 1, share * height),
}


def by_affine(
    images: torch.Tensor,
    matrices: np.ndarray,
    *,
    fill: tuple[int, int, int] | None,
    interpolation: str,
) -> torch.Tensor:
    """Affine maps with Pillow's geometry: pixel centres at halves, no blending with the fill.

    images (k, h, w, 3) uint8; matrices (k, 6) as `inverse_matrices` gives them; fill: colour of
    what comes from outside of the image, or None for the nearest border pixel. "nearest" may take
    the neighbour of Pillow's pixel where a place lies on the line between two (Pillow counts in
    1/65536 pixel); "bilinear" rounds where Pillow truncates, so that it is up to 1 level brighter.
    """
    _, height, width, _ = images.shape
    # Added up in float32 (places to 1/65536 pixel at 224 px), products in float64 on few numbers.
    maps = torch.from_numpy(matrices).to(images.device)
    a, b, c, d, e, f = maps.T[..., None]
    x = torch.arange(width, device=images.device, dtype=torch.float64) + 0.5
    y = torch.arange(height, device=images.device, dtype=torch.float64) + 0.5
    from_x = (a * x).float()[:, None] + (b * y + c).float()[:, :, None]
    from_y = (d * x).float()[:, None] + (e * y + f).float()[:, :, None]
    outside = None
    if fill is not None:
        outside = (from_x < 0) | (from_x >= width) | (from_y < 0) | (from_y >= height)
    sample = {"nearest": _nearest, "bilinear": _bilinear}[interpolation]
    return sample(images, from_x, from_y, outside, fill)


def _nearest(
    images: torch.Tensor,
    from_x: torch.Tensor,
    from_y: torch.Tensor,
    outside: torch.Tensor | None,
    fill: tuple[int, int, int] | None,
) -> torch.Tensor:
    """from_x, from_y (k, h, w) float32; outside (k, h, w) bool, where the fill is taken."""
    count, height, width, _ = images.shape
    column = from_x.int().clamp(0, width - 1)
    row = from_y.int().clamp(0, height - 1)
    first = torch.arange(count, device=images.device, dtype=torch.int32)[:, None, None] * height
    place = (first + row) * width + column
    pixels = images.reshape(-1, 3)
    if outside is not None:
        # The fill is one more pixel.
        place.masked_fill_(outside, len(pixels))
        pixels = torch.cat((pixels, pixels.new_tensor([fill])))
    return pixels.index_select(0, place.view(-1)).view(images.shape)


def _bilinear(
    images: torch.Tensor,
    from_x: torch.Tensor,
    from_y: torch.Tensor,
    outside: torch.Tensor | None,
    fill: tuple[int, int, int] | None,
) -> torch.Tensor:
    """As `_nearest`."""
    _, height, width, _ = images.shape
    grid = torch.empty((*from_x.shape, 2), device=images.device)
    torch.mul(from_x, 2 / width, out=grid[..., 0])
    torch.mul(from_y, 2 / height, out=grid[..., 1])
    grid -= 1
    planes = images.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)
    moved = functional.grid_sample(
        planes, grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    moved = moved.round_()
    if outside is not None:
        # Exact on whole numbers, and twice as fast as `where`.
        colour = moved.new_tensor(fill)[:, None, None]
        moved = moved.sub_(colour).mul_((~outside[:, None]).float()).add_(colour)
    return moved.permute(0, 2, 3, 1).to(torch.uint8, memory_format=torch.contiguous_format)
