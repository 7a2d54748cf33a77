"""A project of four tiny cells, run by real Snakemake through a real Slurm."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from tests.workflow import project as projects

from .cluster import Cluster

# The victim trains long enough to be harmed in the middle, the others are soon done.
STUDY = """\
title: Tiny
document: a test
place: nowhere
question: Does it survive?
recipe: aime_resnet50
rows:
  victim: {epochs: %d}
  one: {epochs: 2, lr: 0.01}
  two: {epochs: 2, lr: 0.02}
  three: {epochs: 2, lr: 0.03}
baseline: {row: victim}
seeds: 1
"""
EPOCHS = 120
LIMIT_S = 420  # of every wait for a driver: the machine may be shared


def make(folder: Path) -> Path:
    """The project; its cells ask for a pretend GPU and train on the CPU."""
    projects.make(folder)
    for study in (folder / "config/studies").glob("*.yaml"):
        study.unlink()
    (folder / "config/studies/tiny.yaml").write_text(STUDY % EPOCHS)
    (folder / "config/config.yaml").write_text("scale: smoke\nstudies: [tiny]\ndevice: cpu\n")
    projects.edit(folder, "config/scales/smoke.yaml", "epochs_divide_by: 30", "epochs_divide_by: 1")
    projects.edit(
        folder, "config/scales/smoke.yaml", "resources: {cpus: 1,", "resources: {cpus: 1, gpus: 1,"
    )
    # Sites wait for minutes where a test waits for seconds.
    projects.edit(folder, "slurm/config.yaml", "status-checks: 5", "status-checks: 2")
    return folder


class Bench:
    """One copy of the project and the cluster it is sent to."""

    def __init__(self, folder: Path, cluster: Cluster, study: str = "tiny") -> None:
        self.folder, self.cluster = folder, cluster
        self.plan(study)

    def plan(self, study: str = "tiny") -> None:
        """Note the cells, once more after an edit that makes them others."""
        scale = yaml.safe_load((self.folder / "config/config.yaml").read_text())["scale"]
        planned = projects.cells(self.folder, study, scale)
        self.cells = {row: cell for (row, _), cell in planned.items()}
        self.victim = next(iter(self.cells.values()))
        self.targets = [f"results/cells/{cell}/metrics.json" for cell in self.cells.values()]

    # -- the driver ----------------------------------------------------------------------------

    def start(self, *args: str) -> subprocess.Popen[bytes]:
        """Start `snakemake --profile slurm` for the four cells, in a session of its own."""
        env = {k: v for k, v in self.cluster.env.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
        command = [Path(sys.executable).parent / "snakemake", "--cores", "all"]
        command += ["--profile", "slurm", *(args or self.targets)]
        with open(self.folder / "driver.log", "ab") as log:
            return subprocess.Popen(
                [str(word) for word in command], cwd=self.folder, env=env, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                # As at a terminal: a shell's background job, these tests perhaps, ignores Ctrl-C,
                # and so does what it starts.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )  # fmt: skip

    def finish(
        self, driver: subprocess.Popen[bytes], code: int | None = 0, limit_s: float = LIMIT_S
    ) -> str:
        """Wait for a driver; its output. code: its exit code, None for any."""
        try:
            found = driver.wait(limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(driver.pid, signal.SIGKILL)
            raise AssertionError(f"the driver does not end\n{self.story()}") from None
        assert code is None or found == code, f"the driver ended with {found}\n{self.story()}"
        return (self.folder / "driver.log").read_text(errors="replace")

    def run(self, *args: str) -> str:
        """Start a driver and wait until it is done."""
        return self.finish(self.start(*args))

    def edit(self, path: str, old: str, new: str) -> None:
        projects.edit(self.folder, path, old, new)

    def slow_down(self, seconds: float) -> None:
        """Make the victim's training take so much longer: Slurm counts limits in minutes."""
        pause = f"        time.sleep({seconds / EPOCHS**2} * self.config.epochs)\n"
        start = "    def end_epoch(self) -> None:\n"
        self.edit("workflow/ablation/loop.py", start, start + pause)

    # -- where things stand --------------------------------------------------------------------

    def wait(self, what: Callable[[], object], name: str, seconds: float = LIMIT_S) -> object:
        """Wait until `what()` is true and return it; fails with the whole story."""
        deadline = time.monotonic() + seconds
        while not (found := what()):
            assert time.monotonic() < deadline, f"waited for {name}\n{self.story()}"
            time.sleep(0.1)
        return found

    def checkpoint(self, cell: str | None = None) -> Path:
        return self.folder / "results/checkpoints" / (cell or self.victim) / "checkpoint.pt"

    def under_way(self) -> str:
        """Wait until the victim is in the middle of its training; the id of its job."""
        self.wait(lambda: self.checkpoint().exists(), "the victim's first checkpoint")
        return str(self.wait(lambda: self.cluster.job_of(self.victim, "RUNNING"), "its job"))

    def process(self) -> int:
        """Number of the process that trains the victim."""
        lease = self.checkpoint().with_name("lease.json")
        return json.loads(lease.read_text())["pid"]

    def log_path(self, cell: str | None = None) -> Path:
        """A cell's log, below the project."""
        return Path(f"results/logs/train/{cell or self.victim}.log")

    def log(self, cell: str | None = None) -> str:
        path = self.folder / self.log_path(cell)
        return path.read_text() if path.exists() else ""

    def status(self) -> str:
        """What `make status` prints."""
        command = [sys.executable, "workflow/cell_status.py"]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def story(self) -> str:
        """All that is known, for a failure's message."""
        driver = (self.folder / "driver.log").read_text(errors="replace")
        return f"{driver}\n--- victim\n{self.log()[-3000:]}\n{self.cluster.logs()}"

    # -- what must hold at the end ---------------------------------------------------------------

    def check(self, reference: dict[str, bytes], nothing_kept: bool = True) -> None:
        """Metrics as of an undisturbed local run; nothing half-written, nothing left running."""
        for row, cell in self.cells.items():
            metrics = self.folder / f"results/cells/{cell}/metrics.json"
            assert metrics.exists(), f"{row} has no result\n{self.story()}"
            assert metrics.read_bytes() == reference[row], f"{row} has other metrics"
        results = self.folder / "results"
        left = [*results.rglob("*.tmp"), *results.rglob("lease.json"), *results.rglob("*.dead")]
        left += [*results.rglob("checkpoint.pt"), *(results.rglob(".kept") if nothing_kept else ())]
        assert not left, left
        self.cluster.wait(lambda: not self.cluster.jobs(), 60, "the queue to be empty")
        assert not self.orphans(), self.orphans()

    def orphans(self) -> list[str]:
        """Processes of jobs that still run."""
        found = [process.cmdline() for process in self.cluster.processes()]
        return [" ".join(words) for words in found if str(self.folder) in " ".join(words)]


def local_reference(folder: Path) -> dict[str, bytes]:
    """metrics.json of each row after an undisturbed run without Slurm."""
    ids = {row: cell for (row, _), cell in projects.cells(folder, "tiny").items()}
    paths = {row: f"results/cells/{cell}/metrics.json" for row, cell in ids.items()}
    projects.snakemake(folder, *paths.values())
    return {row: (folder / path).read_bytes() for row, path in paths.items()}


def bare_copy(made: Path, folder: Path) -> Path:
    """A copy of a project with its betons and without its cells."""
    ignore = shutil.ignore_patterns("cells", "checkpoints", "logs", ".snakemake", "__pycache__")
    return Path(shutil.copytree(made, folder, symlinks=True, ignore=ignore))


def use_packs(bench: Bench, cells: int) -> None:
    """Set the profile to pack cells, as its comments and docs/cluster.md say."""
    old, new = "#group-components: [cells=8]", f"group-components: [cells={cells}]"
    bench.edit("slurm/config.yaml", old, new)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of a few kilobytes in memory, mounted at `folder`."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
