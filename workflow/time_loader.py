"""Time one cell of a loader benchmark: read its images for some epochs, and train nothing.

    python workflow/time_loader.py --study loader_storage --scale demo --cell load-0123456789ab \\
        --data results/data/fashion_mnist-0123456789ab --medium /dev/shm \\
        --out results/cells/load-0123456789ab --checkpoints results/checkpoints

The beton is copied to the medium where it is not there yet, and stays there.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ablation.lease import Lease

BEGAN = time.time()
sys.path.insert(0, str(Path(__file__).parent))

from train_cell import check_betons, had_back, lacks, say  # noqa: E402

from ablation.cli import run  # noqa: E402
from ablation.errors import ConfigError  # noqa: E402
from ablation.grid import Cell, Planner  # noqa: E402
from ablation.identity import loader_identity  # noqa: E402


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--study", required=True, help="study that the cell belongs to")
    parser.add_argument("--scale", required=True, help="scale at which it is timed")
    parser.add_argument("--cell", required=True, help="id of the cell")
    parser.add_argument("--data", type=Path, required=True, help="folder of the dataset's betons")
    parser.add_argument("--medium", required=True, help="folder on the medium to read from")
    parser.add_argument("--out", type=Path, required=True, help="folder for the cell's results")
    parser.add_argument("--checkpoints", type=Path, required=True, help="folder of all leases")
    parser.add_argument("--config-dir", type=Path, default=Path("config"), help="default: config")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Time the cell; return 0."""
    args = parse(argv)
    cell = Planner(args.config_dir).plan(args.study, args.scale).cell(args.cell)
    if cell.variant.loader is None:
        raise ConfigError(f"{args.study} is no loader benchmark: train its cells")
    from ablation.files import refuse_link
    from ablation.lease import Lease
    from ablation.progress import recall_log

    folder = args.checkpoints / cell.id
    heading = f"=== cell {cell.id}: {args.study}, {cell.variant.label}, seed {cell.config.seed} ==="
    say(heading)
    refuse_link(args.out)
    with Lease(folder / "lease.json", say) as lease:
        if recall_log(args.out / ".kept"):
            say(heading)
        if not had_back(args.out, lacks(cell, args.data, args.out.parent)):
            check_betons(args.data, cell)
            read(args, cell, lease)
    with contextlib.suppress(OSError):  # another job waits in it for its turn
        folder.rmdir()
    return 0


def read(args: argparse.Namespace, cell: Cell, lease: Lease) -> None:
    """Copy the images to the medium, read them, and write what it took."""
    from ablation import loader, media
    from ablation.lease import others_here

    held = args.checkpoints / cell.id / "lease.json"
    started, medium = datetime.datetime.now(datetime.UTC), cell.variant.loader.medium
    copying = time.perf_counter()
    place = media.folder_on(medium, args.medium)
    beton, copied = media.place(args.data / "train.beton", place)
    copy_s = time.perf_counter() - copying if copied else None
    say(f"{beton}: {f'copied in {copy_s:.1f} s' if copied else 'is there'}")
    # Work that is no cell of ours shows in the machine's load alone.
    load = os.getloadavg()[0]
    where = {
        "load_average": load,
        "medium": medium,
        "path": str(place),
        **media.below(beton),
        "copy_time_s": copy_s,
    }
    startup_s = time.time() - BEGAN
    alone = not others_here(args.checkpoints, held)
    found = loader.measure(beton, cell.config, cell.variant.loader, say)
    alone = alone and not others_here(args.checkpoints, held)
    lease.check()
    write(args, cell, found, {**where, "startup_time_s": startup_s, "alone": alone}, started)
    say(f"done in {time.time() - BEGAN:.1f} s: {args.out}")


def write(
    args: argparse.Namespace, cell: Cell, found: Any, facts: dict[str, Any], started: Any
) -> None:
    """Write the results; metrics.json, with which the cell is done, comes last."""
    import torch

    from ablation import keep, loader, provenance, record
    from ablation.compute import peak_mem_gib

    device, workers = torch.device("cpu"), cell.variant.loader.workers
    ended = datetime.datetime.now(datetime.UTC)
    record.write_results(
        args.out,
        cell=describe(args, cell),
        times=loader.times(found),
        timing={
            **loader.timing(found, cell.config),
            **facts,
            "wall_time_s": time.time() - BEGAN,
            "peak_mem_gib": peak_mem_gib(device),
            "attempts": 1,
        },
        provenance={
            **provenance.describe(device, workers, cell.dataset.digest),
            "started": started.isoformat(timespec="seconds"),
            "finished": ended.isoformat(timespec="seconds"),
        },
        metrics=loader.metrics(cell.id, cell.config, found),
    )
    keep.drop_before(args.out)


def describe(args: argparse.Namespace, cell: Cell) -> dict[str, Any]:
    """The content of cell.json: what was read, and how to time it again."""
    from ablation import again, record

    places = (args.data, args.medium, args.out, args.checkpoints)
    return {
        **record.labels(cell, args.study, args.scale),
        "command": again.timing(args.study, args.scale, cell, *places),
        "loader": cell.variant.loader.model_dump(mode="json"),
        "config": cell.config.model_dump(mode="json"),
        "identity": loader_identity(cell.config, cell.variant.loader, cell.dataset.digest),
    }


if __name__ == "__main__":
    raise SystemExit(run(main))
