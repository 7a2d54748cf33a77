"""What erasures hide: how much, where, and under what."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ablation.augment import Cutout, GridMask, HideAndSeek, RandomErasing
from ablation.augment._hiding import box_mask, normal_noise
from ablation.augment.base import Erasing
from ablation.augment.cutout import clipped_squares
from ablation.augment.gridmask import gridmask
from ablation.augment.random_erasing import random_boxes
from ablation.data.draws import Draws, split_mix

COUNT = 2000


def hidden(options: Erasing, *, side: int = 32, epoch: int = 0) -> torch.Tensor:
    """Which pixels of 2,000 images are hidden, (b, side, side) bool."""
    images = torch.ones(COUNT, 3, side, side)
    made = options.batch(images, np.arange(COUNT), Draws(0, epoch, COUNT))
    assert torch.equal(made[:, 0] != 1, made[:, 1] != 1)
    return made[:, 0] != 1


def share(mask: torch.Tensor) -> torch.Tensor:
    """Hidden share of each image's area."""
    return mask.double().mean((1, 2))


def test_cutout_hides_the_square_that_is_left_of_a_centre_anywhere() -> None:
    centre = np.array([[0.0, 0.0], [0.5, 0.5], [0.999, 0.25]])
    boxes = clipped_squares(centre, 4, 8, 8)
    assert boxes.tolist() == [[0, 0, 2, 2], [2, 2, 4, 4], [5, 0, 3, 4]]
    assert clipped_squares(centre[1:2], 3, 8, 8).tolist() == [[3, 3, 3, 3]]


def test_cutout_hides_its_share() -> None:
    found = share(hidden(Cutout(size=0.5)))
    # 16 of 32: along a side, each pixel is hidden for 16 of 32 centres but near the two ends.
    kept = [len(set(range(c - 8, c + 8)) & set(range(32))) for c in range(32)]
    assert float(found.mean()) == pytest.approx((np.mean(kept) / 32) ** 2, abs=0.005)
    assert float(found.max()) == 0.25 and float(found.min()) == (8 / 32) ** 2
    some = share(hidden(Cutout(size=0.5, prob=0.3))) > 0
    assert 0.27 < float(some.double().mean()) < 0.33


def test_random_boxes_are_of_the_area_and_ratio_that_were_asked() -> None:
    u = Draws(0, 0, COUNT).of("x", np.arange(COUNT), 40)
    top, left, height, width = random_boxes(u, 200, 200, scale=(0.02, 0.4), ratio=(0.3, 10 / 3)).T
    assert (height > 0).all() and (width > 0).all()
    assert (top >= 0).all() and (left >= 0).all()
    assert (top + height <= 200).all() and (left + width <= 200).all()
    area, ratio = height * width / 200**2, height / width
    assert 0.019 < area.min() < 0.03 and 0.38 < area.max() < 0.405
    assert 0.29 < ratio.min() < 0.33 and 3.0 < ratio.max() < 3.5
    # Boxes that do not fit are drawn again, so that the mean is a little below the middle, 0.21.
    assert 0.18 < area.mean() < 0.22
    assert abs(np.log(ratio).mean()) < 0.05


def test_random_boxes_take_the_first_attempt_that_fits() -> None:
    u = np.full((2, 10, 4), 0.5)
    u[0, 0] = u[1, :] = [1.0, 1.0, 0.5, 0.5]  # half of the area, four times as high as wide
    boxes = random_boxes(u.reshape(2, 40), 20, 20, scale=(0.1, 0.5), ratio=(1 / 4, 4))
    # The second attempt: 0.3 of the area, square: 11 pixels, in the middle of the room of 9.
    assert boxes.tolist() == [[5, 5, 11, 11], [0, 0, 0, 0]]


def test_boxes_are_as_timm_draws_them_from_the_same_numbers() -> None:
    """timm's and torchvision's loop, image by image."""
    u = Draws(3, 0, 200).of("x", np.arange(200), 40)
    expected = []
    for row in u.reshape(200, 10, 4):
        box = [0, 0, 0, 0]
        for area, ratio, top, left in row:
            target = (0.02 + (0.9 - 0.02) * area) * 28 * 28
            aspect = np.exp(np.log(0.2) + (np.log(5) - np.log(0.2)) * ratio)
            h, w = round(np.sqrt(target * aspect)), round(np.sqrt(target / aspect))
            if w < 28 and h < 28:
                box = [int(top * (28 - h + 1)), int(left * (28 - w + 1)), h, w]
                break
        expected.append(box)
    assert random_boxes(u, 28, 28, scale=(0.02, 0.9), ratio=(0.2, 5)).tolist() == expected


