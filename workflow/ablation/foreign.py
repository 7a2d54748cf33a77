"""Files that others may have written: read if they are ordinary and no larger than they can be.

Results are shared, copied and planted. A pipe in the place of a file would be waited for without
end, a device has none, and a link may lead to what is nobody else's business.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

from pydantic_core import from_json

MIB = 2**20
SMALL = MIB
"""Bytes that a lease, a progress or the times of a cell never reach."""
LARGE = 16 * MIB
"""Bytes that a cell's record never reaches: a range test of 100,000 steps has 4 MB."""
TABLE = 1024 * MIB
"""The same of a table collected from all cells of a study."""


class Unreadable(ValueError):
    """A file that is there and is not what it should be; the text says why."""


class TooLong(Unreadable):
    """A file with more bytes than it may have."""


def read_bytes(path: Path, most: int = SMALL, *, follow: bool = True) -> bytes:
    """The content of an ordinary file; Unreadable for any other and for one above `most` bytes.

    follow: whether a link may stand in its place; without, it is Unreadable. OSError as `open` has
    it, when there is no file above all.
    """
    descriptor = _open(path, follow)
    try:
        size = os.fstat(descriptor).st_size
        if size > most:
            raise TooLong(f"{size:,} bytes, more than the {most:,} that it may have")
        with os.fdopen(os.dup(descriptor), "rb") as file:
            content = file.read(most + 1)
    finally:
        os.close(descriptor)
    if len(content) > most:  # it grows while it is read
        raise TooLong(f"more than the {most:,} bytes that it may have")
    return content


def read_text(path: Path, most: int = SMALL) -> str:
    """The same as text; Unreadable when it is not UTF-8."""
    try:
        return read_bytes(path, most).decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable(f"not UTF-8 text ({error.reason} at byte {error.start})") from None


def read_json(path: Path, most: int = SMALL) -> Any:
    """The plain content of a JSON file; Unreadable when it is none.

    NaN and Infinity are refused, and nesting beyond 200. A number beyond a float's range comes as
    infinity: who takes it apart refuses it (results.py).
    """
    content = read_bytes(path, most)
    try:
        return from_json(content, allow_inf_nan=False)
    except ValueError as error:
        raise Unreadable(f"no JSON: {error}") from None


def read_tail(path: Path, most: int = LARGE, *, follow: bool = True) -> str:
    """The end of a log, whatever its bytes: a line that was cut and bytes that are no text are
    marked or left out. Empty when there is no such ordinary file."""
    try:
        descriptor = _open(path, follow)
    except (OSError, Unreadable):
        return ""
    with os.fdopen(descriptor, "rb") as file:
        size = os.fstat(descriptor).st_size
        file.seek(max(0, size - most))
        content = file.read(most)
    if size > most:
        content = content.partition(b"\n")[2]
    return content.decode("utf-8", errors="replace")


def _open(path: Path, follow: bool) -> int:
    """A descriptor of an ordinary file. Without waiting: a pipe has nobody at its other end."""
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    if not follow:
        flags |= os.O_NOFOLLOW
        if path.is_symlink():
            raise Unreadable("a link, where a file of its own is due")
    descriptor = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Unreadable("no ordinary file")
    return descriptor
