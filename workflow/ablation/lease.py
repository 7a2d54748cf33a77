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
from .files import disk_error

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

    def __enter__(self) -> Lease:
        told = -math.inf
        while not self._take():
            if self.stop():
                raise StopRequested("stopped as asked while another job was training this cell")
            if time.monotonic() - told > 30:
                holder = read(self.path) or {}
                self.say(
                    f"waiting: {holder.get('host')} process {holder.get('pid')} "
                    f"(job {holder.get('job') or '-'}) is training this cell"
                )
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

    def held(self) -> bool:
        """Whether the lease is still this process's own."""
        return (read(self.path) or {}).get("token") == self.token

    def check(self) -> None:
        """Raise LeaseLost when another job has taken over: its results are not to be touched."""
        if not self.held():
            raise LeaseLost(f"{self.path}: another job has taken this cell over; this one ends")

    def _take(self) -> bool:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
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
            now = mine.stat().st_mtime
            if not alive(self.path, now):
                self._remove_dead(now)
            return False
        except FileNotFoundError:  # the last holder has just removed the empty folder
            return False
        except OSError as error:
            raise disk_error(self.path, error) from None
        finally:
            mine.unlink(missing_ok=True)

    def _remove_dead(self, now: float) -> None:
        """Rename the dead lease away; of several waiting processes one wins, all try again."""
        grave = self.path.with_name(f".{self.path.name}.{self.token}.dead")
        try:
            os.rename(self.path, grave)
        except FileNotFoundError:
            return
        if alive(grave, now):  # a living lease stood there by now: give it back
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
    try:
        content = json.loads(path.read_text())
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


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
