"""What is known of a dataset before it is read, and whether its lock agrees."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import ConfigError
from .dataset import DatasetConfig, DatasetLock, Expect, SplitExpect

CLASSES_SHOWN = 5


def differences(
    expect: Expect, classes: Sequence[str], per_class: dict[str, Sequence[int]]
) -> list[str]:
    """Return each count that is not the expected one, as a text.

    classes: names; per_class: split -> number of images of each class.
    """
    said = []
    if expect.classes not in (None, len(classes)):
        said.append(f"{len(classes):,} classes, expected {expect.classes:,}")
    for split, counts in per_class.items():
        said.extend(_of_split(split, getattr(expect, split), classes, counts))
    return said


def _of_split(
    split: str, expect: SplitExpect, classes: Sequence[str], counts: Sequence[int]
) -> list[str]:
    said = []
    if expect.images not in (None, sum(counts)):
        said.append(f"{sum(counts):,} {split} images, expected {expect.images:,}")
    if expect.per_class is not None:
        low, high = expect.bounds
        odd = [
            f"{split}/{cls} has {count:,} images, expected {expect.bounds_text}"
            for cls, count in zip(classes, counts, strict=True)
            if not low <= count <= high
        ]
        said += odd[:CLASSES_SHOWN]
        if len(odd) > CLASSES_SHOWN:
            said.append(f"and {len(odd) - CLASSES_SHOWN:,} more such classes of {split}")
    return said


def differences_of_lock(expect: Expect, lock: DatasetLock) -> list[str]:
    """Return each count of a lock that is not the expected one, as a text."""
    counts = {split: getattr(lock, split).per_class for split in ("train", "val")}
    return differences(expect, lock.classes, counts)


def check_lock(name: str, config: DatasetConfig, lock: DatasetLock) -> None:
    """Raise ConfigError unless the counts of a lock are the expected or were accepted for it."""
    new = [text for text in differences_of_lock(config.expect, lock) if text not in lock.accepted]
    if new:
        raise ConfigError(
            f"the lock of '{name}' does not hold what `expect` in its YAML says: {'; '.join(new)};"
            f" {what_to_do(name)}"
        )


def what_to_do(name: str) -> str:
    """Return the end of a message about counts."""
    return (
        "complete the images and make the lock with `python workflow/lock_dataset.py --dataset"
        f" {name}`, mend `expect`, or, if these images are meant, add `--accept-counts`"
    )


def notes(lock: DatasetLock) -> list[str]:
    """Return what a lock says against its own images: a line for each thing."""
    said = [f"accepted: {text}" for text in lock.accepted]
    shared = lock.shared
    if shared is None:
        return said
    if shared.in_both_splits:
        said.append(
            f"{shared.in_both_splits:,} of {lock.val.images:,} validation images are training"
            " images too (equal files): accuracy on them is no test"
        )
    if shared.in_two_classes:
        said.append(
            f"{shared.in_two_classes:,} images lie in more than one class (equal files): no model"
            " can tell which label is meant"
        )
    return [*said, f"equal files: {'; '.join(shared.examples)}"]
