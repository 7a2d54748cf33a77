"""Whether a machine computes convolutions right: each is compared with a reference in float64.

The reference is torch's own float64 kernel, which no library for narrower numbers has a part in.
A convolution runs in a process of its own: a wrong kernel may write out of bounds or never end.
"""

from __future__ import annotations

import faulthandler
import functools
import multiprocessing
import os
import re
import signal
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from multiprocessing import forkserver
from typing import Any

import torch
from torch.nn.functional import conv2d

from .models.base import NARROW, Model

# Of a batch: kernels are chosen by shape, and 16 images bring out oneDNN#6035.
_MOST_IMAGES = 32
FEW_NUMBERS = 2**18  # of an input, for the look at a cell's start
# Largest error by the reference's largest value. fp32 sums of 10^6 terms stay below 1e-5; the
# narrow formats round the inputs to 8 and 11 bits.
TOLERANCE = {"fp32": 1e-4, "bf16": 5e-2, "fp16": 1e-2}
_TF32 = 1e-2
_TRIES = 3  # what is written out of bounds is not always missed the first time
_TIME_LIMIT_S = 120.0
_PARTS = ("output", "gradient of the input", "gradient of the weights", "gradient of the bias")
KNOWN = (
    "oneDNN#6035 (open): with channels last the gradient of the weights of a 1 x 1 convolution "
    f"with a stride is wrong where the input has fewer than {NARROW} channels"
)


@dataclass(frozen=True)
class Convolution:
    """A convolution of some size as a cell runs it."""

    batch: int
    inputs: int
    outputs: int
    size: tuple[int, int]
    """Height and width of the input, pixels."""
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int] | str
    dilation: tuple[int, int]
    groups: int
    bias: bool
    channels_last: bool
    precision: str = "fp32"
    threads: int = 1
    tf32: bool = False

    def __str__(self) -> str:
        words = [f"Conv2d({self.inputs}, {self.outputs}, {_by(self.kernel)}"]
        for key, usual in (("stride", 1), ("padding", 0), ("dilation", 1)):
            value = getattr(self, key)
            if value != (usual, usual):
                words.append(f"{key}={value if isinstance(value, str) else _by(value)}")
        words += [f"groups={self.groups}"] if self.groups > 1 else []
        layout = "channels last" if self.channels_last else "channels first"
        threads = f", {self.threads} threads" if self.threads > 1 else ""
        return (
            f"{', '.join(words)}) on {self.batch} x {self.inputs} x {_by(self.size, always=True)}, "
            f"{layout}, {self.precision}{threads}"
        )

    @property
    def meets_known_fault(self) -> bool:
        """Whether it is of the kind of oneDNN#6035."""
        narrow = self.inputs // self.groups < NARROW
        return self.channels_last and self.kernel == (1, 1) and max(self.stride) > 1 and narrow


def _by(pair: tuple[int, int], always: bool = False) -> str:
    return f"{pair[0]} x {pair[1]}" if always or pair[0] != pair[1] else str(pair[0])


# What brings oneDNN#6035 out, if it is there; with two threads the numbers are wrong each time.
EXAMPLES = tuple(
    Convolution(
        20, channels, 16, (14, 14), (1, 1), (2, 2), (0, 0), (1, 1), 1, False, True, threads=threads
    )
    for channels in (3, 4, 6, 12)
    for threads in (1, 2)
)


@dataclass(frozen=True)
class Finding:
    """A convolution that this machine computes wrongly."""

    convolution: Convolution
    what: str

    def __str__(self) -> str:
        known = f"; this is {KNOWN}" if self.convolution.meets_known_fault else ""
        return f"{self.convolution}: {self.what}; {computed_by()}{known}"


def onednn_version() -> str | None:
    """Version of oneDNN within this torch; None for a torch without it."""
    found = re.search(r"MKL-DNN v([\d.]+)", torch.__config__.show())
    return found and found[1]


