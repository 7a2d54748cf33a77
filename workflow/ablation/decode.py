"""Bytes of an image file to RGB pixels, the same for the lock and for the betons."""

from __future__ import annotations

import io
import re
import warnings

import numpy as np
from PIL import Image, UnidentifiedImageError

from .jpeg import lost_rows
from .opacity import on_background, opacity

# Formats that are pixels and nothing else: Pillow's EPS reader, say, would start Ghostscript.
FORMATS = ("JPEG", "PNG", "PPM", "BMP", "GIF", "TIFF", "WEBP")
# Pillow's own limit against decompression bombs: a quarter of a GiB of pixels. Pillow warns
# here and refuses at twice as much; here one limit refuses.
MAX_PIXELS = 89_478_485
# FFCV stores height and width in 16 bits.
MAX_SIDE = 65_535
# EXIF's and TIFF's tag, and for its values what turns Pillow's pixels back.
ORIENTATION = 0x0112
TURNED_BACK = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
TRANSPARENT = "has transparent pixels, and the dataset has no `background`"


class BadImage(ValueError):
    """A file that is no readable image; the text is the reason, the same in every run."""


def decode_rgb(data: bytes, background: tuple[int, int, int] | None = None) -> np.ndarray:
    """Decode a whole image file to pixels, uint8 of shape (height, width, 3), RGB.

    As torchvision's ImageFolder does: grey becomes three equal channels, CMYK and YCCK are
    converted without a colour profile, a palette is looked up, of an animation the first frame is
    taken. Unlike it, 16-bit grey is scaled to 8 bits instead of being clipped, and transparent
    pixels are laid on `background`; without one such an image is refused (TRANSPARENT). No
    orientation is applied, in no format (published ImageNet results are without it): Pillow, and
    so ImageFolder, turns TIFFs and nothing else. The file's name plays no part: a PNG named .JPEG
    is a PNG.

    Raises BadImage for anything else: no image, truncated, a JPEG whose rows are not all there,
    a decompression bomb, pixels without a defined range (32-bit integers, floats). EXIF is not
    needed, so bad EXIF does not matter.
    """
    if not data:
        raise BadImage("empty file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # corrupt EXIF, odd chunks: the pixels decide
            pixels = _decode(data, background)
        if reason := lost_rows(data):
            raise BadImage(reason)
        return pixels
    except (BadImage, MemoryError):
        raise
    except UnidentifiedImageError:
        raise BadImage("not an image of a known format") from None
    except Image.DecompressionBombError:
        raise BadImage(f"more than {MAX_PIXELS:,} pixels") from None
    except Exception as error:  # decoders raise nearly everything on damaged input
        text = re.sub(r" at 0x[0-9a-f]+", "", str(error)) or type(error).__name__
        raise BadImage(f"cannot be decoded: {text}") from None


def _decode(data: bytes, background: tuple[int, int, int] | None) -> np.ndarray:
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        width, height = image.size
        turn_back = _turn_back(image)
        if width * height > MAX_PIXELS:
            raise BadImage(f"{width} x {height} is more than {MAX_PIXELS:,} pixels")
        if max(width, height) > MAX_SIDE:
            raise BadImage(f"{width} x {height} has a side of more than {MAX_SIDE:,} pixels")
        if image.mode in ("I", "F"):
            raise BadImage(f"pixels of mode {image.mode} have no defined range")
        opaque = opacity(image)
        if opaque is not None and background is None:
            raise BadImage(TRANSPARENT)
        if image.mode.startswith("I;16"):
            pixels = _from_16_bit(np.asarray(image))
        else:
            pixels = np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
    if pixels.shape != (height, width, 3) or pixels.dtype != np.uint8:
        raise BadImage(f"decoded to {pixels.dtype} of shape {pixels.shape}")
    if opaque is not None:
        pixels = on_background(pixels, opaque, background)
    if turn_back is not None:
        pixels = np.asarray(Image.fromarray(pixels).transpose(turn_back))
    return pixels


def is_turned(data: bytes) -> bool:
    """Tell whether an image is a TIFF that says how it is to be turned."""
    if not data.startswith((b"II", b"MM")):
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(data), formats=["TIFF"]) as image:
                return _turn_back(image) is not None
    except Exception:  # no image: decoding says so
        return False


def _turn_back(image: Image.Image) -> Image.Transpose | None:
    """Return what undoes the turn that Pillow gives a TIFF while loading it; None without one."""
    if image.format != "TIFF":
        return None
    return TURNED_BACK.get(image.getexif().get(ORIENTATION))


def _from_16_bit(grey: np.ndarray) -> np.ndarray:
    """Scale 0..65535 to 0..255, rounded: 257 = 65535 / 255."""
    eight = ((grey.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return np.repeat(eight[:, :, None], 3, axis=2)
