"""Why cells fail, each in one line: from an error while it lives, from its logs afterwards."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from ablation import causes
from ablation.errors import UserError

CELL = "0123456789ab"
CONFIG = SimpleNamespace(
    batch_size=64, img_size=28, reading="resident", model=SimpleNamespace(label="resnet_small")
)


def explained(error: Exception) -> UserError | None:
    return causes.explained(error, Path("out"), "demo", CONFIG)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("CUDA out of memory"), "too little memory for batch_size 64"),
        (MemoryError(), "more mem_mb in the scale 'demo'"),
        (OSError(errno.ENOSPC, "No space left on device", "x/y"), "x/y: no space left on the disk"),
        (OSError(errno.EIO, "Input/output error", "x/y"), "the disk or file system of"),
        (RuntimeError("The NVIDIA driver on your system is too old (found version 11040)."),
         "does not fit this torch"),
        (RuntimeError("CUDA error: uncorrectable ECC error encountered"), "fails (CUDA error"),
        (RuntimeError("CUDA error: no CUDA-capable device is detected"), "another node"),
    ],
)  # fmt: skip
def test_causes_are_told_apart(error: Exception, said: str) -> None:
    assert said in str(explained(error))


def test_a_mistake_of_the_program_is_not_explained_away() -> None:
    assert explained(RuntimeError("shape mismatch")) is None


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


HEAD = f"2026-01-01 10:00:00  === cell {CELL}: s, lr=1, seed 0 ===\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD + "error: no space\n" + HEAD + "error: val.beton: truncated\n", "val.beton: trunc"),
        (HEAD + "error: no space\n" + HEAD + "epoch 1/3\n", "ended without a word"),
        (HEAD + "epoch 1/3\nended by signal 9\n", "killed (SIGKILL): for more memory"),
        (HEAD + "epoch 1/3\nended by signal 15\n", "it was ended by SIGTERM"),
        (HEAD + "epoch 1/3\nended by signal 9\n" + HEAD, "ended without a word"),
        (HEAD + "x  stopped as asked after epoch 2, step 1; the same\n", causes.STOPPED),
        (HEAD + "Traceback (most recent call last):\n  File x\nKeyError: 'a'\n", "KeyError: 'a'"),
        ("error: config/studies/x.yaml: no such key\n", "no such key"),
    ],
)
def test_the_last_attempt_s_word_counts(tmp_path: Path, text: str, said: str) -> None:
    assert said in causes.of_log(write(tmp_path / f"{CELL}.log", text), tmp_path / "none")


CRASHES = {
    "glibc": ("free(): invalid next size (fast)\nFatal Python error: Aborted\n\nThread 0x1:\n",
              "(SIGABRT: free(): invalid next size (fast))"),
    "a segmentation fault": ("Fatal Python error: Segmentation fault\n", "(SIGSEGV)"),
    "an instruction that is not there": (
        "Fatal Python error: Illegal instruction\n", "another kind of node"),
    "no word but the exit code": ("ended by signal 11\n", "(SIGSEGV)"),
    "glibc alone": ("corrupted double-linked list\n", "(SIGABRT: corrupted double-linked list)"),
    "a rank": ("Fatal Python error: Aborted\nerror: one of the cell's 2 ranks\n", "(SIGABRT)"),
}  # fmt: skip


@pytest.mark.parametrize("case", CRASHES)
def test_a_crash_of_compiled_code_is_not_called_a_want_of_memory(tmp_path: Path, case: str) -> None:
    text, said = CRASHES[case]
    found = causes.of_log(write(tmp_path / f"{CELL}.log", HEAD + text), tmp_path / "none")
    assert said in found and "mem_mb" not in found and "a fault of a library" in found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("slurmstepd: error: Detected 1 oom_kill event in StepId=7.0", "raise mem_mb"),
        ("slurmstepd: error: *** JOB 7 ON n0 CANCELLED AT 10:00 DUE TO TIME LIMIT ***", "time lim"),
        ("slurmstepd: error: *** JOB 7 ON n0 CANCELLED AT 10:00 DUE TO PREEMPTION ***", "gave way"),
        ("slurmstepd: error: *** JOB 7 ON n0 CANCELLED AT 10:00 ***", "was cancelled"),
    ],
)
@pytest.mark.parametrize("folder", [f"rule_train_cell/{CELL}", "group_cells-abc"])
def test_what_a_killed_cell_cannot_say_slurm_says(
    tmp_path: Path, text: str, said: str, folder: str
) -> None:
    log = write(tmp_path / f"{CELL}.log", HEAD + "epoch 1/3\n")
    write(tmp_path / "slurm" / folder / "7.log", f"cell={CELL}\n{text}\n")
    assert said in causes.of_log(log, tmp_path / "slurm")


def test_failures_of_this_run_alone_are_listed(tmp_path: Path) -> None:
    began = time.time() - 10
    for cell in ("a" * 12, "b" * 12, "c" * 12):
        write(tmp_path / f"logs/train/{cell}.log", HEAD + "error: it broke\n")
    os.utime(tmp_path / f"logs/train/{'b' * 12}.log", (began - 99, began - 99))
    write(tmp_path / f"cells/{'c' * 12}/metrics.json", "{}")
    names = {cell * 12: f"s, {cell}" for cell in "abcd"}
    (line,) = causes.failures(names, tmp_path, tmp_path / "none", since=began)
    assert line.startswith(f"cell {'a' * 12} (s, a): it broke; log: ") and line.endswith("a.log")
