"""The GPUs of this machine, known without torch, and which of them a cell takes.

Slurm gives each job its GPUs. Started on the machine itself, cells would all compute on the first:
the workflow starts no more of them at once than there are GPUs (rules/cluster.smk), and each takes
one that no other holds.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import tempfile
from pathlib import Path
from typing import IO

DEVICES = Path("/dev")
_held: list[IO[bytes]] = []
"""Open for as long as the process lives: the kernel gives the locks back however it ends."""


def visible() -> list[str]:
    """The GPUs that CUDA would see, as CUDA_VISIBLE_DEVICES names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        return [str(number) for number in range(len(list(DEVICES.glob("nvidia[0-9]*"))))]
    parts = (part.strip() for part in named.split(","))
    return list(itertools.takewhile(lambda part: part not in ("", "-1"), parts))


def take(count: int, folder: Path | None = None) -> list[str]:
    """Take so many GPUs that no other cell on this machine holds, for this process and those that
    it starts; returns their names. Call before anything touches CUDA.

    Where fewer are free, because more cells were started than there are GPUs, held ones make up the
    number: sharing was asked for. Nothing is taken where there is no choice. folder: of the locks.
    """
    names = visible()
    if len(names) <= count:
        return names
    folder = folder or Path(tempfile.gettempdir())
    free = [name for name in names if len(_held) < count and _lock(folder, name)]
    # Those that share are spread by their processes' numbers.
    start = os.getpid() % len(names)
    others = [name for name in names[start:] + names[:start] if name not in free]
    taken = [*free, *others][:count]
    os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(taken)
    return taken


def _lock(folder: Path, name: str) -> bool:
    """Whether a GPU was free, and is this process's now."""
    with contextlib.suppress(OSError):
        path = folder / f"ablation-gpu-{os.getuid()}-{name.replace('/', '_')}.lock"
        # In a folder where anybody makes any name: no link is followed, no pipe waited for.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        file = os.fdopen(os.open(path, flags, 0o600), "wb")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return False
        _held.append(file)
        return True
    return False
