"""Draw up the tables of a study as CSV, Markdown and LaTeX.

    python workflow/study_tables.py --study aime_fig1_constant_lr --scale demo \\
        --runs results/studies/demo/aime_fig1_constant_lr/runs.csv \\
        --out results/studies/demo/aime_fig1_constant_lr/tables
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ablation.cli import run
from ablation.frames import load
from ablation.grid import Planner
from ablation.tables import study_tables, write_tables

ROOT = Path(__file__).resolve().parent.parent


def main(argv: Sequence[str] | None = None) -> int:
    """Write the tables; return 0."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--study", required=True, help="name of a file in config/studies")
    parser.add_argument("--scale", required=True, help="name of a file in config/scales")
    parser.add_argument("--runs", type=Path, required=True, help="runs.csv of the study")
    parser.add_argument("--out", type=Path, required=True, help="folder for the tables")
    parser.add_argument("--config-dir", type=Path, default=ROOT / "config", help="configuration")
    args = parser.parse_args(argv)
    data = load(Planner(args.config_dir).plan(args.study, args.scale), args.runs)
    write_tables(study_tables(data, args.config_dir), args.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(run(main))
