"""The members of a tar, each one or an error: a damaged tar never passes for a shorter one.

`TarFile.next()` returns None at the end and at a damaged header alike, so it is asked for the
next member only, and what lies where no member is must be an end mark and padding.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..errors import DataError
from .listing import check_name, is_hidden

BLOCK = tarfile.BLOCKSIZE
END_MARK = 2 * BLOCK
# Tapes are written in records of up to 1 MiB (`tar -b 2048`) and the last one is filled with
# zeros. More of them are a file that was laid out in full and never filled: a stopped download.
MAX_PADDING = (1 << 20) + END_MARK
# A name, or the extended header that holds it. Damaged, it may claim the rest of the tar.
MAX_HEADER = 1 << 20


class Damaged(Exception):
    """What is wrong at a byte of a tar, and what to do."""

    def __init__(self, at: int, why: str, remedy: str = "fetch it again or pack it anew") -> None:
        super().__init__(f"damaged at byte {at:,}: {why}; {remedy}")


def members(
    path: Path,
    start: int = 0,
    end: int | None = None,
    shown: Path | str | None = None,
    end_mark: bool = True,
) -> Iterator[tuple[list[str], tarfile.TarInfo]]:
    """Yield (path parts, member) of a plain tar, or of a tar inside it at bytes start..end.

    Offsets in the members are absolute in `path`. Raises DataError, naming the byte, where
    neither a member nor the end of the tar is; without the end mark, unless `end_mark` is False;
    and for anything but files and folders with names that stay inside: nothing is unpacked here,
    but a tar that tries to leave its folder is not to be trusted with labels either.
    """
    shown = str(shown or path)
    try:
        with open(path, "rb") as file:
            end = file.seek(0, 2) if end is None else end
            due = start
            for member in _headers(_Part(file, start, end)):
                parts = _safe_parts(member, shown)
                _check_member(file, member, due, end)
                due = _after(member)
                yield parts, member
            _check_end(file, due, start, end, end_mark)
    except Damaged as error:
        raise DataError(f"{shown}: {error}") from error


class _Part:
    """The bytes up to `end` of a file, for tarfile: it never sees what lies behind a tar."""

    def __init__(self, file: BinaryIO, start: int, end: int) -> None:
        self.file, self.end = file, end
        file.seek(start)
        self.tell, self.seek = file.tell, file.seek

    def read(self, size: int) -> bytes:
        if size > MAX_HEADER:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        return self.file.read(max(0, min(size, self.end - self.file.tell())))


def _headers(part: _Part) -> Iterator[tarfile.TarInfo]:
    """Yield members until tarfile finds none; raises Damaged where it says why."""
    start = due = part.tell()
    try:
        archive = tarfile.open(fileobj=part, mode="r:")  # noqa: SIM115 (the file is the caller's)
        while (member := archive.next()) is not None:
            archive.members.clear()  # else 1.3 million of them fill the memory
            due = _after(member)
            yield member
    except OSError:
        raise  # the disk's fault, not the tar's
    except Exception as error:  # whatever int() and others make of a damaged header's values
        why = "no tar begins there" if due == start else "no readable header there"
        text = " ".join(str(error).split()) or type(error).__name__
        raise Damaged(due, f"{why} ({text})") from error


def _after(member: tarfile.TarInfo) -> int:
    """Return where the header after a member is due."""
    return member.offset_data + (_filled(member.size) if member.isreg() else 0)


def _filled(size: int) -> int:
    """Return the size of some data with the zeros that fill its last block."""
    return -(-size // BLOCK) * BLOCK


def _check_member(file: BinaryIO, member: tarfile.TarInfo, due: int, end: int) -> None:
    """Raise Damaged unless the member's headers and data lie whole between `due` and `end`."""
    if member.size < 0 or member.offset < due:
        raise Damaged(due, f"member {member.name!a} has an absurd size")
    if _after(member) > end:
        raise Damaged(end, f"the tar is cut off inside member {member.name!a}")
    header = member.offset_data - BLOCK
    if header > due:
        file.seek(due)
        small = header - due <= MAX_HEADER
        if not small or not _is_sound(file.read(header - due), file.read(BLOCK)):
            raise Damaged(due, "the header with the long name of a member is not sound")


def _is_sound(extended: bytes, header: bytes) -> bool:
    """Tell whether the headers that give a member a long name are whole.

    Their content has no checksum of its own, and tarfile passes over what it cannot read: the
    member would keep the first 100 characters of its name.
    """
    at = 0
    while at < len(extended):
        kind = extended[at + 156 : at + 157]
        size = tarfile.nti(extended[at + 124 : at + 136])
        at += BLOCK
        if size <= 0 or at + size > len(extended):
            return False
        body, padding = extended[at : at + size], extended[at + size : at + _filled(size)]
        at += _filled(size)
        if padding.strip(b"\0"):
            return False
        if kind == tarfile.GNUTYPE_LONGNAME:
            name, nul, rest = body.partition(b"\0")
            sound = bool(name and nul) and not rest and _begins_alike(name, header)
        elif kind in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE):
            records = _records(body)
            sound = records is not None and _begins_alike(records.get(b"path", b""), header)
        else:
            sound = kind == tarfile.GNUTYPE_LONGLINK
        if not sound:
            return False
    return True


