"""`make doctor`, and cells themselves, on this CPU and on the narrower ones that it can play."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conftest import REPO, one_line, run_program

sys.path.insert(0, str(REPO / "workflow"))
import doctor
import train_cell

from ablation.errors import UserError
from ablation.grid import Planner
from tests.unit.kernel_parts import planted

# A wider CPU cannot be played. On other kinds of CPU than x86-64 the settings mean nothing.
CPUS = {
    "as it is": {},
    "oneDNN up to AVX2": {"ONEDNN_MAX_CPU_ISA": "AVX2"},
    "oneDNN up to SSE4.1": {"ONEDNN_MAX_CPU_ISA": "SSE41"},
    "torch with AVX2": {"ATEN_CPU_CAPABILITY": "avx2"},
    "torch without vectors": {"ATEN_CPU_CAPABILITY": "default"},
}
STUDY, VARIANT = "aime_fig2_decay_epoch", "every=30"


@pytest.mark.parametrize("cpu", CPUS)
def test_every_convolution_of_smoke_and_demo_is_right(cpu: str) -> None:
    env = os.environ | CPUS[cpu]
    done = run_program("doctor", "--scale", "smoke", "demo", env=env, timeout=800)
    assert done.returncode == 0, done.stdout + done.stderr
    for scale in ("smoke", "demo"):
        said = one_line(done.stdout, f"{scale}: ")
        assert "all are right" in said and f"torch {torch.__version__}" in said
    if CPUS[cpu].get("ONEDNN_MAX_CPU_ISA"):
        assert f"oneDNN up to {CPUS[cpu]['ONEDNN_MAX_CPU_ISA']}" in done.stdout


@pytest.mark.parametrize("cpu", CPUS)
def test_a_cell_is_trained_on_every_cpu(cpu: str, fashion_data: Path, tmp_path: Path) -> None:
    args = ("--study", STUDY, "--scale", "smoke", "--variant", VARIANT, "--seed", 0)
    places = ("--data", fashion_data, "--out", tmp_path / "o", "--checkpoints", tmp_path / "c")
    done = run_program("train_cell", *args, *places, env=os.environ | CPUS[cpu])
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "o/metrics.json").read_text())["status"] == "completed"


FAULTS: dict[str, tuple[Callable[[torch.Tensor], object], str]] = {
    "wrong numbers": (lambda y: y.mul_(1.01) if y.shape[1] == 8 else None, "is off by 0.01 of"),
    "a crash": (lambda y: os.abort() if y.shape[1] == 8 else None, "ended by SIGABRT"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_kernel_is_found_by_its_line(
    fault: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    harm, said = FAULTS[fault]
    planted(monkeypatch, harm)
    assert doctor.main(["--scale", "smoke", "--studies", STUDY]) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if "smoke: wrong: " in line]
    assert lines and all(said in line and ", 8, " in line for line in lines)
    assert all(f"torch {torch.__version__}" in line for line in lines)


def test_a_cell_does_not_start_on_a_machine_that_computes_it_wrongly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cell = Planner(REPO / "config").plan(STUDY, "smoke").cells[0]
    train_cell.refuse_wrong_kernels(cell)
    planted(monkeypatch, lambda result: result.zero_())
    with pytest.raises(UserError, match="computes wrongly what this cell.*Conv2d.*make doctor"):
        train_cell.refuse_wrong_kernels(cell)


def test_a_scale_without_images_or_gpu_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.main(["--scale", "imagenet", "--device", "auto"]) in (0, 2)
    if not torch.cuda.is_available():
        assert "imagenet: not checked: its cells ask for a GPU" in capsys.readouterr().out


def test_a_wrong_name_is_answered() -> None:
    done = run_program("doctor", "--scale", "smok")
    assert done.returncode == 2 and "did you mean 'smoke'?" in one_line(done.stderr)
