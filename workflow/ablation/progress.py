"""What people watch of a cell: how far it is, and the log of all its attempts."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys
import time
from pathlib import Path
from typing import Any

from .files import own_file, own_folder, write_text
from .foreign import Unreadable, read_tail
from .results import Progress, typed

NAME = "progress.json"


def write(path: Path, state: Any, epochs: int) -> None:
    """Note the state of a training; `state` is the loop's. A full disk is no reason to stop."""
    last = state.epochs[-1] if state.epochs else {}
    times = state.times[-1] if state.times else {}
    seconds = times.get("train_time_s", 0.0) + times.get("eval_time_s", 0.0)
    content = {
        "epoch": state.epoch,
        "epochs": epochs,
        "val_top1": last.get("val_top1"),
        "images_per_s": times.get("images_per_s"),
        "left_s": seconds * (epochs - state.epoch) if times else None,
        "written": time.time(),
    }
    with contextlib.suppress(OSError):
        write_text(path, json.dumps(content) + "\n")


def read(path: Path) -> dict[str, Any]:
    """What was noted; empty when nothing was, or nothing that can be read: the next epoch notes it
    anew."""
    try:
        return typed(path, Progress).model_dump(exclude_unset=True)
    except Unreadable:
        return {}


def recall_log(folder: Path) -> bool:
    """Write what earlier attempts said into this one's log, if that is a file; whether any did.

    Snakemake deletes a job's log before each attempt. A hard link in `folder` keeps it. What else
    stands there is not read: a log is public, and a symbolic link leads to anything.
    """
    kept, mine = folder / "log.txt", os.fstat(2)
    recalled = False
    try:
        if not stat.S_ISREG(mine.st_mode):
            return False
        own_folder(folder)
        ours = own_file(kept)
        if ours and not os.path.samestat(kept.lstat(), mine):
            sys.stderr.write(read_tail(kept, follow=False))
            sys.stderr.flush()
            recalled = True
        if not ours or recalled:
            kept.unlink(missing_ok=True)
            os.link(os.readlink("/proc/self/fd/2"), kept)
    except OSError:  # no /proc, or the log is on another file system: there is no history then
        pass
    return recalled