@functools.cache
def computed_by() -> str:
    """What computes convolutions on this machine, with its version."""
    onednn = f"oneDNN {onednn_version()}, " if onednn_version() else ""
    isa = torch.backends.cpu.get_cpu_capability()
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA")
    return f"{onednn}torch {torch.__version__}, {isa}" + (
        f", oneDNN up to {limit}" if limit else ""
    )


# -- the convolutions of a model ----------------------------------------------------------------


class _Recorder(torch.overrides.TorchFunctionMode):
    """Notes each call of conv2d."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[dict[str, Any]] = []

    def __torch_function__(
        self, func: Any, types: Any, args: tuple = (), kwargs: Any = None
    ) -> Any:
        if func in (torch.conv2d, conv2d):
            self.calls.append(_arguments(*args, **(kwargs or {})))
        return func(*args, **(kwargs or {}))


def _arguments(
    input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None,
    stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1,
) -> dict[str, Any]:  # fmt: skip
    """What matters of a call of conv2d, whose argument names these are."""
    return {
        "inputs": input.shape[1], "outputs": weight.shape[0], "size": tuple(input.shape[2:]),
        "kernel": tuple(weight.shape[2:]), "stride": _pair(stride), "dilation": _pair(dilation),
        "padding": padding if isinstance(padding, str) else _pair(padding), "groups": groups,
        "bias": bias is not None,
    }  # fmt: skip


def _pair(value: Any) -> tuple[int, int]:
    if isinstance(value, int):
        return (value, value)
    return tuple(value) if len(value) == 2 else (value[0], value[0])


def convolutions(
    model: Model, classes: int, size: int, images: tuple[int, int], how: dict[str, Any]
) -> list[Convolution]:
    """The different convolutions of a model on a batch of images of `size` pixels.

    images: how many, and how many numbers an input may have, to which they are cut; how: layout,
    precision and threads (`Convolution`).
    """
    with _Recorder() as recorder, torch.no_grad():
        _built(model, classes)(torch.zeros(1, 3, size, size))
    made = (Convolution(batch=_cut(*images, call), **call, **how) for call in recorder.calls)
    return list(dict.fromkeys(made))


@functools.lru_cache(maxsize=1)
def _built(model: Model, classes: int) -> torch.nn.Module:
    """On the CPU: torch's device without memory, `meta`, imports its compiler, which takes long."""
    with torch.random.fork_rng(devices=[]):
        return model.build(classes).eval()


