"""Where a cell's numbers come from: code, packages, hardware."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import socket
import subprocess
from pathlib import Path
from typing import Any

from .identity import digest

_PACKAGES = ("torch", "torchvision", "timm", "ffcv", "numpy", "numba", "snakemake")


def code_version() -> str | None:
    """Git's name of the programs' folder, `+changes` when files differ from it.

    The folder's own, not the commit's: a new README is no new version of the code.
    """
    here = Path(__file__).parent.parent
    try:
        tree = _git(here, "rev-parse", "HEAD:./")
        return tree + ("+changes" if _git(here, "status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(folder: Path, *args: str) -> str:
    return subprocess.run(
        ["git", *args], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def packages() -> dict[str, str]:
    """Versions of the packages that can matter to a number, without importing them."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def hardware(device: Any) -> dict[str, Any]:
    """CPU, instruction set and GPU of this process."""
    import torch

    gpu = device.type == "cuda"
    return {
        "cpu": _cpu_model(),
        "cpu_count": os.cpu_count(),
        "isa": torch.backends.cpu.get_cpu_capability(),
        "gpu": torch.cuda.get_device_name(device) if gpu else None,
        "gpu_count": 1 if gpu else 0,
        "cuda": torch.version.cuda if gpu else None,
    }


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def hardware_kind(device: Any) -> dict[str, Any]:
    """What makes two machines of one kind: bits and times are compared within it."""
    machine = hardware(device)
    return {key: machine[key] for key in ("cpu", "isa", "gpu")}


def describe(device: Any, threads: int, dataset_digest: str) -> dict[str, Any]:
    """The record `provenance.json`, without the times."""
    machine = hardware(device)
    return {
        "code_version": code_version(),
        "packages": packages(),
        "python": platform.python_version(),
        "hardware": machine,
        "hardware_id": digest(hardware_kind(device)),
        "host": socket.gethostname(),
        "threads": threads,
        "device": device.type,
        "dataset_digest": dataset_digest,
        "job": os.environ.get("SLURM_JOB_ID"),
    }
