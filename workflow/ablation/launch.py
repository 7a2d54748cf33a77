"""A cell of several ranks: torchrun starts them within the job, and they are watched from here.

The process that Snakemake or a person has started holds the lease and hears the signals; the ranks
train. A stop is handed on by a file, because torchrun ends its processes on a signal of its own.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from .errors import StopRequested, UserError

STOP = "stop"
_LOOK_EVERY_S = 0.5


def asked(folder: Path) -> bool:
    """Whether the ranks of the cell whose checkpoint lies in `folder` are asked to stop."""
    return (folder / STOP).exists()


def launch(
    program: Path,
    argv: Sequence[str],
    *,
    ranks: int,
    folder: Path,
    stop: Callable[[], bool],
    check: Callable[[], None],
) -> None:
    """Run `program` with its command line in so many processes, until all of them have ended.

    folder: of the cell's checkpoint; stop: whether to stop; check: raises when the lease is lost.
    Returns when every rank has ended well; StopRequested when they have stopped as asked.
    """
    (folder / STOP).unlink(missing_ok=True)
    # `--standalone` takes a free port, so that several cells can share a node.
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone",
        "--nproc-per-node", str(ranks), str(program), *argv,
    ]  # fmt: skip
    # A session of its own: Ctrl-C reaches this process alone.
    process = subprocess.Popen(command, start_new_session=True)
    try:
        while process.poll() is None:
            time.sleep(_LOOK_EVERY_S)
            check()
            if stop():
                with contextlib.suppress(FileExistsError):
                    (folder / STOP).touch(exist_ok=False)  # through no link
    finally:
        if process.poll() is None:
            process.terminate()  # torchrun ends its ranks
            process.wait()
        stopped = asked(folder)
        (folder / STOP).unlink(missing_ok=True)
    if process.returncode == 0:
        return
    if stopped or stop():
        raise StopRequested("all ranks have stopped; the same command goes on from there")
    raise UserError(
        f"one of the cell's {ranks} ranks has ended with an error; the reason stands above"
    )
