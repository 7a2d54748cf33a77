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

    def __init__(
        self, path: Path, *, split: str, share: float, img_size: int, workers: int
    ) -> None:
        beton, rows = open_beton(path, split, share)
        self.labels, self.sizes = beton.labels[rows], beton.sizes[rows]
        self.img_size, self.workers = img_size, workers
        self._images = [np.ascontiguousarray(beton.image(row)) for row in rows]
        # Images of the target size that are not cropped are gathered without a resize each.
        whole = (self.sizes == img_size).all()
        self._stack = np.stack(self._images) if whole else None
        if whole:  # not a second copy of everything
            self._images = list(self._stack)

    def batches(self, order: np.ndarray, windows: np.ndarray, batch_size: int) -> Iterator[Batch]:
        parts = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
        if self.workers == 0:
            yield from (self._batch(part, windows) for part in parts)
            return
        with ThreadPoolExecutor(self.workers) as pool:
            ahead: deque = deque()
            for part in parts:
                ahead.append(pool.submit(self._batch, part, windows))
                if len(ahead) > self.workers + 1:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()

    def _batch(self, index: np.ndarray, windows: np.ndarray) -> Batch:
        chosen = windows[index]
        side = self.img_size
        if self._stack is not None and (chosen == (0, 0, side, side)).all():
            return Batch(index, self._stack[index], self.labels[index])
        images = np.empty((len(index), side, side, 3), np.uint8)
        for out, sample, window in zip(images, index, chosen, strict=True):
            native.resize_crop(self._images[sample], window, out)
        return Batch(index, images, self.labels[index])
