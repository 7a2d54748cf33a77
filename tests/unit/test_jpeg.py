"""A JPEG with rows missing is bad, also where it decodes; ImageNet's odd ones stay good."""

from __future__ import annotations

import io
import struct

import images
import numpy as np
import pytest
from PIL import Image

from ablation.decode import BadImage, decode_rgb
from ablation.jpeg import lost_rows, segments

END = b"\xff\xd9"
KINDS = {
    "baseline": {},
    "progressive": {"progressive": True},
    "restart markers": {"restart_marker_rows": 1},
    "optimised": {"optimize": True},
}


def whole(kind: str) -> bytes:
    if kind == "cmyk":
        return images.cmyk_jpeg(0)
    if kind == "grey":
        return images.encode(images.photo(0, 120, 160)[:, :, 0])
    return images.encode(images.photo(0, 120, 160), **KINDS[kind])


def scan_of(data: bytes) -> int:
    """Where the data of the first scan begins."""
    start = data.index(b"\xff\xda")
    return start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")


@pytest.mark.parametrize("kind", [*KINDS, "cmyk", "grey"])
def test_a_scan_that_ends_early_is_bad_also_with_an_end_marker(kind: str) -> None:
    data = whole(kind)
    decode_rgb(data)
    start = scan_of(data)
    for share in (0.05, 0.3, 0.5, 0.7, 0.9, 0.97):
        cut = data[: start + int(share * (len(data) - 2 - start))].rstrip(b"\xff") + END
        with pytest.raises(BadImage):
            decode_rgb(cut)


def test_pillow_alone_takes_it_for_whole() -> None:
    """Why TurboJPEG is asked: if this fails, Pillow has learned it."""
    data = whole("baseline")
    cut = data[: scan_of(data) + 400] + END
    assert "premature end of data segment" in lost_rows(cut)
    with Image.open(io.BytesIO(cut)) as image:
        rows = np.asarray(image)
    assert (rows[-20:] == rows[-1]).all(), "the last rows are one colour"


def test_damage_inside_a_scan_that_the_code_shows_is_bad() -> None:
    data = bytearray(whole("restart markers"))
    second = data.index(b"\xff\xd1")
    data[second + 1] = 0xD6  # a whole row of blocks has gone
    with pytest.raises(BadImage, match="not all there: Corrupt JPEG data"):
        decode_rgb(bytes(data))


def test_the_first_warning_does_not_hide_a_later_one() -> None:
    """libjpeg gives the text of one warning; a harmless one comes first here."""
    data = whole("baseline")
    start = data.index(b"\xff\xdb")
    odd = data[:start] + b"oops" + data[start:]
    decode_rgb(odd)
    assert lost_rows(odd) is None
    cut = odd[: scan_of(odd) + 400] + END
    with pytest.raises(BadImage, match="premature end of data segment"):
        decode_rgb(cut)


def app(number: int, body: bytes) -> bytes:
    return bytes((0xFF, 0xE0 + number)) + struct.pack(">H", len(body) + 2) + body


def odd_files() -> dict[str, bytes]:
    data = whole("baseline")
    start = data.index(b"\xff\xdb")
    jfif = bytearray(data)
    jfif[data.index(b"JFIF") + 5] = 9
    sos = bytearray(data)
    sos[scan_of(data) - 2] = 0  # end of the spectral selection, 63 in every baseline JPEG
    return {
        "bytes before the end": data[:-2] + b"padding" * 30 + END,
        "bytes between segments": data[:start] + b"\0" * 40 + data[start:],
        "fill bytes": data[:start] + b"\xff" * 9 + data[start:-2] + b"\xff" * 5 + END,
        "bytes after the end": data + b"MOTOROLA" * 99,
        "a second image behind": data + data,
        "unknown JFIF version": bytes(jfif),
        "unknown Adobe transform": data[:2]
        + app(14, b"Adobe\0\x64\0\0\0\0\x09")
        + data[2:start]
        + data[start:],
        "bad profile": data[:start] + app(2, b"ICC_PROFILE\0\x07\x03junk") + data[start:],
        "odd EXIF": images.with_exif(data, images.CORRUPT_EXIF),
        "a marker of its own": data[:start] + app(7, b"\xff\xda\xff\xd9" * 5) + data[start:],
        "a comment": data[:start] + b"\xff\xfe\0\x06\xff\xd9\xff\xda" + data[start:],
        "odd parameters of the scan": bytes(sos),
        "progressive and padded": whole("progressive")[:-2] + b"x" * 20 + END,
        "cmyk and padded": whole("cmyk")[:-2] + b"x" * 20 + END,
    }


@pytest.mark.parametrize("name", odd_files())
def test_harmless_oddities_stay_good(name: str) -> None:
    data = odd_files()[name]
    kind = name.split()[0] if name.endswith("padded") else "baseline"
    assert np.array_equal(decode_rgb(data), decode_rgb(whole(kind)))


def test_a_colour_channel_whose_scan_is_missing_is_bad() -> None:
    """A scan a channel, cut between two: libjpeg says nothing, and the picture is green."""
    data = whole("progressive")
    parts = list(segments(data))
    first = next(n for n, part in enumerate(parts) if part.marker == 0xDA)
    assert parts[first].body[0] == 3, "Pillow's first scan holds all channels"
    head = data[: data.index(b"\xff\xda")]
    luma = b"\xff\xda\0\x08\x01\x01\x00\x00\x3f\x00" + parts[first].scan
    with pytest.raises(BadImage, match="a colour channel is missing"):
        decode_rgb(head.replace(b"\xff\xc2", b"\xff\xc0") + luma + END)


def test_what_is_no_jpeg_is_none_of_its_business() -> None:
    assert lost_rows(images.encode(images.photo(0), "PNG")) is None
    assert lost_rows(b"") is None
