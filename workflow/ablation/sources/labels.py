"""ImageNet's labels: each image has one, each label has one image, names and folders agree."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..errors import DataError
from .listing import Sample

SHOWN = 3


class OneToOne:
    """Matches images with labels that lie beside them, by a key (a number, an image's id)."""

    def __init__(self, where: Path, labels: str) -> None:
        self.where, self.labels = where, labels
        self.names: dict[int | str, str] = {}
        self.doubles: list[str] = []

    def add(self, key: int | str, name: str) -> None:
        """Take note of the image that has the label of `key`."""
        if key in self.names:
            self.doubles.append(f"{self.names[key]!a} and {name!a}")
        self.names.setdefault(key, name)

    def check(self, keys: Iterable[int | str]) -> None:
        """Raise DataError unless every label has one image; names doubles and missing ones."""
        missing = [str(key) for key in keys if key not in self.names]
        said = []
        if self.doubles:
            said.append(f"{_some(self.doubles)} have the same label")
        if missing:
            said.append(f"{_some(missing)} of {self.labels} have no image")
        if said:
            raise DataError(f"{self.where}: {'; '.join(said)}; each label belongs to one image")


def refuse_foreign_names(where: Path, samples: Iterable[Sample], classes: set[str]) -> None:
    """Raise DataError for images whose names begin with the wnid of another class's folder."""
    foreign = [
        f"{sample.name!a} lies in {sample.cls}"
        for sample in samples
        if (named := sample.name.partition("_")[0]) != sample.cls and named in classes
    ]
    if foreign:
        raise DataError(
            f"{where}: {_some(foreign)}: {len(foreign):,} training images are in the class of"
            " another name; put them back"
        )


def _some(texts: list[str]) -> str:
    more = f" and {len(texts) - SHOWN:,} more" if len(texts) > SHOWN else ""
    return "; ".join(texts[:SHOWN]) + more
