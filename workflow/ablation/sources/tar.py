"""Layout `tar`: a plain or compressed tar of `{split}/{class}/{image}`; and safe tar listing."""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from ..config.dataset import Source
from ..errors import DataError
from .listing import ListingBuilder, Sample, SourceListing, check_name, is_hidden

UNPACKED_PREFIX, UNPACKED_SUFFIX = ".source-", ".tar.tmp"
COMPRESSIONS = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\x00", lzma.open))
DAMAGED = (tarfile.TarError, EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile)


def read(path: Path, config: Source, scratch: Path | None) -> SourceListing:
    """List a tar of a tree; one folder above the splits and a leading `./` are tolerated."""
    plain = uncompressed(path, scratch)
    temporary = () if plain == path else (plain,)
    try:
        builder = ListingBuilder(path)
        names = {config.train: "train", config.val: "val"}
        tops = set()
        for parts, member in members(plain, shown=path):
            depth = next((i for i in (0, 1) if parts[i : i + 1] and parts[i] in names), None)
            if depth is None or any(is_hidden(part) for part in parts):
                continue
            tops.add(tuple(parts[:depth]))
            if len(tops) > 1:
                raise DataError(f"{path}: has more than one folder with the splits: {tops}")
            _add(builder, names[parts[depth]], parts[depth + 1 :], member, plain)
        return builder.finish(temporary)
    except BaseException:
        for file in temporary:
            file.unlink(missing_ok=True)
        raise


def _add(
    builder: ListingBuilder, split: str, parts: list[str], member: tarfile.TarInfo, plain: Path
) -> None:
    """Add what lies at `parts` inside the folder of a split."""
    if member.isdir():
        if len(parts) == 1:
            builder.add_class(split, parts[0])
        elif len(parts) > 1:
            builder.add_stray(f"{split}/{'/'.join(parts[:2])}", "is a folder inside a class folder")
    elif len(parts) == 2:
        sample = Sample(parts[0], parts[1], str(plain), member.offset_data, member.size)
        builder.add(split, sample)
    elif len(parts) < 2:
        builder.add_stray("/".join([split, *parts]), "lies outside of a class folder")
    else:
        builder.add_stray(f"{split}/{'/'.join(parts[:2])}", "is a folder inside a class folder")


def uncompressed(path: Path, scratch: Path | None) -> Path:
    """Return `path`, or a temporary plain copy of it when it is compressed.

    Only a plain tar can be read at random by several processes. The caller removes the copy.
    """
    with open(path, "rb") as file:
        start = file.read(8)
    opener = next((opener for magic, opener in COMPRESSIONS if start.startswith(magic)), None)
    if opener is None:
        return path
    target = tempfile.NamedTemporaryFile(  # noqa: SIM115 (it outlives this function)
        dir=scratch, prefix=UNPACKED_PREFIX, suffix=UNPACKED_SUFFIX, delete=False
    )
    try:
        with target, opener(path, "rb") as packed:
            shutil.copyfileobj(packed, target, 1 << 20)
        return Path(target.name)
    except BaseException as error:
        Path(target.name).unlink(missing_ok=True)
        if isinstance(error, DAMAGED) or (isinstance(error, OSError) and error.errno is None):
            raise DataError(f"{path}: damaged: {error}; fetch it again") from error
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            folder = Path(target.name).parent
            raise DataError(f"{folder}: no space left to unpack {path}") from error
        raise


def members(
    path: Path, start: int = 0, end: int | None = None, shown: Path | str | None = None
) -> Iterator[tuple[list[str], tarfile.TarInfo]]:
    """Yield (path parts, member) of a plain tar, or of a tar inside it at bytes start..end.

    Offsets in the members are absolute in `path`. Raises DataError, naming the member, for
    anything but files and folders with names that stay inside; nothing is unpacked here, but a
    tar that tries to leave its folder is not to be trusted with labels either.
    """
    shown = str(shown or path)
    try:
        with open(path, "rb") as file:
            end = file.seek(0, 2) if end is None else end
            file.seek(start)
            last = -1
            with tarfile.open(fileobj=file, mode="r:", errorlevel=2) as archive:
                while (member := archive.next()) is not None:
                    archive.members.clear()  # else 1.3 million of them fill the memory
                    if member.offset >= end:
                        return
                    if member.size < 0 or member.offset <= last:
                        raise tarfile.ReadError(f"member {member.name!a} has an absurd size")
                    if member.isreg() and member.offset_data + member.size > end:
                        raise tarfile.ReadError(f"member {member.name!a} is cut off")
                    last = member.offset
                    yield _safe_parts(member, shown), member
    except DAMAGED as error:
        raise DataError(f"{shown}: damaged or not a tar: {error}; fetch it again") from error


def _safe_parts(member: tarfile.TarInfo, shown: str) -> list[str]:
    """Return the path parts of a harmless member; raises DataError for any other."""
    kind = None
    if member.issym() or member.islnk():
        kind = f"is a link (to {member.linkname!a})"
    elif member.ischr() or member.isblk() or member.isfifo():
        kind = "is a device or pipe"
    elif member.name.startswith("/"):
        kind = "has an absolute path"
    elif ".." in member.name.split("/"):
        kind = "leaves its folder"
    elif not (member.isdir() or member.isreg()) or member.issparse():
        kind = f"is of type {member.type!r}, neither a plain file nor a folder"
    if kind:
        raise DataError(f"{shown}: member {member.name!a} {kind}; refused")
    parts = [part for part in member.name.split("/") if part not in ("", ".")]
    for part in parts:
        check_name(part, f"{shown}: member {member.name!a}")
    return parts
