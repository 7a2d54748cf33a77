"""How opaque the pixels of an image are, in every format that is read; and what shows through.

Under a transparent pixel a file holds some colour or other that nobody has looked at, often the
same one for all images of a class. A training would see it.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

# PNG's grey of 2 and 4 bits: Pillow scales the pixels to 8 bits, and leaves the colour that the
# file calls transparent as it is.
_GREY_STEPS = {"L;2": 85, "L;4": 17}


class UnknownOpacity(ValueError):
    """The file says that pixels are transparent, and not which in a way that can be read."""


def opacity(image: Image.Image) -> Image.Image | None:
    """Return each pixel's opacity (mode L, 0 to 255); None where all are opaque.

    image: as opened, not loaded yet. A fourth channel that a TIFF calls unspecified is no alpha.
    """
    tile = image.tile[0] if image.tile else None
    found = _stated(image, tile.args if tile else None)
    if image.format == "GIF" and tile is not None and tile.extents != (0, 0, *image.size):
        covered = Image.new("L", image.size, 0)
        covered.paste(255 if found is None else found.crop(tile.extents), tile.extents)
        found = covered
    return None if found is None or found.getextrema()[0] == 255 else found


def on_background(
    pixels: np.ndarray, opaque: Image.Image, background: tuple[int, int, int]
) -> np.ndarray:
    """Lay pixels, uint8 (height, width, 3), on a colour; rounded to the nearest."""
    ground = Image.new("RGB", opaque.size, background)
    ground.paste(Image.fromarray(pixels), mask=opaque)
    return np.asarray(ground)


def _stated(image: Image.Image, raw: object) -> Image.Image | None:
    """Return the alpha channel, or what a palette or a transparent colour comes to."""
    if image.mode in ("RGBA", "LA", "PA"):
        return image.getchannel("A")
    if not image.has_transparency_data:
        return None
    if image.mode in ("P", "RGBa", "La"):
        return image.convert("RGBA").getchannel("A")
    clear = _is_clear(image, image.info["transparency"], raw)
    return Image.fromarray(np.where(clear, 0, 255).astype(np.uint8))


def _is_clear(image: Image.Image, key: object, raw: object) -> np.ndarray:
    """Tell which pixels have the one colour that the file calls transparent (PNG's tRNS)."""
    if image.mode == "1" and isinstance(key, int):
        return np.asarray(image) == bool(key)
    if image.mode == "L" and isinstance(key, int):
        return np.asarray(image) == (key & 0xFF) * _GREY_STEPS.get(raw, 1)
    if image.mode.startswith("I;16") and isinstance(key, int):
        return np.asarray(image) == key
    if image.mode == "RGB" and isinstance(key, tuple):
        deep = isinstance(raw, str) and "16" in raw
        colour = [part >> 8 if deep else part & 0xFF for part in key]
        clear = (np.asarray(image) == colour).all(axis=2)
        if deep and clear.any():  # Pillow has dropped the lower eight bits
            raise UnknownOpacity("one of its 16-bit colours is transparent")
        return clear
    raise UnknownOpacity(f"transparency of mode {image.mode} is not known")
