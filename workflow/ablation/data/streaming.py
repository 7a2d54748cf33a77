"""Streaming reading: FFCV's Loader over a beton that need not fit into memory.

FFCV as shipped draws its crops from a generator per thread, so that they differ from run to run,
and leaves the training waiting for ever when its thread fails. Here the decoder reads each
sample's crop window from a table (docs/decisions/0007-streaming.md), and a failure in the thread
is raised in the training loop.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from queue import Empty

import numpy as np
import torch
from ffcv.fields.rgb_image import IMAGE_MODES, SimpleRGBImageDecoder
from ffcv.libffcv import imdecode, resize_crop
from ffcv.loader import Loader
from ffcv.loader.epoch_iterator import EpochIterator
from ffcv.pipeline.allocation_query import AllocationQuery
from ffcv.pipeline.compiler import Compiler
from numba import carray, get_thread_id, types
from numba.extending import intrinsic

from ..cli import cpu_count
from ..errors import UserError
from .beton import damaged
from .source import Batch, Source, open_beton


def _quiet_exit(shown: Callable) -> Callable:
    """A hook for exceptions that nobody can catch, without numba's at the end of a process.

    Numba's finalizers run when half of its modules are gone, and each prints ten harmless lines.
    """

    def hook(unraisable: sys.UnraisableHookArgs) -> None:
        if not isinstance(unraisable.object, weakref.finalize):
            shown(unraisable)

    return hook


sys.unraisablehook = _quiet_exit(sys.unraisablehook)


@intrinsic
def _int32_pointer(typing_context, address):
    """An address as a pointer to int32, inside compiled code.

    FFCV's own cast gives uint8, and its OSCacheManager marks numba's one type for all uint8
    arrays as read-only: a second Loader in a process could then not be compiled.
    """

    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.CPointer(types.int32)(types.uintp), generate


class WindowDecoder(SimpleRGBImageDecoder):
    """Decodes a sample and resizes the window that a table holds for it.

    The tables are reached by address inside the compiled loop: an array in the closure would be
    frozen as a constant. They are refilled in place before each epoch. So is the scratch memory
    for whole images, one a thread: FFCV's own has a place for every image of five batches, each
    of the largest height x the largest width, and a few odd images make that hundreds of GB.
    """

    def __init__(
        self, size: int, windows: np.ndarray, failed: np.ndarray, scratch: np.ndarray
    ) -> None:
        """size: side of the images, pixels; windows: (k * n, 4) int32, a row for each view of the n
        samples of the beton; failed: (n,) int32, set to 1 where a JPEG is damaged; scratch:
        (workers, m) int32, room for the pixels of the largest JPEG."""
        super().__init__()
        self.size, self.windows, self.failed, self.scratch = size, windows, failed, scratch

    def declare_state_and_memory(self, previous_state):
        shape, dtype = (self.size, self.size, 3), np.dtype("<u1")
        state = replace(previous_state, jit_mode=True, shape=shape, dtype=dtype)
        return state, AllocationQuery(shape, dtype)

    def generate_code(self) -> Callable:
        mem_read, jpg = self.memory_read, IMAGE_MODES["jpg"]
        my_range = Compiler.get_iterator()
        decode_c, resize_c = Compiler.compile(imdecode), Compiler.compile(resize_crop)
        table, rows = self.windows.ctypes.data, len(self.windows)
        failures, samples = self.failed.ctypes.data, len(self.failed)
        room, (threads, length) = self.scratch.ctypes.data, self.scratch.shape

        def decode(batch_indices, destination, metadata, storage_state):
            temporary = carray(_int32_pointer(room), (threads, length))
            windows = carray(_int32_pointer(table), (rows, 4))
            failed = carray(_int32_pointer(failures), (samples,))
            for slot in my_range(len(batch_indices)):
                view = batch_indices[slot]
                sample = view % samples
                field = metadata[sample]
                data = mem_read(field["data_ptr"], storage_state)
                height, width = np.uint32(field["height"]), np.uint32(field["width"])
                if field["mode"] == jpg:
                    buffer = temporary[get_thread_id()].view(np.uint8)
                    code = decode_c(
                        data, buffer, height, width, height, width, 0, 0, 1, 1, False, False
                    )
                    if code != 0:
                        failed[sample] = 1
                    pixels = buffer[: 3 * height * width].reshape(height, width, 3)
                else:
                    pixels = data.reshape(height, width, 3)
                top, left = windows[view, 0], windows[view, 1]
                bottom, right = top + windows[view, 2], left + windows[view, 3]
                resize_c(pixels, top, bottom, left, right, destination[slot])
            return destination[: len(batch_indices)]

        decode.is_parallel = True
        return decode


class _Iterator(EpochIterator):
    """FFCV's thread; whatever ends it reaches the consumer, and it leaves torch's threads alone."""

    def run(self) -> None:
        self.failure: BaseException | None = None
        try:
            super().run()
        except BaseException as error:  # handed over to the training loop
            self.failure = error

    def __next__(self):
        while True:
            try:
                result = self.output_queue.get(timeout=0.5)
                break
            except Empty:
                if not self.is_alive() and self.output_queue.empty():
                    failure = self.failure or RuntimeError("FFCV's loader thread ended early")
                    raise failure from None
        # FFCV's own __next__ takes from the queue itself: put it back at the front.
        self.output_queue.queue.appendleft(result)
        return super().__next__()

    def stop(self) -> None:
        """End the thread, also in the middle of an epoch."""
        self.terminate_event.set()
        self.iter_ixes = iter(())
        while self.is_alive():  # at the end of its epoch it waits for room in the queue
            with suppress(Empty):
                self.output_queue.get(timeout=0.1)
        self.close()


class Streaming(Source):
    """A split read through FFCV's Loader. One Loader serves training and clean evaluation."""

    def __init__(self, path: Path, *, split: str, share: float, workers: int) -> None:
        if workers > cpu_count():
            raise UserError(
                f"{workers} loader workers, but this job has {cpu_count()} CPUs; streaming "
                "takes at most one a CPU (loader_workers in config.yaml, or --workers)"
            )
        beton, self._rows = open_beton(path, split, share)
        self.path, self.labels, self.sizes = path, beton.labels[self._rows], beton.sizes[self._rows]
        self.workers = workers or cpu_count()
        self._samples = len(beton)
        self._windows = np.zeros((len(beton), 4), np.int32)
        self._failed = np.zeros(len(beton), np.int32)
        self._scratch = np.empty((self.workers, -(-3 * beton.largest_jpeg // 4)), np.int32)
        self._loaders: dict[tuple[int, int], Loader] = {}

    def _loader(self, batch_size: int, size: int) -> Loader:
        """The compiled loader of a batch and an image size (10 s and more, once a process)."""
        if (batch_size, size) not in self._loaders:
            decoder = WindowDecoder(size, self._windows, self._failed, self._scratch)
            threads = torch.get_num_threads()
            self._loaders[batch_size, size] = Loader(
                str(self.path),
                batch_size=batch_size,
                num_workers=self.workers,
                os_cache=True,
                seed=0,
                drop_last=False,
                # Labels are at hand, and FFCV knows samples, not views of them.
                pipelines={"image": [decoder], "label": None},
            )
            torch.set_num_threads(threads)  # FFCV has set its number of workers
        return self._loaders[batch_size, size]

    def _fill(self, windows: np.ndarray) -> None:
        """The table of windows in place; a larger one than ever is a new one, for new loaders."""
        repeats = len(windows) // len(self._rows)
        if repeats * self._samples > len(self._windows):
            self._windows = np.zeros((repeats * self._samples, 4), np.int32)
            self._loaders.clear()
        for first in range(repeats):
            part = windows[first * len(self._rows) : (first + 1) * len(self._rows)]
            self._windows[self._rows + first * self._samples] = part

    def batches(
        self, order: np.ndarray, windows: np.ndarray, batch_size: int, size: int
    ) -> Iterator[Batch]:
        self._fill(windows)
        loader = self._loader(batch_size, size)
        threads = torch.get_num_threads()
        samples = order % len(self._rows)
        views = self._rows[samples] + order // len(self._rows) * self._samples
        iterator = _Iterator(loader, views.astype(np.uint64))
        try:
            for start, (images,) in zip(range(0, len(order), batch_size), iterator, strict=True):
                torch.set_num_threads(threads)
                part = slice(start, start + batch_size)
                if self._failed.any():
                    raise damaged(self.path, int(np.flatnonzero(self._failed)[0]))
                # FFCV uses its buffers again: a batch is a copy.
                yield Batch(order[part], np.array(images), self.labels[samples[part]])
        finally:
            iterator.stop()
