"""Convert a dataset's images to FFCV betons: `train.beton`, `val.beton`, `manifest.json`.

    python workflow/convert_dataset.py --dataset fashion_mnist --out results/data/fashion_mnist-ID

Reads: `config/datasets/{name}.yaml`, its lock, the source images. Steps: list the images; hash
every file and compare with the lock; decode, shrink and store each split; describe the result
in the manifest, which is written last.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from ablation.cli import cpu_count, run
from ablation.config.expected import check_lock
from ablation.config.load import load_dataset, load_lock
from ablation.convert import convert

ROOT = Path(__file__).resolve().parent.parent


def main(argv: Sequence[str] | None = None) -> int:
    """Convert; return 0."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--dataset", required=True, help="name of a file in config/datasets")
    parser.add_argument("--out", type=Path, required=True, help="folder for the three files")
    parser.add_argument("--config-dir", type=Path, default=ROOT / "config")
    parser.add_argument("--data", help="where the images are, instead of the dataset's source.path")
    parser.add_argument("--workers", type=int, help="processes (default: num_workers, all CPUs)")
    args = parser.parse_args(argv)
    config = load_dataset(args.config_dir, args.dataset)
    lock = load_lock(args.config_dir, args.dataset)
    check_lock(args.dataset, config, lock)
    if args.data:
        source = config.source.model_copy(update={"path": str(Path(args.data).resolve())})
        config = config.model_copy(update={"source": source})
    workers = max(1, args.workers or config.num_workers or cpu_count())
    manifest = convert(args.dataset, config, lock, args.out, ROOT, workers)
    sizes = [f"{split} {manifest[split]['images']:,} images" for split in ("train", "val")]
    print(f"{args.out}: {', '.join(sizes)}, id {manifest['beton_id']}")
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was begun is removed
    sys.exit(run(main))
