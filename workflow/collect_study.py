"""Gather the results of a study's cells into runs.csv (a row a cell), epochs.csv and steps.csv.

    python workflow/collect_study.py --study aime_fig1_constant_lr --scale demo \\
        --cells results/cells --out results/studies/demo/aime_fig1_constant_lr

A missing or damaged cell is an error that names its log; with `--partial` it becomes a row whose
status is `missing`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ablation.cli import one_line, run
from ablation.collect import collect, epochs_table, runs_table, steps_table
from ablation.files import write_text
from ablation.grid import Planner

ROOT = Path(__file__).resolve().parent.parent


def main(argv: Sequence[str] | None = None) -> int:
    """Write the tables; return 0."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--study", required=True, help="name of a file in config/studies")
    parser.add_argument("--scale", required=True, help="name of a file in config/scales")
    parser.add_argument("--cells", type=Path, required=True, help="folder of the cells' results")
    parser.add_argument("--out", type=Path, required=True, help="folder for the tables")
    parser.add_argument("--config-dir", type=Path, default=ROOT / "config", help="configuration")
    parser.add_argument("--partial", action="store_true", help="go on without missing cells")
    args = parser.parse_args(argv)
    plan = Planner(args.config_dir).plan(args.study, args.scale)
    records, absent = collect(plan, args.cells, args.partial)
    for sentence in absent:
        print(f"missing: {one_line(sentence)}", file=sys.stderr)
    args.out.mkdir(parents=True, exist_ok=True)
    write_text(args.out / "runs.csv", runs_table(plan, records))
    write_text(args.out / "epochs.csv", epochs_table(plan, records))
    write_text(args.out / "steps.csv", steps_table(plan, records))
    return 0


if __name__ == "__main__":
    raise SystemExit(run(main))
