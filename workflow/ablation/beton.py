"""Write one FFCV beton, with workers that are watched. Importing this takes ffcv (6 s).

FFCV's own `_write_common` waits for ever when a worker raises or is killed, draws the images
that `proportion` mode compresses from generators that differ from run to run, and keeps its
table in /dev/shm, where a killed run leaves it behind. The format is FFCV's, unchanged.
"""

from __future__ import annotations

import ctypes
import errno
import gc
import hashlib
import mmap
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import cv2
import numpy as np
from ffcv.fields import IntField, RGBImageField
from ffcv.memory_allocator import MemoryAllocator
from ffcv.writer import MAX_PAGE_SIZE, MIN_PAGE_SIZE, DatasetWriter

from .cli import progress_bar
from .config.dataset import Writer
from .convert import Item
from .decode import MAX_PIXELS
from .errors import DataError
from .files import NO_SPACE
from .processes import die_with_parent, signals_held

PACKED = 4096  # samples whose places a worker keeps as objects
CHUNK = 16  # samples that a worker takes at a time, fewer when there are few
MAX_COMPRESSED_TO_RAW = 2  # a JPEG of noise at quality 100 is 1.4 times its pixels
JPG_MODE = 0  # FFCV's number for an image stored as JPEG


class Stored(NamedTuple):
    """What a finished beton holds; the same for any number of workers."""

    images: int
    as_jpeg: int
    bytes: int
    min_size: tuple[int, int]
    max_size: tuple[int, int]


def write_beton(
    path: Path,
    items: Sequence[Item],
    writer: Writer,
    page_size: int,
    num_workers: int,
    title: str,
    progress: bool = True,
) -> Stored:
    """Write `items` in their order to `path` and return what is in it.

    Fields: `image` (RGB) and `label` (int). Raises DataError, naming the sample, when an image
    cannot be encoded or a worker is killed, and OSError when the disk is full; `path` is then
    no whole beton and is the caller's to remove.
    """
    fields = {"image": image_field(writer), "label": IntField()}
    beton = BetonWriter(str(path), fields, page_size=page_size, num_workers=num_workers)
    return beton.write(items, title, progress)


def image_field(writer: Writer) -> RGBImageField:
    """Return FFCV's field with the options of the dataset's file."""
    return RGBImageField(
        write_mode=writer.write_mode,
        max_resolution=writer.max_resolution,
        smart_threshold=writer.smart_threshold,
        jpeg_quality=writer.jpeg_quality,
        compress_probability=writer.compress_probability,
    )


def page_size_for(writer: Writer, largest: tuple[int, int]) -> int:
    """Return the page size in bytes: FFCV's usual 8 MiB, or the power of two that is enough.

    An image must fit into one page. `largest` is the largest height and width of the sources.
    """
    height, width = largest
    pixels = min(height * width, MAX_PIXELS)
    if writer.max_resolution is not None:
        pixels = min(pixels, min(height, writer.max_resolution) * min(width, writer.max_resolution))
    needed = pixels * 3 * (1 if writer.write_mode == "raw" else MAX_COMPRESSED_TO_RAW)
    size = 4 * MIN_PAGE_SIZE
    while size < needed:
        size *= 2
    if size >= MAX_PAGE_SIZE:  # cannot be reached below MAX_PIXELS
        raise DataError(f"images of {height} x {width} pixels are too large for a beton")
    return size


class BetonWriter(DatasetWriter):
    """FFCV's DatasetWriter with its own loop over the workers."""

    def write(self, items: Sequence[Item], title: str, progress: bool) -> Stored:
        """Write all items and return what was stored."""
        self.num_samples = len(items)
        self.num_workers = min(self.num_workers, len(items))
        self.prepare()
        # FFCV made its table in /dev/shm; memory that dies with its processes serves as well.
        size = self.metadata_sm.size
        self.metadata_sm.close()
        self.metadata_sm.unlink()
        self.metadata_sm = SimpleNamespace(buf=mmap.mmap(-1, size))
        allocator = MemoryAllocator(self.fname, self.data_region_start, self.page_size)
        allocations = self._run_workers(items, allocator, title, progress)
        self._check_whole(allocator)
        self.finalize(allocations)
        metadata = np.frombuffer(self.metadata_sm.buf, dtype=self.metadata_type)
        return stored(metadata, int(allocations[:, 2].sum()))

    def finalize(self, allocations: np.ndarray) -> None:
        """Write the tables and, last, the header. FFCV's own makes an object of each image first.

        allocations: (n, 3) uint64, sample, place and bytes: FFCV's type, row by row.
        """
        with open(self.fname, "r+b") as file:
            file.seek(self.metadata_start)
            file.write(self.metadata_sm.buf)
            self.header["alloc_table_ptr"] = file.seek(0, os.SEEK_END)
            file.write(np.ascontiguousarray(allocations, "<u8").data)
            file.seek(0)
            file.write(self.header.tobytes())

    def _run_workers(
        self, items: Sequence[Item], allocator: MemoryAllocator, title: str, progress: bool
    ) -> np.ndarray:
        """Return the allocations of all workers; no worker is alive afterwards."""
        context = multiprocessing.get_context("fork")  # items and fields need no pickling
        gc.freeze()  # else each worker's collector copies the pages of a million samples
        shared = Shared(
            next=context.Value(ctypes.c_int64, 0),
            current=context.RawArray(ctypes.c_int64, [-1] * self.num_workers),
            done=context.RawArray(ctypes.c_int64, self.num_workers),
        )
        processes, pipes = [], {}
        try:
            for number in range(self.num_workers):
                receiving, sending = context.Pipe(duplex=False)
                job = (number, items, self, allocator, shared, sending)
                with signals_held():
                    process = context.Process(target=work, args=job, daemon=True)
                    process.start()
                    processes.append(process)
                sending.close()  # so that the pipe ends when the worker does
                pipes[receiving] = number
            with progress_bar(len(items), title, enabled=progress) as bar:
                return self._collect(items, processes, pipes, shared, bar)
        finally:
            gc.unfreeze()
            for process in processes:
                process.kill()
                process.join()

    def _collect(
        self,
        items: Sequence[Item],
        processes: list[Any],
        pipes: dict[Connection, int],
        shared: Shared,
        bar: Any,
    ) -> np.ndarray:
        """Wait for the workers, show their progress, and raise for the first that fails."""
        allocations: list[np.ndarray] = []
        while pipes:
            for pipe in wait(list(pipes), timeout=0.2):
                number = pipes.pop(pipe)
                try:
                    failure, content = pipe.recv()
                except EOFError:
                    failure, content = 0, None
                if failure is None:
                    allocations.append(content)
                    continue
                name = sample_name(items, shared.current[number])
                if failure == 0:
                    processes[number].join()
                    raise killed(self.fname, name, processes[number].exitcode)
                if failure in NO_SPACE:
                    raise OSError(failure, content)
                raise DataError(f"{name}: cannot be written to {self.fname}: {content}")
            bar.update(sum(shared.done) - bar.n)
        return np.concatenate(allocations)

    def _check_whole(self, allocator: MemoryAllocator) -> None:
        """FFCV does not look at how many bytes a write took; a short one would go unnoticed."""
        pages = allocator.next_page_written.value
        expected = allocator.offset + pages * self.page_size
        if pages != allocator.next_page_allocated.value or os.stat(self.fname).st_size != expected:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Shared(NamedTuple):
    """Memory that the workers and their parent share."""

    next: Any
    """First sample that no worker has taken."""
    current: Any
    """For each worker the sample it is at, -1 before the first."""
    done: Any
    """For each worker the number of samples it has finished."""


