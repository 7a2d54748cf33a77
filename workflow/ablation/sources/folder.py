"""Layout `folder`: `{split}/{class}/{image}`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ..config.dataset import Source
from ..errors import DataError
from .hints import where_splits_are
from .listing import OUTSIDE, ListingBuilder, Sample, SourceListing, is_hidden


def read(path: Path, config: Source, scratch: Path | None) -> SourceListing:
    """List a tree of class folders; links to files and to class folders are followed."""
    builder = ListingBuilder(path)
    for split, folder in (("train", path / config.train), ("val", path / config.val)):
        if not folder.is_dir() and not folder.is_symlink():
            raise DataError(f"{folder}: no such folder{where_splits_are(path, config)}")
        add_class_folders(builder, split, folder)
    return builder.finish()


def add_class_folders(builder: ListingBuilder, split: str, folder: Path) -> None:
    """Add every class folder in `folder` as a class of `split`."""
    for entry in entries(folder):
        if not entry.is_dir():
            builder.add_stray(f"{split}/{entry.name}", broken_link(entry) or OUTSIDE)
            continue
        refuse_loop(entry.path)
        builder.add_class(split, entry.name)
        for file in entries(Path(entry.path)):
            if file_reason := why_no_file(file):
                builder.add_stray(f"{split}/{entry.name}/{file.name}", file_reason)
            else:
                builder.add(split, Sample(entry.name, file.name, entry.path))


def entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield what is not hidden in a folder, sorted by name; raises DataError without a folder."""
    if not folder.is_dir():
        if folder.is_symlink():
            raise DataError(
                f"{folder}: is a broken link to {os.readlink(folder)!a}; make that place reachable"
            )
        raise DataError(f"{folder}: no such folder")
    with os.scandir(folder) as found:
        listed = sorted(found, key=lambda entry: entry.name)
    for entry in listed:
        if not is_hidden(entry.name):
            yield entry


def why_no_file(entry: os.DirEntry[str]) -> str | None:
    """Say why an entry is no plain file, or None when it is one (or a link to one).

    Reading a pipe or a device would wait for ever, so the type is known before the bytes are.
    """
    try:
        if entry.is_file():
            return None
        if entry.is_dir():
            return "is a folder inside a class folder"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return broken_link(entry) or "is not a plain file"


def broken_link(entry: os.DirEntry[str]) -> str | None:
    """Say where a link leads when nothing is there, or None for anything else."""
    if entry.is_symlink() and not os.path.exists(entry.path):
        return f"is a broken link to {os.readlink(entry.path)!a}"
    return None


def refuse_loop(folder: str) -> None:
    """Raise DataError for a linked folder that holds itself (its target is one of its parents)."""
    real = os.path.realpath(folder)
    parent = os.path.realpath(os.path.dirname(folder))
    if parent == real or parent.startswith(real.rstrip("/") + "/"):
        raise DataError(f"{folder}: this link leads back to a folder above it ({real})")
