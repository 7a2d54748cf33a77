"""Seconds of our own code to plan 1,000 cells, in fresh processes.

The packages that planning imports (pydantic, yaml, numpy) are imported first and counted apart.
Bar: under 1 s.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from _shared import ROOT, result, rounded

REPEATS = 5
CHILD = """
import json, sys, time
start = time.perf_counter()
import numpy, numpy.random, pydantic, yaml
packages = time.perf_counter()
from ablation.grid import Planner
imported = time.perf_counter()
cells = Planner(sys.argv[1]).plan("many", "imagenet").cells
planned = time.perf_counter()
assert len({cell.id for cell in cells}) == 1000 and "torch" not in sys.modules
times = {"packages": packages - start, "own": planned - packages,
         "own_import": imported - packages, "own_plan": planned - imported}
print(json.dumps(times))
"""
RECIPE = """\
title: r
dataset: fashion_mnist
model: {name: resnet_small}
img_size: 28
epochs: 18
batch_size: 128
lr: 0.1
optimizer: {name: sgd}
schedule: {name: step, every: 6}
loss: {name: cross_entropy}
augment: {name: standard}
"""


def study() -> str:
    """10 learning rates x 10 weight decays x 10 seeds."""
    rates = [round(0.01 * n, 2) for n in range(1, 11)]
    decays = [round(1e-5 * n, 6) for n in range(1, 11)]
    return (
        "title: t\ndocument: d\nplace: p\nquestion: q\nrecipe: r\nseeds: 10\n"
        f"grid: {{lr: {rates}, optimizer.weight_decay: {decays}}}\n"
        f"baseline: {{lr: {rates[0]}, optimizer.weight_decay: {decays[0]}}}\n"
    )


def main() -> int:
    """Measure and print; return 0, or 1 above the bar."""
    with tempfile.TemporaryDirectory() as temporary:
        config = Path(temporary)
        for name in ("datasets", "scales"):
            (config / name).symlink_to(ROOT / "config" / name)
        for name, text in (("recipes/r", RECIPE), ("studies/many", study())):
            (config / name).parent.mkdir()
            (config / f"{name}.yaml").write_text(text)
        samples: dict[str, list[float]] = {}
        for _ in range(REPEATS):
            done = subprocess.run(
                [sys.executable, "-c", CHILD, str(config)],
                check=True,
                capture_output=True,
                text=True,
                env={"PYTHONPATH": str(ROOT / "workflow")},
            )
            for key, value in json.loads(done.stdout).items():
                samples.setdefault(key, []).append(value)
    samples = {key: rounded(values) for key, values in samples.items()}
    ok = sorted(samples["own"])[REPEATS // 2] < 1
    result("plan", samples, "s", cells=1000, bar={"own": 1.0}, ok=ok)
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
