"""Leases: one writer a cell; the dead are taken over, the living are waited for."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from ablation import lease as module
from ablation.errors import DataError, StopRequested
from ablation.lease import Lease, LeaseLost, alive, others_here, read

WORKFLOW = Path(__file__).resolve().parents[2] / "workflow"
HOLD = """
import sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from ablation.lease import Lease
with Lease(Path(sys.argv[2]), poll_s=0.01):
    print("held", flush=True)
    sys.stdin.read()
print("left", flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cell" / "lease.json"


@contextlib.contextmanager
def process(code: str, *args: object) -> Iterator[subprocess.Popen]:
    command = [sys.executable, "-c", code, str(WORKFLOW), *map(str, args)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    started = subprocess.Popen(command, **pipes)
    try:
        yield started
    finally:
        started.kill()
        started.communicate()


@contextlib.contextmanager
def holder(path: Path) -> Iterator[subprocess.Popen]:
    """A process that holds the lease."""
    with process(HOLD, path) as started:
        assert started.stdout.readline() == "held\n"
        yield started


def waits(path: Path) -> bool:
    """Whether someone who wants the lease finds it held, ten times over."""
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > 10

    try:
        with Lease(path, poll_s=0.01, stop=stop):
            return False
    except StopRequested:
        return True


def write(path: Path, **changes: Any) -> None:
    """A lease as another holder would have written it."""
    me = psutil.Process()
    content = {"token": "t", "host": socket.gethostname(), "pid": me.pid, "job": None}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content | {"started": me.create_time()} | changes))


def test_held_then_gone(path: Path) -> None:
    with Lease(path) as lease:
        assert lease.held() and alive(path) and read(path)["pid"] == os.getpid()
        lease.check()
        assert [p.name for p in path.parent.iterdir()] == ["lease.json"]
    assert list(path.parent.iterdir()) == []


def test_an_error_inside_gives_it_back(path: Path) -> None:
    with pytest.raises(KeyError), Lease(path):
        raise KeyError
    assert not path.exists()


TURNS = """
import os, random, sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from ablation.lease import Lease
log = os.open(sys.argv[3], os.O_WRONLY | os.O_APPEND)
for turn in range(6):
    with Lease(Path(sys.argv[2]), poll_s=0.002):
        os.write(log, f"+{os.getpid()}\\n".encode())
        time.sleep(random.random() * 0.02)
        if turn == 3 and sys.argv[4] == "dies":
            os.write(log, f"-{os.getpid()}\\n".encode())
            os.kill(os.getpid(), 9)
        os.write(log, f"-{os.getpid()}\\n".encode())
    os.path.isdir(Path(sys.argv[2]).parent) and random.random() < 0.3 and time.sleep(0.01)
"""


def test_two_never_train_together_even_when_holders_die(path: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch()
    with contextlib.ExitStack() as stack:
        fates = ["dies", "lives", "dies", "lives"]
        started = [stack.enter_context(process(TURNS, path, log, fate)) for fate in fates]
        codes = [p.wait(timeout=120) for p in started]
    assert codes == [-9, 0, -9, 0]
    events = log.read_text().split()
    assert len(events) == 2 * (4 + 6 + 4 + 6)
    for taken, left in zip(events[::2], events[1::2], strict=True):
        assert taken[0] == "+" and left == f"-{taken[1:]}", events


def test_a_living_holder_is_waited_for_until_it_leaves(path: Path) -> None:
    said: list[str] = []
    with holder(path) as other:
        assert alive(path) and waits(path)
        with process(HOLD, path) as second:
            other.communicate("")  # its `with` ends
            assert second.stdout.readline() == "held\n"
            assert read(path)["pid"] == second.pid
            with pytest.raises(StopRequested):
                Lease(path, said.append, stop=lambda: True).__enter__()
    assert said == []


def test_waiting_is_said_once_with_who_holds_it(path: Path) -> None:
    said: list[str] = []
    asked = iter([False, False, False, True])
    with holder(path) as other, pytest.raises(StopRequested):
        Lease(path, said.append, 0.01, lambda: next(asked)).__enter__()
    assert len(said) == 1 and str(other.pid) in said[0] and socket.gethostname() in said[0]


def test_a_killed_holder_is_taken_over_before_its_parent_has_waited_for_it(path: Path) -> None:
    with holder(path) as other:
        other.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)  # dead, and still listed
        assert psutil.Process(other.pid).status() == psutil.STATUS_ZOMBIE
        assert not alive(path) and not waits(path)
        other.wait()
    write(path, pid=other.pid)
    assert not alive(path) and not waits(path)


def test_a_number_used_again_by_another_process_is_no_holder(path: Path) -> None:
    write(path)
    assert alive(path) and waits(path)
    write(path, started=psutil.Process().create_time() - 1000)
    assert not alive(path) and not waits(path)


@pytest.mark.parametrize(("age", "lives"), [(0, True), (30, True), (90, False)])
def test_a_holder_elsewhere_lives_by_its_heart(path: Path, age: float, lives: bool) -> None:
    write(path, host="another-host", pid=1)
    beat = time.time() - age
    os.utime(path, (beat, beat))
    assert alive(path) is lives
    assert waits(path) is lives


