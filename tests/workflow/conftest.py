"""What the tests of whole workflows share: a finished project, and a process that plans."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .dry_runs import DryRuns
from .project import make, snakemake

AGO = 3600


@pytest.fixture(scope="session")
def finished(shared_temp: Path) -> Path:
    """A project whose every cell is trained and whose report is built, an hour ago; once a test
    run. Copy it, change nothing in it."""
    folder = shared_temp / "finished" / "project"
    folder.parent.mkdir(exist_ok=True)
    with open(folder.parent / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder.parent / "done").exists():
            make(folder)
            study = (folder / "config/studies/plain.yaml").read_text()
            (folder / "config/studies/other.yaml").write_text(study)  # nobody asks for it
            snakemake(folder)
            age(folder)
            (folder.parent / "done").touch()
    return folder


def age(folder: Path) -> None:
    """Make everything an hour old, in the order in which it was made."""
    old = time.time() - AGO
    # Snakemake compares seconds at best on some file systems: what is edited later is newer.
    for number, path in enumerate(sorted(folder.rglob("*"), key=lambda p: p.lstat().st_mtime)):
        os.utime(path, (old + number * 0.01,) * 2, follow_symlinks=False)


@pytest.fixture(scope="session")
def dry_runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DryRuns]:
    """`dry_runs.plan(folder, *args)`: the jobs that Snakemake would run."""
    made = DryRuns(tmp_path_factory.mktemp("dry_runs"))
    yield made
    made.end()
