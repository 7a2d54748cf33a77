"""GPUs of a machine: counted without torch, and each held by one cell."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ablation import gpus
from tests.conftest import REPO

HOLD = """
import json, os, sys
from pathlib import Path
from ablation import gpus
taken = gpus.take(int(sys.argv[1]), Path(sys.argv[2]))
seen = os.environ["CUDA_VISIBLE_DEVICES"]
print(json.dumps([taken, seen, "torch" in sys.modules]), flush=True)
sys.stdin.read()
"""


class Holder:
    """A process that takes GPUs and lives until it is told to end."""

    def __init__(self, count: int, folder: Path, names: str) -> None:
        env = {"PYTHONPATH": str(REPO / "workflow"), "CUDA_VISIBLE_DEVICES": names}
        command = [sys.executable, "-c", HOLD, str(count), str(folder)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, env=env, **pipes)
        self.taken, self.seen, self.heavy = json.loads(self.process.stdout.readline())

    def end(self) -> None:
        self.process.communicate()


@pytest.mark.parametrize(
    ("named", "seen"),
    [("0,1", ["0", "1"]), (" GPU-a , 3", ["GPU-a", "3"]), ("", []), ("-1", []), ("2,-1,0", ["2"])],
)
def test_what_cuda_is_told_to_see(named: str, seen: list[str], monkeypatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert gpus.visible() == seen


def test_else_every_gpu_of_the_machine_is_seen(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(gpus, "DEVICES", tmp_path)
    assert gpus.visible() == []
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"):  # two GPUs and their drivers
        (tmp_path / name).touch()
    assert gpus.visible() == ["0", "1"]


def test_cells_hold_different_gpus_until_they_end(tmp_path: Path) -> None:
    one, two = Holder(1, tmp_path, "0,1,2"), Holder(2, tmp_path, "0,1,2")
    assert (one.taken, two.taken) == (["0"], ["1", "2"])
    assert (one.seen, two.seen, one.heavy) == ("0", "1,2", False)
    one.process.kill()  # however it ends
    one.end()
    three = Holder(1, tmp_path, "0,1,2")
    assert three.taken == ["0"]
    more = Holder(1, tmp_path, "0,1,2")  # more cells than GPUs: they share, as was asked for
    assert len(more.taken) == 1 and more.taken[0] in "012"
    for holder in (two, three, more):
        holder.end()
    # Two ranks, one GPU free: the other is shared.
    left, pair = Holder(1, tmp_path, "0,1,2"), Holder(1, tmp_path, "0,1,2")
    ranks = Holder(2, tmp_path, "0,1,2")
    assert ranks.taken[0] == "2" and len(set(ranks.taken)) == 2
    for holder in (left, pair, ranks):
        holder.end()


def test_where_there_is_no_choice_nothing_is_held(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert gpus.take(2, tmp_path) == ["3", "5"] and list(tmp_path.iterdir()) == []