def test_random_erasing_hides_its_share_of_the_images() -> None:
    for fill in ("zero", "noise"):
        found = share(hidden(RandomErasing(prob=0.25, fill=fill)))
        assert 0.22 < float((found > 0).double().mean()) < 0.28
        assert 0.17 < float(found[found > 0].mean()) < 0.22


def test_noise_is_standard_normal_and_each_image_and_channel_has_its_own() -> None:
    images = torch.full((COUNT, 3, 28, 28), 100.0)
    made = RandomErasing(prob=1).batch(images, np.arange(COUNT), Draws(0, 0, COUNT))
    noise = made[made != 100].double()
    assert abs(float(noise.mean())) < 0.01 and abs(float(noise.var()) - 1) < 0.01
    tails = float((noise.abs() > 1.959964).double().mean())
    assert tails == pytest.approx(0.05, abs=0.002)
    assert len(noise.unique()) > 0.95 * len(noise)  # float32 has few of some sizes
    red, green = (made[:, c][made[:, c] != 100] for c in (0, 1))
    assert abs(float(torch.corrcoef(torch.stack([red, green]))[0, 1])) < 0.01


def test_noise_is_made_of_the_splitmix64_sequence() -> None:
    """torch's signed numbers give the bits of the unsigned ones that the sequence is made of."""
    keys = np.array([0, 5, 2**53 - 1])
    found = normal_noise(torch.from_numpy(keys), 1001)
    assert found.shape == (3, 1001) and found.dtype == torch.float32
    for row, key in zip(found, keys, strict=True):
        # split_mix gives the upper 53 bits; the lower half of a number is off by less than 2**-21.
        high = split_mix(np.uint64(key), np.arange(501, dtype=np.uint64)) * 2**32
        low = high % 1
        radius = np.sqrt(-2 * np.log((np.floor(high) + 0.5) / 2**32))
        both = np.concatenate([radius * np.cos(2 * np.pi * low), radius * np.sin(2 * np.pi * low)])
        assert np.allclose(row, both[:1001], atol=1e-4)


def test_noise_of_a_pixel_does_not_depend_on_the_batch() -> None:
    keys = torch.tensor([7, 8, 9])
    assert torch.equal(normal_noise(keys, 300)[1:2], normal_noise(keys[1:2], 300))
    assert normal_noise(torch.tensor([2**53 - 1] * 1), 10**6).isfinite().all()


def test_a_box_mask_is_its_boxes() -> None:
    mask = box_mask(np.array([[1, 2, 3, 4], [0, 0, 0, 9]]), torch.zeros(2, 3, 6, 9))
    expected = torch.zeros(2, 1, 6, 9, dtype=torch.bool)
    expected[0, 0, 1:4, 2:6] = True
    assert torch.equal(mask, expected)


def grid(**changes: object) -> torch.Tensor:
    """One 12-pixel image under a grid of pitch 6, lines of 4, moved by 1 down and 2 right."""
    options = {
        "unit": np.array([6]), "line": np.array([4]), "offset": np.array([[1, 2]]),
        "angle": np.array([0.0]), "masked": np.array([True]),
    }  # fmt: skip
    return gridmask(torch.ones(1, 3, 12, 12), **options | changes)[0, 0] == 0


def test_gridmask_hides_the_squares_between_the_lines() -> None:
    rows, columns = ([(i - by) % 6 >= 4 for i in range(12)] for by in (1, 2))
    squares = torch.tensor(rows)[:, None] & torch.tensor(columns)[None]
    assert torch.equal(grid(), squares) and int(squares.sum()) == 16
    assert torch.equal(grid(hide_lines=True), ~squares)
    assert not grid(masked=np.array([False])).any()


