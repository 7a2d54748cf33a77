"""One writer a cell: a lease file with a heartbeat, which works on shared file systems."""

from __future__ import annotations

import contextlib
import json
import math
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from .errors import StopRequested, UserError
from .files import disk_error, own_folder
from .foreign import read_json
from .results import Holder

BEAT_S = 5.0
DEAD_AFTER_S = 60.0  # a lease from another host whose heart has not beaten for so long is dead


class LeaseLost(UserError):
    """Another job took this cell over while this process was suspended."""


class Lease:
    """Held while a cell is trained; `with Lease(path): ...` waits for a living holder to end."""

    def __init__(
        self,
        path: Path,
        say: Callable[[str], None] = lambda text: None,
        poll_s: float = 1.0,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.path, self.say, self.poll_s, self.stop = path, say, poll_s, stop
        self.token = uuid.uuid4().hex
        self._ended = threading.Event()
        self._now = 0.0
        """The file system's own clock at the last try."""
        self._seen: tuple[int, float] | None = None
        """Of a lease whose time lies ahead: that time, and since when it is known."""

    def __enter__(self) -> Lease:
        told = -math.inf
        while not self._take():
            if self.stop():
                raise StopRequested("stopped as asked while another job was training this cell")
            if time.monotonic() - told > 30:
                self.say(self._waiting())
                told = time.monotonic()
            time.sleep(self.poll_s)
        self._beating = threading.Thread(target=self._beat, daemon=True)
        self._beating.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._beating.join()
        if self.held():
            self.path.unlink(missing_ok=True)

    def _waiting(self) -> str:
        holder = read(self.path) or {}
        text = (
            f"waiting: {holder.get('host')} process {holder.get('pid')} "
            f"(job {holder.get('job') or '-'}) is training this cell"
        )
        return f"{text}; {ahead(self.path, self._now)}" if self._seen else text

    def held(self) -> bool:
        """Whether the lease is still this process's own."""
        return (read(self.path) or {}).get("token") == self.token

    def check(self) -> None:
        """Raise LeaseLost when another job has taken over: its results are not to be touched."""
        if not self.held():
            raise LeaseLost(f"{self.path}: another job has taken this cell over; this one ends")

    def _take(self) -> bool:
        try:
            own_folder(self.path.parent)
        except FileNotFoundError:  # as below
            return False
        except OSError as error:
            raise disk_error(self.path, error) from None
        content = {
            "token": self.token,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "started": psutil.Process().create_time(),
            "job": os.environ.get("SLURM_JOB_ID"),
            "node": os.environ.get("SLURMD_NODENAME"),
        }
        mine = self.path.with_name(f".{self.path.name}.{self.token}")
        try:
            mine.write_text(json.dumps(content))
            # A hard link is atomic on NFS too, and the file appears with its content.
            os.link(mine, self.path)
            return True
        except FileExistsError:
            if self.held():  # over NFS a link that was made can be reported as failed
                return True
            # The file system's own clock: hosts of a cluster may differ by minutes.
            self._now = mine.stat().st_mtime
            if not self._lives(self.path, self._now):
                self._remove_dead(self._now)
            return False
        except FileNotFoundError:  # the last holder has just removed the empty folder
            return False
        except OSError as error:
            raise disk_error(self.path, error) from None
        finally:
            mine.unlink(missing_ok=True)

    def _lives(self, path: Path, now: float) -> bool:
        """Whether the holder lives. A time ahead of the file system's clock (it was set back, or a
        backup was restored) would never grow old: there the heart must be seen to beat."""
        if not alive(path, now):
            return False
        try:
            beat = path.stat()
        except OSError:
            return True
        if not _is_ahead(beat.st_mtime, now) or _here(path):
            self._seen = None
            return True
        if self._seen is None or self._seen[0] != beat.st_mtime_ns:
            self._seen = (beat.st_mtime_ns, time.monotonic())
        return time.monotonic() - self._seen[1] < DEAD_AFTER_S

    def _remove_dead(self, now: float) -> None:
        """Rename the dead lease away; of several waiting processes one wins, all try again."""
        grave = self.path.with_name(f".{self.path.name}.{self.token}.dead")
        try:
            os.rename(self.path, grave)
        except FileNotFoundError:
            return
        if self._lives(grave, now):  # a living lease stood there by now: give it back
            with contextlib.suppress(FileExistsError):
                os.link(grave, self.path)
        grave.unlink(missing_ok=True)

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_S):
            try:
                if self.held():
                    os.utime(self.path)
            except OSError:  # the file system is away for a moment: the next beat tries again
                continue


def read(path: Path) -> dict[str, Any] | None:
    """What a lease says of its holder; None if there is none."""
    try:
        return _content(path)
    except OSError:
        return None


def _content(path: Path) -> dict[str, Any] | None:
    """What a lease holds; None when it is none of ours. OSError when it cannot be read now."""
    try:
        return Holder.model_validate(read_json(path)).model_dump()
    except ValueError:  # pydantic's too
        return None


def alive(path: Path, now: float | None = None) -> bool:
    """Whether the holder of a lease lives: on this host by its process, elsewhere by its beat.

    now: the time by the clock of the lease's file system; None for this host's clock.
    """
    try:
        holder = _content(path)
    except FileNotFoundError:
        return False
    except OSError:  # the file system is away for a moment: that says nothing of the holder
        holder = {}
    if holder is None:
        return False
    if holder.get("host") == socket.gethostname():
        return _process_lives(holder)
    try:
        return (time.time() if now is None else now) - path.stat().st_mtime < DEAD_AFTER_S
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _is_ahead(beat: float, now: float) -> bool:
    return beat - now >= DEAD_AFTER_S


def _here(path: Path) -> bool:
    """Whether the holder is of this host, whose processes tell more than any clock."""
    return (read(path) or {}).get("host") == socket.gethostname()


def ahead(path: Path, now: float | None = None) -> str:
    """What is odd about a lease whose time lies in the future; empty when nothing is. now: as of
    `alive`."""
    try:
        seconds = path.stat().st_mtime - (time.time() if now is None else now)
    except OSError:
        return ""
    if not _is_ahead(seconds, 0.0) or _here(path):
        return ""
    return (
        f"{path} is dated {seconds:.0f} s ahead of the clock (set back, or a restored backup): it "
        f"is taken over when it does not change for {DEAD_AFTER_S:.0f} s; delete it if nothing "
        "trains this cell"
    )


def _process_lives(holder: dict[str, Any]) -> bool:
    """Whether the process of a lease's holder runs on this host, not another of its number."""
    try:
        process = psutil.Process(holder["pid"])
        if abs(process.create_time() - holder["started"]) >= 1:
            return False
        # A killed process that its parent has not waited for is still listed.
        return process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    except (psutil.NoSuchProcess, KeyError, TypeError, ValueError):
        return False


def others_here(checkpoints: Path, mine: Path) -> bool:
    """Whether another cell is being trained on this host, which makes times incomparable."""
    host = socket.gethostname()
    for lease in checkpoints.glob("*/lease.json"):
        holder = read(lease)
        if lease != mine and holder and holder.get("host") == host and alive(lease):
            return True
    return False
