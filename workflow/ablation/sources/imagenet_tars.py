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
from .labels import OneToOne, refuse_foreign_names
from .listing import ListingBuilder, Sample, SourceListing, is_hidden
from .tar_members import members
from .unpack import DAMAGED, unpacked_bytes

TRAIN = "ILSVRC2012_img_train.tar"
VAL = "ILSVRC2012_img_val.tar"
DEVKIT = "ILSVRC2012_devkit_t12.tar.gz"
META = "data/meta.mat"
TRUTH = "data/ILSVRC2012_validation_ground_truth.txt"
# The devkit takes 2.6 MB and unpacks to 5.
MAX_DEVKIT = 1 << 27


def read(path: Path, config: Source, scratch: Path | None) -> SourceListing:
    """List the three official files in the folder `path`; a class is a WordNet id (wnid)."""
    for name in (TRAIN, VAL, DEVKIT):
        if not (path / name).is_file():
            raise DataError(f"{path}: {name} is not there; this layout needs the official tars")
    builder = ListingBuilder(path)
    _add_train(builder, path / TRAIN, config.needs_end_mark)
    wnids = validation_wnids(path / DEVKIT)
    _add_val(builder, path / VAL, wnids, config.needs_end_mark)
    return builder.finish()


def _add_train(builder: ListingBuilder, path: Path, end_mark: bool) -> None:
    """Add the images of every class tar."""
    for parts, outer in members(path, end_mark=end_mark):
        if outer.isdir() or any(map(is_hidden, parts)):
            continue
        if not parts or not parts[-1].endswith(".tar"):
            raise DataError(f"{path}: member {outer.name!a} is not a tar of a class")
        wnid = parts[-1].removesuffix(".tar")
        if wnid in builder.folders["train"]:
            raise DataError(f"{path}: the tar of class {wnid!a} is there twice; fetch it again")
        builder.add_class("train", wnid)
        end = outer.offset_data + outer.size
        shown = f"{path}: {outer.name}"
        for inner_parts, member in members(path, outer.offset_data, end, shown, end_mark):
            if member.isreg() and inner_parts:
                place = (str(path), member.offset_data, member.size)
                builder.add("train", Sample(wnid, inner_parts[-1], *place))
    refuse_foreign_names(path, builder.samples["train"], builder.folders["train"])


def _add_val(builder: ListingBuilder, path: Path, wnids: list[str], end_mark: bool) -> None:
    """Add the flat validation images; number n in the name is line n of the ground truth."""
    match = OneToOne(path, "the devkit")
    for parts, member in members(path, end_mark=end_mark):
        if not member.isreg() or any(map(is_hidden, parts)):
            continue
        number = re.search(r"_(\d+)\.\w+$", parts[-1], re.ASCII) if parts else None
        if number is None or not 1 <= int(number[1]) <= len(wnids):
            raise DataError(
                f"{path}: {member.name!a} has no number between 1 and {len(wnids):,},"
                " so the devkit has no label for it"
            )
        match.add(int(number[1]), member.name)
        place = (str(path), member.offset_data, member.size)
        builder.add("val", Sample(wnids[int(number[1]) - 1], parts[-1], *place))
    match.check(range(1, len(wnids) + 1))


def validation_wnids(devkit: Path) -> list[str]:
    """Return the wnid of each validation image, in the order of their numbers."""
    from scipy.io import loadmat  # 0.25 s, for this layout only

    files = _devkit_files(devkit)
    try:
        synsets = loadmat(io.BytesIO(files[META]), squeeze_me=True)["synsets"]
        pairs = zip(synsets["ILSVRC2012_ID"].tolist(), synsets["WNID"].tolist(), strict=True)
        wnid: dict[int, str] = {}
        for number, name in pairs:
            if wnid.setdefault(int(number), str(name)) != str(name):
                raise ValueError(f"two classes have number {int(number)}")
        return [wnid[int(line)] for line in files[TRUTH].decode("ascii").split()]
    except Exception as error:  # loadmat raises nearly everything on damaged input
        text = f"{type(error).__name__}: {error}"
        raise DataError(f"{devkit}: its labels cannot be read ({text}); fetch it again") from error


def _devkit_files(devkit: Path) -> dict[str, bytes]:
    """Return the two files of the devkit that hold the labels."""
    found = {}
    content = unpacked_bytes(devkit, MAX_DEVKIT)  # read to its end, so that gzip's checksum holds
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
            for member in archive:
                for name in (META, TRUTH):
                    if f"/{member.name}".endswith(f"/{name}") and member.isreg():
                        found[name] = archive.extractfile(member).read()
    except (*DAMAGED, ValueError, RecursionError) as error:  # a header's values may be anything
        raise DataError(f"{devkit}: damaged: {error}; fetch it again") from error
    for name in (META, TRUTH):
        if name not in found:
            raise DataError(f"{devkit}: {name} is not in it")
    return found
