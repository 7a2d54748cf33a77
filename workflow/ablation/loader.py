"""A loader benchmark's cell: epochs of training images are read as in a training, and timed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from . import media
from .cli import cpu_count
from .config.recipe import CellConfig
from .config.study import LoaderTest
from .data.draws import Draws
from .data.source import Source, open_source
from .errors import DataError, UserError


class Reading(NamedTuple):
    """What was measured."""

    images: int
    """Images of an epoch."""
    stored_bytes: int
    """Size of the beton, of which an epoch reads `train_share`."""
    cached_before: float | None
    """Share of the beton in the page cache before the first epoch."""
    compile_time_s: float
    """Compiling the loader's loop; not part of an epoch."""
    load_time_s: float
    """Reading and decoding everything into memory, of resident reading; else 0."""
    epochs_s: tuple[float, ...]
    """Seconds of each epoch."""

    @property
    def images_per_s(self) -> float:
        """Of all epochs but the first."""
        return self.images * (len(self.epochs_s) - 1) / sum(self.epochs_s[1:])

    @property
    def first_images_per_s(self) -> float:
        """Of the first epoch, with the load before it."""
        return self.images / (self.load_time_s + self.epochs_s[0])


def measure(beton: Path, config: CellConfig, loader: LoaderTest, say: Callable) -> Reading:
    """Read the training images of a beton for `loader.epochs` epochs.

    An epoch is what a training waits for: the order, the crops' windows, reading, decoding,
    cropping and resizing of every image, the last and smaller batch too. What follows (flips and
    all else of the augmentation) is the training's own work on its device, and left out.
    """
    if loader.workers > cpu_count():
        raise UserError(
            f"loader.workers is {loader.workers}, this job has {cpu_count()} CPUs: each has a core "
            "of its own"
        )
    compile_s = load_s = 0.0
    options = {"split": "train", "share": config.train_share, "workers": loader.workers}
    if config.reading == "streaming":
        source = open_source(config.reading, beton, **options)
        began = time.perf_counter()
        _read(source, config, epoch=0, batches=1)
        compile_s = time.perf_counter() - began
        say(f"the loader's loop is compiled: {compile_s:.1f} s")
    media.forget(beton)
    cached = media.cached_share(beton)
    if config.reading == "resident":
        began = time.perf_counter()
        source = open_source(config.reading, beton, **options)
        load_s = time.perf_counter() - began
        say(f"all images are in memory: {load_s:.1f} s")
    seconds = []
    for epoch in range(1, loader.epochs + 1):
        began = time.perf_counter()
        images = _read(source, config, epoch)
        seconds.append(time.perf_counter() - began)
        say(f"epoch {epoch} of {loader.epochs}: {images / seconds[-1]:.0f} images/s")
        if images != len(source):
            raise DataError(f"{beton}: {images} images were read of {len(source)}")
    size = beton.stat().st_size
    return Reading(len(source), size, cached, compile_s, load_s, tuple(seconds))


def _read(source: Source, config: CellConfig, epoch: int, batches: int | None = None) -> int:
    """Read an epoch, or so many of its batches; returns the number of images."""
    draws = Draws(config.seed, epoch, len(source))
    order = draws.order()[: None if batches is None else batches * config.batch_size]
    windows = config.augment.windows(source.sizes, draws, crop_ratio=config.val_crop_ratio)
    read = source.batches(order, windows, config.batch_size, config.img_size)
    return sum(len(batch.index) for batch in read)


def metrics(cell_id: str, config: CellConfig, found: Reading) -> dict[str, Any]:
    """The content of metrics.json: counts, which repeat. Times are the result, and stand apart."""
    epochs = [{"epoch": n, "images": found.images} for n in range(1, len(found.epochs_s) + 1)]
    return {
        "cell_id": cell_id,
        "status": "completed",
        "train_images": found.images,
        "batches": -(-found.images // config.batch_size),
        "last": epochs[-1],
        "epochs": epochs,
    }


def times(found: Reading) -> list[dict[str, float]]:
    """Seconds and images per second of each epoch, for epochs.csv."""
    return [
        {"read_time_s": seconds, "images_per_s": found.images / seconds}
        for seconds in found.epochs_s
    ]


def timing(found: Reading, config: CellConfig) -> dict[str, Any]:
    """What timing.json holds of the reading."""
    share = config.train_share
    stored_mb = found.stored_bytes * share / 1e6
    return {
        "images_per_s": found.images_per_s,
        "first_images_per_s": found.first_images_per_s,
        # What the medium had to give; in later epochs it may have come from the page cache.
        "first_mb_per_s": stored_mb * found.first_images_per_s / found.images,
        "cached_before": found.cached_before,
        "load_time_s": found.load_time_s,
        "compile_time_s": found.compile_time_s,
        "train_time_s": found.load_time_s + sum(found.epochs_s),
        "eval_time_s": 0.0,
    }
