"""Checkpoints: valid or absent, ours or refused, and never executed."""

from __future__ import annotations

import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ablation import checkpoint
from ablation.errors import DataError, UserError

WORKFLOW = Path(__file__).resolve().parents[2] / "workflow"
STATE = {
    "model": {"w": torch.arange(6.0).reshape(2, 3)},
    "state": {"epoch": 3, "sums": [1.5, None]},
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "checkpoint.pt"
    checkpoint.save(file, "cell", STATE)
    return file


def refused(path: Path, cell: str = "cell") -> str:
    with pytest.raises(UserError) as caught:
        checkpoint.load(path, cell)
    text = str(caught.value)
    assert "\n" not in text and str(path) in text and "delete it" in text
    return text


def test_round_trip(path: Path) -> None:
    found = checkpoint.load(path, "cell")
    assert torch.equal(found["model"]["w"], STATE["model"]["w"])
    assert found["state"] == STATE["state"]
    assert [p.name for p in path.parent.iterdir()] == ["checkpoint.pt"]


def test_none_there(tmp_path: Path) -> None:
    assert checkpoint.load(tmp_path / "checkpoint.pt", "cell") is None


class Hostile:
    """Pickled, it runs a command when it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch '{self.mark}'",)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("how", ["torch", "torch inside", "pickle", "old torch"])
def test_hostile_pickle_is_refused_and_not_executed(tmp_path: Path, how: str) -> None:
    path, mark = tmp_path / "checkpoint.pt", tmp_path / "executed"
    content = {"format": 1, "cell_id": "cell", "state": Hostile(mark)}
    if how == "pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        content = content if how == "torch inside" else Hostile(mark)
        torch.save(content, path, _use_new_zipfile_serialization=how != "old torch")
    assert "not a checkpoint of ours" in refused(path)
    assert not mark.exists()
    # The same bytes do run where anything may: the test would notice.
    torch.load(path, weights_only=False) if how != "pickle" else pickle.loads(path.read_bytes())
    assert mark.exists()


def test_another_cells_is_refused(path: Path) -> None:
    assert "belongs to cell cell, not other" in refused(path, "other")


@pytest.mark.parametrize("content", [{"format": 2, "cell_id": "cell"}, {"model": 1}, [1], 3])
def test_another_versions_is_refused(tmp_path: Path, content: object) -> None:
    path = tmp_path / "checkpoint.pt"
    torch.save(content, path)
    assert "not a checkpoint of this version" in refused(path)


def test_one_without_a_cell_is_refused(tmp_path: Path) -> None:
    torch.save({"format": 1}, tmp_path / "checkpoint.pt")
    refused(tmp_path / "checkpoint.pt")


def test_truncated_at_any_length_is_refused(path: Path) -> None:
    whole = path.read_bytes()
    for length in [*range(40), *range(40, len(whole), 37), len(whole) - 1]:
        path.write_bytes(whole[:length])
        refused(path)


@pytest.mark.parametrize("content", [b"\0" * 300, b"text " * 99, b"\x80\x02}q\0.", b"PK\3\4" * 50])
def test_garbage_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(content)
    refused(path)


def test_saving_again_replaces_the_whole(path: Path) -> None:
    checkpoint.save(path, "cell", {"state": 2})
    assert checkpoint.load(path, "cell")["state"] == 2
    assert [p.name for p in path.parent.iterdir()] == ["checkpoint.pt"]


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import torch
from ablation import checkpoint, files
where = sys.argv[3]
def kill(*_): os.kill(os.getpid(), signal.SIGKILL)
if where == "written": files.publish = kill
elif where == "flushed": os.replace = kill
else:
    plain = torch.save
    def half(content, file):
        plain(content, file); file.flush(); os.truncate(file.fileno(), 200); kill()
    torch.save = half
checkpoint.save(Path(sys.argv[2]), "cell", {"state": "new"})
"""


@pytest.mark.parametrize("where", ["half", "written", "flushed"])
def test_a_kill_while_saving_leaves_the_old_one(path: Path, where: str) -> None:
    command = [sys.executable, "-c", KILLED, WORKFLOW, path, where]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert checkpoint.load(path, "cell")["state"] == STATE["state"]


@pytest.mark.parametrize("limit", [10, 3000, 200_000])
def test_a_full_disk_leaves_the_old_one_and_no_rest(path: Path, limit: int) -> None:
    big = {"model": {"w": torch.zeros(100_000)}}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(DataError, match="no space left on the disk"):
            checkpoint.save(path, "cell", big)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert checkpoint.load(path, "cell")["state"] == STATE["state"]
    assert [p.name for p in path.parent.iterdir()] == ["checkpoint.pt"]


def test_a_folder_that_is_gone_is_said_in_one_line(path: Path) -> None:
    shutil.rmtree(path.parent)
    with pytest.raises(DataError, match="cannot be written"):
        checkpoint.save(path, "cell", STATE)
