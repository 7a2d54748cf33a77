"""Layout `kaggle_imagenet`: the tree of Kaggle's ImageNet object localization challenge."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

from ..config.dataset import Source
from ..errors import DataError
from .folder import add_class_folders, entries, why_no_file
from .labels import OneToOne, refuse_foreign_names
from .listing import ListingBuilder, Sample, SourceListing, some

IMAGES = Path("ILSVRC/Data/CLS-LOC")
SOLUTION = "LOC_val_solution.csv"
MAPPING = "LOC_synset_mapping.txt"


def read(path: Path, config: Source, scratch: Path | None) -> SourceListing:
    """List Kaggle's tree; a class is a WordNet id (wnid), validation labels are in a CSV."""
    wnids = _wnids(path / MAPPING)
    builder = ListingBuilder(path)
    add_class_folders(builder, "train", path / IMAGES / "train")
    unknown = sorted(builder.folders["train"] ^ set(wnids))
    if unknown:
        raise DataError(f"{path}: {some(unknown)} not in both {MAPPING} and {IMAGES}/train")
    refuse_foreign_names(path, builder.samples["train"], builder.folders["train"])
    _add_val(builder, path, _solution(path / SOLUTION, set(wnids)))
    return builder.finish()


def _add_val(builder: ListingBuilder, path: Path, solution: dict[str, str]) -> None:
    """Add the flat validation images with the labels of the CSV."""
    folder = path / IMAGES / "val"
    match = OneToOne(folder, SOLUTION)
    for entry in entries(folder):
        image_id = Path(entry.name).stem
        if image_id not in solution:
            sorted_too = "; in class folders it is layout `folder`" if entry.is_dir() else ""
            raise DataError(f"{entry.path}: {SOLUTION} has no label for it{sorted_too}")
        match.add(image_id, entry.name)
        if reason := why_no_file(entry):
            builder.add_stray(f"val/{entry.name}", reason)
        else:
            builder.add("val", Sample(solution[image_id], entry.name, str(folder)))
    match.check(sorted(solution))


def _wnids(mapping: Path) -> list[str]:
    """Return the wnids of `n01440764 tench, Tinca tinca` lines."""
    lines = _text(mapping).splitlines()
    wnids = [line.split(maxsplit=1)[0] for line in lines if line.strip()]
    if twice := sorted(wnid for wnid, count in Counter(wnids).items() if count > 1):
        raise DataError(f"{mapping}: {some(twice)} twice; fetch it again")
    return wnids


def _solution(path: Path, wnids: set[str]) -> dict[str, str]:
    """Return image id -> wnid; a row is `ILSVRC2012_val_00048981,n03995372 85 1 499 272`."""
    labels = {}
    for row in csv.DictReader(_text(path).splitlines()):
        boxes = (row.get("PredictionString") or "").split()
        image_id = row.get("ImageId")
        if not image_id or not boxes or boxes[0] not in wnids:
            raise DataError(f"{path}: no image id and known wnid in {ascii(dict(row))[:200]}")
        if image_id in labels:
            raise DataError(f"{path}: {image_id!a} has two lines; fetch it again")
        labels[image_id] = boxes[0]
    return labels


def _text(path: Path) -> str:
    if not path.is_file():
        raise DataError(f"{path.parent}: {path.name} is not there; this layout is Kaggle's tree")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text: {error}") from error
