"""What streaming needs of memory, before anything is read. Pure, for the plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .config.dataset import SplitLock, Writer

if TYPE_CHECKING:
    from .plan import Cell

# FFCV works on five batches at a time (batches_ahead 3, and 2); a batch is copied for the model.
_BATCHES = 5 + 1


def streaming_mb(cell: Cell, workers: int) -> int:
    """Return the MB of a streamed cell's buffers, rounded up; 0 for a resident one.

    The batches under way in their final size, of all ranks together, and for each worker the
    pixels of the largest image that is stored as a JPEG (`data/streaming.py`).
    """
    config, lock = cell.config, cell.dataset.lock
    if config.reading != "streaming":
        return 0
    writer = cell.dataset.config.writer
    largest = max(largest_jpeg(split, writer) for split in (lock.train, lock.val))
    side = max(config.img_size, config.val_img_size or 0)
    pixels = _BATCHES * config.batch_size * side**2 + workers * largest
    return -(-3 * pixels // 10**6)


def largest_jpeg(split: SplitLock, writer: Writer) -> int:
    """Return the pixels of a split's largest image that may be stored as a JPEG.

    Where the lock does not tell it, all are of one size, or the lock is an older one, whose largest
    image has the pixels of the average one at least.
    """
    if writer.write_mode == "raw":
        return 0
    largest = split.max_pixels or split.pixels // split.images
    return largest if writer.max_resolution is None else min(largest, writer.max_resolution**2)
