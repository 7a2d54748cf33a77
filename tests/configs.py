"""A small, whole configuration folder for tests of the plan: study `s`, recipe `r`, scale `z`."""

from __future__ import annotations

import shutil
from pathlib import Path

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
