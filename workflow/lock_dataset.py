"""Read all images of a dataset once and write its lock, `config/datasets/{name}.lock.json`.

    python workflow/lock_dataset.py --dataset fashion_mnist

Reads: `config/datasets/{name}.yaml` and the source images. Every file is decoded; bad ones are
named. The lock (classes, counts, sizes, digest of the content, mean and standard deviation) is
committed: planning reads it, and convert verifies that the images are still the same.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ablation.class_order import numbers_as_text
from ablation.cli import cpu_count, run
from ablation.config.dataset import DatasetConfig, DatasetLock
from ablation.config.expected import differences, differences_of_lock, notes
from ablation.config.load import load_dataset
from ablation.duplicates import find_shared
from ablation.errors import DataError
from ablation.files import stable_json, write_text
from ablation.scan import Reading, count_classes, make_lock, scan
from ablation.sources import open_source

ROOT = Path(__file__).resolve().parent.parent


def lock_dataset(
    config: DatasetConfig, num_workers: int, progress: bool = True, accept_counts: bool = False
) -> DatasetLock:
    """Return the lock of a dataset's images; raises DataError for missing or bad ones.

    Counts other than the expected are refused, before the images are read, unless accepted.
    """
    with open_source(config.source, ROOT) as listing:
        counts = {
            split: count_classes(listing.classes, (sample.cls for sample in samples))
            for split, samples in listing.splits.items()
        }
        judge_counts(differences(config.expect, listing.classes, counts), accept_counts)
        reading = Reading(background=config.background, writer=config.writer)
        result = scan(listing, num_workers, config.on_bad_image, progress, reading)
    lock = make_lock(result, config.on_bad_image, config.background)
    accepted = differences_of_lock(config.expect, lock)
    judge_counts(accepted, accept_counts)
    found = {"accepted": tuple(accepted), "shared": find_shared(result)}
    return lock.model_copy(update=found)


def judge_counts(said: list[str], accept: bool) -> None:
    """Raise DataError for counts that differ from the expected, unless they are accepted."""
    if said and not accept:
        raise DataError(
            f"the images are not those that `expect` in the dataset's YAML says: {'; '.join(said)};"
            " complete them, mend `expect`, or, if these are meant, add `--accept-counts`"
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Write the lock; return 0."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dataset", required=True, help="name of a file in config/datasets")
    parser.add_argument("--config-dir", type=Path, default=ROOT / "config")
    parser.add_argument("--data", help="where the images are, instead of the dataset's source.path")
    parser.add_argument("--workers", type=int, help="processes (default: num_workers, all CPUs)")
    parser.add_argument(
        "--accept-counts",
        action="store_true",
        help="write the lock although its counts are not the dataset's `expect`; the lock says so",
    )
    args = parser.parse_args(argv)
    config = load_dataset(args.config_dir, args.dataset)
    if args.data:
        source = config.source.model_copy(update={"path": str(Path(args.data).resolve())})
        config = config.model_copy(update={"source": source})
    workers = max(1, args.workers or config.num_workers or cpu_count())
    lock = lock_dataset(config, workers, accept_counts=args.accept_counts)
    path = args.config_dir / "datasets" / f"{args.dataset}.lock.json"
    write_text(path, stable_json(lock.model_dump(mode="json", exclude_defaults=True)) + "\n")
    print(
        f"{path}: {len(lock.classes):,} classes, {lock.train.images:,} + {lock.val.images:,}"
        f" images, {len(lock.rejected):,} rejected"
    )
    for text in notes(lock):
        print(f"warning: {text}", file=sys.stderr)
    if odd := numbers_as_text(lock.classes):
        print(f"note: {odd}; name the folders 000, 001, ... for the order of the numbers")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
