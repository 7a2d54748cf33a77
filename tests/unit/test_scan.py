"""Every file is read, decoded and summed; odd images convert, bad ones are named; the lock."""

from __future__ import annotations

import json
import lzma
import os
import random
import signal
import struct
import warnings
import zlib
from pathlib import Path

import cv2
import images
import lock_dataset
import numpy as np
import pytest
from PIL import Image

from ablation import scan as scan_module
from ablation.cli import run
from ablation.config.dataset import Source
from ablation.config.load import load_dataset, load_lock
from ablation.dataset_id import beton_digest
from ablation.decode import BadImage, decode_rgb
from ablation.errors import DataError
from ablation.scan import make_lock, scan, source_digest
from ablation.sources import open_source


def listing(path: Path, layout: str = "folder"):
    return open_source(Source(layout=layout, path=str(path)), path.parent)


def by_opencv(data: bytes) -> np.ndarray:
    """An independent decode, RGB, without the EXIF orientation."""
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    return cv2.imdecode(np.frombuffer(data, np.uint8), flags)[:, :, ::-1]


def close(one: np.ndarray, two: np.ndarray, tolerance: float = 1.0) -> bool:
    difference = np.abs(one.astype(int) - two.astype(int))
    return one.shape == two.shape and difference.mean() <= tolerance


def test_odd_images_decode_to_the_right_pixels():
    colour = images.photo(0)
    grey = colour[:, :, 0]
    plain = images.encode(colour)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    alpha = np.dstack([colour, np.full(grey.shape, 255, np.uint8)])
    palette = Image.fromarray(colour).quantize(200)
    exact = {
        "png named JPEG": (images.encode(colour, "PNG"), colour),
        "grey png": (images.encode(grey, "PNG"), np.dstack([grey] * 3)),
        "alpha that hides nothing": (images.encode(alpha, "PNG"), colour),
        "palette": (images.encode(palette, "PNG"), np.asarray(palette.convert("RGB"))),
        "bitmap": (images.encode(Image.fromarray(grey > 99), "PNG"), np.dstack([(grey > 99)] * 3)),
        "corrupt exif": (images.with_exif(plain, images.CORRUPT_EXIF), decode_rgb(plain)),
        "orientation": (images.encode(colour, exif=exif), by_opencv(plain)),
    }
    for name, (data, wanted) in exact.items():
        wanted = wanted * np.uint8(255) if wanted.dtype == bool else wanted
        found = decode_rgb(data)
        assert found.dtype == np.uint8
        tolerance = 1.0 if name == "orientation" else 0.0
        assert close(found, wanted, tolerance), name
    for name, data in {
        "jpeg": plain,
        "grey jpeg": images.encode(grey),
        "progressive": images.encode(colour, progressive=True),
        "cmyk": images.cmyk_jpeg(0),
    }.items():
        assert close(decode_rgb(data), by_opencv(data)), name
    assert close(decode_rgb(images.cmyk_jpeg(0)), colour, 6.0), "inks not inverted?"


def test_sixteen_bit_grey_is_scaled_and_not_clipped():
    grey = (np.arange(48 * 64, dtype=np.uint32).reshape(48, 64) * 21).astype(np.uint16)
    found = decode_rgb(images.encode(Image.fromarray(grey), "PNG"))
    assert np.array_equal(found[:, :, 0], np.rint(grey / 257).astype(np.uint8))
    assert found.max() > 200 and found.min() == 0


