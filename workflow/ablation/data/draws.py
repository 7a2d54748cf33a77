"""Every random draw of a training, as a pure function of (seed, purpose, epoch, sample or step).

Each purpose has a stream of its own, keyed by a hash: neighbouring seeds and epochs share nothing
(FFCV's own order of seed 0, epoch 1 is that of seed 1, epoch 0), and no draw depends on threads or
on a global generator's past. Philox (Salmon et al. 2011) is counter-based: row i of a table is the
same whatever the number of rows.
"""

from __future__ import annotations

import hashlib

import numpy as np


def stream_key(*parts: object) -> int:
    """128-bit key of a stream: a hash of its parts (purpose, seed, epoch, step ...)."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "little")


def generator(*parts: object) -> np.random.Generator:
    """The generator of one stream."""
    return np.random.Generator(np.random.Philox(key=stream_key(*parts)))


def torch_seed(*parts: object) -> int:
    """Seed in [0, 2**63) for torch's generators (initial weights, dropout)."""
    return stream_key(*parts) >> 65


def split_mix(key: np.uint64, numbers: np.ndarray) -> np.ndarray:
    """Uniform draws in [0, 1): the numbers (uint64) of the SplitMix64 sequence of `key`."""
    with np.errstate(over="ignore"):
        z = key + (numbers + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)) * 2.0**-53


class Draws:
    """The draws of one epoch of one seed.

    With repeated augmentation a sample has `repeats` views an epoch; view v is of sample
    v % samples, and every view has a row of draws of its own.
    """

    def __init__(self, seed: int, epoch: int, samples: int, repeats: int = 1) -> None:
        self.seed, self.epoch, self.samples, self.repeats = seed, epoch, samples, repeats
        self._kept: dict[str, np.ndarray] = {}

    def uniform(self, purpose: str, rows: int, columns: int = 1) -> Rows:
        """Uniform draws in [0, 1) by rows, `columns` a row; row i belongs to view i."""
        return Rows(generator(purpose, self.seed, self.epoch), rows, columns)

    def kept(self, purpose: str, columns: int = 1) -> np.ndarray:
        """(samples * repeats, columns) uniform draws in [0, 1), made once an epoch."""
        if purpose not in self._kept:
            views = self.samples * self.repeats
            self._kept[purpose] = self.uniform(purpose, views, columns).take(views)
        return self._kept[purpose]

    def of(self, purpose: str, index: np.ndarray, columns: int = 1) -> np.ndarray:
        """(b, columns) uniform draws in [0, 1) of the views in `index` (b,) int64.

        A row is a function of (seed, purpose, epoch, view) alone, so that only a batch's rows
        need be made: SplitMix64 (Steele et al. 2014), whose n-th number is a hash of key and n.
        """
        numbers = index.astype(np.uint64)[:, None] * np.uint64(columns)
        numbers = numbers + np.arange(columns, dtype=np.uint64)
        key = stream_key(purpose, self.seed, self.epoch) & (2**64 - 1)
        return split_mix(np.uint64(key), numbers)

    def at(self, purpose: str, step: int) -> np.random.Generator:
        """The generator of what is drawn once for a whole batch, at a step of the epoch."""
        return generator(purpose, self.seed, self.epoch, step)

    def order(self) -> np.ndarray:
        """(samples,) int64: the order in which this epoch visits the samples.

        With repeats: the views of the first samples of that order, side by side, and as many
        in all as there are samples (as timm's RepeatAugSampler with its default length).
        """
        order = generator("order", self.seed, self.epoch).permutation(self.samples)
        if self.repeats == 1:
            return order
        seen = order[: -(-self.samples // self.repeats)]
        views = seen[:, None] + self.samples * np.arange(self.repeats)
        return views.reshape(-1)[: self.samples]


class Rows:
    """A table of draws that is made a block of rows at a time, so that it need not fit at once."""

    def __init__(self, source: np.random.Generator, rows: int, columns: int) -> None:
        self._source, self.rows, self.columns = source, rows, columns

    def take(self, rows: int) -> np.ndarray:
        """The next `rows` rows, (rows, columns) float64."""
        return self._source.random((rows, self.columns))
