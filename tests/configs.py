"""A small, whole configuration folder for tests of the plan: study `s`, recipe `r`, scale `z`."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

STUDY = """\
title: t
document: d
place: p
question: q
recipe: r
grid:
  lr: [0.1, 0.2]
baseline: {lr: 0.1}
seeds: 2
"""
RECIPE = """\
title: r
dataset: fashion_mnist
model: {name: resnet_small}
img_size: 28
epochs: 4
batch_size: 128
lr: 0.1
optimizer: {name: sgd}
schedule: {name: constant}
loss: {name: cross_entropy}
augment: {name: none}
measure: {clean_images: 100}
"""
SCALE = "title: z\n"


def write(folder: Path) -> Path:
    """Make `folder` such a configuration; the datasets are the repository's own."""
    for name, text in (("studies/s", STUDY), ("recipes/r", RECIPE), ("scales/z", SCALE)):
        path = folder / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    shutil.copytree(ROOT / "config/datasets", folder / "datasets")
    return folder


def edit(path: Path, old: str, new: str) -> None:
    """Replace the one place where `old` stands in a file."""
    text = path.read_text()
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {path}"
    path.write_text(text.replace(old, new))


def with_locks(folder: Path) -> Path:
    """A copy of the shipped configuration in `folder`, with locks of the datasets that are not
    embedded."""
    config = folder / "config"
    shutil.copytree(ROOT / "config", config)
    for name in ("imagenet", "cifar10"):
        _forget_counts(config, name)
    write_lock(config, "imagenet", classes=1000, train=1281, val=50, pixels=200_000)
    write_lock(config, "cifar10", classes=10, train=5000, val=1000, pixels=1024)
    return config


def _forget_counts(config: Path, name: str) -> None:
    """Remove a dataset's known counts, which a made-up lock has not."""
    path = config / "datasets" / f"{name}.yaml"
    text, found = re.subn(r"^expect:\n(  .*\n)+", "", path.read_text(), flags=re.M)
    assert found == 1, path
    path.write_text(text)


def write_lock(config: Path, name: str, *, classes: int, train: int, val: int, pixels: int) -> None:
    """A lock of a dataset with so many images a class, each of so many pixels."""

    def split(images: int) -> dict[str, Any]:
        size = {"min_size": [32, 32], "max_size": [500, 500]}
        total = images * classes
        return {"images": total, "per_class": [images] * classes, "pixels": total * pixels} | size

    lock = {"digest": "0" * 64, "on_bad_image": "fail", "rejected": {}}
    lock |= {"classes": [f"c{i}" for i in range(classes)], "mean": [120] * 3, "std": [60] * 3}
    lock |= {"train": split(train), "val": split(val)}
    path = config / "datasets" / f"{name}.lock.json"
    path.write_text(json.dumps(lock))
