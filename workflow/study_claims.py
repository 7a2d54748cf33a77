"""Decide the claims that a study tests: claims.csv, claims.json and claims.md.

    python workflow/study_claims.py --study aime_fig1_constant_lr --scale demo \\
        --runs results/studies/demo/aime_fig1_constant_lr/runs.csv \\
        --out results/studies/demo/aime_fig1_constant_lr/claims
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ablation.claims import verdicts
from ablation.cli import run
from ablation.frames import load
from ablation.grid import Planner
from ablation.verdicts import write_claims

ROOT = Path(__file__).resolve().parent.parent


def main(argv: Sequence[str] | None = None) -> int:
    """Write the verdicts; return 0."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--study", required=True, help="name of a file in config/studies")
    parser.add_argument("--scale", required=True, help="name of a file in config/scales")
    parser.add_argument("--runs", type=Path, required=True, help="runs.csv of the study")
    parser.add_argument("--epochs", type=Path, help="epochs.csv (default: beside runs.csv)")
    parser.add_argument("--out", type=Path, required=True, help="folder for the verdicts")
    parser.add_argument("--config-dir", type=Path, default=ROOT / "config", help="configuration")
    args = parser.parse_args(argv)
    plan = Planner(args.config_dir).plan(args.study, args.scale)
    data = load(plan, args.runs, args.epochs or args.runs.with_name("epochs.csv"))
    write_claims(data, verdicts(data), args.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(run(main))
