"""Crop windows, against a plain scalar version of what torchvision does."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ablation.data import windows as module
from ablation.data.draws import Draws
from ablation.data.windows import centre_windows, random_resized_windows

IMAGENET = {"scale": (0.08, 1.0), "ratio": (3 / 4, 4 / 3)}


class Given:
    """Draws that a test has made itself."""

    def __init__(self, table: np.ndarray) -> None:
        self.table, self.used = table, 0

    def take(self, rows: int) -> np.ndarray:
        self.used += rows
        return self.table[self.used - rows : self.used]


def scalar_window(height: int, width: int, uniforms, scale, ratio) -> tuple[int, int, int, int]:
    """torchvision's RandomResizedCrop.get_params, one image, on given uniform draws."""
    for area_u, ratio_u, top_u, left_u in np.reshape(uniforms, (10, 4)):
        target = height * width * (scale[0] + (scale[1] - scale[0]) * area_u)
        low, high = math.log(ratio[0]), math.log(ratio[1])
        aspect = math.exp(low + (high - low) * ratio_u)
        w, h = round(math.sqrt(target * aspect)), round(math.sqrt(target / aspect))
        if 0 < w <= width and 0 < h <= height:
            return int(top_u * (height - h + 1)), int(left_u * (width - w + 1)), h, w
    in_ratio = width / height
    if in_ratio < ratio[0]:
        h, w = max(1, round(width / ratio[0])), width  # torchvision's is empty, of a thin image
    elif in_ratio > ratio[1]:
        h, w = height, max(1, round(height * ratio[1]))
    else:
        h, w = height, width
    return (height - h) // 2, (width - w) // 2, h, w


def random_sizes(seed: int, count: int = 400) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, [700, 900], (count, 2))


@pytest.mark.parametrize(
    "options",
    [
        IMAGENET,
        {"scale": (0.5, 1.0), "ratio": (0.9, 1.1)},
        {"scale": (0.9, 1.0), "ratio": (2.0, 3.0)},  # falls back often
        {"scale": (1.0, 1.0), "ratio": (1.0, 1.0)},
        {"scale": (0.001, 0.01), "ratio": (3 / 4, 4 / 3)},  # windows of a pixel or none
    ],
)
@pytest.mark.parametrize("seed", range(4))
def test_equals_torchvisions_algorithm(seed: int, options: dict) -> None:
    sizes = random_sizes(seed)
    table = np.random.default_rng(100 + seed).random((len(sizes), 40))
    found = random_resized_windows(sizes, Given(table), **options)
    expected = [scalar_window(*s, u, **options) for s, u in zip(sizes.tolist(), table, strict=True)]
    assert found.dtype == np.int32 and found.shape == (len(sizes), 4)
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("seed", range(4))
def test_windows_lie_within_their_images(seed: int) -> None:
    sizes = random_sizes(seed, 3000)
    for options in (IMAGENET, {"scale": (0.01, 1.0), "ratio": (0.1, 10.0)}):
        draws = Draws(seed, 0, len(sizes)).uniform("crop", len(sizes), 40)
        top, left, height, width = random_resized_windows(sizes, draws, **options).T
        assert (top >= 0).all() and (left >= 0).all() and (height > 0).all() and (width > 0).all()
        assert (top + height <= sizes[:, 0]).all() and (left + width <= sizes[:, 1]).all()
    top, left, height, width = centre_windows(sizes, crop_ratio=0.875).T
    assert (top >= 0).all() and (left >= 0).all() and (height > 0).all()
    assert (top + height <= sizes[:, 0]).all() and (left + width <= sizes[:, 1]).all()


def distance_to_uniform(values: np.ndarray) -> float:
    """Kolmogorov's distance of values to the uniform distribution on [0, 1]."""
    values = np.sort(values)
    steps = np.arange(1, len(values) + 1) / len(values)
    return float(np.abs(steps - values).max())


def test_area_ratio_and_place_are_spread_evenly() -> None:
    # So large that rounding to pixels does not show and each first attempt fits.
    n, side = 20_000, 10_000
    sizes = np.full((n, 2), side)
    scale, ratio = (0.1, 0.4), (3 / 4, 4 / 3)
    draws = Draws(0, 0, n).uniform("crop", n, 40)
    top, left, h, w = random_resized_windows(sizes, draws, scale=scale, ratio=ratio).T.astype(float)
    area = (h * w / side**2 - scale[0]) / (scale[1] - scale[0])
    aspect = np.log(w / h / ratio[0]) / np.log(ratio[1] / ratio[0])
    places = [top / (side - h), left / (side - w)]
    bound = 1.95 / math.sqrt(n)  # exceeded by one of a thousand true samples
    assert all(distance_to_uniform(v) < bound for v in [area, aspect, *places])
    assert np.abs(np.corrcoef([area, aspect, *places]) - np.eye(4)).max() < 0.03


def test_fallback_is_the_largest_centre_crop_within_the_ratio() -> None:
    # Square windows of the whole area fit into none of the oblong images.
    sizes = np.array([[100, 300], [300, 100], [80, 80]])
    table = np.full((3, 40), 0.5)
    found = random_resized_windows(sizes, Given(table), scale=(1, 1), ratio=(1, 1))
    assert found.tolist() == [[0, 100, 100, 100], [100, 0, 100, 100], [0, 0, 80, 80]]


def test_rows_belong_to_samples_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = random_sizes(0, 300)

    def windows(count: int) -> np.ndarray:
        draws = Draws(0, 0, count).uniform("crop", count, 40)
        return random_resized_windows(sizes[:count], draws, **IMAGENET)

    whole = windows(300)
    assert np.array_equal(windows(100), whole[:100])
    monkeypatch.setattr(module, "_BLOCK", 7)
    assert np.array_equal(windows(300), whole)


@pytest.mark.parametrize("seed", range(3))
def test_centre_crop_has_the_geometry_of_resize_and_centre_crop(seed: int) -> None:
    """torchvision: the shorter side to 256 pixels, then the 224 in the middle."""
    for height, width in random_sizes(seed)[:, :] + 8:
        top, left, h, w = centre_windows(np.array([[height, width]]), crop_ratio=224 / 256)[0]
        scale = min(height, width) / 256
        resized = [int(height / scale), int(width / scale)]
        start = [round((side - 224) / 2) * scale for side in resized]
        assert h == w and abs(h - 224 * scale) <= 1
        # One pixel of rounding in the stored image, one in the resized.
        assert abs(top - start[0]) <= 1 + scale and abs(left - start[1]) <= 1 + scale


@pytest.mark.parametrize("size", [(28, 28), (500, 375), (1, 9), (333, 500)])
def test_centre_crop_of_everything_is_the_middle_square(size: tuple[int, int]) -> None:
    top, left, h, w = centre_windows(np.array([size]), crop_ratio=1.0)[0]
    assert h == w == min(size)
    assert (top, left) == ((size[0] - h) // 2, (size[1] - w) // 2)