def test_gridmask_turns_about_the_middle() -> None:
    moved = np.array([[0, 3]])
    quarter, plain = grid(angle=np.array([np.pi / 2]), offset=moved), grid(offset=moved)
    assert torch.equal(quarter, plain.rot90(-1))
    assert not torch.equal(quarter, plain.rot90(1))
    assert torch.equal(grid(angle=np.array([2 * np.pi])), grid())
    # Pixel by pixel, by complex numbers: a point is looked up where it lay before the turn.
    turned = grid(angle=np.array([0.5]))
    for y in range(12):
        for x in range(12):
            before = (complex(x, y) - 5.5 * (1 + 1j)) * np.exp(-0.5j) + 5.5 * (1 + 1j)
            square = (before.imag - 1) % 6 >= 4 and (before.real - 2) % 6 >= 4
            assert bool(turned[y, x]) == square


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"ratio": 0.6}, 0.16),
        ({"ratio": 0.5, "rotate": 0}, 0.25),
        ({"ratio": 0.5, "rotate": 0, "hidden": "lines"}, 0.75),
    ],
)
def test_gridmask_hides_its_share(options: dict, expected: float) -> None:
    found = share(hidden(GridMask(prob=1, **options), side=56))
    assert float(found.mean()) == pytest.approx(expected, abs=0.01)


def test_gridmask_pitches_are_all_between_the_ends() -> None:
    options = GridMask(prob=1, d_range=(0.25, 0.5), rotate=0, ratio=0.5)
    assert options.pitches(32) == (8, 16)
    # Over two pitches of lines and squares, the longest square that can be seen is half a pitch.
    rows = hidden(options).any(2)
    longest = {max(map(len, "".join(" X"[v] for v in row).split())) for row in rows.tolist()}
    assert min(longest) == 4 and max(longest) == 8


def test_gridmask_probability_rises_over_its_ramp() -> None:
    options = GridMask(prob=0.8, ramp_epochs=4)
    shares = [float((share(hidden(options, epoch=e)) > 0).double().mean()) for e in (0, 2, 4, 9)]
    assert shares == pytest.approx([0, 0.4, 0.8, 0.8], abs=0.03)
    with pytest.raises(ValueError, match="ramp_epochs does nothing"):
        GridMask(prob=0, ramp_epochs=4)


def test_hide_and_seek_hides_whole_patches_of_its_sizes() -> None:
    mask = hidden(HideAndSeek(sizes=(0.25,)))
    patches = mask.view(COUNT, 4, 8, 4, 8).transpose(2, 3).reshape(COUNT, 16, 64)
    assert (patches.all(2) | ~patches.any(2)).all()
    alone = patches[:, :, 0].double()
    assert torch.allclose(alone.mean(0), torch.full((16,), 0.5, dtype=torch.float64), atol=0.05)
    assert float(torch.corrcoef(alone.T).fill_diagonal_(0).abs().max()) < 0.1


def test_hide_and_seek_draws_one_size_an_image() -> None:
    found = share(hidden(HideAndSeek(), side=28))
    assert 0.18 < float((found == 0).double().mean()) < 0.23  # a fifth is left as it is
    assert float(found.mean()) == pytest.approx(0.8 * 0.5, abs=0.01)
    # 224 pixels: the sizes of the authors' code.
    assert HideAndSeek().sides(224).tolist() == [0, 16, 32, 44, 56]
    # A size that does not divide the side leaves a narrower last patch.
    odd = hidden(HideAndSeek(sizes=(0.4,), hide_prob=1), side=28)
    assert odd.all()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (Cutout(size=0.05), "less than a pixel"),
        (HideAndSeek(sizes=(0, 0.05)), "less than a pixel"),
        (GridMask(d_range=(0.1, 1)), "no room for a line and a square"),
        (GridMask(d_range=(0.5, 1), ratio=0.1), "no room"),
        (GridMask(ramp_epochs=11), "longer than the training"),
    ],
)
def test_what_does_not_fit_the_training_is_refused(options: Erasing, said: str) -> None:
    options.refuse_unfit(224, 300)
    with pytest.raises(ValueError, match=said):
        options.refuse_unfit(8, 10)


def test_rectangles_that_never_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="nothing would be hidden"):
        RandomErasing(scale=(1, 1))
    with pytest.raises(ValueError, match="nothing would be hidden"):
        RandomErasing(scale=(0.4, 0.5), ratio=(3, 4))
    RandomErasing(scale=(0.4, 1), ratio=(0.3, 2))
