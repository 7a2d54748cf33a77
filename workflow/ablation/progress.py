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

from .files import write_text

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
    """What was noted; empty when nothing was."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def recall_log(folder: Path) -> bool:
    """Write what earlier attempts said into this one's log, if that is a file; whether any did.

    Snakemake deletes a job's log before each attempt. A link in `folder` keeps it.
    """
    kept, mine = folder / "log.txt", os.fstat(2)
    recalled = False
    try:
        if not stat.S_ISREG(mine.st_mode):
            return False
        if kept.exists() and not os.path.samestat(kept.stat(), mine):
            sys.stderr.write(kept.read_text(errors="replace"))
            sys.stderr.flush()
            kept.unlink()
            recalled = True
        if not kept.exists():
            folder.mkdir(parents=True, exist_ok=True)
            os.link(os.readlink("/proc/self/fd/2"), kept)
    except OSError:  # no /proc, or the log is on another file system: there is no history then
        pass
    return recalled
