"""Draw up the tables of a study as CSV, Markdown and LaTeX.

    python workflow/study_tables.py --study aime_fig1_constant_lr --scale demo \\
        --runs results/studies/demo/aime_fig1_constant_lr/runs.csv \\
        --out results/studies/demo/aime_fig1_constant_lr/tables
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ablation.cli import planned, run, study_parser
from ablation.frames import load
from ablation.tables import study_tables, write_tables


def main(argv: Sequence[str] | None = None) -> int:
    """Write the tables; return 0."""
    parser = study_parser(__doc__, "tables")
    parser.add_argument("--runs", type=Path, required=True, help="runs.csv of the study")
    args = parser.parse_args(argv)
    data = load(planned(args), args.runs)
    write_tables(study_tables(data, args.config_dir), args.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(run(main))
