"""Files that are whole or absent, and JSON that is the same text every time."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

from .errors import DataError

WIDTH = 100


NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def disk_error(path: str | Path, error: OSError) -> DataError:
    """Return the one-line error for something that could not be written."""
    if error.errno in NO_SPACE:
        return DataError(f"{path}: no space left on the disk; free some or write elsewhere")
    return DataError(f"{path}: cannot be written: {error.strerror or error}")


def fsync_directory(folder: Path) -> None:
    """Make renames in `folder` survive a power cut; not every file system can, then it is tried."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    except OSError:
        pass
    finally:
        os.close(fd)


def publish(temporary: Path, final: Path) -> None:
    """Flush `temporary` to the disk, then give it its final name in one step."""
    with open(temporary, "rb+") as file:
        os.fsync(file.fileno())
    os.replace(temporary, final)
    fsync_directory(final.parent)


def write_text(path: Path, text: str) -> None:
    """Write a small file atomically: a reader sees the old one or the new one, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def stable_json(value: Any, indent: int = 0) -> str:
    """Return JSON with one key a line and lists filled up to the width, keys in given order.

    A list of 1,000 class names takes some 150 lines instead of 1,000, and a change of one of
    them is a small difference in version control.
    """
    if isinstance(value, dict) and value:
        pad = " " * (indent + 2)
        items = [f"{pad}{_scalar(str(k))}: {stable_json(v, indent + 2)}" for k, v in value.items()]
        return "{\n" + ",\n".join(items) + "\n" + " " * indent + "}"
    if isinstance(value, (list, tuple)) and value:
        return _filled([stable_json(item, indent + 2) for item in value], indent)
    return _scalar(value)


def _scalar(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, allow_nan=False)


def _filled(items: list[str], indent: int) -> str:
    line = "[" + ", ".join(items) + "]"
    if len(line) + indent + 12 <= WIDTH:
        return line
    pad = " " * (indent + 2)
    lines, current = [], pad
    for number, item in enumerate(items):
        piece = item + ("," if number < len(items) - 1 else "")
        if current != pad and len(current) + 1 + len(piece) > WIDTH:
            lines.append(current)
            current = pad
        current += piece if current == pad else " " + piece
    lines.append(current)
    return "[\n" + "\n".join(lines) + "\n" + " " * indent + "]"
