"""Tell whether every row of a JPEG is there. Pillow, like most readers, does not say.

A JPEG whose scan breaks off before its end marker decodes without an error: libjpeg fills the rest
with grey and emits a warning. The warnings are read from TurboJPEG, which FFCV is linked with, by
the calls that libjpeg-turbo 2.1 and 3 share.

TurboJPEG gives the text of the first warning alone, and real ImageNet has harmless ones (odd
markers of applications, bytes between segments, unknown JFIF versions). So where there is a
warning, what can cause a harmless one before the end of the last scan is left out and the image
is decoded once more: the first warning then decides.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from .data.native import shared_object

SOI, EOI, SOS, TEM = 0xD8, 0xD9, 0xDA, 0x01
RESTARTS, APPS, COMMENT = range(0xD0, 0xD8), range(0xE0, 0xF0), 0xFE
SEQUENTIAL, PROGRESSIVE = (0xC0, 0xC1), 0xC2
OTHER_FRAMES = {*range(0xC3, 0xD0)} - {0xC4, 0xC8, 0xCC}  # lossless, arithmetic, hierarchical
# After the last scan, nothing is lost by them: encoders pad, cameras append.
HARMLESS = re.compile(r"extraneous bytes before marker 0xd9")
# Ends a scan: neither a stuffed zero, nor a restart marker, nor a fill byte.
MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
WARNING, GREY, CMYK = 0, 6, 11  # TJERR_WARNING, TJPF_GRAY, TJPF_CMYK
FAST = 256 | 2048  # TJFLAG_FASTUPSAMPLE, TJFLAG_FASTDCT: only the warnings are wanted


class Segment(NamedTuple):
    """A marker with what belongs to it."""

    marker: int
    body: bytes
    """After the two bytes of the length."""
    scan: bytes = b""
    """Of a start of scan: the compressed data behind it."""


def lost_rows(data: bytes) -> str | None:
    """Say why a JPEG that decodes is not all there; None when it is, or when it is none.

    Arithmetic-coded and lossless JPEGs are passed over: not every libjpeg-turbo reads them.
    """
    if not data.startswith(b"\xff\xd8\xff"):
        return None
    parts = list(segments(data))
    if OTHER_FRAMES & {part.marker for part in parts}:
        return None
    if without_scan(parts):
        return "a colour channel is missing"
    told = complaint(data)
    if told is None:
        return None
    code, text = complaint(plain(parts)) or (WARNING, "")
    if code != WARNING:  # this reading of the segments and libjpeg's differ
        code, text = told
    if not text or HARMLESS.search(text):
        return None
    return f"its rows are not all there: {text}"


def segments(data: bytes) -> Iterator[Segment]:
    """Yield the segments up to the end marker, without bytes that belong to none."""
    place = 2
    while (found := MARKER.search(data, place)) is not None:
        marker, place = data[found.start() + 1], found.end()
        if marker == EOI:
            yield Segment(marker, b"")
            return
        if marker in (SOI, TEM) or 0x02 <= marker < 0xC0:
            continue
        length = int.from_bytes(data[place : place + 2], "big")
        body = data[place + 2 : place + max(length, 2)]
        place += max(length, 2)
        scan = b""
        if marker == SOS:
            end = MARKER.search(data, place)
            scan = data[place : end.start() if end else len(data)]
            place += len(scan)
        yield Segment(marker, body, scan)


def without_scan(parts: list[Segment]) -> set[int]:
    """Return the channels that no scan holds, of a file with a scan a channel, cut in between."""
    wanted: set[int] = set()
    seen: set[int] = set()
    for part in parts:
        if part.marker in (*SEQUENTIAL, PROGRESSIVE) and len(part.body) > 5:
            wanted.update(part.body[6 : 6 + 3 * part.body[5] : 3])
        elif part.marker == SOS and part.body:
            seen.update(part.body[1 : 1 + 2 * part.body[0] : 2])
    return wanted - seen


def plain(parts: list[Segment]) -> bytes:
    """Return the image with nothing that could cause a harmless warning before its end."""
    sequential = any(part.marker in SEQUENTIAL for part in parts)
    out = [b"\xff\xd8"]
    for marker, body, scan in parts:
        if marker == COMMENT or (marker in APPS and not _says_colours(marker, body)):
            continue
        if marker == EOI:
            out.append(b"\xff\xd9")
            continue
        if marker == SOS and sequential and len(body) > 3:
            body = body[:-3] + b"\0\x3f\0"  # of no meaning there, and often wrong
        out += [bytes((0xFF, marker)), (len(body) + 2).to_bytes(2, "big"), body, scan]
    return b"".join(out)


def _says_colours(marker: int, body: bytes) -> bool:
    """Tell whether a segment is Adobe's, with a known transform: it says what the channels are."""
    return marker == 0xEE and len(body) == 12 and body.startswith(b"Adobe") and body[11] <= 2


def complaint(data: bytes) -> tuple[int, str] | None:
    """Return (severity, text) of the first warning, or of the error that ended it; or None.

    Decoded at an eighth of the size, which is all entropy decoding and little else.
    """
    turbo = turbojpeg()
    handle = turbo.tjInitDecompress()
    if not handle:
        raise MemoryError
    try:
        width, height, sampling, colours = (ctypes.c_int() for _ in range(4))
        size = ctypes.c_ulong(len(data))
        known = (ctypes.byref(n) for n in (width, height, sampling, colours))
        told = turbo.tjDecompressHeader3(handle, data, size, *known)
        if told and (turbo.tjGetErrorCode(handle) != WARNING or not width.value):
            return _said(turbo, handle)
        format_, channels = (CMYK, 4) if colours.value in (3, 4) else (GREY, 1)
        wide, high = -(-width.value // 8), -(-height.value // 8)
        pixels = ctypes.create_string_buffer(wide * high * channels)
        done = turbo.tjDecompress2(handle, data, size, pixels, wide, 0, high, format_, FAST)
        return _said(turbo, handle) if done else None
    finally:
        turbo.tjDestroy(handle)


def _said(turbo: ctypes.CDLL, handle: int) -> tuple[int, str]:
    text = turbo.tjGetErrorStr2(handle).decode("ascii", "replace")
    return turbo.tjGetErrorCode(handle), " ".join(text.split())


@cache
def turbojpeg() -> ctypes.CDLL:
    """TurboJPEG's functions, found through FFCV's shared object: the library that it reads with."""
    loaded = shared_object()
    pointer, number = ctypes.c_void_p, ctypes.c_int
    loaded.tjInitDecompress.restype = pointer
    loaded.tjDestroy.argtypes = loaded.tjGetErrorCode.argtypes = [pointer]
    loaded.tjGetErrorStr2.argtypes = [pointer]
    loaded.tjGetErrorStr2.restype = ctypes.c_char_p
    loaded.tjDecompressHeader3.argtypes = [
        pointer, ctypes.c_char_p, ctypes.c_ulong, *(4 * [ctypes.POINTER(number)]),
    ]  # fmt: skip
    loaded.tjDecompress2.argtypes = [
        pointer, ctypes.c_char_p, ctypes.c_ulong, pointer, number, number, number, number, number,
    ]  # fmt: skip
    return loaded
