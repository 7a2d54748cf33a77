"""What the benchmarks share: converted data, and one JSON line as the result."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "workflow"))


def convert(folder: Path) -> Path:
    """The betons of the embedded dataset, converted into `folder`."""
    program = [sys.executable, str(ROOT / "workflow/convert_dataset.py")]
    options = ["--dataset", "fashion_mnist", "--out", str(folder)]
    subprocess.run([*program, *options], check=True, cwd=ROOT, capture_output=True)
    return folder


def extract(folder: Path) -> Path:
    """The embedded images as files; returns the folder of the training split's classes."""
    with tarfile.open(ROOT / "data/fashion_mnist/fashion_mnist.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return next(folder.glob("**/train"))


def result(name: str, samples: dict[str, list[float]], unit: str, **more: Any) -> None:
    """Print a benchmark's line: every raw sample, and their medians."""
    medians = {key: median(values) for key, values in samples.items()}
    line = {"benchmark": name, "unit": unit, "median": medians, **more, "samples": samples}
    print(json.dumps(line), flush=True)


def rounded(values: list[float]) -> list[float]:
    """Four significant digits: more is noise."""
    return [float(f"{value:.4g}") for value in values]


def cpu_count() -> int:
    """CPUs of this process."""
    return len(os.sched_getaffinity(0))
