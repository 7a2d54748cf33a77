"""Cells that ask for a GPU, started on this machine: as many at once as it has GPUs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .project import cells, edit, make, snakemake

# In place of a training: how many of them run at the same time. It ends without results.
STAND_IN = """
import json, os, time, uuid
from pathlib import Path
here = Path("running"); here.mkdir(exist_ok=True)
mine = here / uuid.uuid4().hex; mine.touch()
most = 0
for _ in range(20):
    most = max(most, len(list(here.iterdir()))); time.sleep(0.1)
Path(f"most-{mine.name}").write_text(json.dumps(most))
mine.unlink()
raise SystemExit(2)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make(tmp_path_factory.mktemp("gpus") / "project")
    edit(folder, "config/scales/smoke.yaml", "cpus: 1,", "cpus: 1, gpus: 1,")
    (folder / "workflow/train_cell.py").write_text(STAND_IN)
    return folder


@pytest.mark.parametrize(
    ("visible", "options", "most"),
    [("0", (), 1), ("0,1", (), 2), ("0", ("--resources", "gpu=2"), 2), ("", (), 2)],
)
def test_a_gpu_has_one_cell_unless_asked(
    visible: str, options: tuple[str, ...], most: int, project: Path, monkeypatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    targets = [f"results/cells/{cell}/metrics.json" for cell in cells(project, "plain").values()]
    for old in project.glob("most-*"):
        old.unlink()
    snakemake(project, *options, "--config", "studies=plain", "--", *targets, check=False)
    found = [json.loads(path.read_text()) for path in project.glob("most-*")]
    assert len(found) == len(targets) >= 2 and max(found) == most
