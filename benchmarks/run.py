"""Run every benchmark beside this file and write results/bench.json.

    python benchmarks/run.py [NAME ...]

Each program prints one JSON line with its raw samples and exits with 1 when it misses its bar.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from _shared import ROOT, cpu_count

from ablation.files import write_text
from ablation.provenance import code_version, packages


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    models = [line.split(":", 1)[1].strip() for line in info.splitlines() if "model name" in line]
    ram = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "machine": platform.node(),
        "arch": platform.machine(),
        "cpu": models[0] if models else platform.processor(),
        "num_cpu": cpu_count(),
        "ram_gib": round(ram / 2**30, 1),
        "os": platform.platform(),
        "load": [round(value, 2) for value in os.getloadavg()],
    }


def run(path: Path) -> dict[str, Any]:
    """The line of one benchmark, or what went wrong."""
    done = subprocess.run([sys.executable, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        return json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        return {"benchmark": path.stem, "ok": False, "error": f"exit code {done.returncode}"}


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print a line each, write the file; return 1 if a bar is missed."""
    here = Path(__file__).resolve()
    names = [p.stem for p in sorted(here.parent.glob("[!_]*.py")) if p != here]
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", choices=[*names, []], help="default: all of them")
    parser.add_argument("--out", type=Path, default=ROOT / "results/bench.json")
    args = parser.parse_args(argv)
    found = []
    before = machine()  # the load is that before the benchmarks make their own
    for name in args.names or names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        found.append(run(here.with_name(f"{name}.py")))
        shown = {key: value for key, value in found[-1].items() if key != "samples"}
        print(json.dumps(shown, indent=2), flush=True)
    versions = {"python": platform.python_version(), "code": code_version(), **packages()}
    content = {"machine": before, "versions": versions, "benchmarks": found}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    write_text(args.out, json.dumps(content, indent=2) + "\n")
    print(f"written: {args.out}")
    return 0 if all(line.get("ok", True) for line in found) else 1


if __name__ == "__main__":
    sys.exit(main())
