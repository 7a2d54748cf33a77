"""What to do about the commonest mistakes: layouts that are nearly right."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from ..config.dataset import Source

FOLDERS_SEARCHED = 500
KEPT = 64
LABELS = ("cls", "json", "txt")


def where_splits_are(path: Path, config: Source) -> str:
    """Return the end of a message about a folder that has no split folders: where they may be."""
    if not path.is_dir():
        return "; `source.path` is a file: for a tar set `layout: tar`"
    with os.scandir(path) as listed:
        entries = sorted(listed, key=lambda entry: entry.name)
    names = [entry.name for entry in entries]
    if "ILSVRC2012_img_train.tar" in names:
        return "; the official tars lie there: set `layout: imagenet_tars`"
    if "ILSVRC" in names:
        return "; Kaggle's tree lies there: set `layout: kaggle_imagenet`"
    if found := _deeper(path, {config.train, config.val}):
        return f"; they lie in {found}: set `source.path` to it"
    if tars := [name for name in names if ".tar" in name]:
        return (
            f"; tars lie there ({_first(tars)}): layout `tar` reads one tar of a tree, and a set of"
            " several (WebDataset) must be unpacked first"
        )
    folders = [entry.name for entry in entries if entry.is_dir() and entry.name[0] != "."]
    if folders:
        return (
            f"; folders there: {_first(folders)}; name the splits' own in `source.train` and"
            " `source.val`"
        )
    return "; nothing like a split lies there"


def _deeper(path: Path, names: set[str]) -> Path | None:
    """Return the nearest folder below `path` that holds both splits, looking at a few hundred."""
    waiting = deque([(path, 0)])
    for _ in range(FOLDERS_SEARCHED):
        if not waiting:
            return None
        folder, depth = waiting.popleft()
        try:
            with os.scandir(folder) as listed:
                below = sorted(e.name for e in listed if e.is_dir() and not e.is_symlink())
        except OSError:
            continue
        if names <= set(below):
            return folder
        if depth < 3:
            waiting.extend((folder / name, depth + 1) for name in below)
    return None


class Outside:
    """What a tar holds outside of the splits' folders, to say why nothing was found in them."""

    def __init__(self, config: Source) -> None:
        self.names = {config.train, config.val}
        self.tops: set[str] = set()
        self.files: list[str] = []
        self.deep: str | None = None

    def note(self, parts: Sequence[str], is_file: bool) -> None:
        """Take note of one member."""
        if not parts:
            return
        if len(self.tops) < KEPT:
            self.tops.add(parts[0])
        if is_file and len(self.files) < KEPT:
            self.files.append("/".join(parts))
        if self.deep is None:
            depth = next((i for i, part in enumerate(parts) if i > 1 and part in self.names), None)
            self.deep = "/".join(parts[:depth]) if depth else None

    def hint(self) -> str:
        """Return the end of a message."""
        if pair := self._webdataset():
            return (
                f"; it is a WebDataset tar ({pair[0]} beside {pair[1]}), which is not read: write"
                " its images to {split}/{class}/{key}.jpg and use layout `folder`"
            )
        if self.deep:
            return (
                f"; the splits lie too deep, in {self.deep!a}, and one folder above them is read:"
                f" pack with `tar -C {self.deep} -cf NEW.tar {' '.join(sorted(self.names))}`"
            )
        if tars := [name for name in self.files if name.endswith(".tar")]:
            return f"; it holds tars ({tars[0]!a}): for the official ones use layout imagenet_tars"
        if self.tops:
            return (
                f"; at its top lie {_first(sorted(self.tops))}; name the splits' folders in"
                " `source.train` and `source.val`"
            )
        return "; it is empty"

    def _webdataset(self) -> tuple[str, str] | None:
        """Return an image and the label beside it: names equal up to the first dot."""
        of_key: dict[str, list[str]] = {}
        for name in self.files:
            folder, _, file = name.rpartition("/")
            of_key.setdefault(f"{folder}/{file.partition('.')[0]}", []).append(name)
        for group in of_key.values():
            labels = [name for name in group if name.rpartition(".")[2] in LABELS]
            others = [name for name in group if name not in labels]
            if labels and others:
                return ascii(others[0]), ascii(labels[0])
        return None


def broken_links(reasons: dict[str, str]) -> str:
    """Return what to do about links among bad files that lead nowhere; empty without any."""
    if not any("broken link" in why for why in reasons.values()):
        return ""
    return "; for the links, make the place that they lead to reachable, or copy with `cp -rL`"


def _first(names: list[str], limit: int = 5) -> str:
    shown = ", ".join(ascii(name) for name in names[:limit])
    return shown + (f" and {len(names) - limit:,} more" if len(names) > limit else "")
