"""Reading a beton (FFCV's file format, version 2) with numpy alone.

The layout is that of ffcv/types.py and ffcv/fields in FFCV 1.0.2; a test holds this reader to
FFCV's own.
"""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np

from ..errors import DataError
from . import native

_HEADER = np.dtype(
    [
        ("version", "<u2"),
        ("num_fields", "<u2"),
        ("page_size", "<u4"),
        ("num_samples", "<u8"),
        ("alloc_table_ptr", "<u8"),
    ],
    align=True,
)
_FIELD = np.dtype(
    [("type_id", "<u1"), ("name", ("<u1", 16)), ("arguments", ("<u1", (1024,)))], align=True
)
_IMAGE = np.dtype([("mode", "<u1"), ("width", "<u2"), ("height", "<u2"), ("data_ptr", "<u8")])
_SAMPLE = np.dtype([("", _IMAGE), ("", "<i8")], align=True)
_ALLOCATION = np.dtype([("sample_id", "<u8"), ("ptr", "<u8"), ("size", "<u8")])
_VERSION, _JPG = 2, 0


class Beton:
    """A beton of images and integer labels, mapped into memory."""

    def __init__(self, path: Path | str) -> None:
        """Open and check `path`; DataError when it is no beton, or shorter than it says."""
        self.path = Path(path)
        header = self._read(_HEADER, 1, 0)[0]
        if header["version"] != _VERSION or header["num_fields"] != 2:
            raise DataError(f"{path}: not a beton of images and labels; convert the dataset again")
        size = self.path.stat().st_size
        start = _HEADER.itemsize + 2 * _FIELD.itemsize
        samples, table = int(header["num_samples"]), int(header["alloc_table_ptr"])
        expected = table + samples * _ALLOCATION.itemsize
        if samples == 0 or table == 0 or size < expected:
            raise DataError(
                f"{path}: truncated: {size} bytes, its header says {expected}; delete it and "
                "convert the dataset again"
            )
        metadata = self._read(_SAMPLE, samples, start)
        self.images = metadata["f0"]
        self.labels = metadata["f1"].astype(np.int64)
        self.sizes = np.stack([self.images["height"], self.images["width"]], 1).astype(np.int64)
        allocations = np.sort(self._read(_ALLOCATION, samples, table), order="ptr")
        self._bytes = self._sizes_in_bytes(allocations, table)
        with open(self.path, "rb") as file:
            self._map = np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), "u1")

    def _sizes_in_bytes(self, allocations: np.ndarray, end: int) -> np.ndarray:
        """(n,) int64: bytes of each sample's image; DataError when one lies outside the file.

        FFCV's own compiled reader trusts these numbers, and would read beyond the file.
        """
        found = self.images["data_ptr"]
        place = np.searchsorted(allocations["ptr"], found).clip(max=len(allocations) - 1)
        sizes = allocations["size"][place]
        fits = (allocations["ptr"][place] == found) & (sizes <= end) & (found <= end - sizes)
        raw = self.images["mode"] != _JPG
        fits &= ~raw | (sizes == 3 * self.sizes.prod(1).astype(np.uint64))
        if not fits.all():
            raise damaged(self.path, int(np.flatnonzero(~fits)[0]))
        return sizes.astype(np.int64)

    def _read(self, dtype: np.dtype, count: int, offset: int) -> np.ndarray:
        try:
            found = np.fromfile(self.path, dtype, count, offset=offset)
        except OSError as error:
            raise DataError(f"{self.path}: {error.strerror or error}") from None
        if len(found) < count:
            raise DataError(
                f"{self.path}: truncated or no beton; delete it and convert the dataset again"
            )
        return found

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def largest_jpeg(self) -> int:
        """Pixels of the largest image that is stored as a JPEG; 0 if none is."""
        return int(self.sizes.prod(1)[self.images["mode"] == _JPG].max(initial=0))

    def image(self, sample: int) -> np.ndarray:
        """Pixels of a sample as stored, (h, w, 3) uint8 RGB; DataError for a damaged JPEG."""
        record = self.images[sample]
        height, width = int(record["height"]), int(record["width"])
        start = int(record["data_ptr"])
        data = self._map[start : start + self._bytes[sample]]
        if record["mode"] != _JPG:
            return data.reshape(height, width, 3)
        image = native.decode_jpeg(data, height, width)
        if image is None:
            raise damaged(self.path, sample)
        return image


def damaged(path: Path | str, sample: int) -> DataError:
    """The error of a sample whose stored image cannot be decoded."""
    return DataError(
        f"{path}: sample {sample} cannot be decoded; delete the beton and convert the dataset again"
    )
