"""Readers of source layouts: each turns a folder or tars into the one kind of listing."""

from __future__ import annotations

from pathlib import Path

from ..config.dataset import Source
from ..errors import DataError
from . import folder, imagenet_tars, kaggle, tar
from .listing import SPLITS, Sample, SourceListing

READERS = {
    "folder": folder.read,
    "tar": tar.read,
    "imagenet_tars": imagenet_tars.read,
    "kaggle_imagenet": kaggle.read,
}

__all__ = ["READERS", "SPLITS", "Sample", "SourceListing", "open_source"]


def open_source(config: Source, root: Path, scratch: Path | None = None) -> SourceListing:
    """List the images of a source; use it in a `with` statement.

    A relative `config.path` is taken from `root`. A compressed tar is unpacked once into a
    temporary file in `scratch` (None: the system's folder for temporary files).
    Raises DataError, naming the file, when the source is missing, damaged or unsafe.
    """
    path = root / Path(config.path).expanduser()
    if not path.exists():
        raise DataError(
            f"{path}: no such file or folder; put the images there, or name their place with"
            " --data, `data_paths` in config/config.yaml or `source.path` of the dataset"
        )
    try:
        return READERS[config.layout](path, config, scratch)
    except OSError as error:
        place = error.filename or path
        raise DataError(f"{place}: cannot be read: {error.strerror or error}") from error
