"""The program that trains a cell: the same numbers always, and one clear line when it cannot."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import conftest
import pytest
import torch

from ablation import lease
from ablation.grid import Planner

REPO = Path(__file__).resolve().parents[2]
STUDY: dict[str, Any] = {
    "title": "Tiny",
    "document": "a test",
    "place": "nowhere",
    "question": "Does it train?",
    "recipe": "aime_resnet50",
    "base": {"augment": {"name": "standard"}, "batch_size": 48, "epochs": 3},
    "grid": {"lr": [0.05, 1.0e6]},
    "baseline": {"lr": 0.05},
    "seeds": 2,
}
SCALE: dict[str, Any] = {
    "title": "Tiny",
    "datasets": {"imagenet": "fashion_mnist"},
    "models": {"resnet50": {"name": "resnet_small", "width": 4}},
    "img_sizes": {224: 28},
    "val_crop_ratio": 1.0,
    "train_share": 0.06,
    "val_share": 0.03,
    "measure": {"clean_images": 60, "clean_every": 2},
}


@dataclass
class Bench:
    """A study of tiny cells, and a folder in which they are trained."""

    config: Path
    data: Path
    root: Path
    options: dict[str, Any] = field(default_factory=dict)

    def write(
        self, study: dict[str, Any] | None = None, scale: dict[str, Any] | None = None
    ) -> None:
        conftest.write_yaml(self.config / "studies/tiny.yaml", STUDY | (study or {}))
        conftest.write_yaml(self.config / "scales/tiny.yaml", SCALE | (scale or {}))

    def base(self, **changes: Any) -> dict[str, Any]:
        return {"base": STUDY["base"] | changes}

    def args(self, name: str, lr: str = "0.05", seed: int = 0, **flags: Any) -> list[str]:
        """Command line of a cell whose results and checkpoints have a folder of their own."""
        given = {
            "study": "tiny", "scale": "tiny", "variant": f"lr={lr}", "seed": seed,
            "data": self.data, "config-dir": self.config,
            "out": self.root / name / "out", "checkpoints": self.root / name / "checkpoints",
        } | flags  # fmt: skip
        return [str(part) for key, value in given.items() for part in (f"--{key}", value)]

    def run(self, name: str, **flags: Any) -> subprocess.CompletedProcess[str]:
        return conftest.run_program("train_cell", *self.args(name, **flags), **self.options)

    def train(self, name: str, **flags: Any) -> bytes:
        """Train to the end; the bytes of metrics.json."""
        done = self.run(name, **flags)
        assert done.returncode == 0, done.stderr
        return self.file(name).read_bytes()

    def file(self, name: str, kind: str = "metrics.json") -> Path:
        return self.root / name / "out" / kind

    def read(self, name: str, kind: str = "metrics.json") -> dict[str, Any]:
        return json.loads(self.file(name, kind).read_text())

    def cell(self, lr: float = 0.05, seed: int = 0) -> str:
        cells = Planner(self.config).plan("tiny", "tiny").cells
        return next(c.id for c in cells if (c.config.lr, c.config.seed) == (lr, seed))

    def checkpoint(self, name: str) -> Path:
        return self.root / name / "checkpoints" / self.cell() / "checkpoint.pt"


@pytest.fixture
def bench(config_dir: Path, fashion_data: Path, tmp_path: Path) -> Bench:
    made = Bench(config_dir, fashion_data, tmp_path)
    made.write()
    return made


def cut(bench: Bench, name: str, number: int, when: Callable[[int, int], bool]) -> int:
    """Train `name` in a process that gets a signal at the first step for which `when` holds.

    The program is the real one; its optimizer step alone is wrapped to send the signal.
    """
    epoch, step = next((e, s) for e in range(9) for s in range(999) if when(e, s))
    code = f"""
import os, runpy, sys
sys.path.insert(0, {str(REPO / "workflow")!r})
from ablation import loop
plain = loop.Trainer.train_step
def train_step(self, *args):
    if (self.state.epoch, self.state.step) == {(epoch, step)}:
        os.kill(os.getpid(), {number})
    return plain(self, *args)
