"""Peak memory of lock and convert, all processes together, over the number of images.

    python benchmarks/dataset_memory.py

Makes tars of 1,000, 10,000 and 100,000 tiny images in a temporary folder. The bar is on what each
image adds from 10,000 to 100,000: a million more of them are that many GB.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import psutil
from _shared import ROOT, result, rounded

COUNTS = (1_000, 10_000, 100_000)
CLASSES = 10
# Bytes an image that may be added. A name, a place and a digest take about 300 in the main process;
# convert's two workers see them by fork, and looking at an object copies its page.
BARS = {"lock": 600, "convert": 1200}
CONFIG = """\
title: tiny
source: {{layout: tar, path: {path}}}
"""


def make(folder: Path, count: int) -> None:
    """A dataset `d` of `count` different images of 2 x 2 pixels, with a tenth for validation."""
    path = folder / "d.tar"
    with tarfile.open(path, "w") as archive:
        for number in range(count):
            split = "val" if number < count // 10 else "train"
            name = f"{split}/class_{number % CLASSES:04d}/image_{number:08d}.ppm"
            content = b"P6 2 2 255\n" + number.to_bytes(4, "big") * 3
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    (folder / "config/datasets").mkdir(parents=True)
    (folder / "config/datasets/d.yaml").write_text(CONFIG.format(path=path))


def peak_mb(program: str, *options: str) -> float:
    """Peak of what the program and its workers hold together, MB; shared pages count once."""
    command = [sys.executable, str(ROOT / f"workflow/{program}.py"), *options, "--workers", "2"]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=said)
        peak, watched = 0, psutil.Process(process.pid)
        while process.poll() is None:
            peak = max(peak, held(watched))
            time.sleep(0.1)
        if process.returncode:
            said.seek(0)
            raise SystemExit(said.read().decode()[-500:])
    return peak / 1e6


def held(process: psutil.Process) -> int:
    """Bytes of a process and of all below it, each page counted once (PSS)."""
    total = 0
    try:
        for each in (process, *process.children(recursive=True)):
            total += each.memory_full_info().pss
    except psutil.Error:  # one has just ended
        pass
    return total


def main() -> int:
    """Measure, print the line; return 1 if a bar is missed."""
    peaks: dict[str, list[float]] = {"lock": [], "convert": []}
    with tempfile.TemporaryDirectory() as scratch:
        for count in COUNTS:
            folder = Path(scratch) / str(count)
            folder.mkdir()
            make(folder, count)
            options = ("--dataset", "d", "--config-dir", str(folder / "config"))
            peaks["lock"].append(peak_mb("lock_dataset", *options))
            out = ("--out", str(folder / "out"))
            peaks["convert"].append(peak_mb("convert_dataset", *options, *out))
    bytes_an_image = {
        name: round(1e6 * (values[2] - values[1]) / (COUNTS[2] - COUNTS[1]))
        for name, values in peaks.items()
    }
    ok = all(bytes_an_image[name] <= bar for name, bar in BARS.items())
    samples = {name: rounded(values) for name, values in peaks.items()}
    more = {"images": COUNTS, "bytes_an_image": bytes_an_image, "bars": BARS, "ok": ok}
    result("dataset_memory", samples, "MB at each number of images", **more)
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
