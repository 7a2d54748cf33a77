"""Check that this machine computes right what cells ask of it.

Each convolution of each model that the studies run at a scale is compared, forward and backward,
with a float64 reference, in a process of its own whose memory glibc watches. One line for each that
is wrong, with the library and its version; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ablation.cli import ROOT, progress_bar, run
from ablation.config.load import find, load_scale, study_names
from ablation.errors import ConfigError
from ablation.grid import Planner
from ablation.kernel_cases import cases, convolutions

# glibc's watch over the heap: what a kernel writes out of bounds ends its process.
_WATCH = "libc_malloc_debug.so.0"


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "--scale", nargs="+",
        help="names of files in config/scales; default: all whose datasets have a lock",
    )  # fmt: skip
    parser.add_argument(
        "--studies", nargs="+", default=["all"], help="names of files in config/studies"
    )
    parser.add_argument("--config-dir", type=Path, default=ROOT / "config", help="configuration")
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto",
        help="auto: what the cells of a scale ask for, where it is there",
    )  # fmt: skip
    return parser.parse_args(argv)


def watch_memory() -> None:
    """Start this program again under glibc's watch, if there is one and it is not on."""
    if "MALLOC_CHECK_" in os.environ:
        return
    try:
        ctypes.CDLL(_WATCH)
    except OSError:
        print(f"doctor: {_WATCH} is not here: memory is not watched", file=sys.stderr)
        return
    watched = {"LD_PRELOAD": _WATCH, "MALLOC_CHECK_": "3"}
    os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | watched)


def device_of(scale: str, args: argparse.Namespace) -> str:
    """Where the cells of a scale are computed; "" if that is not on this machine."""
    if args.device != "auto":
        return args.device
    if not load_scale(args.config_dir, scale).resources.gpus:
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else ""


def check(scale: str, args: argparse.Namespace, planner: Planner) -> int:
    """Compare the convolutions of a scale; returns how many are wrong."""
    from ablation import kernels

    device = device_of(scale, args)
    if not device:
        print(f"{scale}: not checked: its cells ask for a GPU, and here is none")
        return 0
    try:
        plans, _ = planner.plans(study_names(args.config_dir, args.studies), scale)
    except ConfigError as error:
        if args.scale:
            raise
        print(f"{scale}: not checked: {error}")
        return 0
    found, wrong = convolutions(cases(plans.values())), 0
    with progress_bar(len(found), f"{scale} on {device}", "convolution") as bar:
        for finding in kernels.each_apart(found, device):
            if finding is not None:
                wrong += 1
                bar.clear()
                print(f"{scale}: wrong: {finding}", flush=True)
            bar.update()
    said = f"{wrong} of them wrong" if wrong else "all are right"
    compared = f"{len(found)} convolutions compared on {device}"
    print(f"{scale}: {compared}, {said}; {kernels.computed_by()}")
    return wrong


def tell_known() -> None:
    """Say which known fault of the CPU's library is on this machine, though no cell meets it."""
    from ablation import kernels

    if any(kernels.each_apart(kernels.EXAMPLES)):
        print(
            f"known here: {kernels.KNOWN}. No cell meets it: a model with such a convolution lies "
            "in memory with its channels first (compute.channels_last: auto)"
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    args = parse(argv)
    if argv is None:
        watch_memory()
    scales = args.scale or sorted(p.stem for p in (args.config_dir / "scales").glob("*.yaml"))
    for scale in scales:
        find(args.config_dir, "scales", scale, "--scale")
    planner = Planner(args.config_dir)
    wrong = sum(check(scale, args, planner) for scale in scales)
    tell_known()
    if wrong:
        print(
            "This machine computes wrongly what cells ask of it: train them on another kind of "
            "machine, and report the lines above to the library's makers"
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(run(main))
