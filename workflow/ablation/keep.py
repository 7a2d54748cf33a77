"""What a cell has is not lost before its successor is whole.

Snakemake deletes a job's outputs before it runs it, whatever made it run: a flag, another trigger.
So the results of a cell that is to be trained again are set aside first, as links beside them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from pathlib import Path

from . import lease
from .files import disk_error, own_folder
from .record import RESULTS, adopt
from .results import FILES

BEFORE = ".before"
KEPT = ".kept"
"""Where an attempt leaves its own results, until the workflow ends."""


def problem(folder: Path) -> str:
    """What a trained cell lacks, as far as a look at its files tells; empty when nothing, and when
    it is not trained."""
    if not os.path.lexists(folder / "metrics.json"):
        return ""
    for name in FILES:  # people delete weights.pt to save room: a cell is whole without
        if not _is_file(folder / name):
            return f"{folder / name} is missing"
    with open(folder / "metrics.json", "rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - 16))
        end = file.read().rstrip()
    return "" if end.endswith(b"}") else f"{folder / 'metrics.json'} is cut short"


def advice(folder: Path) -> str:
    """What to do about a damaged cell."""
    return f"delete the folder {folder} and the cell is trained again"


def whole(folder: Path) -> bool:
    """Whether a cell's results are there; its weights may be gone."""
    return _is_file(folder / "metrics.json") and not problem(folder)


def _is_file(path: Path) -> bool:
    """An ordinary file, or a link to one: a cell's results may lie elsewhere."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return False


def set_aside(folder: Path, log: Path) -> None:
    """Keep a cell's results, and what its training said, ahead of a job that begins by deleting
    them. Links take no room; where there are none, copies do."""
    if not whole(folder):
        return
    before = folder / BEFORE
    try:
        shutil.rmtree(before, ignore_errors=True)
        before.mkdir()
        for name in RESULTS:  # metrics.json last: with it what was set aside is whole
            if _is_file(folder / name):
                _link(folder / name, before / name)
        if _is_file(log) and not os.path.lexists(folder / KEPT / "log.txt"):
            own_folder(folder / KEPT)
            _link(log, folder / KEPT / "log.txt")  # an attempt writes it into its own log
    except OSError as error:
        raise disk_error(before, error) from None


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def put_back(folder: Path, held: Path | None = None) -> bool:
    """Give a cell without results those that it had before; whether it did.

    held: its lease; nothing is touched while someone trains it.
    """
    if os.path.lexists(folder / "metrics.json") or (held is not None and lease.alive(held)):
        return False
    for kept in (folder / KEPT, folder / BEFORE):
        # The first: an attempt had all of it trained, and its job was ended at the last moment.
        if whole(kept):
            for name in RESULTS:
                if not _is_file(kept / name):
                    (folder / name).unlink(missing_ok=True)
            adopt(kept, folder)
            return True
    return False


def drop_before(folder: Path) -> None:
    """Drop what a cell had, once its successor is whole."""
    shutil.rmtree(folder / BEFORE, ignore_errors=True)


def release(folder: Path) -> None:
    """Drop all that was kept, once the results in `folder` are known to stay."""
    if _is_file(folder / "metrics.json"):
        shutil.rmtree(folder / KEPT, ignore_errors=True)
        drop_before(folder)


def settle(folder: Path, held: Path) -> bool:
    """At the end of a workflow: a cell keeps its results, or gets back those that it had; whether
    it got them back."""
    back = put_back(folder, held)
    with contextlib.suppress(OSError):
        release(folder)
    return back
