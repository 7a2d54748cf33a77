"""What every origin of weights shares."""

from __future__ import annotations

from pathlib import Path

from ..config.base import Technique


class Weights(Technique):
    """Options of an origin of weights."""

    @property
    def label(self) -> str:
        """Name shown to readers, and the key by which a scale maps it."""
        return self.name

    def missing(self) -> str | None:
        """What is not there and where to put it, one line; None if all is there.

        Nothing is ever downloaded: compute nodes have no network.
        """
        return None

    def classes(self) -> int | None:
        """Number of classes that the weights tell apart; None where only loading them tells."""
        return None

    def file(self, cells: Path) -> Path:
        """The file that holds the weights; cells: folder of all cells' results."""
        raise NotImplementedError