loop.Trainer.train_step = train_step
sys.argv = ["train_cell.py", *sys.argv[1:]]
runpy.run_path({str(REPO / "workflow/train_cell.py")!r}, run_name="__main__")
"""
    with open(bench.root / f"{name}.log", "a") as log:
        command = [sys.executable, "-c", code, *bench.args(name)]
        return subprocess.run(command, cwd=REPO, stderr=log, check=False, timeout=300).returncode


# -- the same cell, the same numbers ---------------------------------------------------------------


def test_again_and_with_any_workers_the_same_bytes(bench: Bench) -> None:
    first = bench.train("first")
    for name, workers in (("again", 0), ("one", 1), ("two", 2)):
        assert bench.train(name, workers=workers) == first
    assert bench.train("seed", seed=1) != first
    one, other = bench.read("first"), bench.read("seed")
    assert one["cell_id"] != other["cell_id"]
    assert one["epochs"][0]["train_loss"] != other["epochs"][0]["train_loss"]
    assert one["status"] == "completed" and one["last"] == one["epochs"][-1]
    assert [e["clean_top1"] is None for e in one["epochs"]] == [True, False, False]
    weights = torch.load(bench.file("first", "weights.pt"), weights_only=True)
    assert sum(t.numel() for k, t in weights["model"].items()) > one["parameters"]
    assert not list((bench.root / "first/checkpoints").iterdir())


def test_cut_anywhere_and_resumed_the_same_bytes(bench: Bench) -> None:
    whole = bench.train("whole")
    killed = cut(bench, "cut", signal.SIGKILL, lambda e, s: (e, s) == (1, 0))
    assert killed == -signal.SIGKILL and bench.checkpoint("cut").is_file()
    # Killed again before the next save: the state at the end of epoch 1 still stands.
    assert cut(bench, "cut", signal.SIGKILL, lambda e, s: (e, s) == (1, 3)) == -signal.SIGKILL
    stopped = cut(bench, "cut", signal.SIGTERM, lambda e, s: (e, s) == (1, 2))
    assert stopped == 75 and not bench.file("cut").exists()
    state = torch.load(bench.checkpoint("cut"), weights_only=True)["state"]
    assert (state["epoch"], state["step"]) == (1, 3)
    stopped = cut(bench, "cut", signal.SIGUSR1, lambda e, s: (e, s) == (2, 0))
    assert stopped == 75
    assert bench.train("cut") == whole
    assert not list((bench.root / "cut/checkpoints").iterdir())
    # First, after the kills (whose own attempts were never saved), after each of two stops.
    assert bench.read("cut", "timing.json")["attempts"] == 4
    log = (bench.root / "cut.log").read_text()
    assert log.count("=== cell") == 4 and "goes on after epoch 1, step 3" in log
    assert log.count("stopped as asked") == 2 and "Traceback" not in log


RESUMED = {
    "adam": {
        "optimizer": {"name": "adam"},
        "schedule": {"name": "one_cycle"},
        "clip_grad_norm": 0.5,
    },
    "lamb": {
        "optimizer": {"name": "lamb", "weight_decay": 0.02, "decay_norm": False},
        "schedule": {"name": "one_cycle", "cooldown_epochs": 0.5},
    },
}


@pytest.mark.parametrize("technique", RESUMED)
def test_an_optimizer_with_means_and_counts_is_resumed_the_same(
    bench: Bench, technique: str
) -> None:
    bench.write(bench.base(epochs=2, **RESUMED[technique]))
    whole = bench.train("whole")
    assert bench.read("whole")["status"] == "completed"
    assert cut(bench, "cut", signal.SIGTERM, lambda e, s: (e, s) == (0, 3)) == 75
    assert cut(bench, "cut", signal.SIGKILL, lambda e, s: (e, s) == (1, 0)) == -signal.SIGKILL
    assert bench.train("cut") == whole
    log = (bench.root / "cut.log").read_text()
    assert "goes on after epoch 0, step 4" in log and "Traceback" not in log


def test_stopped_at_the_end_of_an_epoch(bench: Bench) -> None:
    """A stop in the last step of an epoch is answered after its evaluation."""
    whole = bench.train("whole")
    last = bench.read("whole")["steps_per_epoch"] - 1
    assert cut(bench, "cut", signal.SIGTERM, lambda e, s: (e, s) == (0, last)) == 75
    assert "stopped as asked after epoch 1, step 0" in (bench.root / "cut.log").read_text()
    # Asked in the very last step of the training there is nothing left to go on with.
    assert cut(bench, "cut", signal.SIGTERM, lambda e, s: (e, s) == (2, last)) == 0
    assert bench.file("cut").read_bytes() == whole
    assert bench.read("cut", "timing.json")["attempts"] == 2


def test_streaming_gives_the_same_bytes_and_the_numbers_of_resident(bench: Bench) -> None:
    resident = json.loads(bench.train("resident"))
    bench.write(bench.base(reading="streaming"))
    whole = bench.train("whole", workers=1)
    assert cut(bench, "cut", signal.SIGTERM, lambda e, s: (e, s) == (1, 2)) == 75
    done = bench.run("cut", workers=2)
    assert done.returncode == 0 and bench.file("cut").read_bytes() == whole
    for text in (done.stderr, (bench.root / "cut.log").read_text()):
        assert "Exception" not in text and "Traceback" not in text
    # Another cell by its id, for sums might differ; here the pixels and the batches are the same.
    streamed = json.loads(whole)
    assert streamed["cell_id"] != resident["cell_id"]
    for key in ("train_loss", "train_top1", "val_top1", "clean_top1"):
        assert [e[key] for e in streamed["epochs"]] == [e[key] for e in resident["epochs"]]


def test_a_resident_cell_imports_nothing_heavy(bench: Bench) -> None:
    code = f"""
