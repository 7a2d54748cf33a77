"""Where a report's parts lie, and what it is about."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from . import again
from .config.load import check_workflow, read_yaml
from .plan import Cell


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

    def command(self, study: str, cell: Cell) -> str:
        """What makes a cell again, from its plan: nobody runs what a cell's files say."""
        media = {}
        if cell.variant.loader is not None:
            settings = self.config_dir / "config.yaml"
            media = check_workflow(read_yaml(settings), str(settings)).media
        return again.in_results(study, self.scale, cell, self.results, media)
