"""The final weights of another cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from ..config.base import Seed
from .base import Weights


class OtherCell(Weights):
    """The final weights of a variant of a study, trained first; at the same scale.

    Its identity is part of this cell's: when the other cell changes, this one is trained again.
    """

    name: Literal["cell"] = "cell"
    study: str
    """Name of a file in `config/studies/`; it need not be among those that are run."""
    variant: dict[str, Any]
    """Axis -> value as that study's grid has it; or `{row: name}` for a named row."""
    seed: Seed | None = None
    """Seed of the other cell; null for the same seed as this cell's."""
    cell_id: str | None = None
    """Filled in by the plan."""

    @property
    def label(self) -> str:
        return f"{self.study}: " + ", ".join(f"{k}={v}" for k, v in self.variant.items())

    def file(self, cells: Path) -> Path:
        return cells / self.cell_id / "weights.pt"
