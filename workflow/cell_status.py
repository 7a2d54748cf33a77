"""Show where every cell stands: state, epoch, accuracy so far, speed, time left, node and log.

Reads the plan and the results directory alone, so it can be run anywhere that sees them, while jobs
run and after. `make status` calls it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from ablation.cli import run
from ablation.config.load import check_workflow, read_yaml, study_names
from ablation.errors import UserError
from ablation.grid import Planner
from ablation.printable import one_line
from ablation.status import STATES, CellStatus, cells_of, duration, of_plans, totals
from ablation.time_left import FINISHED, Pace
from ablation.watch import left_text

COLOURS = {"running": "green", "failed": "red", "damaged": "red", "diverged": "yellow",
           "stopped": "yellow"}  # fmt: skip


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--studies", nargs="+", help="names, or all (default: config.yaml)")
    parser.add_argument("--scale", help="default: that of config.yaml")
    parser.add_argument("--only", nargs="+", choices=STATES, metavar="STATE",
                        help=f"states to list: {', '.join(STATES)}")  # fmt: skip
    parser.add_argument("--watch", type=float, nargs="?", const=10.0, metavar="SECONDS",
                        help="draw it anew every so many seconds (10), until Ctrl-C")  # fmt: skip
    parser.add_argument("--config-dir", type=Path, default=Path("config"), help="default: config")
    parser.add_argument("--results", type=Path, default=Path("results"), help="default: results")
    return parser.parse_args(argv)


def table(rows: list[CellStatus]):
    """The rows as a table of rich's."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("cell", "study", "variant", "seed", "state", "epoch", "top-1", "images/s", "left",
                 "node", "log"):  # fmt: skip
        right = name in ("seed", "epoch", "top-1", "images/s", "left")
        made.add_column(name, justify="right" if right else "left", overflow="fold")
    for row in rows:
        made.add_row(
            row.cell, row.study, row.variant, str(row.seed), row.state,
            f"{row.epoch}/{row.epochs}",
            "" if row.top1 is None else f"{row.top1:.2f}",
            "" if row.images_per_s is None else f"{row.images_per_s:.0f}",
            duration(row.left_s), row.node, str(row.log or ""),
            style=COLOURS.get(row.state),
        )  # fmt: skip
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    from rich.console import Console, Group

    args = parse(argv)
    settings = check_workflow(read_yaml(args.config_dir / "config.yaml"))
    planner = Planner(args.config_dir)
    scale = args.scale or settings.scale
    names = study_names(args.config_dir, args.studies or settings.studies)
    plans, not_run = planner.plans(names, scale)
    if not plans:
        raise UserError("; ".join(not_run.values()))

    cells = {cell.id: cell for cell, _ in cells_of(plans.values()).values()}
    pace = Pace(args.results)

    def draw():
        rows = of_plans(plans.values(), args.results, args.results.parent / ".snakemake/slurm_logs")
        shown = [row for row in rows if not args.only or row.state in args.only]
        notes = [f"{row.cell} {row.state}: {one_line(row.note)}" for row in shown if row.note]
        for row in rows:
            if row.state in FINISHED:
                pace.learn(cells[row.cell])
        side_by_side = sum(row.state == "running" for row in rows)
        left = f"; {left_text(rows, cells, pace, side_by_side)}" if side_by_side else ""
        return Group(table(shown), *notes, totals(rows) + left)

    # A file or a pipe has no width: nothing is folded there.
    console = Console(width=None if sys.stdout.isatty() else 240, highlight=False, markup=False)
    if args.watch is None:
        console.print(draw())
        return 0
    from rich.live import Live

    with Live(draw(), console=console, auto_refresh=False, vertical_overflow="visible") as live:
        while True:
            time.sleep(args.watch)
            live.update(draw(), refresh=True)


if __name__ == "__main__":
    raise SystemExit(run(main))
