"""Compressed tars: unpacked once, within bounds."""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import tarfile
import tempfile
import zlib
from pathlib import Path
from typing import BinaryIO

from ..errors import DataError

UNPACKED_PREFIX, UNPACKED_SUFFIX = ".source-", ".tar.tmp"
COMPRESSIONS = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\x00", lzma.open))
NOT_READ = {
    b"PK\x03\x04": "a zip",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!": "a rar archive",
    b"\x28\xb5\x2f\xfd": "packed with zstd",
}
DAMAGED = (tarfile.TarError, EOFError, lzma.LZMAError, zlib.error, gzip.BadGzipFile)
# Images hardly shrink: the embedded PNGs with their headers to a quarter. A small file that
# unpacks to hundreds of times its size is an attack on the disk, or no tar of images.
MAX_RATIO = 100
ALWAYS_UNPACKED = 1 << 30
CHUNK = 1 << 20


def uncompressed(path: Path, scratch: Path | None) -> Path:
    """Return `path`, or a temporary plain copy of it when it is compressed.

    Only a plain tar can be read at random by several processes. The caller removes the copy.
    """
    opener = _opener(path)
    if opener is None:
        return path
    target = tempfile.NamedTemporaryFile(  # noqa: SIM115 (it outlives this function)
        dir=scratch, prefix=UNPACKED_PREFIX, suffix=UNPACKED_SUFFIX, delete=False
    )
    try:
        with target, opener(path, "rb") as packed:
            _copy(path, packed, target)
        return Path(target.name)
    except BaseException as error:
        Path(target.name).unlink(missing_ok=True)
        if _is_damage(error):
            raise DataError(f"{path}: damaged: {error}; fetch it again") from error
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            folder = Path(target.name).parent
            raise DataError(f"{folder}: no space left to unpack {path}") from error
        raise


def unpacked_bytes(path: Path, limit: int) -> bytes:
    """Return the content of a small file, unpacked; raises DataError when it exceeds `limit`."""
    opener = _opener(path) or open
    try:
        with opener(path, "rb") as packed:
            content = packed.read(limit + 1)
    except (*DAMAGED, OSError) as error:
        if _is_damage(error):
            raise DataError(f"{path}: damaged: {error}; fetch it again") from error
        raise
    if len(content) > limit:
        raise DataError(f"{path}: holds more than {limit:,} bytes, which is absurd; fetch it again")
    return content


def _opener(path: Path):
    """Return what opens a compressed file, None for one that is not compressed."""
    with open(path, "rb") as file:
        start = file.read(8)
    for magic, what in NOT_READ.items():
        if start.startswith(magic):
            raise DataError(
                f"{path}: is {what}, which is not read; unpack it, and use layout `folder`,"
                " or `tar` for a tar that was in it"
            )
    return next((opener for magic, opener in COMPRESSIONS if start.startswith(magic)), None)


def _is_damage(error: BaseException) -> bool:
    """Tell a damaged file from a disk that cannot be read: bz2 raises OSError without a number."""
    return isinstance(error, DAMAGED) or (isinstance(error, OSError) and error.errno is None)


def _copy(path: Path, packed: BinaryIO, target: BinaryIO) -> None:
    """Unpack up to the bound; raises DataError there, long before the disk is full."""
    limit = max(ALWAYS_UNPACKED, MAX_RATIO * path.stat().st_size)
    done = 0
    while part := packed.read(CHUNK):
        done += len(part)
        if done > limit:
            raise DataError(
                f"{path}: unpacks to more than {limit:,} bytes, {MAX_RATIO} times its size, which"
                " images do not; if it is sound, unpack it yourself and name the plain tar"
            )
        target.write(part)
