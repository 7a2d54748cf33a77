"""Layout `imagenet_tars`: the official ILSVRC2012 train tar of tars, flat validation tar, devkit.

Nothing is unpacked: the train tar is a plain tar of 1,000 plain tars, so every image lies at a
known place in it.
"""

from __future__ import annotations

import io
import re
import tarfile
from pathlib import Path

from ..config.dataset import Source
from ..errors import DataError
from .listing import ListingBuilder, Sample, SourceListing
from .tar import DAMAGED, members

TRAIN = "ILSVRC2012_img_train.tar"
VAL = "ILSVRC2012_img_val.tar"
DEVKIT = "ILSVRC2012_devkit_t12.tar.gz"
META = "data/meta.mat"
TRUTH = "data/ILSVRC2012_validation_ground_truth.txt"
MAX_DEVKIT_FILE = 1 << 26


def read(path: Path, config: Source, scratch: Path | None) -> SourceListing:
    """List the three official files in the folder `path`; a class is a WordNet id (wnid)."""
    for name in (TRAIN, VAL, DEVKIT):
        if not (path / name).is_file():
            raise DataError(f"{path}: {name} is not there; this layout needs the official tars")
    builder = ListingBuilder(path)
    _add_train(builder, path / TRAIN)
    _add_val(builder, path / VAL, validation_wnids(path / DEVKIT))
    return builder.finish()


def _add_train(builder: ListingBuilder, path: Path) -> None:
    """Add the images of every class tar."""
    for parts, outer in members(path):
        if outer.isdir():
            continue
        if not parts or not parts[-1].endswith(".tar"):
            raise DataError(f"{path}: member {outer.name!a} is not a tar of a class")
        wnid = parts[-1].removesuffix(".tar")
        builder.add_class("train", wnid)
        end = outer.offset_data + outer.size
        shown = f"{path}: {outer.name}"
        for inner_parts, member in members(path, outer.offset_data, end, shown):
            if member.isreg():
                place = (str(path), member.offset_data, member.size)
                builder.add("train", Sample(wnid, inner_parts[-1], *place))


def _add_val(builder: ListingBuilder, path: Path, wnids: list[str]) -> None:
    """Add the flat validation images; number n in the name is line n of the ground truth."""
    seen = 0
    for parts, member in members(path):
        if not member.isreg() or parts[-1].startswith("."):
            continue
        number = re.search(r"_(\d+)\.\w+$", parts[-1])
        if number is None or not 1 <= int(number[1]) <= len(wnids):
            raise DataError(
                f"{path}: {member.name!a} has no number between 1 and {len(wnids):,},"
                " so the devkit has no label for it"
            )
        place = (str(path), member.offset_data, member.size)
        builder.add("val", Sample(wnids[int(number[1]) - 1], parts[-1], *place))
        seen += 1
    if seen != len(wnids):
        raise DataError(f"{path}: {seen:,} images, but the devkit has {len(wnids):,} labels")


def validation_wnids(devkit: Path) -> list[str]:
    """Return the wnid of each validation image, in the order of their numbers."""
    from scipy.io import loadmat  # 0.25 s, for this layout only

    files = _devkit_files(devkit)
    try:
        synsets = loadmat(io.BytesIO(files[META]), squeeze_me=True)["synsets"]
        pairs = zip(synsets["ILSVRC2012_ID"].tolist(), synsets["WNID"].tolist(), strict=True)
        wnid = {int(number): str(name) for number, name in pairs}
        return [wnid[int(line)] for line in files[TRUTH].decode("ascii").split()]
    except Exception as error:  # loadmat raises nearly everything on damaged input
        text = f"{type(error).__name__}: {error}"
        raise DataError(f"{devkit}: its labels cannot be read ({text}); fetch it again") from error


def _devkit_files(devkit: Path) -> dict[str, bytes]:
    """Return the two files of the devkit that hold the labels."""
    found = {}
    try:
        with tarfile.open(devkit, "r:*") as archive:
            for member in archive:
                for name in (META, TRUTH):
                    if f"/{member.name}".endswith(f"/{name}") and member.isreg():
                        if member.size > MAX_DEVKIT_FILE:
                            raise DataError(f"{devkit}: {name} is absurdly large")
                        found[name] = archive.extractfile(member).read()
    except DAMAGED as error:
        raise DataError(f"{devkit}: damaged: {error}; fetch it again") from error
    for name in (META, TRUTH):
        if name not in found:
            raise DataError(f"{devkit}: {name} is not in it")
    return found
