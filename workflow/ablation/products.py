"""Which files a program has made in its folder, so that one that is deleted is made again."""

from __future__ import annotations

import os
import re
from pathlib import Path

from .files import write_text

LIST = ".products"


def write_list(folder: Path) -> None:
    """Note what is in a folder and its folders, hidden files left out; comes last, after all of
    it was made."""
    found = (path.relative_to(folder) for path in folder.rglob("[!.]*") if path.is_file())
    names = sorted(path.as_posix() for path in found)
    write_text(folder / LIST, "".join(f"{name}\n" for name in names))


def whole(folder: Path) -> bool:
    """Whether all that was made in a folder is there. A folder that is missing is for Snakemake
    to see."""
    if not folder.is_dir():
        return True
    try:
        names = (folder / LIST).read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    # One listing a folder: a report has thousands of pages.
    found = {name: _listed(folder / name) for name in {os.path.dirname(name) for name in names}}
    return all(os.path.basename(name) in found[os.path.dirname(name)] for name in names)


def _listed(folder: Path) -> set[str]:
    try:
        return {entry.name for entry in os.scandir(folder) if entry.is_file()}
    except OSError:
        return set()


def marker(folder: Path, part: str, state: str, made: Path | None) -> Path:
    """The empty file in `folder` that stands for what a part is made from; Snakemake makes the part
    anew when the file is.

    state: digest of all that it is made from. made: its folder, where it has a list. Where some of
    it was deleted, the next file in a row is named: `.tables-0123456789ab`, then
    `.tables-0123456789ab.1`. The name follows from what lies on the disk, so that it is the same
    until the part is made.
    """
    name = re.compile(rf"\.{part}-{state}(?:\.(\d+))?")
    there = [name.fullmatch(found) for found in _listed(folder)]
    turns = [int(found[1] or 0) for found in there if found]
    turn = max(turns, default=0)
    if turns and made is not None and not whole(made):
        turn += 1
    return folder / (f".{part}-{state}" + (f".{turn}" if turn else ""))