def _cut(batch: int, most: int, call: dict[str, Any]) -> int:
    one = call["inputs"] * call["size"][0] * call["size"][1]
    return max(1, min(batch, _MOST_IMAGES, most // one))


# -- the comparison -----------------------------------------------------------------------------


def compare(convolution: Convolution, device: str = "cpu") -> str | None:
    """What is wrong with the results of a convolution, forward and backward; None if nothing is."""
    torch.set_num_threads(convolution.threads)
    torch.backends.cudnn.allow_tf32 = convolution.tf32
    expected = _run(replace(convolution, precision="fp32"), torch.float64, False, device)
    allowed = _TF32 if convolution.tf32 else TOLERANCE[convolution.precision]
    for _ in range(_TRIES):
        results = _run(convolution, torch.float32, convolution.channels_last, device)
        for part, result, reference in zip(_PARTS, results, expected, strict=False):
            largest = reference.abs().max().clamp(min=1e-30)
            error = ((result.double() - reference).abs().max() / largest).item()
            if not error <= allowed:  # NaN is wrong too
                return f"the {part} is off by {error:.2g} of its largest value"
    return None


def _run(
    convolution: Convolution, dtype: torch.dtype, channels_last: bool, device: str
) -> list[torch.Tensor]:
    """Output and gradients of the convolution on random numbers, the same ones each time."""
    draws = torch.Generator().manual_seed(0)
    layout = torch.channels_last if channels_last else torch.contiguous_format

    def random(*shape: int) -> torch.Tensor:
        drawn = torch.randn(*shape, generator=draws)
        return drawn.to(device, dtype, memory_format=layout if len(shape) == 4 else None)

    c = convolution
    given = [random(c.batch, c.inputs, *c.size), random(c.outputs, c.inputs // c.groups, *c.kernel)]
    if c.bias:
        given.append(random(c.outputs))
    given = [tensor.requires_grad_() for tensor in given]
    kind = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(c.precision)
    with torch.autocast(device, dtype=kind, enabled=kind is not None):
        output = conv2d(
            given[0], given[1], given[2] if c.bias else None,
            c.stride, c.padding, c.dilation, c.groups,
        )  # fmt: skip
    # A scalar's backward: that of a tensor imports sympy, which takes seconds.
    (output * random(*output.shape).to(output.dtype)).sum().backward()
    return [output.detach(), *(tensor.grad for tensor in given)]


# -- in a process of its own ----------------------------------------------------------------------


def each_apart(
    convolutions: Iterable[Convolution], device: str = "cpu"
) -> Iterator[Finding | None]:
    """Each convolution in a process of its own, one after the other: what is wrong with it."""
    for convolution in convolutions:
        yield all_apart([convolution], device)


def all_apart(
    convolutions: list[Convolution], device: str = "cpu", time_limit_s: float = _TIME_LIMIT_S
) -> Finding | None:
    """All convolutions in one process beside this one: the first that is computed wrongly.

    Whatever a kernel does there, memory and random streams of this process stay as they are.
    """
    if not convolutions:
        return None
    context = _context(convolutions, device)
    ours, theirs = context.Pipe(duplex=False)
    with tempfile.NamedTemporaryFile() as said:
        process = context.Process(
            target=_compare_all, args=(convolutions, device, theirs, said.name), daemon=True
        )
        process.start()
        theirs.close()
        at, what = 0, None
        try:
            while what is None and ours.poll(time_limit_s):
                at, what = ours.recv()
                if at is None:
                    process.join()
                    return None
            what = what or f"it did not end within {time_limit_s:g} s"
        except EOFError:  # the process is gone
            process.join()
            what = _end_of(process.exitcode, said)
        finally:
            if process.is_alive():
                process.kill()
            process.join()
    return Finding(convolutions[at], what)


def _context(convolutions: list[Convolution], device: str) -> Any:
    """How the process is started: by a fork, which imports nothing anew, where it can be.

    A GPU's driver does not live through a fork, and neither do compute threads: after a fork of a
    process that has used them OpenMP waits for them without end. So for several threads a server
    forks, which has torch and has computed nothing.
    """
    if device != "cpu":
        return multiprocessing.get_context("spawn")
    if all(c.threads == 1 for c in convolutions):
        return multiprocessing.get_context("fork")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    before = os.environ.get("PYTHONPATH")
    # The server looks for what it imports ahead there, and not where this process does.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    try:
        forkserver.ensure_running()
    finally:
        os.environ.pop("PYTHONPATH")
        if before is not None:
            os.environ["PYTHONPATH"] = before
    return context


def _compare_all(convolutions: list[Convolution], device: str, pipe: Any, said: str) -> None:
    """The process's work: tells where it is, what it finds, and (None, None) at the end."""
    faulthandler.disable()  # the last line is to be the library's own
    os.dup2(os.open(said, os.O_WRONLY), 2)
    for at, convolution in enumerate(convolutions):
        pipe.send((at, None))
        what = compare(convolution, device)
        if what is not None:
            pipe.send((at, what))
            return
    pipe.send((None, None))


def _end_of(exit_code: int | None, said: Any) -> str:
    """How a process ended that did not come to its end."""
    said.seek(0)
    lines = [line.strip() for line in said.read().decode(errors="replace").splitlines()]
    last = next((f" ({line})" for line in reversed(lines) if line), "")
    if exit_code is not None and exit_code < 0:
        return f"the process was ended by {signal.Signals(-exit_code).name}{last}"
    return f"the process ended with exit code {exit_code}{last}"