# What writes a long name keeps its beginning in the plain header too, cut off (GNU tar, Python,
# Go) or with folders left out of a very long one (bsdtar). Split and class stand there.
_ALIKE = 64


def _begins_alike(name: bytes, header: bytes) -> bool:
    """Tell whether a long name and the short one in the member's own header begin alike."""
    short, prefix = header[:100].split(b"\0")[0], header[345:500].split(b"\0")[0]
    if prefix and header[257:263] == b"ustar\0":
        short = prefix + b"/" + short
    length = min(len(name), len(short), _ALIKE)
    # Letters beyond ASCII are replaced or left out, by each writer in its way.
    return not name.isascii() or name[:length] == short[:length]


_RECORD = re.compile(rb"([1-9]\d{0,7}) ([^=]+)=")
# POSIX's own, and VENDOR.name (SCHILY.xattr.user.x, LIBARCHIVE.creationtime).
_KEYS = re.compile(
    rb"path|linkpath|size|[amc]time|[ug]id|[ug]name|comment|(hdr)?charset|(realtime|security)\..+"
    rb"|[A-Z]+\..+"
)


def _records(body: bytes) -> dict[bytes, bytes] | None:
    """Return the `length key=value` records of an extended header; None if any is not sound."""
    found, at = {}, 0
    while at < len(body):
        record = _RECORD.match(body, at)
        if not record or not _KEYS.fullmatch(record[2]):
            return None
        at += int(record[1])
        if at > len(body) or at <= record.end() or body[at - 1 : at] != b"\n":
            return None
        found[record[2]] = body[record.end() : at - 1]
    return found


def _check_end(file: BinaryIO, due: int, start: int, end: int, end_mark: bool) -> None:
    """Raise Damaged unless zeros follow from `due` to `end`: the end mark, then padding."""
    at = first_not_zero(file, due, end)
    if at is not None:
        block = at - (at - due) % BLOCK
        file.seek(block)
        if block > due and _is_header(file.read(BLOCK)):
            why = f"members follow the end mark at byte {due:,}, as of tars put together"
            raise Damaged(block, why)
        raise Damaged(due, "neither a member's header nor the end mark there")
    zeros = end - due
    if end_mark and zeros < END_MARK:
        remedy = (
            "fetch it again, or, if it was written so, set `source.end_mark: optional` in the"
            " dataset's YAML"
        )
        why = "the end mark is missing, so the tar may be cut off and members lost"
        raise Damaged(due, why, remedy)
    if zeros > MAX_PADDING:
        raise Damaged(due, f"{zeros:,} zeros in place of members, as of a stopped download")


def first_not_zero(file: BinaryIO, start: int, end: int) -> int | None:
    """Return the place of the first byte between start and end that is not zero, or None."""
    file.seek(start)
    while start < end and (part := file.read(min(end - start, 1 << 20))):
        if part.strip(b"\0"):
            return start + len(part) - len(part.lstrip(b"\0"))
        start += len(part)
    return None


def _is_header(block: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.TarError:
        return False
    return True


def _safe_parts(member: tarfile.TarInfo, shown: str) -> list[str]:
    """Return the path parts of a harmless member; raises DataError for any other."""
    kind = None
    if member.islnk():
        kind = f"is a hard link (to {member.linkname!a}); pack with `tar --hard-dereference`"
    elif member.issym():
        kind = f"is a link (to {member.linkname!a}); pack with `tar --dereference`"
    elif member.ischr() or member.isblk() or member.isfifo():
        kind = "is a device or pipe; pack without it"
    elif member.name.startswith("/"):
        kind = "has an absolute path; pack with relative ones"
    elif ".." in member.name.split("/"):
        kind = "leaves its folder; pack from inside the folder that holds the splits"
    elif member.issparse():
        kind = "is stored sparse; pack without `--sparse`"
    elif not (member.isdir() or member.isreg()):
        kind = f"is of type {member.type!a}, neither a plain file nor a folder; pack anew"
    if kind:
        raise DataError(f"{shown}: member {member.name!a} {kind}")
    parts = [part for part in member.name.split("/") if part not in ("", ".")]
    for part in parts:
        if not is_hidden(part):
            check_name(part, f"{shown}: member {member.name!a}")
    return parts
