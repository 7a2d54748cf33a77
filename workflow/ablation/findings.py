"""What was found out about each file of a split, in a few dozen bytes an image."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import NamedTuple

UNREADABLE = "unreadable"
NO_SUMS = (0, 0, 0, 0, 0, 0)
_DIGEST = 32  # bytes of a SHA-256


class Finding(NamedTuple):
    """What was found out about one file."""

    sha256: str
    """Of its bytes, hexadecimal; `unreadable` when they could not be had."""
    height: int = 0
    """Pixels; 0 when bad or not decoded."""
    width: int = 0
    """Pixels; 0 when bad or not decoded."""
    bad: str | None = None
    """Why it is no readable image, or None."""
    sums: tuple[int, ...] = NO_SUMS
    """Per channel the sum of the values, then per channel the sum of their squares."""
    turned: bool = False
    """Whether it is a TIFF that says how it is to be turned."""


class Findings(Sequence):
    """The findings of a split in the order of its files, made anew when they are asked for.

    Kept are digests, sizes, and what is rare; of the channel sums only the totals, so that those
    of a single file are 0 here.
    """

    def __init__(self, count: int) -> None:
        self.totals = list(NO_SUMS)
        """Sums over all files."""
        self._digests = bytearray(_DIGEST * count)
        self._heights, self._widths = array("H", bytes(2 * count)), array("H", bytes(2 * count))
        self._bad: dict[int, str] = {}
        self._unreadable: set[int] = set()
        self._turned: set[int] = set()

    def put(self, start: int, found: Iterable[Finding]) -> None:
        """Note the findings of the files from `start` on; each file once."""
        for index, finding in enumerate(found, start):
            if finding.sha256 == UNREADABLE:
                self._unreadable.add(index)
            else:
                place = _DIGEST * index
                self._digests[place : place + _DIGEST] = bytes.fromhex(finding.sha256)
            self._heights[index], self._widths[index] = finding.height, finding.width
            if finding.bad is not None:
                self._bad[index] = finding.bad
            if finding.turned:
                self._turned.add(index)
            if any(finding.sums):
                self.totals = [a + b for a, b in zip(self.totals, finding.sums, strict=True)]

    def __len__(self) -> int:
        return len(self._heights)

    def __getitem__(self, index: int) -> Finding:
        if not 0 <= index < len(self):
            raise IndexError(index)
        sha256 = UNREADABLE if index in self._unreadable else self.digest(index).hex()
        size = self._heights[index], self._widths[index]
        return Finding(sha256, *size, self._bad.get(index), turned=index in self._turned)

    def digest(self, index: int) -> bytes:
        """SHA-256 of a file, 32 bytes."""
        return bytes(self._digests[_DIGEST * index : _DIGEST * (index + 1)])

    @property
    def turned(self) -> int:
        """Number of TIFFs that say how they are to be turned."""
        return len(self._turned)
