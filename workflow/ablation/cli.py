"""What every command line program shares: its options, one-line errors, the worker count, the
progress bar."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import ConfigError, UserError
from .printable import one_line

if TYPE_CHECKING:
    from .frames import StudyData
    from .grid import StudyPlan

ROOT = Path(__file__).resolve().parents[2]


def run(main: Callable[[Sequence[str] | None], int], argv: Sequence[str] | None = None) -> int:
    """Call `main(argv)` and return its exit code.

    A UserError is printed as one line on stderr, without a traceback, and its own exit code is
    returned; of a ConfigError each line is a mistake of its own. Ctrl-C ends with 130. Anything
    else is a bug and keeps its traceback.
    """
    try:
        return main(argv)
    except ConfigError as error:
        for line in str(error).splitlines():
            print(f"error: {one_line(line)}", file=sys.stderr, flush=True)
        return error.exit_code
    except UserError as error:
        print(f"error: {one_line(error)}", file=sys.stderr, flush=True)
        return error.exit_code
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr, flush=True)
        return 130


def cpu_count() -> int:
    """Return the number of CPUs of this job: a cluster job has fewer than its machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def progress_bar(total: int, title: str, unit: str = "image", enabled: bool = True) -> Any:
    """Return a tqdm bar on stderr with units/s and the time left.

    In a log file a line is added every 10 s at most, so that hours of work stay readable.
    """
    from tqdm import tqdm

    tty = sys.stderr.isatty()
    return tqdm(
        total=total,
        desc=title,
        unit=f" {unit}s",
        mininterval=0.2 if tty else 10.0,
        dynamic_ncols=tty,
        disable=not enabled,
        file=sys.stderr,
    )


def study_parser(doc: str, out: str) -> argparse.ArgumentParser:
    """The command line of a program that works on one study at one scale.

    doc: the program's docstring; out: what `--out` is the folder for.
    """
    parser = argparse.ArgumentParser(description=doc.split("\n")[0])
    parser.add_argument("--study", required=True, help="name of a file in config/studies")
    parser.add_argument("--scale", required=True, help="name of a file in config/scales")
    parser.add_argument("--out", type=Path, required=True, help=f"folder for the {out}")
    parser.add_argument("--config-dir", type=Path, default=ROOT / "config", help="configuration")
    return parser


def runs_parser(doc: str, out: str) -> argparse.ArgumentParser:
    """The same for a program that reads what was collected."""
    parser = study_parser(doc, out)
    parser.add_argument("--runs", type=Path, required=True, help="runs.csv of the study")
    parser.add_argument("--epochs", type=Path, help="epochs.csv (default: beside runs.csv)")
    return parser


def planned(args: argparse.Namespace) -> StudyPlan:
    """The plan of the study that a command line means."""
    from .grid import Planner

    return Planner(args.config_dir).plan(args.study, args.scale)


def collected(args: argparse.Namespace) -> StudyData:
    """What was collected of the study that a command line means."""
    from .frames import load

    return load(planned(args), args.runs, args.epochs or args.runs.with_name("epochs.csv"))