import runpy, sys
sys.argv = ["train_cell.py", *sys.argv[1:]]
try:
    runpy.run_path({str(REPO / "workflow/train_cell.py")!r}, run_name="__main__")
finally:
    heavy = ["torch._dynamo", "torchvision", "timm", "ffcv", "numba", "pandas", "cv2"]
    print([name for name in heavy if name in sys.modules], "torch" in sys.modules)
"""
    command = [sys.executable, "-c", code, *bench.args("light")]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[] True"


# -- results that are there, or in part -----------------------------------------------------------


def test_finished_cells_are_left_alone_and_incomplete_ones_trained(bench: Bench) -> None:
    whole = bench.train("a")
    before = bench.file("a").stat().st_mtime_ns
    done = bench.run("a")
    assert done.returncode == 0 and "results are there already" in done.stderr
    assert bench.file("a").stat().st_mtime_ns == before
    # What a kill between two files leaves: everything but the last.
    bench.file("a").unlink()
    assert bench.train("a") == whole
    text = "holds the results of cell"
    other = bench.run("b", seed=1, out=bench.root / "a/out")
    assert other.returncode == 2 and text in conftest.one_line(other.stderr)
    assert bench.file("a").read_bytes() == whole


# -- divergence is data ----------------------------------------------------------------------------


def strict(text: str) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_divergence_is_a_result(bench: Bench) -> None:
    text = bench.train("a", lr="1e+06").decode()
    found = strict(text)
    assert found["status"] == "diverged" and found["last"] is None
    at = found["diverged_at"]
    assert at["epoch"] == 1 and 2 <= at["step"] <= 6 and found["epochs"] == []
    for kind in ("timing.json", "cell.json", "provenance.json"):
        strict(bench.file("a", kind).read_text())
    torch.load(bench.file("a", "weights.pt"), weights_only=True)
    assert not list((bench.root / "a/checkpoints").iterdir())


def test_divergence_keeps_the_curve_and_is_the_same_after_a_resume(bench: Bench) -> None:
    bench.write(bench.base(schedule={"name": "step", "every": 1, "decay": 1.0e9}))
    found = strict(bench.train("whole").decode())
    assert found["status"] == "diverged" and len(found["epochs"]) == 1
    # The first step of epoch 2 takes the weights away, the loss of the next shows it.
    assert found["diverged_at"]["epoch"] == 2 and 2 <= found["diverged_at"]["step"] <= 6
    assert found["best"]["epoch"] == 1
    assert cut(bench, "cut", signal.SIGTERM, lambda e, s: (e, s) == (0, 3)) == 75
    assert bench.train("cut") == bench.file("whole").read_bytes()


WRAPPED = """
import runpy, sys
sys.path.insert(0, {workflow!r})
from ablation import loop
{patch}
sys.argv = ["train_cell.py", *sys.argv[1:]]
runpy.run_path({workflow!r} + "/train_cell.py", run_name="__main__")
"""


def patched(bench: Bench, name: str, patch: str) -> subprocess.CompletedProcess[str]:
    """Train a cell with a part of the loop replaced."""
    code = WRAPPED.format(workflow=str(REPO / "workflow"), patch=patch)
    command = [sys.executable, "-c", code, *bench.args(name)]
    return subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)


def test_an_infinite_validation_loss_is_divergence(bench: Bench) -> None:
    patch = """
