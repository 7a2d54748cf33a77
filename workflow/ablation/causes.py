"""Why a cell could not be trained, in one line that says what helps."""

from __future__ import annotations

import errno
import re
import signal
import socket
from pathlib import Path

from .config.recipe import CellConfig
from .errors import UserError
from .files import NO_SPACE, disk_error
from .foreign import read_tail
from .printable import one_line

_NO_MEMORY = ("allocate memory", "out of memory", "bad_alloc")
# What CUDA says when program and driver do not fit, and when the machine itself is broken.
_DRIVER = (
    "driver version is insufficient", "driver on your system is too old", "no kernel image",
    "unsupported display driver", "forward compatibility was attempted", "found no nvidia driver",
)  # fmt: skip
_BAD_NODE = (
    "ecc error", "uncorrectable", "gpu is lost", "fallen off the bus", "unspecified launch failure",
    "hardware stack error", "no cuda-capable device", "cuda unknown error", "nvlink",
    "devices unavailable", "illegal instruction", "transport error",
)  # fmt: skip


def explained(error: Exception, out: Path, scale: str, config: CellConfig) -> UserError | None:
    """What to do about a failure that is not the program's; None for any other error."""
    number = getattr(error, "errno", None)
    if number in NO_SPACE:
        return disk_error(getattr(error, "filename", None) or out, error)
    if number in (errno.EIO, errno.ESTALE, errno.EREMOTEIO):
        name = getattr(error, "filename", None) or "a file"
        return UserError(f"{name}: the disk or file system of {_host()} fails ({error.strerror})")
    text = str(error).lower()
    gpu = type(error).__name__ == "OutOfMemoryError" or "alloc_failed" in text
    full = gpu or isinstance(error, MemoryError) or number == errno.ENOMEM
    if full or any(words in text for words in _NO_MEMORY):
        return _memory(gpu, scale, config)
    return cuda(error)


def cuda(error: Exception) -> UserError | None:
    """A driver that does not fit this torch, or a node whose GPU is broken."""
    text = str(error).lower()
    said = _first_line(error)
    if any(words in text for words in _DRIVER):
        return UserError(
            f"the NVIDIA driver of {_host()} does not fit this torch ({said}); "
            "what helps: nodes with a newer driver (resources: constraint), or an older torch"
        )
    if any(words in text for words in _BAD_NODE):
        return UserError(
            f"the GPU of {_host()} fails ({said}); what helps: another node (resources: extra: "
            f"--exclude={_host()}), and a word to those who run it"
        )
    return None


def _memory(gpu: bool, scale: str, config: CellConfig) -> UserError:
    helps = "a GPU with more memory" if gpu else f"more mem_mb in the scale '{scale}'"
    return UserError(
        f"{'the GPU' if gpu else 'the job'} has too little memory for batch_size "
        f"{config.batch_size}, model {config.model.label}, img_size {config.img_size}"
        f"{'' if gpu else f', reading {config.reading}'}; what helps: {helps}, a smaller batch_size"
        f"{'' if gpu or config.reading == 'streaming' else ', reading: streaming'}"
    )


def _host() -> str:
    return socket.gethostname()


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__


STOPPED = "stopped as asked; it goes on when the workflow is started again"

# -- afterwards, from the logs ----------------------------------------------------------------

# What Slurm writes into a job's log -> what it means. The first that is found counts.
_SLURM = (
    (r"oom.kill|out.of.memory|exceeded .*memory limit", "the job had too little memory and was "
     "killed: raise mem_mb of its scale, or resources of its study"),
    (r"DUE TO TIME LIMIT", "the time limit ended the job: it goes on from its checkpoint when the "
     "workflow is started again; raise runtime"),
    (r"DUE TO NODE FAILURE|NODE_FAIL", "its node failed"),
    (r"DUE TO PREEMPTION", "the job gave way to another one"),
    (r"CANCELLED AT", "the job was cancelled"),
)  # fmt: skip


def last_attempt(log: Path) -> list[str]:
    """Lines of a cell's log that its last attempt has written."""
    lines = read_tail(log).splitlines()
    heads = [number for number, line in enumerate(lines) if "=== cell " in line]
    return lines[heads[-1] :] if heads else lines


def of_log(log: Path, slurm_logs: Path | None = None) -> str:
    """Why the last attempt of a cell ended, in one line.

    slurm_logs: folder of the executor's logs, which know what the killed cell could not say.
    """
    lines = [line.strip() for line in last_attempt(log) if line.strip()]
    crashed = _crash(lines)
    if crashed:
        return one_line(crashed)
    if said := _said(lines):
        return said
    if any("stopped as asked" in line for line in lines[-3:]):
        return STOPPED
    if bug := _bug(lines):
        return bug
    return _slurms_word(log.stem, slurm_logs) or _signal(lines) or _NO_WORD


