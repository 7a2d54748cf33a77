"""Weights in a file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator

from ..config.base import PathText
from ._header import head_classes
from .base import Weights


def _hexadecimal(text: str) -> str:
    if not re.fullmatch("[0-9a-f]{64}", text):
        raise ValueError("wants the 64 hexadecimal digits that `sha256sum FILE` prints")
    return text


class WeightsFile(Weights):
    """A file of weights: a cell's weights.pt, a torch file of a state dict, or safetensors.

    It counts by its content: another path with the same digest is the same start.
    """

    name: Literal["file"] = "file"
    path: PathText
    """Where the file lies, from the repository's root; read and checked when training starts."""
    sha256: Annotated[str, AfterValidator(_hexadecimal)]
    """SHA-256 of the file, as `sha256sum` prints it."""

    @property
    def label(self) -> str:
        return Path(self.path).name

    def missing(self) -> str | None:
        return None if Path(self.path).is_file() else f"{self.path}: the weights are not there"

    def classes(self) -> int | None:
        return head_classes(self.file(Path()))

    def file(self, cells: Path) -> Path:
        return Path(self.path)
