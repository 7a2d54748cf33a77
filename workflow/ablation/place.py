"""Where a report's parts lie, and what it is about."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Place:
    """Where things lie, and what the report is about."""

    scale: str
    studies: tuple[str, ...]
    results: Path
    out: Path
    config_dir: Path

    def study(self, name: str) -> Path:
        """Folder of a study's tables and figures."""
        return self.results / "studies" / self.scale / name

    @property
    def cells(self) -> Path:
        """Folder of the cells."""
        return self.results / "cells"
