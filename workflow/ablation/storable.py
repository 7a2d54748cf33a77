"""Which images FFCV can store with a dataset's writer options. Pure, for lock, plan and convert."""

from __future__ import annotations

import re

from .config.dataset import Writer

# libjpeg's own limit (JPEG_MAX_DIMENSION), by which OpenCV writes and TurboJPEG reads; the format
# itself has 65,535.
MAX_JPEG_SIDE = 65_500
_REASON = re.compile(r"(\d+) x (\d+) pixels: ")


def stored_size(height: int, width: int, writer: Writer) -> tuple[int, int]:
    """Return height and width as FFCV stores an image: the longer side at most `max_resolution`.

    As FFCV computes it, rounded down.
    """
    if writer.max_resolution is None or max(height, width) <= writer.max_resolution:
        return height, width
    ratio = writer.max_resolution / max(height, width)
    return int(ratio * height), int(ratio * width)


def why_not_stored(height: int, width: int, writer: Writer) -> str | None:
    """Say why an image of this size cannot be stored; None when it can."""
    stored = stored_size(height, width, writer)
    if not min(stored):
        why = f"a side would shrink to 0 at `max_resolution: {writer.max_resolution}`"
    elif writer.write_mode != "raw" and max(stored) > MAX_JPEG_SIDE:
        why = f"a JPEG has sides of {MAX_JPEG_SIDE:,} pixels at most"
    else:
        return None
    return f"{width} x {height} pixels: {why}"


def is_stored_now(reason: str, writer: Writer) -> bool:
    """Tell whether an image that was rejected for `reason` can be stored with these options."""
    found = _REASON.match(reason)
    return bool(found) and why_not_stored(int(found[2]), int(found[1]), writer) is None
