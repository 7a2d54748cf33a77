"""What FFCV cannot store is bad in the lock, so that convert never meets it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import convert_dataset
import cv2
import images
import lock_dataset
import numpy as np
import pytest

from ablation.cli import run
from ablation.config.dataset import Writer
from ablation.data.windows import centre_windows, random_resized_windows
from ablation.errors import ConfigError
from ablation.grid import Planner
from ablation.storable import MAX_JPEG_SIDE, stored_size, why_not_stored

SHRUNK = Writer(max_resolution=500)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """OpenCV starts no threads: they would not outlive the fork of a later test's workers."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(before)


def test_stored_sizes_are_those_of_ffcv(one_thread) -> None:
    from ffcv.fields.rgb_image import resizer

    rng = np.random.default_rng(0)
    sizes = [(1100, 3), (3, 1100), (500, 500), (501, 1), (2, 999), (1000, 2), (750, 501)]
    sizes += [tuple(int(n) for n in pair) for pair in rng.integers(1, 1500, (200, 2))]
    for height, width in sizes:
        wanted = stored_size(height, width, SHRUNK)
        if not min(wanted):
            with pytest.raises(cv2.error):
                resizer(np.zeros((height, width, 3), np.uint8), 500)
            assert why_not_stored(height, width, SHRUNK)
            continue
        found = resizer(np.zeros((height, width, 3), np.uint8), 500)
        assert found.shape[:2] == wanted and why_not_stored(height, width, SHRUNK) is None


def test_the_limit_of_a_jpeg_is_libjpegs(one_thread) -> None:
    from ffcv.fields.rgb_image import encode_jpeg

    for mode in ("jpg", "smart", "proportion"):
        writer = Writer(write_mode=mode, **({"smart_threshold": 1} if mode == "smart" else {}))
        assert why_not_stored(MAX_JPEG_SIDE, 1, writer) is None
        assert "65,500" in why_not_stored(1, MAX_JPEG_SIDE + 1, writer)
        assert why_not_stored(1, 65_535, writer.model_copy(update={"max_resolution": 65_535}))
    assert why_not_stored(1, MAX_JPEG_SIDE + 1, Writer()) is None
    assert len(encode_jpeg(np.zeros((1, MAX_JPEG_SIDE, 3), np.uint8), 90))
    with pytest.raises((ValueError, cv2.error)):
        encode_jpeg(np.zeros((1, MAX_JPEG_SIDE + 1, 3), np.uint8), 90)


def thin() -> images.Tree:
    tree = images.imagenet(False)
    tree["train"]["n02105855"]["long.png"] = images.encode(images.photo(0, 2, 1100), "PNG")
    tree["val"]["n02105855"]["longer.png"] = images.encode(images.photo(0, 65_520, 1), "PNG")
    return tree


CASES = {
    "shrunk": ({"max_resolution": 500}, {"train/n02105855/long.png", "val/n02105855/longer.png"}),
    "jpg": ({"write_mode": "jpg"}, {"val/n02105855/longer.png"}),
    "raw": ({}, set()),
}


def programs(config, out) -> tuple[list[str], list[str]]:
    base = ["--dataset", "d", "--config-dir", str(config), "--workers", "1"]
    return base, [*base, "--out", str(out)]


@pytest.mark.parametrize("case", CASES)
def test_lock_and_convert_agree_on_thin_images(tmp_path, capsys, case) -> None:
    writer, bad = CASES[case]
    path = images.write_folder(thin(), tmp_path / "t")
    config = images.write_config(tmp_path, "d", "folder", path, writer=writer)
    lock, convert = programs(config, tmp_path / "out")
    if bad:
        assert run(lock_dataset.main, lock) == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert all(name in error for name in bad) and "pixels: a " in error, error
    images.write_config(tmp_path, "d", "folder", path, writer=writer, on_bad_image="skip")
    assert run(lock_dataset.main, lock) == 0
    found = json.loads((config / "datasets/d.lock.json").read_text())
    assert set(found["rejected"]) == bad
    assert run(convert_dataset.main, convert) == 0, capsys.readouterr().err
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["train"]["images"] + manifest["val"]["images"] == 23 - len(bad)


def test_other_options_than_the_locks_are_told_by_plan_and_convert(tmp_path, capsys) -> None:
    path = images.write_folder(thin(), tmp_path / "t")
    shrunk = {"max_resolution": 500}
    images.write_config(tmp_path, "d", "folder", path, writer=shrunk, on_bad_image="skip")
    lock, convert = programs(tmp_path, tmp_path / "out")
    assert run(lock_dataset.main, lock) == 0
    images.write_config(tmp_path, "d", "folder", path, on_bad_image="skip")
    with pytest.raises(ConfigError, match=r"rejects train/n02105855/long.png \(1100 x 2 pixels: a"):
        Planner(tmp_path).dataset("d")
    assert run(convert_dataset.main, convert) == 2
    assert "`writer` now stores it" in capsys.readouterr().err
    # The other way round the lock cannot know which images it is; convert names one.
    assert run(lock_dataset.main, lock) == 0
    images.write_config(tmp_path, "d", "folder", path, writer=shrunk, on_bad_image="skip")
    assert run(convert_dataset.main, convert) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "long.png: cannot be written" in error and "make the lock again" in error
    assert list((tmp_path / "out").iterdir()) == []


def test_windows_of_the_thinnest_images_hold_a_pixel() -> None:
    class Never:
        """Draws whose areas all fall outside, so that the centre is taken."""

        def take(self, rows: int) -> np.ndarray:
            return np.full((rows, 40), 0.999)

    sizes = np.array([(1, 1), (1, 500), (500, 1), (2, 65_535)])
    for ratio in ((0.75, 4 / 3), (3.0, 4.0), (0.1, 0.2)):
        windows = random_resized_windows(sizes, Never(), scale=(0.9, 1.0), ratio=ratio)
        for found in (windows, centre_windows(sizes, crop_ratio=0.875)):
            assert (found[:, 2:] >= 1).all() and (found[:, :2] >= 0).all()
            assert (found[:, :2] + found[:, 2:] <= sizes).all()
