"""Verify a dataset's images against its lock and write them to betons with a manifest."""

from __future__ import annotations

import fcntl
import hashlib
import os
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .config.dataset import DatasetConfig, DatasetLock, Writer
from .dataset_id import beton_digest, lock_is_older, used_writer_options
from .decode import BadImage, decode_rgb, is_turned
from .errors import DataError
from .files import disk_error, publish, stable_json, write_text
from .scan import (
    Reading,
    ScanResult,
    class_digests,
    count_classes,
    describe_bad,
    key_of,
    scan,
    source_digest,
)
from .sources import SPLITS, Sample, SourceListing, open_source
from .sources.listing import some
from .sources.unpack import UNPACKED_PREFIX, UNPACKED_SUFFIX
from .storable import why_not_stored

MANIFEST = "manifest.json"
DIFFERENCES_SHOWN = 5


def convert(
    name: str,
    config: DatasetConfig,
    lock: DatasetLock,
    out: Path,
    root: Path,
    num_workers: int,
    progress: bool = True,
) -> dict[str, Any]:
    """Write `train.beton`, `val.beton` and, last, `manifest.json` to `out`; return the manifest.

    Every file is hashed and compared with the lock before anything is written, and once more
    as it is stored. The betons have temporary names until both are whole, so a directory with
    a manifest is complete. Raises DataError when the images are not those of the lock, when
    one cannot be stored, when a worker dies and when the disk is full; no file is left then.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with alone(out):
            return _convert(name, config, lock, out, root, num_workers, progress)
    except OSError as error:
        raise disk_error(error.filename or out, error) from error


def _convert(
    name: str,
    config: DatasetConfig,
    lock: DatasetLock,
    out: Path,
    root: Path,
    num_workers: int,
    progress: bool,
) -> dict[str, Any]:
    clean(out)
    try:
        with open_source(config.source, root, scratch=out) as listing:
            found = scan(listing, num_workers, progress=progress, reading=Reading(decode=False))
            verify(name, config, lock, found, num_workers)
            stored = _write_betons(config, lock, out, found, num_workers, progress)
    finally:
        clean(out)
    manifest = make_manifest(name, config, lock, stored)
    write_text(out / MANIFEST, stable_json(manifest) + "\n")
    return manifest


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a lock on the folder, where the file system has locks; it ends with the process."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(f"{folder}: another convert is writing here") from None
        except OSError:
            pass  # no locks here (some network file systems): Snakemake's own must do
        yield
    finally:
        os.close(fd)


def clean(out: Path) -> None:
    """Remove the temporary files of this run or of one that was killed."""
    unpacked = f"{UNPACKED_PREFIX}*{UNPACKED_SUFFIX}"
    for pattern in ("train.beton.tmp", "val.beton.tmp", f".{MANIFEST}.*.tmp", unpacked):
        for path in out.glob(pattern):
            path.unlink(missing_ok=True)


def verify(
    name: str, config: DatasetConfig, lock: DatasetLock, found: ScanResult, num_workers: int
) -> None:
    """Raise DataError, saying what differs and what to do, unless these are the lock's images."""
    differences = list(_differences(config, lock, found))
    if not differences:
        return
    listing = _differing_classes(lock, found)
    reading = Reading(background=config.background, writer=config.writer)
    bad = scan(listing, num_workers, "tell", False, reading).bad if listing.classes else {}
    bad = {key: why for key, why in bad.items() if key not in lock.rejected}
    if bad and config.on_bad_image == "fail":
        differences.append(describe_bad(bad))
    raise DataError(
        f"the images of '{name}' ({config.source.path}) are not those of its lock: "
        + "; ".join(differences)
        + ". Put the locked images back, or, if these are meant, make a new lock with"
        f" `python workflow/lock_dataset.py --dataset {name}` (its cells are then trained anew)"
    )


def _differences(config: DatasetConfig, lock: DatasetLock, found: ScanResult) -> Iterator[str]:
    """Yield each difference between the lock and the images, the telling ones first."""
    if config.on_bad_image != lock.on_bad_image:
        yield f"on_bad_image is {config.on_bad_image}, in the lock {lock.on_bad_image}"
    if older := lock_is_older(config, lock):
        yield older
    if found.listing.stray and config.on_bad_image == "fail":
        yield describe_bad(found.listing.stray)
    classes = found.listing.classes
    if classes != lock.classes:
        if new := sorted(set(classes) - set(lock.classes)):
            yield f"{some(new)} new"
        if gone := sorted(set(lock.classes) - set(classes)):
            yield f"{some(gone)} missing"
        return
    rejected = frozenset(lock.rejected)
    for split in SPLITS:
        locked = getattr(lock, split)
        good = (s.cls for s in found.listing.splits[split] if key_of(split, s) not in rejected)
        counts = count_classes(classes, good)
        yield from _list_some(
            f"{split}/{cls} has {count:,} images, in the lock {was:,}"
            for cls, count, was in zip(classes, counts, locked.per_class, strict=True)
            if count != was
        )
        digests = class_digests(found, split, rejected)
        changed = [
            cls
            for cls, one, two, count, was in zip(
                classes, digests, locked.class_digests, counts, locked.per_class, strict=False
            )
            if one != two and count == was
        ]
        yield from _list_some(f"{split}/{cls}: file names or contents differ" for cls in changed)
    digest = source_digest(found, rejected)
    if digest != lock.digest:
        yield f"digest {digest[:12]}, in the lock {lock.digest[:12]}"