def test_damaged_exif_never_matters():
    plain = images.encode(images.photo(0))
    wanted = decode_rgb(plain)
    exif = Image.Exif()
    exif[0x0112], exif[0x011A], exif[0x9003] = 6, 72.0, "2010:01:01 00:00:00"
    rng = random.Random(0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(300):
            block = bytearray(exif.tobytes()[6:])
            for _ in range(rng.randint(1, 8)):
                block[rng.randrange(len(block))] = rng.randrange(256)
            damaged = images.with_exif(plain, bytes(block[: rng.randint(0, len(block))]))
            assert np.array_equal(decode_rgb(damaged), wanted)


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and has next to no pixels: a decompression bomb."""
    body = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", body), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in chunks
    )


def bad_files() -> dict[str, bytes]:
    whole = images.encode(images.photo(0))
    return {
        "truncated.JPEG": whole[: len(whole) // 2],
        "cut_header.JPEG": whole[:100],
        "cut.png": images.encode(images.photo(0), "PNG")[:-200],
        "text.JPEG": b"<html>404 not found</html>",
        "readme.txt": b"some text\n",
        "zero.JPEG": b"",
        "bomb.png": png_header(60_000, 60_000),
        "big.png": png_header(10_000, 9_000),
        "long.png": png_header(70_000, 1),
        "program.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "float.tiff": images.encode(Image.fromarray(np.zeros((9, 9), np.float32)), "TIFF"),
    }


def test_what_is_no_image_is_bad_with_a_reason():
    reasons = {}
    for name, data in bad_files().items():
        with pytest.raises(BadImage) as caught:
            decode_rgb(data)
        reasons[name] = str(caught.value)
        assert "0x" not in reasons[name], "an address differs from run to run"
    assert reasons["zero.JPEG"] == "empty file"
    assert reasons["text.JPEG"] == reasons["program.eps"] == "not an image of a known format"
    assert "truncated" in reasons["truncated.JPEG"]
    assert "89,478,485 pixels" in reasons["bomb.png"] and "pixels" in reasons["big.png"]


def test_a_jpeg_cut_anywhere_is_bad():
    whole = images.encode(images.photo(0, 24, 24))
    for length in range(len(whole)):
        with pytest.raises(BadImage):
            decode_rgb(whole[:length])


@pytest.fixture
def mixed(tmp_path) -> tuple[Path, set[str]]:
    """A tree with bad files in one class of the training split, and their names."""
    tree = images.imagenet()
    tree["train"]["n02105855"] |= bad_files()
    path = images.write_folder(tree, tmp_path / "t")
    (path / "val/stray.txt").write_text("x")
    return path, {f"train/n02105855/{name}" for name in bad_files()} | {"val/stray.txt"}


def test_bad_files_fail_by_name(mixed):
    path, bad = mixed
    with pytest.raises(DataError) as caught:
        scan(listing(path), 2, progress=False)
    message = str(caught.value)
    assert message.startswith("12 files are no readable image")
    assert all(f"{name} (" in message for name in bad)
    assert "on_bad_image: skip" in message and "\n" not in message


def test_at_most_twenty_bad_files_are_named(tmp_path):
    tree = images.imagenet(False)
    tree["val"]["n01440764"] |= {f"x{n:02d}.JPEG": b"x" for n in range(33)}
    with pytest.raises(DataError, match="x19.*and 13 more") as caught:
        scan(listing(images.write_folder(tree, tmp_path / "t")), progress=False)
    assert "x20" not in str(caught.value)


def test_bad_files_are_skipped_and_recorded(mixed, tmp_path):
    path, bad = mixed
    result = scan(listing(path), 2, "skip", progress=False)
    lock = make_lock(result, "skip")
    assert set(lock.rejected) == bad
    assert source_digest(result, ()) != lock.digest, "which files are rejected enters the digest"
    assert lock.train.images == 15 and lock.train.per_class == (5, 5, 5)
    good = images.write_folder(images.imagenet(), tmp_path / "good")
    clean = make_lock(scan(listing(good), progress=False), "fail")
    assert (lock.mean, lock.std) == (clean.mean, clean.std)
    assert lock.digest != clean.digest


def test_a_class_with_bad_files_alone_is_an_error(tmp_path):
    tree = images.imagenet()
    tree["val"]["n02105855"] = {"ILSVRC2012_val_00000001.JPEG": b"x"}
    path = images.write_folder(tree, tmp_path / "t")
    with pytest.raises(DataError, match="n02105855.*without a readable image in the val split"):
        scan(listing(path), on_bad_image="skip", progress=False)


def test_an_unreadable_file_is_bad(tmp_path, monkeypatch):
    path = images.write_folder(images.imagenet(False), tmp_path / "t")
    found = listing(path)
    os.unlink(path / "train/n01440764/n01440764_2.JPEG")
    with pytest.raises(DataError, match="n01440764_2.JPEG .cannot be read: No such file"):
        scan(found, progress=False)


def test_sizes_counts_and_statistics_are_exact_for_any_number_of_workers(tmp_path):
    tree = images.imagenet()
    path = images.write_folder(tree, tmp_path / "t")
    locks = [make_lock(scan(listing(path), n, progress=False), "fail") for n in (1, 2, 3)]
    assert locks[0] == locks[1] == locks[2]
    pixels = [decode_rgb(d) for images_ in tree["train"].values() for d in images_.values()]
    flat = np.concatenate([p.reshape(-1, 3) for p in pixels]).astype(np.float64)
    assert np.allclose(locks[0].mean, flat.mean(0), rtol=1e-12)
    assert np.allclose(locks[0].std, flat.std(0), rtol=1e-12)
    assert locks[0].train.pixels == len(flat)
    assert locks[0].train.max_size == (76, 70) and locks[0].train.min_size == (48, 64)
    assert locks[0].val.per_class == (2, 2, 2)


def test_a_killed_reader_is_an_error_and_not_a_hang(tmp_path, monkeypatch):
    path = images.write_folder(images.imagenet(False), tmp_path / "t")
    monkeypatch.setattr(scan_module, "decode_rgb", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(DataError, match="reading process was killed"):
        scan(listing(path), 2, progress=False)


def test_progress_shows_rate_and_time_left_on_stderr(tmp_path, capsys):
    path = images.write_folder(images.imagenet(False), tmp_path / "t")
    scan(listing(path))
    shown = capsys.readouterr()
    assert "21/21" in shown.err and "images/s" in shown.err and "<" in shown.err
    assert shown.out == ""


def test_the_lock_program_writes_the_same_text_for_every_layout(tmp_path, capsys):
    tree = images.imagenet()
    images.write_tar(tree, tmp_path / "tar.tar.xz", pack=lzma.compress)
    images.write_kaggle(tree, tmp_path / "kaggle")
    texts = set()
    for layout, path in (("tar", "tar.tar.xz"), ("kaggle_imagenet", "kaggle")):
        config = images.write_config(tmp_path / layout, "d", layout, tmp_path / path)
        assert run(lock_dataset.main, ["--dataset", "d", "--config-dir", str(config)]) == 0
        texts.add((config / "datasets/d.lock.json").read_text())
        assert sorted(p.name for p in (config / "datasets").iterdir()) == ["d.lock.json", "d.yaml"]
        assert load_lock(config, "d").classes == images.WNIDS
    assert len(texts) == 1
    text = texts.pop()
    assert max(map(len, text.splitlines())) <= 100 and json.loads(text)["train"]["images"] == 15


def test_the_lock_program_fails_in_one_line_and_keeps_the_old_lock(tmp_path, capsys):
    tree = images.imagenet()
    tree["val"]["n01440764"]["b.JPEG"] = b"x"
    config = images.write_config(
        tmp_path, "d", "folder", images.write_folder(tree, tmp_path / "t"), on_bad_image="fail"
    )
    (config / "datasets/d.lock.json").write_text("old")
    args = ["--dataset", "d", "--config-dir", str(config), "--workers", "1"]
    assert run(lock_dataset.main, args) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: 1 file is no readable image: val/n01440764/b.JPEG (not an")
    assert (config / "datasets/d.lock.json").read_text() == "old"


def test_the_embedded_datasets_lock_is_its_images(tmp_path):
    config = load_dataset(images.ROOT / "config", "fashion_mnist")
    lock = load_lock(images.ROOT / "config", "fashion_mnist")
    assert lock_dataset.lock_dataset(config, 2, progress=False) == lock
    assert lock.train.per_class == lock.val.per_class == (500,) * 10
    for name in ("imagenet", "cifar10"):
        load_dataset(images.ROOT / "config", name)


def test_the_beton_id_follows_images_and_used_options_alone():
    lock = load_lock(images.ROOT / "config", "fashion_mnist")
    writer = load_dataset(images.ROOT / "config", "fashion_mnist").writer
    assert beton_digest(lock, writer) == "829814970c87", "a golden id: see CONVERT_VERSION"
    jpg = writer.model_copy(update={"write_mode": "jpg"})
    different = {
        beton_digest(lock, w)
        for w in (
            writer,
            jpg,
            jpg.model_copy(update={"jpeg_quality": 91}),
            writer.model_copy(update={"max_resolution": 20}),
        )
    }
    assert len(different) == 4
    unused = writer.model_copy(update={"jpeg_quality": 1, "compress_probability": 0.1})
    assert beton_digest(lock, unused) == beton_digest(lock, writer)
    other = lock.model_copy(update={"digest": "0" * 64})
    assert beton_digest(other, writer) != beton_digest(lock, writer)
