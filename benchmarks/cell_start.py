"""Seconds from the start of train_cell.py to its first optimizer step (resident, smoke scale).

Against a bare script, started in turn with it, that imports torch and takes one step of
torch.optim.SGD on an nn.Linear. Bar: the ratio of the medians is at most 1.6. For comparison, the
same bare script with the functional SGD, which spares the import of torch._dynamo.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from _shared import ROOT, convert, result, rounded

REPEATS = 5
BAR = 1.6
# The cell's own program; its optimizer says when the first step is done, and ends it there.
CELL = """
import os, runpy, sys, time
sys.path.insert(0, "workflow")
from ablation.optim.sgd import SGDState
step = SGDState.step
def first(self, lr):
    step(self, lr)
    print(time.time(), flush=True)
    os._exit(0)
SGDState.step = first
sys.argv[0] = "workflow/train_cell.py"
runpy.run_path("workflow/train_cell.py", run_name="__main__")
"""
BARE = """
import time, torch
layer = torch.nn.Linear(10, 10)
optimizer = torch.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9)
layer(torch.randn(8, 10)).sum().backward()
optimizer.step()
print(time.time())
"""
FUNCTIONAL = """
import time, torch
from torch.optim.sgd import sgd
layer = torch.nn.Linear(10, 10)
layer(torch.randn(8, 10)).sum().backward()
with torch.no_grad():
    parameters = list(layer.parameters())
    sgd(parameters, [p.grad for p in parameters], [None, None], weight_decay=0.0, momentum=0.9,
        lr=0.1, dampening=0.0, nesterov=False, maximize=False)
print(time.time())
"""


def seconds(code: str, *args: str) -> float:
    """From starting the process to the time that it prints."""
    began = time.time()
    done = subprocess.run(
        [sys.executable, "-c", code, *args], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return float(done.stdout) - began


def cell_options(folder: Path, attempt: int) -> list[str]:
    out = folder / f"attempt{attempt}"
    return [
        "--study", "aime_fig1_constant_lr", "--scale", "smoke", "--variant", "lr=0.1",
        "--seed", "0", "--data", str(folder / "data"), "--device", "cpu",
        "--out", str(out / "cell"), "--checkpoints", str(out / "checkpoints"),
    ]  # fmt: skip


def main() -> int:
    """Measure and print; return 0, or 1 above the bar."""
    samples: dict[str, list[float]] = {"cell": [], "bare": [], "bare_functional": []}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        convert(folder / "data")
        for attempt in range(-1, REPEATS):  # the first one warms the disk's cache
            found = {
                "cell": seconds(CELL, *cell_options(folder, attempt)),
                "bare": seconds(BARE),
                "bare_functional": seconds(FUNCTIONAL),
            }
            for key, value in found.items() if attempt >= 0 else ():
                samples[key].append(value)
    samples = {key: rounded(values) for key, values in samples.items()}
    ratio = median(samples["cell"]) / median(samples["bare"])
    more = {"ratio": round(ratio, 3), "bar": {"ratio": BAR}, "ok": ratio <= BAR}
    functional = median(samples["cell"]) / median(samples["bare_functional"])
    result("cell_start", samples, "s", **more, ratio_to_functional=round(functional, 3))
    return 0 if ratio <= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
