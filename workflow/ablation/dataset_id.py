"""The identity of a converted dataset: which images, written how. Pure, for the plan."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from .config.dataset import DatasetConfig, DatasetLock, Writer
from .storable import is_stored_now

# Raised by hand when a change of the convert stage changes the pixels that it stores.
CONVERT_VERSION = 1


def used_writer_options(writer: Writer) -> dict[str, Any]:
    """Return the options that take effect in the writer's mode; the others are left out."""
    options: dict[str, Any] = {"write_mode": writer.write_mode}
    if writer.max_resolution is not None:
        options["max_resolution"] = writer.max_resolution
    if writer.write_mode != "raw":
        options["jpeg_quality"] = writer.jpeg_quality
    if writer.write_mode == "proportion":
        options["compress_probability"] = writer.compress_probability
    if writer.write_mode == "smart":
        options["smart_threshold"] = writer.smart_threshold
    return options


def beton_digest(lock: DatasetLock, writer: Writer) -> str:
    """Return the 12 hexadecimal digits that name the betons of these images and options.

    The directory of a converted dataset is `results/data/{dataset}-{beton_digest}/`. Title,
    licence, number of workers and where the images lie do not enter.
    """
    identity = {
        "images": lock.digest,
        "version": CONVERT_VERSION,
        "writer": used_writer_options(writer),
    }
    if lock.background is not None:
        identity["background"] = lock.background
    if lock.turned:  # their pixels are others than before, under the same lock otherwise
        identity["turned"] = "as they lie"
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def lock_is_older(config: DatasetConfig, lock: DatasetLock) -> str | None:
    """Say where a dataset's file has changed since its lock was made, so that what is stored would
    be other images or pixels than the file means."""
    if config.background != lock.background:
        both = (config.background, lock.background)
        ours, locked = ("unset" if b is None else list(b) for b in both)
        return f"background is {ours}, in the lock {locked}"
    for key, reason in lock.rejected.items():
        if is_stored_now(reason, config.writer):
            return f"the lock rejects {key} ({reason}), and `writer` now stores it"
    return None
