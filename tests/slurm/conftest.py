"""One cluster for a file of tests, and one undisturbed local run as their reference."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from . import bench as benches
from .cluster import Cluster, NoCluster, why_not


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A running cluster; skips with the reason where there can be none."""
    if reason := why_not():
        pytest.skip(reason)
    made = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        made.start()
        yield made
    except NoCluster as error:
        pytest.skip(str(error).splitlines()[0])
    finally:
        made.stop()
    assert not made.processes(), made.processes()


@pytest.fixture(scope="session")
def finished(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project after a local run; do not write to it."""
    folder = benches.make(tmp_path_factory.mktemp("local") / "project")
    benches.local_reference(folder)
    return folder


@pytest.fixture(scope="session")
def reference(finished: Path) -> dict[str, bytes]:
    """Row -> metrics.json of the undisturbed local run."""
    return benches.local_reference(finished)


@pytest.fixture
def bench(cluster: Cluster, finished: Path, tmp_path: Path) -> Iterator[benches.Bench]:
    """A copy of the project with betons and no cells, and the cluster in good order."""
    made = benches.Bench(benches.bare_copy(finished, tmp_path / "project"), cluster)
    try:
        yield made
    finally:
        jobs = list(cluster.jobs())
        if jobs:
            cluster.ask("scancel", *jobs, check=False)
            cluster.wait(lambda: not cluster.jobs(), 60, "the queue to be empty")