def _list_some(texts: Iterator[str]) -> Iterator[str]:
    texts = list(texts)
    yield from texts[:DIFFERENCES_SHOWN]
    if len(texts) > DIFFERENCES_SHOWN:
        yield f"and {len(texts) - DIFFERENCES_SHOWN:,} more such classes"


def _differing_classes(lock: DatasetLock, found: ScanResult) -> SourceListing:
    """Return the part of the listing in classes that differ from the lock's."""
    differ: set[str] = set()
    for split in SPLITS:
        digests = class_digests(found, split, lock.rejected)
        locked = dict(zip(lock.classes, getattr(lock, split).class_digests, strict=False))
        now = dict(zip(found.listing.classes, digests, strict=True))
        differ |= {cls for cls in now if locked.get(cls) != now[cls]}
    return SourceListing(
        tuple(cls for cls in found.listing.classes if cls in differ),
        {
            split: [sample for sample in found.listing.splits[split] if sample.cls in differ]
            for split in SPLITS
        },
    )


def _write_betons(
    config: DatasetConfig,
    lock: DatasetLock,
    out: Path,
    found: ScanResult,
    num_workers: int,
    progress: bool,
) -> dict[str, Any]:
    """Write both betons under temporary names, then rename them; return what they hold."""
    from .beton import page_size_for, write_beton  # ffcv and torch: 6 s, here only

    stored = {}
    for split in SPLITS:
        page_size = page_size_for(config.writer, getattr(lock, split).max_size)
        items, path = Items(found, split, lock, config.writer), out / f"{split}.beton.tmp"
        stored[split] = write_beton(
            path, items, config.writer, page_size, num_workers, split, progress
        )
    (out / MANIFEST).unlink(missing_ok=True)  # it vouches for the betons that are now replaced
    for split in SPLITS:
        publish(out / f"{split}.beton.tmp", out / f"{split}.beton")
    return stored


class Item(NamedTuple):
    """One sample to store."""

    name: str
    """`split/class/file`, for messages."""
    label: int
    pixels: Callable[[], np.ndarray]
    """Gives the image, uint8 (height, width, 3)."""


class Storing(NamedTuple):
    """How the images of a lock are stored."""

    background: tuple[int, int, int] | None
    writer: Writer
    turned: bool
    """Whether the lock knows of TIFFs that say how they are to be turned."""


class Items(Sequence):
    """The samples of a split as the writer wants them, made on demand: there are a million."""

    def __init__(self, found: ScanResult, split: str, lock: DatasetLock, writer: Writer) -> None:
        self.split = split
        self.labels = {cls: label for label, cls in enumerate(lock.classes)}
        self.how = Storing(lock.background, writer, turned=lock.turned > 0)
        self.samples, self.findings = found.listing.splits[split], found.findings[split]
        good = (n for n, s in enumerate(self.samples) if key_of(split, s) not in lock.rejected)
        self.kept = array("L", good) if lock.rejected else range(len(self.samples))

    def __len__(self) -> int:
        return len(self.kept)

    def __getitem__(self, index: int) -> Item:
        number = self.kept[index]
        sample, sha256 = self.samples[number], self.findings[number].sha256
        name, label = key_of(self.split, sample), self.labels[sample.cls]
        return Item(name, label, partial(pixels, sample, sha256, self.how))


def pixels(sample: Sample, sha256: str, how: Storing) -> np.ndarray:
    """Read and decode one image; raises ValueError when its bytes are no longer the verified, and
    when the lock, made with other options or by an older version, does not know what it is."""
    data = sample.read()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ValueError("the file has changed while it was converted")
    found = decode_rgb(data, how.background)
    if reason := why_not_stored(*found.shape[:2], how.writer):
        raise BadImage(f"{reason}; make the lock again, which names all such images")
    if is_turned(data) and not how.turned:
        raise BadImage(
            "says how it is to be turned, which an earlier version did and this one does not;"
            " make the lock again"
        )
    return found


def make_manifest(
    name: str, config: DatasetConfig, lock: DatasetLock, stored: dict[str, Any]
) -> dict[str, Any]:
    """Return what the betons are, without times or paths: rebuilt, it is the same text."""
    import cv2
    import PIL

    splits = {
        split: {
            **stored[split]._asdict(),
            "per_class": getattr(lock, split).per_class,
        }
        for split in SPLITS
    }
    return {
        "dataset": name,
        "title": config.title,
        "licence": config.licence,
        "beton_id": beton_digest(lock, config.writer),
        "source_digest": lock.digest,
        "writer": used_writer_options(config.writer),
        **({} if lock.background is None else {"background": lock.background}),
        "fields": {"image": "RGBImageField", "label": "IntField"},
        "mean": lock.mean,
        "std": lock.std,
        **splits,
        "rejected": lock.rejected,
        "classes": lock.classes,
        "versions": {
            "ffcv": metadata.version("ffcv"),
            "numpy": np.__version__,
            "opencv": cv2.__version__,
            "pillow": PIL.__version__,
        },
    }
