"""Gather the results of a study's cells into runs.csv (a row a cell), epochs.csv and steps.csv.

    python workflow/collect_study.py --study aime_fig1_constant_lr --scale demo \\
        --cells results/cells --out results/studies/demo/aime_fig1_constant_lr

A missing or damaged cell is an error that names its log; with `--partial` it becomes a row whose
status is `missing`, and a line says which it is and why.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from ablation.cli import planned, run, study_parser
from ablation.collect import collect, epochs_table, runs_table, steps_table
from ablation.files import write_text
from ablation.printable import one_line


def main(argv: Sequence[str] | None = None) -> int:
    """Write the tables; return 0."""
    parser = study_parser(__doc__, "tables")
    parser.add_argument("--cells", type=Path, required=True, help="folder of the cells' results")
    parser.add_argument("--partial", action="store_true", help="go on without missing cells")
    args = parser.parse_args(argv)
    plan = planned(args)
    records, absent = collect(plan, args.cells, args.partial)
    for sentence in absent:
        print(one_line(sentence), file=sys.stderr)
    args.out.mkdir(parents=True, exist_ok=True)
    write_text(args.out / "runs.csv", runs_table(plan, records))
    write_text(args.out / "epochs.csv", epochs_table(plan, records))
    write_text(args.out / "steps.csv", steps_table(plan, records))
    return 0


if __name__ == "__main__":
    raise SystemExit(run(main))
