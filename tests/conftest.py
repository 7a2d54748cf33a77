"""What tests share: converted data made once, an editable configuration, programs as processes."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

REPO = Path(__file__).resolve().parent.parent
for _folder in (REPO / "tests", REPO / "workflow"):
    if str(_folder) not in sys.path:
        sys.path.insert(0, str(_folder))


def command(name: str, *args: object) -> list[str]:
    """Command line of a program in workflow/, with this Python."""
    return [sys.executable, str(REPO / "workflow" / f"{name}.py"), *map(str, args)]


def run_program(
    name: str, *args: object, timeout: float = 300, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run a program of workflow/ from the repository's root; output as text."""
    options = {"cwd": REPO, "capture_output": True, "text": True} | options
    return subprocess.run(command(name, *args), timeout=timeout, check=False, **options)


def one_line(text: str, prefix: str = "error:") -> str:
    """The one line of `text` that begins with `prefix`; fails if there is a traceback."""
    assert "Traceback" not in text, text
    lines = [line for line in text.splitlines() if line.startswith(prefix)]
    assert len(lines) == 1, text
    return lines[0]


@pytest.fixture(scope="session")
def program() -> Callable[..., subprocess.CompletedProcess[str]]:
    """`program(name, *args)` runs workflow/{name}.py and returns the finished process."""
    return run_program


@pytest.fixture(scope="session")
def shared_temp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A temporary folder that all workers of this test run share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def fashion_data(shared_temp: Path) -> Path:
    """Folder of the embedded dataset's betons and manifest, converted once a test run.

    Do not write to it; `copy_data` makes a copy.
    """
    folder = shared_temp / "fashion_data"
    with open(shared_temp / "fashion_data.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "manifest.json").is_file():
            shutil.rmtree(folder, ignore_errors=True)
            args = ("--dataset", "fashion_mnist", "--out", folder)
            done = run_program("convert_dataset", *args)
            assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def copy_data(fashion_data: Path, tmp_path: Path) -> Path:
    """A copy of `fashion_data` that a test may damage."""
    return Path(shutil.copytree(fashion_data, tmp_path / "data"))


@pytest.fixture
def config_dir(tmp_path: Path) -> Path:
    """A copy of config/ that a test may edit."""
    return Path(shutil.copytree(REPO / "config", tmp_path / "config"))


@pytest.fixture(scope="session")
def fashion_lock() -> dict[str, Any]:
    """The lock of the embedded dataset."""
    return json.loads((REPO / "config/datasets/fashion_mnist.lock.json").read_text())


def write_yaml(path: Path, content: dict[str, Any]) -> None:
    """Write a configuration file."""
    path.write_text(yaml.safe_dump(content, sort_keys=False))