def test_hosts_whose_clocks_differ_measure_by_the_file_systems(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(path, host="another-host", pid=1)
    ahead = time.time() + 3600
    monkeypatch.setattr(module.time, "time", lambda: ahead)
    assert waits(path)


def test_the_heart_beats_while_held_and_not_for_another(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BEAT_S", 0.01)
    with Lease(path):
        os.utime(path, (0, 0))
        while path.stat().st_mtime == 0:
            time.sleep(0.01)
        other = path.with_name("other")
        write(other, token="someone else's", host="another-host")
        os.utime(other, (0, 0))
        os.replace(other, path)
        time.sleep(0.1)
        assert path.stat().st_mtime == 0
    assert read(path)["token"] == "someone else's"


def test_a_lost_lease_is_noticed_and_left_to_its_new_holder(path: Path) -> None:
    with Lease(path) as lease:
        write(path, token="the new holder's", host="another-host")
        assert not lease.held()
        with pytest.raises(LeaseLost, match="another job has taken this cell over"):
            lease.check()
    assert read(path)["token"] == "the new holder's"


def test_a_living_lease_renamed_away_by_mistake_is_given_back(path: Path) -> None:
    """Two find a dead lease; the slower one must not bury the lease of the faster."""
    with Lease(path) as fast:
        Lease(path)._remove_dead(time.time())
        assert fast.held()
        assert [p.name for p in path.parent.iterdir()] == ["lease.json"]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"host": 3}', '{"token": "t", "host": "HERE", "pid": "x"}']
)
def test_a_damaged_lease_is_no_holder(path: Path, content: str) -> None:
    path.parent.mkdir()
    path.write_text(content.replace("HERE", socket.gethostname()))
    os.utime(path, (0, 0))
    assert not alive(path) and not waits(path)


def test_the_folder_may_vanish_while_waiting(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last holder removes the empty folder at its end."""
    link, gone = os.link, []

    def vanish_once(source: Path, target: Path) -> None:
        if not gone:
            gone.append(source)
            source.unlink()
            path.parent.rmdir()
        link(source, target)

    monkeypatch.setattr(module.os, "link", vanish_once)
    with Lease(path, poll_s=0.01) as lease:
        assert gone and lease.held()


def test_a_link_that_was_made_and_reported_as_failed_is_ours(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def made_but_failed(source: Path, target: Path) -> None:
        link(source, target)
        raise FileExistsError

    monkeypatch.setattr(module.os, "link", made_but_failed)
    with Lease(path, poll_s=0.01, stop=lambda: True) as lease:
        assert lease.held()


def test_a_folder_that_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(DataError, match="cannot be written"),
        Lease(tmp_path / "file/cell/lease.json"),
    ):
        pass


def test_others_on_this_host(tmp_path: Path) -> None:
    mine = tmp_path / "a/lease.json"
    write(mine)
    assert not others_here(tmp_path, mine)
    write(tmp_path / "b/lease.json", host="another-host")
    assert not others_here(tmp_path, mine)
    with holder(tmp_path / "c/lease.json"):
        assert others_here(tmp_path, mine)
    assert not others_here(tmp_path, mine)


def test_a_lease_that_cannot_be_read_for_a_moment_is_not_a_dead_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system that answers ESTALE or EIO: its holder lives by its heart, as one elsewhere."""
    write(path)

    def fails(path: Path) -> str:
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(module, "read_json", fails)
    assert alive(path)
    os.utime(path, (0, 0))
    assert not alive(path)
    path.unlink()
    assert not alive(path)


# ---- a time ahead of the clock -------------------------------------------------------------------


def ahead(path: Path, seconds: float = 1e6) -> None:
    """Date a lease of another host into the future, as a clock that was set back leaves it."""
    if not path.exists():
        write(path, host="another-host", pid=1)
    beat = time.time() + seconds
    os.utime(path, (beat, beat))


def test_a_lease_dated_ahead_is_taken_over_when_its_heart_is_still(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DEAD_AFTER_S", 0.2)
    ahead(path)
    said: list[str] = []
    with Lease(path, said.append, 0.01) as lease:
        assert lease.held()
        assert [p.name for p in path.parent.iterdir()] == ["lease.json"]
    assert f"{path} is dated" in said[0] and "delete it if nothing trains" in said[0]


def test_a_lease_dated_ahead_whose_heart_beats_is_left_alone(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DEAD_AFTER_S", 0.001)
    beats = iter(range(20))

    def stop() -> bool:
        number = next(beats, None)
        ahead(path, 1e6 + (number or 0))
        return number is None

    ahead(path)
    with pytest.raises(StopRequested):
        Lease(path, poll_s=0.01, stop=stop).__enter__()
    assert read(path)["host"] == "another-host"


def test_a_lease_dated_ahead_of_this_host_lives_by_its_process(path: Path) -> None:
    write(path)
    ahead(path)
    assert waits(path) and module.ahead(path) == ""
    write(path, started=psutil.Process().create_time() - 1000)
    ahead(path)
    assert not waits(path)


def test_a_slow_clock_here_is_no_lease_ahead(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured by the file system's clock, as with one that is dated back."""
    write(path, host="another-host", pid=1)
    late = time.time() - 3600
    monkeypatch.setattr(module.time, "time", lambda: late)
    said: list[str] = []
    asked = iter((False, True))
    with pytest.raises(StopRequested):
        Lease(path, said.append, 0.01, lambda: next(asked)).__enter__()
    assert len(said) == 1 and "dated" not in said[0]
