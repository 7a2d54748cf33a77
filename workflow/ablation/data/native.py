"""FFCV's compiled decoder and resizer, called without importing ffcv.

`import ffcv` brings torchvision and numba, seconds that a resident cell need not spend; the shared
object beneath it loads alone (docs/decisions/0006-reading-betons.md). Both reading modes so use
the same code, and give the same pixels. Calls release Python's lock.
"""

from __future__ import annotations

import ctypes
import importlib.util
from functools import cache
from pathlib import Path

import numpy as np

from ..errors import UserError


@cache
def shared_object() -> ctypes.CDLL:
    """The shared object of the installed FFCV."""
    spec = importlib.util.find_spec("ffcv")
    if spec is None:
        raise UserError("ffcv is not installed; run `make setup`")
    folder = Path(next(iter(spec.submodule_search_locations)))
    loaded = ctypes.CDLL(str(next(folder.glob("_libffcv*.so"))))
    loaded.resize.argtypes = 11 * [ctypes.c_int64]
    loaded.imdecode.argtypes = [
        ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p,
        *(6 * [ctypes.c_uint32]), ctypes.c_bool, ctypes.c_bool,
    ]  # fmt: skip
    return loaded


def resize_crop(image: np.ndarray, window: np.ndarray, out: np.ndarray) -> None:
    """Resize a window of `image` (h, w, 3) uint8 into `out` (s, s, 3) uint8, by area.

    window: top, left, height, width. Both arrays are C-contiguous.
    """
    top, left, height, width = (int(v) for v in window)
    shared_object().resize(
        0, image.ctypes.data, image.shape[0], image.shape[1],
        top, top + height, left, left + width, out.ctypes.data, out.shape[0], out.shape[1],
    )  # fmt: skip


def decode_jpeg(data: np.ndarray, height: int, width: int) -> np.ndarray | None:
    """Decode a JPEG (bytes as uint8) of known size to (h, w, 3) uint8 RGB; None if damaged."""
    out = np.empty((height, width, 3), np.uint8)
    code = shared_object().imdecode(
        data.ctypes.data, data.size, height, width, out.ctypes.data,
        height, width, 0, 0, 1, 1, False, False,
    )  # fmt: skip
    return out if code == 0 else None
