"""The frozen base of every configuration model, and the number types they share."""

from __future__ import annotations

import unicodedata
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator


class Config(BaseModel):
    """Frozen and typed: an unknown key is an error, nothing is clamped or dropped in silence."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        validate_default=True,
        use_attribute_docstrings=True,
    )


class FileConfig(Config):
    """What a file holds. A key whose entries are all commented out is as if it were not there."""

    @model_validator(mode="before")
    @classmethod
    def _nothing_below_a_key(cls, content: Any) -> Any:
        if not isinstance(content, dict):
            return content
        return {key: v for key, v in content.items() if v is not None or not cls._has_parts(key)}

    @classmethod
    def _has_parts(cls, key: Any) -> bool:
        """Whether a key may be left out and else holds a mapping or a list."""
        field = cls.model_fields.get(key)
        return field is not None and isinstance(field.default, (dict, tuple, BaseModel))


class Technique(Config):
    """Options of one named technique; the subclass's docstring is its entry in the docs.

    `version` is raised by hand when a change of the technique's code can change a result: the
    cells that use it get new identities and train again, no others do.
    """

    version: ClassVar[int] = 1
    name: str


def _not_bool(value: Any) -> Any:
    """True is 1 to Python; a number was meant."""
    if isinstance(value, bool):
        raise ValueError("a number is wanted, not true/false")
    return value


def _sensible(value: float) -> float:
    """A slip of the keyboard: no number here has a use beyond this, whatever it counts."""
    if abs(value) > MOST:
        raise ValueError(f"must be at most {MOST:,}, got {value:.4g}")
    return value


MOST = 1_000_000_000
NoBool = BeforeValidator(_not_bool)
Sensible = AfterValidator(_sensible)
Number = Annotated[float, NoBool, Sensible]
Positive = Annotated[float, NoBool, Field(gt=0), Sensible]
NonNegative = Annotated[float, NoBool, Field(ge=0), Sensible]
Fraction = Annotated[float, NoBool, Field(ge=0, le=1)]
Percent = Annotated[float, NoBool, Field(gt=0, le=100)]
Count = Annotated[int, NoBool, Field(ge=1), Sensible]
Whole = Annotated[int, NoBool, Field(ge=0), Sensible]
Seed = Annotated[int, NoBool, Field(ge=0, lt=2**53)]  # of more digits JavaScript makes another one
WholeEpochs = Annotated[int, NoBool, Field(ge=1, le=100_000)]
Side = Annotated[int, NoBool, Field(ge=1, le=16_384)]
Processes = Annotated[int, NoBool, Field(ge=1, le=4096)]


def _said(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty; write what readers are to see")
    return text


def _one_line(text: str) -> str:
    if len(text.strip().splitlines()) > 1 or len(text) > 200:
        raise ValueError("a title is one line of at most 200 characters")
    return text


def _may_be_a_path(text: str) -> str:
    if len(text.encode()) > 1000 or any(len(part.encode()) > 255 for part in text.split("/")):
        raise ValueError("is longer than a path can be")
    if any(unicodedata.category(character) in ("Cc", "Cf") for character in text):
        raise ValueError(f"a path has no control characters, got {text!r}")
    return text


Text = Annotated[str, AfterValidator(_said)]
PathText = Annotated[Text, AfterValidator(_may_be_a_path)]
Title = Annotated[str, AfterValidator(_said), AfterValidator(_one_line)]


def _ordered(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError(f"the first of a range is its lower end, got {list(pair)}")
    return pair


Range = Annotated[tuple[Positive, Positive], AfterValidator(_ordered)]
Share = Annotated[float, NoBool, Field(gt=0, le=1)]
ShareRange = Annotated[tuple[Share, Share], AfterValidator(_ordered)]
