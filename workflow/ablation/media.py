"""The medium that a loader benchmark reads from: betons on it, what lies below, the page cache."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import ConfigError, DataError
from .files import disk_error, replacing

_MEMORY = ("tmpfs", "ramfs", "hugetlbfs", "devtmpfs")
_NETWORK = ("nfs", "lustre", "ceph", "gpfs", "beegfs", "cifs", "smb", "glusterfs", "afs", "9p")
_DONTNEED = 4  # MADV_DONTNEED, the same on every Linux


def folder_on(medium: str, path: str) -> Path:
    """The folder of a medium at this site, with the job's environment variables filled in."""
    found = os.path.expandvars(path)
    if "$" in found:
        raise ConfigError(f"media: {medium}: {path}: this job has no such environment variable")
    return Path(found)


def place(beton: Path, medium: Path) -> tuple[Path, bool]:
    """(the beton's place on the medium, whether it was copied there now).

    It is the beton itself where the medium holds it, as the folder of all betons does. A copy is
    whole or absent, and stays for the next cell of this user. DataError where there is no room.
    """
    target = medium / beton.parent.name / beton.name
    try:
        size = beton.stat().st_size
        if target.exists() and target.samefile(beton):
            return target, False
        target = private(medium) / beton.parent.name / beton.name
        # By its size alone: the digest of its content is in its folder's name, and nobody but this
        # user can have put it there.
        if target.exists() and target.stat().st_size == size:
            return target, False
        target.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(target.parent).free
        if free < size:
            raise DataError(
                f"{target}: the copy needs {size / 2**30:.2f} GiB, {medium} has "
                f"{free / 2**30:.2f} GiB; free some, or name another folder in `media`"
            )
        with open(beton, "rb") as stored, replacing(target) as copy:
            shutil.copyfileobj(stored, copy, 16 * 2**20)
    except OSError as error:
        raise disk_error(target, error) from None
    return target, True


def private(medium: Path) -> Path:
    """This user's folder on a medium, into which nobody else can put a file; DataError where a
    folder of its name is another's: on /dev/shm anybody makes any name."""
    folder = medium / f"ablation-{os.geteuid()}"
    medium.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    shared = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or shared:
        raise DataError(
            f"{folder}: a folder that this user alone may write is due there, for copies of betons;"
            " remove what has its name, or name another folder in `media`"
        )
    return folder


def below(path: Path, mounts: str | None = None, devices: Path = Path("/sys/dev/block")) -> dict:
    """`file_system` and `disk` below a path: HDD, SSD, memory or network; None where unknown.

    mounts: content of /proc/self/mountinfo, and devices: for tests.
    """
    try:
        mounts = Path("/proc/self/mountinfo").read_text() if mounts is None else mounts
    except OSError:
        return {"file_system": None, "disk": None}
    here, best = path.resolve(), ("", "", "")
    for line in mounts.splitlines():
        fields, _, rest = line.partition(" - ")
        device, point = fields.split()[2], fields.split()[4].replace("\\040", " ")
        inside = here == Path(point) or Path(point) in here.parents
        if inside and len(point) >= len(best[0]):  # a later one hides an earlier one
            best = (point, device, rest.split()[0])
    kind = best[2].removeprefix("fuse.")
    if kind in _MEMORY:
        disk = "memory"
    elif kind.startswith(_NETWORK):
        disk = "network"
    else:
        disk = _disk(devices / best[1])
    return {"file_system": kind or None, "disk": disk}


def _disk(device: Path) -> str | None:
    """HDD or SSD, as the kernel has it (a virtual disk says what its host lets it say)."""
    for folder in (device, device.resolve().parent):  # a partition has its disk's queue
        try:
            return "HDD" if (folder / "queue/rotational").read_text().strip() == "1" else "SSD"
        except OSError:
            continue
    return None


def forget(path: Path) -> None:
    """Take a file out of the page cache, as far as the kernel does it.

    Pages that a process has mapped stay: this process's own maps of the file are emptied first.
    What a server of a network file system keeps, no client can empty. `cached_share` says what was
    achieved.
    """
    for start, length in _mappings(path):
        _libc().madvise(ctypes.c_void_p(start), ctypes.c_size_t(length), _DONTNEED)
    with open(path, "rb") as file:
        os.fsync(file.fileno())  # pages of a new copy are not yet on the disk, and would stay
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _mappings(path: Path) -> Iterator[tuple[int, int]]:
    """(start, length) of this process's read-only maps of a file: emptied, they are read again."""
    inode = str(path.stat().st_ino)
    for line in Path("/proc/self/maps").read_text().splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) < 6 or fields[4] != inode or not fields[1].startswith("r--"):
            continue
        if Path(fields[5]).name == path.name:
            start, end = (int(text, 16) for text in fields[0].split("-"))
            yield start, end - start


def cached_share(path: Path) -> float | None:
    """Share of a file's pages in the page cache, by mincore; None where that is not to be had.

    Of a file that the job's user may not write, the kernel says 1 (Linux 5.2 and later).
    """
    import numpy as np

    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as pages:
        view = np.frombuffer(pages, "u1")
        found = np.zeros(-(-len(view) // mmap.PAGESIZE), "u1")
        failed = _libc().mincore(
            ctypes.c_void_p(view.ctypes.data),
            ctypes.c_size_t(len(view)),
            ctypes.c_void_p(found.ctypes.data),
        )
        del view  # else the map could not be closed
    return None if failed else float((found & 1).mean())


def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)
