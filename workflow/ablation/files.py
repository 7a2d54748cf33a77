"""Files that are whole or absent, and JSON that is the same text every time."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

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


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A new file to write into, which takes the name of `path` in one step at the end; after an
    error nothing is left of it.

    Its name until then is nobody's to guess, and it is made here or not at all: a link that waits
    in its place is never written through. A link in the place of `path` is replaced itself.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(temporary, flags, 0o666), "wb") as file:
            yield file
        publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a small file atomically: a reader sees the old one or the new one, never a part."""
    with replacing(path) as file:
        file.write(text.encode("utf-8"))


def own_folder(folder: Path) -> None:
    """Make a folder for one cell's files, or take the one that is there.

    The folders above it may be links (`results` on a large disk). It may not: what it leads to is
    another's. DataError then; OSError when it cannot be made.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        folder.mkdir()
    refuse_link(folder)


def refuse_link(folder: Path) -> None:
    """Raise DataError when something else than a folder has the name of one."""
    try:
        mode = folder.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(mode):
        raise DataError(
            f"{folder}: a link or a file where a folder of its own is due, and nothing is written "
            "through it; move it away and start again (`results` and `results/cells` may be links)"
        )


def own_file(path: Path) -> bool:
    """Whether a file is an ordinary one, no link, and this user's."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()


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
