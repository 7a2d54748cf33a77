"""Layout `tar`: a plain or compressed tar of `{split}/{class}/{image}`."""

from __future__ import annotations

import tarfile
from pathlib import Path

from ..config.dataset import Source
from ..errors import DataError
from .hints import Outside
from .listing import OUTSIDE, ListingBuilder, Sample, SourceListing, is_hidden
from .tar_members import members
from .unpack import uncompressed


def read(path: Path, config: Source, scratch: Path | None) -> SourceListing:
    """List a tar of a tree; one folder above the splits and a leading `./` are tolerated."""
    if not path.is_file():
        kind = "a folder" if path.is_dir() else "no plain file"
        raise DataError(f"{path}: is {kind}; layout `tar` reads one tar, `folder` a tree")
    plain = uncompressed(path, scratch)
    temporary = () if plain == path else (plain,)
    try:
        return _list(path, plain, config).finish(temporary)
    except BaseException:
        for file in temporary:
            file.unlink(missing_ok=True)
        raise


def _list(path: Path, plain: Path, config: Source) -> ListingBuilder:
    """Collect what lies in the folders of the splits."""
    builder, outside = ListingBuilder(path), Outside(config)
    names = {config.train: "train", config.val: "val"}
    tops: dict[str, None] = {}
    for parts, member in members(plain, shown=path, end_mark=config.needs_end_mark):
        if any(is_hidden(part) for part in parts):
            continue
        depth = next((i for i in (0, 1) if parts[i : i + 1] and parts[i] in names), None)
        if depth is None:
            outside.note(parts, member.isreg())
            continue
        tops["/".join(parts[:depth]) or "."] = None
        if len(tops) > 1:
            found = " and ".join(map(ascii, tops))
            raise DataError(f"{path}: has more than one folder with the splits: {found}")
        _add(builder, names[parts[depth]], parts[depth + 1 :], member, plain)
    for name, split in names.items():
        if builder.is_empty(split):
            raise DataError(f"{path}: no image in a folder {name!a}{outside.hint()}")
    return builder


def _add(
    builder: ListingBuilder, split: str, parts: list[str], member: tarfile.TarInfo, plain: Path
) -> None:
    """Add what lies at `parts` inside the folder of a split."""
    if member.isdir():
        if len(parts) == 1:
            builder.add_class(split, parts[0])
        elif len(parts) > 1:
            builder.add_stray(f"{split}/{'/'.join(parts[:2])}", "is a folder inside a class folder")
    elif len(parts) == 2:
        sample = Sample(parts[0], parts[1], str(plain), member.offset_data, member.size)
        builder.add(split, sample)
    elif len(parts) < 2:
        builder.add_stray("/".join([split, *parts]), OUTSIDE)
    else:
        builder.add_stray(f"{split}/{'/'.join(parts[:2])}", "is a folder inside a class folder")
