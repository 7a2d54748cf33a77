"""The listing that every layout is read into: which images there are, and how to get at them."""

from __future__ import annotations

import itertools
import os
import sys
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ..errors import DataError
from ..printable import order_in

SPLITS = ("train", "val")
# One file is read whole: something larger is no photograph but a mistake or an attack.
MAX_FILE_BYTES = 1 << 29
# Why a file in a split's own folder is set aside.
OUTSIDE = "lies outside of a class folder"


class Sample(NamedTuple):
    """One image file, readable from any process that sees the same file system."""

    cls: str
    """Class: name of the folder, or wnid."""
    name: str
    """File name, without folders."""
    source: str
    """The folder that holds the file, or the uncompressed tar that holds its bytes."""
    offset: int = -1
    """Where its bytes begin in the tar; -1 for a file in a folder."""
    size: int = -1
    """Number of its bytes in the tar; -1 for a file in a folder."""

    def read(self) -> bytes:
        """Return the file's bytes; raises OSError when they cannot be had in full."""
        in_tar = self.offset >= 0
        path = self.source if in_tar else os.path.join(self.source, self.name)
        with open(path, "rb", buffering=0) as file:
            size = self.size if in_tar else os.fstat(file.fileno()).st_size
            if size > MAX_FILE_BYTES:
                raise OSError(f"{size:,} bytes, more than {MAX_FILE_BYTES:,}")
            file.seek(max(self.offset, 0))
            parts, missing = [], size
            while missing and (part := file.read(missing)):
                parts.append(part)
                missing -= len(part)
        if missing:
            raise OSError(f"ends {missing:,} bytes early")
        return b"".join(parts)


@dataclass(frozen=True)
class SourceListing:
    """All images of a source. A context manager: leaving it removes temporary files."""

    classes: tuple[str, ...]
    """Sorted class names, the same for both splits; the label is the place in this list."""
    splits: dict[str, list[Sample]]
    """`train` and `val`, each sorted by (class, file name)."""
    stray: dict[str, str] = field(default_factory=dict)
    """Files that belong to no class (path -> reason); they count as bad images."""
    temporary: tuple[Path, ...] = ()
    """Files made for reading (a decompressed tar), removed by `close`."""

    def close(self) -> None:
        """Remove the temporary files."""
        for path in self.temporary:
            path.unlink(missing_ok=True)

    def __enter__(self) -> SourceListing:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class ListingBuilder:
    """Collects samples in any order; checks names, classes and doubles; sorts at the end."""

    def __init__(self, where: str | Path) -> None:
        self.where = str(where)
        self.samples: dict[str, list[Sample]] = {split: [] for split in SPLITS}
        self.folders: dict[str, set[str]] = {split: set() for split in SPLITS}
        self.stray: dict[str, str] = {}

    def add_class(self, split: str, cls: str) -> None:
        """Note that `split` has a folder for `cls`, which may turn out to be empty."""
        self.folders[split].add(check_name(cls, self.where))

    def add(self, split: str, sample: Sample) -> None:
        """Add one file; hidden files are left out in silence."""
        check_name(sample.name, self.where)
        if not is_hidden(sample.name):
            self.add_class(split, sample.cls)
            # One text for a class, not one an image: there are a million.
            self.samples[split].append(sample._replace(cls=sys.intern(sample.cls)))

    def add_stray(self, path: str, reason: str) -> None:
        """Note a file that belongs to no class or is no plain file."""
        self.stray[path] = reason

    def finish(self, temporary: Iterable[Path] = ()) -> SourceListing:
        """Return the sorted listing; raises DataError for classes that are not in both splits."""
        found = {}
        for split in SPLITS:
            self.samples[split].sort(key=lambda sample: (sample.cls, sample.name))
            self._no_doubles(split)
            found[split] = {sample.cls for sample in self.samples[split]}
            if not found[split] and not self.folders[split]:
                raise DataError(f"{self.where}: no image in the {split} split{self._flat(split)}")
        classes = sorted(set.union(*self.folders.values()))
        for cls in classes:
            if order := order_in(cls):
                raise DataError(
                    f"{self.where}: the class {cls!a} holds the control or direction character "
                    f"{order}; rename its folder"
                )
        for split in SPLITS:
            missing = [cls for cls in classes if cls not in found[split]]
            if missing:
                raise DataError(
                    f"{self.where}: {some(missing)} without an image in the {split} split;"
                    f" every class must have images in both{self._set_aside(split, missing)}"
                )
        return SourceListing(
            tuple(classes), self.samples, dict(sorted(self.stray.items())), tuple(temporary)
        )

    def is_empty(self, split: str) -> bool:
        """Tell whether nothing at all lies in the folder of a split."""
        there = self.samples[split] or self.folders[split]
        return not there and not self._aside(split)

    def _flat(self, split: str) -> str:
        """Return the end of a message about a split whose images lie in no class folder."""
        files = [path for path, why in self._aside(split) if why == OUTSIDE]
        if not files:
            return self._set_aside(split)
        return (
            f": {len(files):,} files lie there directly, as {files[0]!a}; move each into a folder"
            " with the name of its class (ImageNet's flat validation images are read by the"
            " layouts imagenet_tars and kaggle_imagenet)"
        )

    def _set_aside(self, split: str, classes: Iterable[str] = ()) -> str:
        """Return the end of a message: which files were not taken, those of `classes` first."""
        aside = self._aside(split)
        if not aside:
            return ""
        wanted = {f"{split}/{cls}" for cls in classes}
        path, why = next(
            (item for item in aside if "/".join(item[0].split("/")[:2]) in wanted), aside[0]
        )
        return f"; {len(aside):,} set aside there, as {path!a}, which {why}"

    def _aside(self, split: str) -> list[tuple[str, str]]:
        return [item for item in self.stray.items() if item[0].startswith(f"{split}/")]

    def _no_doubles(self, split: str) -> None:
        samples = self.samples[split]
        for one, two in itertools.pairwise(samples):
            if one[:2] == two[:2]:
                raise DataError(f"{self.where}: {split}/{one.cls}/{one.name} is there twice")


def some(classes: list[str], limit: int = 10) -> str:
    """Return `class 'a'` or `classes 'a', 'b' and 3 more` for a message."""
    names = ", ".join(ascii(name) for name in classes[:limit])
    more = f" and {len(classes) - limit:,} more" if len(classes) > limit else ""
    return f"{'class' if len(classes) == 1 else 'classes'} {names}{more}"


# What Windows, macOS and network disks leave in folders that they show.
_LEFT_BEHIND = frozenset(
    ("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "#recycle")
)


def is_hidden(name: str) -> bool:
    """Tell whether a file is the file manager's and not the user's (.DS_Store, ._x, Thumbs.db)."""
    return name.startswith(".") or name.lower() in _LEFT_BEHIND


def check_name(name: str, where: str) -> str:
    """Return a class or file name that is safe to print, to join to a path and to compare.

    Markup in it is allowed: it is plain text to everything here, and the report escapes it.
    """
    problem = None
    if not name or name in (".", ".."):
        problem = "is empty or a path part"
    elif "/" in name or "\\" in name:
        problem = "holds a path separator"
    elif any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in name):
        problem = "holds control characters or is not valid UTF-8"
    if problem:
        raise DataError(f"{where}: the name {name!a} {problem}; rename it")
    return name
