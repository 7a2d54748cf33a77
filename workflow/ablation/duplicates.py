"""Equal images in both splits or in two classes: told, since they make a score worth less."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .config.dataset import SharedImages
from .scan import ScanResult, key_of
from .sources.listing import SPLITS

SHOWN = 3


def find_shared(result: ScanResult) -> SharedImages | None:
    """Return how many readable images lie in both splits or in two classes, None without any.

    Takes some 30 bytes an image: 8 bytes of its digest (two of a million images agree in them by
    chance once in 40 million datasets), its split and its class.
    """
    digests, places = _columns(result)
    order = np.argsort(digests, kind="stable")
    digests, places = digests[order], places[order]
    if not len(digests):
        return None
    starts = np.flatnonzero(np.concatenate(([True], digests[1:] != digests[:-1])))
    classes, splits = places // len(SPLITS), places % len(SPLITS)
    in_both = _differ(splits, starts)
    in_two = _differ(classes, starts)
    if not in_both.any() and not in_two.any():
        return None
    sizes = np.diff(np.append(starts, len(digests)))
    val_images = np.add.reduceat(splits == SPLITS.index("val"), starts, dtype=np.int64)
    shown = [digests[starts[group][:SHOWN]].tolist() for group in (in_both, in_two)]
    return SharedImages(
        in_both_splits=int(val_images[in_both].sum()),
        in_two_classes=int(sizes[in_two].sum()),
        examples=tuple(dict.fromkeys(_examples(result, *shown))),
    )


def _columns(result: ScanResult) -> tuple[np.ndarray, np.ndarray]:
    """Return the beginning of each readable image's digest, and its class and split as a number."""
    label = {cls: number for number, cls in enumerate(result.listing.classes)}
    kind = np.dtype([("digest", np.uint64), ("place", np.int32)])
    rows = (
        (_short(finding.sha256), label[sample.cls] * len(SPLITS) + number)
        for number, split in enumerate(SPLITS)
        for sample, finding in result.rows(split)
        if finding.bad is None
    )
    table = np.fromiter(rows, kind)
    return table["digest"], table["place"]


def _short(sha256: str) -> int:
    return int(sha256[:16], 16)


def _differ(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Tell for each group whether its values differ; groups begin at `starts`."""
    return np.minimum.reduceat(values, starts) != np.maximum.reduceat(values, starts)


def _examples(result: ScanResult, both: list[int], two: list[int]) -> Iterator[str]:
    """Yield `key = key` for the chosen digests: two images that differ in split or in class."""
    first: dict[int, list[tuple[str, str, str]]] = {digest: [] for digest in (*both, *two)}
    for split in SPLITS:
        for sample, finding in result.rows(split):
            there = first.get(_short(finding.sha256)) if finding.bad is None else None
            if there is not None and (split, sample.cls) not in {place[:2] for place in there}:
                there.append((split, sample.cls, key_of(split, sample)))
    for part, digests in enumerate((both, two)):
        for digest in digests:
            one, *others = first[digest]
            yield f"{one[2]} = {next(o for o in others if o[part] != one[part])[2]}"