from ablation import judge
plain, count = judge.evaluate, []
def evaluate(*args, **options):
    count.append(1)
    return plain(*args, **options) | ({"loss": float("inf")} if len(count) == 2 else {})
judge.evaluate = evaluate
"""
    done = patched(bench, "a", patch)
    assert done.returncode == 0, done.stderr
    found = strict(bench.file("a").read_text())
    assert found["diverged_at"] == {"epoch": 2, "step": None} and len(found["epochs"]) == 1


# -- one clear line --------------------------------------------------------------------------------


def failed(bench: Bench, name: str, done: subprocess.CompletedProcess[str]) -> str:
    """The one line of a cell that could not be trained; it has left no results."""
    assert done.returncode == 2, (done.returncode, done.stderr)
    assert not bench.file(name).exists()
    return conftest.one_line(done.stderr)


def test_truncated_beton_is_named(bench: Bench, copy_data: Path) -> None:
    bench.data = copy_data
    beton = copy_data / "val.beton"
    os.truncate(beton, beton.stat().st_size // 2)
    assert f"{beton}: truncated" in failed(bench, "a", bench.run("a"))


@pytest.mark.parametrize("what", ["wrong id", "no manifest"])
def test_betons_that_are_not_the_plans_are_refused(
    bench: Bench, copy_data: Path, what: str
) -> None:
    bench.data, manifest = copy_data, copy_data / "manifest.json"
    if what == "wrong id":
        content = json.loads(manifest.read_text()) | {"beton_id": "0" * 12}
        manifest.write_text(json.dumps(content))
    else:
        manifest.unlink()
    assert str(manifest) in failed(bench, "a", bench.run("a"))


def test_checkpoint_of_another_cell_is_refused(bench: Bench) -> None:
    assert cut(bench, "a", signal.SIGTERM, lambda e, s: (e, s) == (0, 1)) == 75
    theirs = bench.root / "b/checkpoints" / bench.cell(seed=1)
    theirs.mkdir(parents=True)
    shutil.copy(bench.checkpoint("a"), theirs / "checkpoint.pt")
    line = failed(bench, "b", bench.run("b", seed=1))
    assert f"belongs to cell {bench.cell()}" in line and str(theirs) in line


def test_checkpoint_that_does_not_fit_the_model_is_refused(bench: Bench) -> None:
    assert cut(bench, "a", signal.SIGTERM, lambda e, s: (e, s) == (0, 1)) == 75
    state = torch.load(bench.checkpoint("a"), weights_only=True)
    state["model"] = {}
    torch.save(state, bench.checkpoint("a"))
    assert "does not fit this cell" in failed(bench, "a", bench.run("a"))


def test_full_disk_is_said_and_a_later_run_succeeds(bench: Bench) -> None:
    whole = bench.train("whole")

    def full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    bench.options = {"preexec_fn": full}
    line = failed(bench, "a", bench.run("a"))
    assert "no space left on the disk" in line and "checkpoint.pt" in line
    bench.options = {}
    assert bench.train("a") == whole


def test_full_file_system_is_said_and_a_later_run_succeeds(bench: Bench, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=48k", "tmpfs", str(small)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a small file system")
    try:
        done = bench.run("a", checkpoints=small)
        assert "no space left on the disk" in failed(bench, "a", done)
    finally:
        subprocess.run(["umount", str(small)], check=True)
    assert bench.train("a") == bench.train("whole")


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        ('MemoryError("Unable to allocate 8.00 GiB")', "the job has too little memory"),
        ('RuntimeError("DefaultCPUAllocator: can\'t allocate memory: 12")', "the job has too"),
        ('loop.torch.OutOfMemoryError("CUDA out of memory.")', "the GPU has too little memory"),
        ('OSError(28, "No space left on device")', "no space left on the disk"),
    ],
)
def test_too_little_memory_or_disk_says_what_helps(bench: Bench, raised: str, said: str) -> None:
    patch = f"""