def _said(lines: list[str]) -> str:
    """The last error that a program has told; empty when it has told none."""
    said = [line for line in lines if line.startswith("error: ")]
    return one_line(said[-1].removeprefix("error: ")) if said else ""


def _bug(lines: list[str]) -> str:
    """The last line of a traceback; empty when there is none."""
    return one_line(lines[-1]) if any(line.startswith("Traceback") for line in lines) else ""


_NO_WORD = "its job has ended without a word: with its node, by the cluster, or by hand"
# What Python says of the signal of a fault in compiled code (faulthandler) -> the signal's name.
_FAULTS = {
    "Aborted": "SIGABRT", "Segmentation fault": "SIGSEGV", "Bus error": "SIGBUS",
    "Illegal instruction": "SIGILL", "Floating-point exception": "SIGFPE",
}  # fmt: skip
_FATAL = "Fatal Python error: "
_HEAP = r"^(free|malloc|realloc|munmap_chunk|corrupted|double free|terminate called)\b.*"
_ENDED = re.compile(r"ended by signal (\d+)$")  # rules/common.smk writes it


def _crash(lines: list[str]) -> str | None:
    """A fault in compiled code, such as a library's: the signal, and what was said of it."""
    fatal = next((line for line in reversed(lines) if line.startswith(_FATAL)), None)
    heap = next((line for line in reversed(lines) if re.match(_HEAP, line)), None)
    number = _signal_number(lines)
    if fatal is not None:
        name = _FAULTS.get(fatal.removeprefix(_FATAL), fatal.removeprefix(_FATAL))
    elif number is not None and number not in (signal.SIGKILL, *_STOPS):
        name = signal.Signals(number).name
    elif heap is not None:
        name = "SIGABRT"
    else:
        return None
    helps = "another kind of node" if name == "SIGILL" else "`make doctor` on its node"
    return (
        f"compiled code has crashed ({name}{f': {heap}' if heap else ''}), which is a fault of a "
        f"library or of its node and not of the memory's size; what helps: {helps}"
    )


_STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)


def _signal_number(lines: list[str]) -> int | None:
    found = next((m for line in reversed(lines) if (m := _ENDED.search(line))), None)
    number = int(found[1]) if found else 0
    return number if number in set(signal.Signals) else None


def _signal(lines: list[str]) -> str | None:
    """What a signal that leaves no time for words says by itself."""
    number = _signal_number(lines)
    if number == signal.SIGKILL:
        return (
            "it was killed (SIGKILL): for more memory than the job or its node has (raise mem_mb "
            "of its scale, or resources of its study), or by hand"
        )
    return None if number is None else f"it was ended by {signal.Signals(number).name}"


def _slurms_word(cell: str, folder: Path | None) -> str | None:
    if folder is None or not folder.is_dir():
        return None
    # A packed cell's job is named by its group; which one it was stands inside.
    own = list(folder.glob(f"rule_train_cell/{cell}/*.log"))
    packed = [p for p in folder.glob("group_*/**/*.log") if cell in read_tail(p)]
    found = sorted(own + packed, key=lambda path: path.lstat().st_mtime)
    if not found:
        return None
    text = read_tail(found[-1])
    return next((means for words, means in _SLURM if re.search(words, text, re.I)), None)


def failures(cells: dict[str, str], results: Path, slurm_logs: Path, since: float) -> list[str]:
    """One line for each cell that has run since a time and has no result: cell, cause, log.

    cells: id -> how readers know it.
    """
    lines = []
    for cell, name in cells.items():
        log = results / "logs/train" / f"{cell}.log"
        if (results / "cells" / cell / "metrics.json").exists() or not log.is_file():
            continue
        if log.stat().st_mtime >= since:
            lines.append(f"cell {cell} ({name}): {of_log(log, slurm_logs)}; log: {log}")
    return lines


def failed_stages(scale: str, studies: list[str], results: Path, since: float) -> list[str]:
    """One line for each collected table, table, figure or verdict, and for the report, whose
    program has run since a time and ended with an error: study, cause, log."""
    logs = results / "logs"
    jobs = {
        logs / stage / scale / f"{study}.log": f"{stage} of study {study}"
        for study in studies
        for stage in ("collect", "tables", "figures", "claims")
    }
    jobs[logs / "report/report.log"] = "the report"
    lines = []
    for log, name in jobs.items():
        if log.is_file() and log.stat().st_mtime >= since and (said := _last_error(log)):
            lines.append(f"{name}: {said}; log: {log}")
    return lines


def _last_error(log: Path) -> str:
    """What a program of seconds said when it failed; empty when it did not fail."""
    lines = [line.strip() for line in read_tail(log).splitlines() if line.strip()]
    return _said(lines) or _bug(lines)
