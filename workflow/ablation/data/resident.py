"""Resident reading: a small dataset is decoded once into memory; batches are cut from there."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from . import native
from .source import Batch, Source, open_beton


class Resident(Source):
    """All images of a split as uint8 arrays; needs no FFCV loader and compiles nothing."""

    def __init__(self, path: Path, *, split: str, share: float, workers: int) -> None:
        beton, rows = open_beton(path, split, share)
        self.labels, self.sizes = beton.labels[rows], beton.sizes[rows]
        self.workers = workers
        self._images = [np.ascontiguousarray(beton.image(row)) for row in rows]
        # Equal square images that are neither cropped nor resized are gathered at once.
        self._side = int(self.sizes[0, 0])
        whole = (self.sizes == self._side).all()
        self._stack = np.stack(self._images) if whole else None
        if whole:  # not a second copy of everything
            self._images = list(self._stack)

    def batches(
        self, order: np.ndarray, windows: np.ndarray, batch_size: int, size: int
    ) -> Iterator[Batch]:
        parts = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
        if self.workers == 0:
            yield from (self._batch(part, windows, size) for part in parts)
            return
        with ThreadPoolExecutor(self.workers) as pool:
            ahead: deque = deque()
            for part in parts:
                ahead.append(pool.submit(self._batch, part, windows, size))
                if len(ahead) > self.workers + 1:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()

    def _batch(self, index: np.ndarray, windows: np.ndarray, size: int) -> Batch:
        chosen, samples = windows[index], index % len(self.labels)
        if self._stack is not None and size == self._side and (chosen == (0, 0, size, size)).all():
            return Batch(index, self._stack[samples], self.labels[samples])
        images = np.empty((len(index), size, size, 3), np.uint8)
        for out, sample, window in zip(images, samples, chosen, strict=True):
            native.resize_crop(self._images[sample], window, out)
        return Batch(index, images, self.labels[samples])
