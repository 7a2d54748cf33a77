"""An orientation that a file states is not applied, in no format; TIFF is where Pillow does."""

from __future__ import annotations

import io

import convert_dataset
import images
import lock_dataset
import numpy as np
import pytest
from PIL import Image

from ablation.cli import run
from ablation.config.load import load_dataset, load_lock
from ablation.dataset_id import beton_digest
from ablation.decode import ORIENTATION, decode_rgb, is_turned

FORMATS = {
    "JPEG": ("JPEG", {"quality": 95}),
    "PNG": ("PNG", {}),
    "WebP": ("WEBP", {"lossless": True}),
    "TIFF": ("TIFF", {}),
    "TIFF, packed": ("TIFF", {"compression": "tiff_lzw"}),
    "TIFF of JPEG": ("TIFF", {"compression": "jpeg"}),
}


def turned(name: str, value: int | None, pixels: np.ndarray | None = None) -> bytes:
    kind, options = FORMATS[name]
    exif = Image.Exif()
    if value is not None:
        exif[ORIENTATION] = value
    pixels = images.photo(0, 30, 48) if pixels is None else pixels
    return images.encode(pixels, kind, exif=exif, **options)


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("name", FORMATS)
def test_the_pixels_are_as_they_lie(name: str, value: int) -> None:
    data = turned(name, value)
    with Image.open(io.BytesIO(data)) as image:
        assert image.getexif()[ORIENTATION] == value, "the file says it"
    found = decode_rgb(data)
    assert found.shape == (30, 48, 3)
    assert np.array_equal(found, decode_rgb(turned(name, None)))
    assert is_turned(data) == (name.startswith("TIFF") and value > 1)


@pytest.mark.parametrize("value", range(2, 9))
def test_depth_and_alpha_lie_as_the_pixels_do(value: int) -> None:
    deep = (images.photo(0, 30, 48)[:, :, 0].astype(np.uint16) * 257)[:, ::-1]
    found = decode_rgb(turned("TIFF", value, deep))
    assert np.array_equal(found, decode_rgb(turned("TIFF", None, deep)))
    clear = np.dstack([images.photo(0, 30, 48), images.photo(1, 30, 48)[:, :, 0]])
    found = decode_rgb(turned("TIFF", value, clear), (9, 8, 7))
    assert np.array_equal(found, decode_rgb(turned("TIFF", None, clear), (9, 8, 7)))


def test_pillow_turns_tiffs_alone() -> None:
    """What is undone: if this fails, Pillow has changed."""
    for name in FORMATS:
        with Image.open(io.BytesIO(turned(name, 6))) as image:
            image.load()
            assert image.size == ((30, 48) if name.startswith("TIFF") else (48, 30))


def test_the_lock_counts_them_and_an_older_lock_is_not_converted(tmp_path, capsys) -> None:
    """Before, they were turned: the same lock would stand for other pixels."""
    tree = images.imagenet(False)
    tree["train"]["n01440764"]["a.tiff"] = turned("TIFF", 6)
    tree["val"]["n01440764"]["b.tiff"] = turned("TIFF", 1)
    path = images.write_folder(tree, tmp_path / "t")
    config = images.write_config(tmp_path, "d", "folder", path)
    base = ["--dataset", "d", "--config-dir", str(config), "--workers", "1"]
    assert run(lock_dataset.main, base) == 0
    lock = load_lock(config, "d")
    assert lock.turned == 1
    writer = load_dataset(config, "d").writer
    older = lock.model_copy(update={"turned": 0})
    assert beton_digest(lock, writer) != beton_digest(older, writer)
    assert run(convert_dataset.main, [*base, "--out", str(tmp_path / "out")]) == 0
    images.edit_lock(config, "d", turned=0)
    assert run(convert_dataset.main, [*base, "--out", str(tmp_path / "again")]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "n01440764/a.tiff" in error and "make the lock again" in error