def train_step(*_):
    raise {raised}
loop.Trainer.train_step = train_step
"""
    line = failed(bench, "a", patched(bench, "a", patch))
    assert said in line
    if "memory" in said:
        assert "batch_size 48" in line and "model resnet_small" in line and "img_size 28" in line
        assert "what helps" in line


def test_real_lack_of_memory_is_said(bench: Bench) -> None:
    """The limit of address space is set once everything is imported."""
    patch = """
import resource
from ablation.data import native
native.shared_object()
plain = loop.Trainer.train_epoch
def train_epoch(self):
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**24, used + 2**24))
    return plain(self)
loop.Trainer.train_epoch = train_epoch
"""
    wide = {"resnet50": {"name": "resnet_small", "width": 64, "stem_stride": 1}}
    bench.write(bench.base(batch_size=300), {"models": wide})
    assert "too little memory for batch_size 300" in failed(bench, "a", patched(bench, "a", patch))


def test_any_other_error_keeps_its_traceback(bench: Bench) -> None:
    patch = """
def train_step(*_):
    raise RuntimeError("a mistake in the program")
loop.Trainer.train_step = train_step
"""
    done = patched(bench, "a", patch)
    assert done.returncode == 1 and "Traceback" in done.stderr and "a mistake in" in done.stderr


def test_a_batch_larger_than_the_data_is_refused(bench: Bench) -> None:
    bench.write(bench.base(batch_size=301))
    done = bench.run("a")
    assert done.returncode == 2 and "batch_size 301" in conftest.one_line(done.stderr)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"variant": "lr=7"}, "no such cell"),
        ({"cell": "0" * 12}, "has no cell 000000000000"),
        ({"study": "tinny"}, "did you mean 'tiny"),
        ({"seed": 9}, "no such cell"),
    ],
)
def test_a_cell_that_is_not_planned_is_refused(bench: Bench, flags: dict, said: str) -> None:
    assert said in failed(bench, "a", bench.run("a", **flags))


# -- one writer ------------------------------------------------------------------------------------


def test_a_cell_in_training_is_waited_for_and_a_stop_ends_the_waiting(bench: Bench) -> None:
    folder = bench.checkpoint("a").parent
    with lease.Lease(folder / "lease.json"):
        command = conftest.command("train_cell", *bench.args("a"))
        waiting = subprocess.Popen(command, cwd=REPO, stderr=subprocess.PIPE, text=True)
        lines = [waiting.stderr.readline() for _ in range(2)]
        assert "is training this cell" in lines[1] and str(os.getpid()) in lines[1]
        waiting.send_signal(signal.SIGTERM)
        rest = waiting.communicate(timeout=60)[1]
    assert waiting.returncode == 75 and "while another job was training" in rest
    assert not bench.file("a").exists()


def test_two_drivers_train_a_cell_once(bench: Bench) -> None:
    command = conftest.command("train_cell", *bench.args("a"))
    both = [
        subprocess.Popen(command, cwd=REPO, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    said = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum("epoch 1/3" in text for text in said) == 1
    assert sum("results are there already" in text for text in said) == 1
    assert bench.file("a").read_bytes() == bench.train("alone")


def test_a_cell_that_was_taken_over_writes_nothing(bench: Bench) -> None:
    patch = """
