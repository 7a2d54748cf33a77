"""The same learning rate throughout."""

from __future__ import annotations

from typing import Literal

from .base import Schedule


class Constant(Schedule):
    """Keeps the learning rate as it is (AIME, Fig. 1)."""

    name: Literal["constant"] = "constant"

    def keeps_its_last_value(self) -> bool:
        return True

    def factor(self, epoch: float, epochs: float) -> float:
        return 1.0
