"""A run of the tests whose processes die or hang ends, and is red."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from configs import ROOT

DYING = """\
import os, time, pytest

@pytest.mark.parametrize("i", range(9))
def test_dies(i):
    os.abort()
"""
HANGING = """\
import ctypes

def test_hangs_and_holds_the_interpreter():
    ctypes.PyDLL(None).sleep(600)
"""


def options() -> list[str]:
    """Options of pytest in `make test`, with a time limit of seconds for a quarter of an hour."""
    text = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    found = re.search(r"^PYTEST := \S+ -m pytest (.*)$", text, re.M)
    assert found and re.search(r"faulthandler_timeout=\d{3}\b", found[1])
    return re.sub(r"faulthandler_timeout=\d+", "faulthandler_timeout=5", found[1]).split()


def test_the_suite_ends_red_when_its_processes_die_or_hang(tmp_path: Path) -> None:
    for name, text in {"test_a": DYING, "test_b": DYING, "test_c": HANGING}.items():
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options(), str(tmp_path)],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout
    assert "crashed while running 'test_a.py::test_dies[0]'" in done.stdout
