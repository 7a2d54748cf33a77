"""Data-parallel cells: two real processes on the CPU (gloo) against one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from training import cell, trained

from tests.unit import betons

REPO = Path(__file__).resolve().parents[2]
WORKER = """
import json, sys
from pathlib import Path
sys.path[:0] = {paths!r}
import torch
from training import cell, trainer
from ablation.errors import StopRequested
from ablation.ranks import Ranks
changes, data, folder, stop = json.loads(sys.argv[1])
config = cell(**changes)
ranks = Ranks.join(torch.device("cpu"))
made = trainer(config, Path(data), Path(folder), ranks=ranks)
if stop:  # as a signal that reached one rank alone
    made.stop = lambda: ranks.number == 1 and [made.state.epoch, made.state.step] == stop
try:
    made.run(0.0)
    model = made.final_model()
    if ranks.first:
        torch.save([made.state.epochs, model.state_dict()], Path(folder) / "result.pt")
except StopRequested:
    pass
ranks.leave()
"""
PLAIN_MODEL = {"name": "resnet_small", "width": 4}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("betons")
    for split, count in (("train", 24), ("val", 13)):  # 13: the ranks' shares differ
        betons.write(folder / f"{split}.beton", count, "raw", (20, 24))
    return folder


def two(data: Path, folder: Path, stop: list[int] | None = None, **changes: Any) -> Any:
    """[epochs, weights] of a cell trained by two processes; None when it was stopped."""
    folder.mkdir(exist_ok=True)
    paths = [str(REPO / "workflow"), str(REPO / "tests"), str(REPO)]
    script = folder / "worker.py"
    script.write_text(WORKER.format(paths=paths))
    changes = {"compute": {"ranks": 2}} | changes
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        str(script), json.dumps([changes, str(data), str(folder), stop]),
    ]  # fmt: skip
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    path = folder / "result.pt"
    return torch.load(path) if path.exists() else None


def test_twice_is_the_same_bits_also_when_cut(data: Path, tmp_path: Path) -> None:
    """A stop that only one rank hears of is agreed on by both."""
    epochs, weights = two(data, tmp_path / "a")
    assert two(data, tmp_path / "b", stop=[1, 0]) is None
    again, others = two(data, tmp_path / "b")
    assert epochs == again
    assert all(torch.equal(value, others[key]) for key, value in weights.items())


def test_two_ranks_are_one_that_adds_up_two_parts(data: Path, tmp_path: Path) -> None:
    """The same images, draws and parts; batch norms see the parts in both. To rounding, but for
    the running statistics: one process moves them once a part, of two the first one's count."""
    changes = {
        "mix": {"name": "mixup_cutmix"}, "erase": {"name": "random_erasing", "fill": "noise"},
        "policy": {"name": "randaugment"}, "repeated_augment": 2,
        "model": PLAIN_MODEL | {"dropout": 0.2, "stochastic_depth": 0.2}, "epochs": 1,
    }  # fmt: skip
    epochs, weights = two(data, tmp_path / "a", **changes)
    alone = trained(cell(accumulate=2, **changes), data, tmp_path / "b")
    assert epochs[0]["train_loss"] == pytest.approx(alone.state.epochs[0]["train_loss"], rel=1e-5)
    assert epochs[0]["train_top1"] == alone.state.epochs[0]["train_top1"]
    for key, value in alone.learner.model.state_dict().items():
        if "running" not in key and "num_batches" not in key:
            assert torch.allclose(value, weights[key], atol=1e-5), key


def test_ranks_and_parts_are_cut_out_of_the_same_batches(data: Path, tmp_path: Path) -> None:
    epochs, weights = two(data, tmp_path / "a", accumulate=2, epochs=1)
    alone = trained(cell(accumulate=4, epochs=1), data, tmp_path / "b")
    learned = {k: v for k, v in alone.learner.model.state_dict().items() if k.endswith("weight")}
    assert all(torch.allclose(value, weights[key], atol=1e-5) for key, value in learned.items())
    assert epochs[0]["train_loss"] == pytest.approx(alone.state.epochs[0]["train_loss"], rel=1e-5)


def test_batch_norms_of_ranks_see_their_part(data: Path, tmp_path: Path) -> None:
    """The difference to one process on the whole batch: documented, and in the cell's identity."""
    epochs, _ = two(data, tmp_path / "a", epochs=1)
    alone = trained(cell(epochs=1), data, tmp_path / "b")
    assert epochs[0]["train_loss"] != pytest.approx(alone.state.epochs[0]["train_loss"], rel=1e-4)


def test_averages_and_validation_are_whole(data: Path, tmp_path: Path) -> None:
    """Every validation image counts once; what is written is what was evaluated."""
    averaging = {"name": "ema", "half_life_epochs": 1}
    epochs, weights = two(data, tmp_path / "a", averaging=averaging)
    made = trained(cell(averaging=averaging), data, tmp_path / "b")
    made.learner.model.load_state_dict(weights)
    samples = np.arange(len(made.val_set))
    found = made.judge.measure(made.learner.model, made.val_set, samples)
    assert found["loss"] == pytest.approx(epochs[-1]["val_loss"], rel=1e-6)
    assert found["top1"] == epochs[-1]["val_top1"]


def test_wrong_ranks_are_refused() -> None:
    with pytest.raises(Exception, match="cannot be cut into accumulate 1 x ranks 3"):
        cell(compute={"ranks": 3})
    with pytest.raises(Exception, match="sync_bn does nothing with one rank"):
        cell(compute={"sync_bn": True})
