"""Field types that carry their unit, so that a scale can map everything counted in epochs."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from .base import NoBool, Positive, Sensible


class InEpochs:
    """Marks a field counted in epochs: a scale changes it in proportion to `epochs`."""


Epochs = Annotated[float, NoBool, Field(ge=0), Sensible, InEpochs()]
PositiveEpochs = Annotated[float, NoBool, Field(gt=0), Sensible, InEpochs()]


def _increasing(values: tuple[float, ...]) -> tuple[float, ...]:
    if list(values) != sorted(set(values)):
        raise ValueError(f"milestones rise strictly, got {list(values)}")
    return values


Milestones = Annotated[
    tuple[Positive, ...],
    Field(min_length=1),
    AfterValidator(_increasing),
    InEpochs(),
]