def work(
    number: int,
    items: Sequence[Item],
    writer: BetonWriter,
    allocator: MemoryAllocator,
    shared: Shared,
    pipe: Connection,
) -> None:
    """Encode samples until none is left; send (None, allocations) or (errno, message)."""
    die_with_parent()
    cv2.setNumThreads(1)  # one process a CPU is enough
    metadata = np.frombuffer(writer.metadata_sm.buf, dtype=writer.metadata_type)
    places = []
    try:
        with allocator:
            try:
                for index in take(shared.next, len(items), writer.num_workers):
                    shared.current[number] = index
                    encode(items[index], index, metadata, allocator, writer.fields)
                    shared.done[number] += 1
                    if len(allocator.allocations) >= PACKED:
                        places.append(packed(allocator))
            except BaseException as error:
                # Leaving `with` would wait for the pages of other workers: say it and go.
                send_failure(pipe, error)
                os._exit(1)
        pipe.send((None, np.concatenate([*places, packed(allocator)])))
    except BaseException as error:
        send_failure(pipe, error)
        os._exit(1)


def packed(allocator: MemoryAllocator) -> np.ndarray:
    """Take what FFCV notes of each image, (n, 3) uint64: as tuples it is 150 bytes an image."""
    found = np.array(allocator.allocations, "<u8").reshape(-1, 3)
    allocator.allocations.clear()  # FFCV looks at those of the current sample alone
    return found


def take(counter: Any, total: int, num_workers: int) -> Iterator[int]:
    """Yield the next free indices, a few at a time."""
    chunk = max(1, min(CHUNK, total // (8 * num_workers)))
    while True:
        with counter.get_lock():
            start = counter.value
            counter.value = min(start + chunk, total)
        if start >= total:
            return
        yield from range(start, min(start + chunk, total))


def encode(
    item: Item, index: int, metadata: np.ndarray, allocator: MemoryAllocator, fields: dict[str, Any]
) -> None:
    """Store one sample. `proportion` mode draws from numpy: seeded by the index alone."""
    values = (item.pixels(), item.label)
    seed = int.from_bytes(hashlib.sha256(f"proportion:{index}".encode()).digest()[:4], "little")
    allocator.set_current_sample(index)
    for column, field, value in zip(metadata.dtype.names, fields.values(), values, strict=True):
        np.random.seed(seed)
        # One field allocates, so a sample never straddles two pages and FFCV's retry is not needed.
        field.encode(metadata[column][index : index + 1], value, allocator.malloc)


def send_failure(pipe: Connection, error: BaseException) -> None:
    """Send (errno or -1, one line of text) to the parent."""
    number = error.errno if isinstance(error, OSError) and error.errno else -1
    pipe.send((number, " ".join(f"{type(error).__name__}: {error}".split())))


def sample_name(items: Sequence[Item], index: int) -> str:
    """Return the name of the sample that a worker is at."""
    return items[index].name if index >= 0 else "before the first image"


def killed(fname: str, name: str, exitcode: int | None) -> DataError:
    """Return the error for a worker that ended without a word."""
    how = f"signal {-exitcode}" if exitcode and exitcode < 0 else f"exit code {exitcode}"
    return DataError(
        f"{name}: the process writing it to {fname} was killed ({how}); if memory ran out, use"
        " fewer --workers"
    )


def stored(metadata: np.ndarray, size: int) -> Stored:
    """Return what the table of a beton says."""
    image = metadata[metadata.dtype.names[0]]
    heights, widths = image["height"], image["width"]
    return Stored(
        images=len(metadata),
        as_jpeg=int((image["mode"] == JPG_MODE).sum()),
        bytes=int(size),
        min_size=(int(heights.min()), int(widths.min())),
        max_size=(int(heights.max()), int(widths.max())),
    )
