"""How far a cell is: a small file beside its lease, for people who watch. No result reads it."""

from __future__ import annotations

import contextlib
import json
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
