"""What a job through Slurm costs beside the training: N tiny cells here, as jobs, and packed.

    python -m tests.slurm.overhead [N]

Starts the cluster of tests/slurm (root, Debian's slurm-wlm and munge). A cell trains 3 epochs
of 400 small images, about a second; the rest is the start of Python, torch, Snakemake and Slurm.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.workflow import project as projects

from .bench import Bench, bare_copy, use_packs
from .cluster import Cluster, why_not


def make(folder: Path, cells: int) -> Path:
    """A project with a study of so many tiny cells, its dataset converted."""
    projects.make(folder)
    values = [round(0.01 * (1 + number), 2) for number in range(cells)]
    projects.edit(folder, "config/studies/plain.yaml", "[0.1, 0.01]", str(values))
    projects.edit(folder, "config/studies/plain.yaml", "{lr: 0.1}", f"{{lr: {values[0]}}}")
    (folder / "config/config.yaml").write_text("scale: smoke\nstudies: [plain]\n")
    projects.snakemake(folder, "--until", "convert_dataset")
    return folder


def main() -> int:
    """Measure the three ways; print seconds per cell."""
    if reason := why_not():
        print(reason)
        return 1
    cells = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    root = Path(tempfile.mkdtemp(prefix="overhead"))
    made = make(root / "made", cells)
    cluster = Cluster(root / "cluster")
    cluster.run.mkdir()
    try:
        cluster.start()
        seconds = {}
        for way in ("local", "jobs", "packed"):
            bench = Bench(bare_copy(made, root / way), cluster, "plain")
            if way == "packed":
                use_packs(bench, cells=cells)
            began = time.monotonic()
            if way == "local":
                projects.snakemake(bench.folder, *bench.targets)
            else:
                bench.run()
            seconds[way] = time.monotonic() - began
            print(
                f"{way:8} {seconds[way]:6.1f} s, {seconds[way] / cells:5.1f} s a cell", flush=True
            )
    finally:
        cluster.stop()
        subprocess.run(["rm", "-rf", root], check=False)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
