"""Build the page that is read first: index.html (self-contained) and report.md.

    python workflow/build_report.py --scale demo --studies aime_fig1_constant_lr \\
        --results results --out results/report
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ablation.cli import run
from ablation.printable import one_line
from ablation.report import Place, build

ROOT = Path(__file__).resolve().parent.parent


def main(argv: Sequence[str] | None = None) -> int:
    """Write the report; return 0."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scale", required=True, help="name of a file in config/scales")
    parser.add_argument("--studies", required=True, nargs="+", help="names of studies, in order")
    parser.add_argument("--results", type=Path, required=True, help="folder of all results")
    parser.add_argument("--out", type=Path, required=True, help="folder for the report")
    parser.add_argument("--config-dir", type=Path, default=ROOT / "config", help="configuration")
    args = parser.parse_args(argv)
    place = Place(args.scale, tuple(args.studies), args.results, args.out, args.config_dir)
    for cell, why in build(place).items():
        print(f"damaged: cell {cell}: {one_line(why)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(run(main))
