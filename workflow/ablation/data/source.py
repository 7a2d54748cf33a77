"""What training reads: a split's labels and sizes, and batches for an order and crop windows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .beton import Beton
from .draws import generator


class Batch(NamedTuple):
    """Samples of one step."""

    index: np.ndarray
    """(b,) int64: their views. View v of n samples is sample v % n; with repeated augmentation a
    sample has several views an epoch, each with draws of its own."""
    images: np.ndarray
    """(b, size, size, 3) uint8 RGB."""
    labels: np.ndarray
    """(b,) int64."""


class Source:
    """One split, or a share of it. Randomness is the caller's: it hands in order and windows."""

    labels: np.ndarray
    """(n,) int64."""
    sizes: np.ndarray
    """(n, 2) int64: stored height and width."""

    def batches(
        self, order: np.ndarray, windows: np.ndarray, batch_size: int, size: int
    ) -> Iterator[Batch]:
        """Batches of the views in `order`, (m,) int64, as images of `size` pixels a side.

        windows: (k * n, 4) int32, a row for each view of the n samples of the split. The last batch
        holds what is left. Every worker count gives the same bits.
        """
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.labels)


def stratified_subset(labels: np.ndarray, share: float, split: str) -> np.ndarray:
    """Sorted numbers of `share` of each class (rounded down, at least 1), the same for every seed.

    Nested: a smaller share is part of a larger one. labels: (n,) int64.
    """
    if share >= 1:
        return np.arange(len(labels))
    rank = generator("subset", split).permutation(len(labels))
    chosen = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        members = members[np.argsort(rank[members])]
        chosen.append(members[: max(1, int(len(members) * share + 1e-9))])
    return np.sort(np.concatenate(chosen))


def open_source(reading: str, beton: Path, *, split: str, share: float, workers: int) -> Source:
    """The source of a split in one of the two reading modes."""
    if reading == "resident":
        from .resident import Resident

        return Resident(beton, split=split, share=share, workers=workers)
    from .streaming import Streaming

    return Streaming(beton, split=split, share=share, workers=workers)


def open_beton(path: Path, split: str, share: float) -> tuple[Beton, np.ndarray]:
    """A beton and the numbers of the samples that are used of it."""
    beton = Beton(path)
    return beton, stratified_subset(beton.labels, share, split)
