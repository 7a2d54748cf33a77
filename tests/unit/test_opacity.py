"""Transparent pixels are laid on the dataset's background, or refused: in every format read."""

from __future__ import annotations

import json
import struct
import zlib

import convert_dataset
import images
import lock_dataset
import numpy as np
import pytest
from PIL import Image

from ablation.cli import run
from ablation.config.load import load_dataset, load_lock
from ablation.dataset_id import beton_digest
from ablation.decode import TRANSPARENT, BadImage, decode_rgb
from ablation.errors import ConfigError
from ablation.grid import Planner

GREEN = (0, 200, 0)


def png(depth: int, kind: int, row: bytes, width: int, **chunks: bytes) -> bytes:
    """A PNG of one row, its samples as they are: Pillow writes few of the kinds that there are."""
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, 1, depth, kind, 0, 0, 0))]
    parts += [(key.encode(), body) for key, body in chunks.items()]
    parts += [(b"IDAT", zlib.compress(b"\0" + row)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in parts
    )


def bitmap_with_alpha(pixels: list[tuple[int, int, int, int]]) -> bytes:
    """A BMP whose header has a mask for alpha; Pillow writes none."""
    body = b"".join(bytes((b, g, r, a)) for r, g, b, a in pixels)
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = struct.pack("<IiiHHIIiiII", 108, len(pixels), 1, 1, 32, 3, len(body), 0, 0, 0, 0)
    header += masks + bytes(108 - 40 - 16)
    return b"BM" + struct.pack("<IHHI", 14 + 108 + len(body), 0, 0, 122) + header + body


def gif(*, screen: tuple[int, int] = (2, 1), **options: object) -> bytes:
    """Two pixels, red and blue; a larger screen leaves the rest of it uncovered."""
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    data = bytearray(images.encode(image, "GIF", **options))
    data[6:10] = struct.pack("<HH", *screen)
    return bytes(data)


def rgba(alpha: int) -> Image.Image:
    """A pixel that is opaque and one that is not: both (200, 100, 50)."""
    image = Image.new("RGBA", (2, 1), (200, 100, 50, 255))
    image.putpixel((1, 0), (200, 100, 50, alpha))
    return image


def laid(colour: tuple[int, ...], alpha: int) -> list[int]:
    return [
        round((c * alpha + g * (255 - alpha)) / 255) for c, g in zip(colour, GREEN, strict=True)
    ]


OPAQUE, CLEAR, HALF = (200, 100, 50), laid((200, 100, 50), 0), laid((200, 100, 50), 100)
RED, BLUE, GROUND = (255, 0, 0), (0, 0, 255), GREEN
PALETTE = bytes((255, 0, 0, 0, 0, 255))


def grey(value: int) -> tuple[int, int, int]:
    return (value, value, value)


CASES = {
    "png rgba": (images.encode(rgba(100), "PNG"), [OPAQUE, HALF]),
    "png rgba 16": (
        png(16, 6, struct.pack(">8H", *(257 * v for v in (*OPAQUE, 255, *OPAQUE, 100))), 2),
        [OPAQUE, HALF],
    ),
    "png la": (png(8, 4, bytes((90, 255, 90, 0)), 2), [grey(90), GROUND]),
    "png la 16": (png(16, 4, bytes((90, 0, 255, 255, 90, 0, 0, 0)), 2), [grey(90), GROUND]),
    "png palette": (png(8, 3, b"\0\1", 2, PLTE=PALETTE, tRNS=b"\xff\0"), [RED, GROUND]),
    "png palette, partly": (
        png(8, 3, b"\0\1", 2, PLTE=PALETTE, tRNS=b"\xff\x64"),
        [RED, laid(BLUE, 100)],
    ),
    "png palette of 1 bit": (png(1, 3, b"\x40", 2, PLTE=PALETTE, tRNS=b"\0"), [GROUND, BLUE]),
    "png grey 1": (png(1, 0, b"\x40", 2, tRNS=b"\0\1"), [grey(0), GROUND]),
    "png grey 2": (png(2, 0, b"\x60", 2, tRNS=b"\0\1"), [GROUND, grey(170)]),
    "png grey 4": (png(4, 0, b"\x4f", 2, tRNS=b"\0\4"), [GROUND, grey(255)]),
    "png grey 8": (png(8, 0, b"\x40\x99", 2, tRNS=b"\0\x40"), [GROUND, grey(0x99)]),
    "png grey 16": (
        png(16, 0, b"\x40\x00\x40\x01", 2, tRNS=b"\x40\x00"),
        [GROUND, grey(round(0x4001 / 257))],
    ),
    "png rgb": (png(8, 2, b"\1\2\3\4\5\6", 2, tRNS=b"\0\1\0\2\0\3"), [GROUND, (4, 5, 6)]),
    "gif": (gif(transparency=0), [GROUND, BLUE]),
    "gif, screen not covered": (gif(screen=(3, 1)), [RED, BLUE, GROUND]),
    "gif, both": (gif(screen=(3, 1), transparency=1), [RED, GROUND, GROUND]),
    "webp": (images.encode(rgba(100), "WEBP", lossless=True, exact=True), [OPAQUE, HALF]),
    "tiff rgba": (images.encode(rgba(100), "TIFF"), [OPAQUE, HALF]),
    "tiff rgba, packed": (images.encode(rgba(100), "TIFF", compression="tiff_lzw"), [OPAQUE, HALF]),
    "tiff la": (
        images.encode(Image.merge("LA", [rgba(0).getchannel(c) for c in "RA"]), "TIFF"),
        [grey(200), GROUND],
    ),
    "tiff pa": (images.encode(rgba(0).convert("PA"), "TIFF"), [OPAQUE, CLEAR]),
    "bmp": (bitmap_with_alpha([(*OPAQUE, 255), (*OPAQUE, 100)]), [OPAQUE, HALF]),
}


@pytest.mark.parametrize("name", CASES)
def test_transparent_pixels_are_laid_on_the_background_and_refused_without(name: str) -> None:
    data, wanted = CASES[name]
    with pytest.raises(BadImage) as caught:
        decode_rgb(data)
    assert str(caught.value) == TRANSPARENT
    found = decode_rgb(data, GREEN)
    assert found.dtype == np.uint8 and found.tolist() == [[list(pixel) for pixel in wanted]]


def test_premultiplied_alpha_of_a_tiff_is_laid_on_it_too() -> None:
    data = bytearray(images.encode(rgba(100), "TIFF"))
    tag = data.index(struct.pack("<HHI", 338, 3, 1))  # ExtraSamples: 2 is separate, 1 multiplied
    data[tag + 8] = 1
    start = data.index(bytes((200, 100, 50, 100)))
    data[start : start + 3] = bytes(round(v * 100 / 255) for v in (200, 100, 50))
    with pytest.raises(BadImage, match="has transparent pixels"):
        decode_rgb(bytes(data))
    assert np.abs(decode_rgb(bytes(data), GREEN).astype(int) - [[OPAQUE, HALF]]).max() <= 2


def test_a_transparent_colour_of_16_bits_is_not_guessed() -> None:
    """Pillow keeps eight of them: another colour may look the same."""
    key = dict(tRNS=struct.pack(">HHH", 0x1000, 0x2000, 0x3000))
    row = struct.pack(">6H", 0x1001, 0x2000, 0x3000, 0x9000, 0, 0)
    for background in (None, GREEN):
        with pytest.raises(BadImage, match="one of its 16-bit colours is transparent"):
            decode_rgb(png(16, 2, row, 2, **key), background)
    far = struct.pack(">6H", 0x9000, 0, 0, 0x9000, 0, 0)
    assert decode_rgb(png(16, 2, far, 2, **key)).tolist() == [[[0x90, 0, 0]] * 2]


OPAQUE_FILES = {
    "png": images.encode(rgba(255), "PNG"),
    "webp": images.encode(rgba(255), "WEBP", lossless=True),
    "tiff": images.encode(rgba(255), "TIFF"),
    "palette": png(8, 3, b"\0\0", 2, PLTE=PALETTE, tRNS=b"\xff\0"),
    "key": png(8, 2, b"\1\2\3\4\5\6", 2, tRNS=b"\0\1\0\2\0\4"),
    "gif": gif(),
}


@pytest.mark.parametrize("name", OPAQUE_FILES)
def test_an_alpha_channel_that_hides_nothing_needs_no_background(name: str) -> None:
    data = OPAQUE_FILES[name]
    assert np.array_equal(decode_rgb(data), decode_rgb(data, GREEN))


# -- the dataset -----------------------------------------------------------------------------------


def sprites() -> images.Tree:
    tree = images.imagenet(False)
    for number, wnid in enumerate(images.WNIDS[:2]):
        pixels = np.dstack([images.photo(number), np.full((48, 64), 255 - number, np.uint8)])
        tree["train"][wnid]["a.png"] = images.encode(pixels, "PNG")
        tree["val"][wnid]["b.png"] = images.encode(pixels, "PNG")
    return tree


def lock(config) -> int:
    return run(lock_dataset.main, ["--dataset", "d", "--config-dir", str(config), "--workers", "1"])


@pytest.mark.parametrize("policy", ["fail", "skip"])
def test_the_lock_refuses_them_with_their_number_and_the_line_to_write(
    tmp_path, capsys, policy
) -> None:
    path = images.write_folder(sprites(), tmp_path / "t")
    config = images.write_config(tmp_path, "d", "folder", path, on_bad_image=policy)
    assert lock(config) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: 2 images have transparent pixels (train/n02105855/a.png, val/")
    assert "`background: [255, 255, 255]`" in error
    assert not (config / "datasets/d.lock.json").exists()


def test_the_background_is_in_the_lock_the_id_and_the_pixels(tmp_path, capsys) -> None:
    path = images.write_folder(sprites(), tmp_path / "t")
    config = images.write_config(tmp_path, "d", "folder", path, background=[255, 255, 255])
    assert lock(config) == 0
    found = load_lock(config, "d")
    assert found.background == (255, 255, 255) and found.train.images == 17
    plain = found.model_copy(update={"background": None})
    black = found.model_copy(update={"background": (0, 0, 0)})
    writer = load_dataset(config, "d").writer
    assert len({beton_digest(lock, writer) for lock in (found, plain, black)}) == 3
    out = tmp_path / "out"
    args = ["--dataset", "d", "--config-dir", str(config), "--out", str(out), "--workers", "1"]
    assert run(convert_dataset.main, args) == 0
    assert json.loads((out / "manifest.json").read_text())["background"] == [255, 255, 255]

    from ablation.data.beton import Beton

    stored = Beton(out / "train.beton")
    alike = [n for n in range(len(stored)) if stored.sizes[n].tolist() == [48, 64]]
    wanted = decode_rgb(sprites()["train"]["n02105855"]["a.png"], (255, 255, 255))
    assert any(np.array_equal(stored.image(n), wanted) for n in alike)


def test_a_background_that_the_lock_does_not_know_is_refused_by_plan_and_convert(
    tmp_path, capsys
) -> None:
    path = images.write_folder(images.imagenet(), tmp_path / "t")
    config = images.write_config(tmp_path, "d", "folder", path)
    assert lock(config) == 0
    assert "background" not in (config / "datasets/d.lock.json").read_text()
    images.write_config(tmp_path, "d", "folder", path, background=[0, 0, 0])
    said = r"background is \[0, 0, 0\], in the lock unset; make the lock again"
    with pytest.raises(ConfigError, match=said):
        Planner(config).dataset("d")
    args = ["--dataset", "d", "--config-dir", str(config), "--out", str(tmp_path / "out")]
    assert run(convert_dataset.main, args) == 2
    assert "background is [0, 0, 0], in the lock unset" in capsys.readouterr().err


def test_an_older_locks_transparent_images_are_not_stored(tmp_path, capsys) -> None:
    """A lock made when alpha was dropped: what it vouches for is not what is meant."""
    tree = sprites()
    path = images.write_folder(tree, tmp_path / "t")
    config = images.write_config(tmp_path, "d", "folder", path, background=[0, 0, 0])
    assert lock(config) == 0
    images.write_config(tmp_path, "d", "folder", path)
    images.edit_lock(config, "d", background=None)
    args = ["--dataset", "d", "--config-dir", str(config), "--out", str(tmp_path / "out")]
    assert run(convert_dataset.main, [*args, "--workers", "1"]) == 2
    assert f"n02105855/a.png: cannot be written to {tmp_path}" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["white", [255, 255], [256, 0, 0], [-1, 0, 0], [1.5, 0, 0]])
def test_a_background_is_three_numbers(tmp_path, value) -> None:
    images.write_config(tmp_path, "d", "folder", tmp_path, background=value)
    with pytest.raises(ConfigError, match="background"):
        load_dataset(tmp_path, "d")
