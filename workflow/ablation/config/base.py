"""The frozen base of every configuration model, and the number types they share."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field


class Config(BaseModel):
    """Frozen and typed: an unknown key is an error, nothing is clamped or dropped in silence."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        validate_default=True,
        use_attribute_docstrings=True,
    )


class Technique(Config):
    """Options of one named technique; the subclass's docstring is its entry in the docs.

    `version` is raised by hand when a change of the technique's code can change a result: the
    cells that use it get new identities and train again, no others do.
    """

    version: ClassVar[int] = 1
    name: str


def _not_bool(value: Any) -> Any:
    """YAML's `yes`, `no`, `on`, `off` are booleans; a number was meant."""
    if isinstance(value, bool):
        raise ValueError("a number is wanted, not true/false (YAML reads yes/no/on/off so)")
    return value


NoBool = BeforeValidator(_not_bool)
Number = Annotated[float, NoBool]
Positive = Annotated[float, NoBool, Field(gt=0)]
NonNegative = Annotated[float, NoBool, Field(ge=0)]
Fraction = Annotated[float, NoBool, Field(ge=0, le=1)]
Count = Annotated[int, NoBool, Field(ge=1)]
Whole = Annotated[int, NoBool, Field(ge=0)]


def _ordered(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError(f"the first of a range is its lower end, got {list(pair)}")
    return pair


Range = Annotated[tuple[Positive, Positive], AfterValidator(_ordered)]
Share = Annotated[float, NoBool, Field(gt=0, le=1)]
ShareRange = Annotated[tuple[Share, Share], AfterValidator(_ordered)]