from ablation import lease
taken = lease.Lease.held
lease.Lease.held = lambda self: False
"""
    done = patched(bench, "a", patch)
    assert "another job has taken this cell over" in failed(bench, "a", done)
    assert not bench.checkpoint("a").exists()


def test_a_cell_beside_others_says_so(bench: Bench) -> None:
    bench.train("a")
    assert bench.read("a", "timing.json")["alone"] is True
    with lease.Lease(bench.root / "b/checkpoints/another/lease.json"):
        bench.train("b")
    assert bench.read("b", "timing.json")["alone"] is False
    assert bench.file("a").read_bytes() == bench.file("b").read_bytes()


def test_a_packed_cell_says_so(bench: Bench) -> None:
    command = conftest.command("train_cell", *bench.args("a"), "--packed")
    assert subprocess.run(command, cwd=REPO, capture_output=True, check=False).returncode == 0
    assert bench.read("a", "timing.json")["alone"] is False


def test_results_that_a_caller_deletes_are_put_back(bench: Bench) -> None:
    """Snakemake deletes the outputs and the log of a job that was cut off; --keep is for it."""
    command = conftest.command("train_cell", *bench.args("a"), "--keep")
    log = bench.root / "log.txt"

    def run() -> str:
        with open(log, "a") as file:
            done = subprocess.run(command, cwd=REPO, stderr=file, check=False)
        assert done.returncode == 0, log.read_text()
        return log.read_text()

    run()
    results = {path.name: path.read_bytes() for path in bench.file("a").parent.glob("[a-z]*.*")}
    for path in (*bench.file("a").parent.glob("[a-z]*.*"), log):
        path.unlink()
    said = run()
    assert "its results are put back" in said and said.count("epoch 1/3") == 1
    after = {path.name: path.read_bytes() for path in bench.file("a").parent.glob("[a-z]*.*")}
    assert after == results and "metrics.json" in after


def test_the_record_says_how_to_train_the_cell_again(bench: Bench) -> None:
    began = time.time()
    bench.train("a")
    cell = bench.read("a", "cell.json")
    assert cell["cell_id"] == bench.cell() == bench.read("a")["cell_id"]
    assert "--variant lr=0.05 --seed 0" in cell["command"]
    assert cell["config"]["batch_size"] == 48 and cell["config"]["reading"] == "resident"
    timing, origin = bench.read("a", "timing.json"), bench.read("a", "provenance.json")
    assert 0 < timing["train_time_s"] < timing["wall_time_s"] < time.time() - began + 1
    assert timing["energy_j"] is None or timing["energy_source"]  # where there is a meter
    assert timing["peak_mem_gib"] > 0
    assert origin["device"] == "cpu" or origin["hardware"]["gpu"]
    assert origin["packages"]["torch"] and origin["dataset_digest"] == cell["dataset_digest"]


# -- several ranks --------------------------------------------------------------------------------


def test_a_cell_of_two_ranks_stops_as_asked_and_goes_on(bench: Bench) -> None:
    """Through torchrun, on the CPU: the signal reaches the process that was started alone."""
    bench.write(bench.base(batch_size=24, epochs=80, compute={"ranks": 2}))
    whole = bench.train("whole")
    log = bench.root / "cut.log"
    with open(log, "w") as file:
        process = subprocess.Popen(conftest.command("train_cell", *bench.args("cut")), stderr=file)
        deadline = time.monotonic() + 240
        while "epoch 1/80" not in log.read_text() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=240)
    assert code == 75, log.read_text()
    assert list((bench.root / "cut/checkpoints").rglob("checkpoint.pt"))
    assert bench.train("cut") == whole


def test_the_error_of_a_rank_is_the_cells(bench: Bench) -> None:
    bench.write(bench.base(compute={"ranks": 2, "sync_bn": True}))
    done = bench.run("a", device="cpu")
    assert done.returncode == 2 and "sync_bn is an operation of GPUs" in done.stderr
    assert "one of the cell's 2 ranks has ended with an error" in done.stderr
    assert not list(bench.root.rglob("metrics.json"))


# -- weights of another cell ----------------------------------------------------------------------


@pytest.mark.parametrize("use", ["distill", "pretrained"])
def test_a_cell_whose_parent_diverged_is_diverged_too(bench: Bench, use: str) -> None:
    """Divergence is data, here as well: no failed job, no training from broken weights."""
    parent = {"name": "cell", "study": "tiny", "variant": {"lr": 1.0e6}}
    given = {"distill": {"alpha": 0.5, "teacher": parent}, "pretrained": {"weights": parent}}
    bench.write({"rows": {"child": {use: given[use]}}})
    cells = {c.variant.label: c.id for c in Planner(bench.config).plan("tiny", "tiny").cells[::2]}
    folder = bench.root / "cells"
    for label, cell in cells.items():
        if label != "lr=0.05":
            out = {"out": folder / cell, "cells": folder, "variant": label}
            assert bench.run(label, **out).returncode == 0
    found = strict((folder / cells["child"] / "metrics.json").read_text())
    assert found["status"] == "diverged" and found["epochs"] == []
    assert found["diverged_at"] == {"epoch": 1, "step": None}
    log = strict((folder / cells["child"] / "cell.json").read_text())
    assert log["identity"][f"{use}.{'teacher' if use == 'distill' else 'weights'}.cell_id"]
