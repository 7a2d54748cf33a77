"""The one reader of YAML and of JSON locks: values that mean one thing, in files of bounded size.

Study files come from others. A plain value that YAML 1.1 (PyYAML, Snakemake) and YAML 1.2 (most
editors and other languages) read in different ways is refused with what to write instead, and so is
a file that could stop the planner: too long, nested too deep, or grown by its aliases.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from ..errors import ConfigError
from ..foreign import TooLong, Unreadable, read_bytes

# The longest file here has 15 kB and 1,500 values, the deepest ten levels; the lock of ImageNet's
# 1,000 classes has 60 kB.
YAML_BYTES = 1024**2
JSON_BYTES = 16 * 1024**2
DEPTH = 32
VALUES = 100_000
KEY_LENGTH = 200
NUMBER_LENGTH = 100

_Parser = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WORDS = {"null": None, "true": True, "false": False}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def read_yaml(path: Path) -> Any:
    """The plain content of a YAML file; ConfigError with line and column when it is none."""
    text = _read_text(Path(path), YAML_BYTES)
    try:
        return _Reader(text, path).content()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "not YAML"
        raise ConfigError(f"{place}: {problem}") from None


def read_json(path: Path) -> Any:
    """The content of a JSON file; ConfigError when it is none, or gives a key twice."""
    text = _read_text(Path(path), JSON_BYTES)
    try:
        return json.loads(text, object_pairs_hook=_pairs, parse_constant=_constant)
    except RecursionError:
        raise ConfigError(f"{path}: not valid JSON (nested too deep)") from None
    except ValueError as error:
        raise ConfigError(f"{path}: not valid JSON ({error})") from None


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"key '{key[:KEY_LENGTH]}' stands there twice")
        found[key] = value
    return found


def _constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _read_text(path: Path, most: int) -> str:
    try:
        return read_bytes(path, most).decode()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None
    except TooLong:
        raise ConfigError(f"{path}: longer than {most:,} bytes; no such file needs that") from None
    except Unreadable:
        raise ConfigError(f"{path}: is no regular file") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text ({error.reason})") from None


class _Anchor(NamedTuple):
    value: Any
    values: int
    """How many values it holds, itself and those of its aliases included."""


class _Reader:
    """Makes plain values of a parser's events; the parser itself takes any depth."""

    def __init__(self, text: str, path: Path) -> None:
        self._parser = _Parser(text)
        self._path = path
        self._anchors: dict[str, _Anchor | None] = {}
        """None for one whose value is being read."""
        self._values = 0

    def content(self) -> Any:
        """What the file's only document holds; None if there is none."""
        self._parser.get_event()
        if self._parser.check_event(yaml.StreamEndEvent):
            return None
        self._parser.get_event()
        found = self._value(0)
        self._parser.get_event()
        if not self._parser.check_event(yaml.StreamEndEvent):
            self._refuse("a second document begins here; a file holds one", self._event())
        return found

    def _event(self) -> yaml.Event:
        return self._parser.get_event()

    def _refuse(self, why: str, event: yaml.Event) -> None:
        mark = event.start_mark
        raise ConfigError(f"{self._path}:{mark.line + 1}:{mark.column + 1}: {why}")

    def _value(self, depth: int) -> Any:
        event = self._event()
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if event.tag not in (None, "!"):
            shown = event.tag.replace("tag:yaml.org,2002:", "!!")[:KEY_LENGTH]
            self._refuse(f"the tag {shown} is refused; write plain values", event)
        if depth > DEPTH:
            self._refuse(f"nested more than {DEPTH} deep; nothing here needs that", event)
        if event.anchor is not None:
            if event.anchor in self._anchors:
                self._refuse(f"the anchor &{event.anchor} stands here twice", event)
            self._anchors[event.anchor] = None
        before = self._values
        self._count(1, event)
        if isinstance(event, yaml.ScalarEvent):
            found = self._scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            found = self._list(depth + 1)
        else:
            found = self._mapping(depth + 1)
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchor(found, self._values - before)
        return found

    def _count(self, values: int, event: yaml.Event) -> None:
        self._values += values
        if self._values > VALUES:
            self._refuse(f"more than {VALUES:,} values, those of aliases included", event)

    def _alias(self, event: yaml.AliasEvent) -> Any:
        if event.anchor not in self._anchors:
            self._refuse(f"there is no anchor &{event.anchor} above", event)
        anchor = self._anchors[event.anchor]
        if anchor is None:
            self._refuse(f"*{event.anchor} stands inside what it names", event)
        self._count(anchor.values, event)
        return anchor.value

    def _list(self, depth: int) -> list[Any]:
        found = []
        while not self._parser.check_event(yaml.SequenceEndEvent):
            found.append(self._value(depth))
        self._event()
        return found

    def _mapping(self, depth: int) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        shown: set[str] = set()
        while not self._parser.check_event(yaml.MappingEndEvent):
            event = self._parser.peek_event()
            key = self._value(depth)
            self._check_key(key, event)
            if key in found or str(key) in shown:
                self._refuse(f"key '{key}' stands here twice", event)
            shown.add(str(key))
            found[key] = self._value(depth)
        self._event()
        return found

    def _check_key(self, key: Any, event: yaml.Event) -> None:
        if isinstance(key, (dict, list)):
            self._refuse("a list or a mapping is no plain key", event)
        if len(str(key)) > KEY_LENGTH:
            self._refuse(f"a key of more than {KEY_LENGTH} characters", event)

    def _scalar(self, event: yaml.ScalarEvent) -> Any:
        text = event.value
        if not event.implicit[0]:  # in quotes, or a block of text
            return text
        for pattern, said in _AMBIGUOUS:
            if pattern.fullmatch(text):
                self._refuse(said(text), event)
        if text in ("", "~"):
            return None
        if text.lower() in _WORDS and text in (text.lower(), text.upper(), text.capitalize()):
            return _WORDS[text.lower()]
        if _NOT_FINITE.fullmatch(text):
            return float(text.replace(".", "", 1))
        if not _FLOAT.fullmatch(text):
            return text
        if len(text) > NUMBER_LENGTH:
            self._refuse(f"a number of {len(text)} characters", event)
        return int(text) if _INTEGER.fullmatch(text) else float(text)


# ---- what means one thing to one reader of YAML and another to the next --------------------------


def _quotes(text: str) -> str:
    return f"or '{text}' in quotes for a text"


def _text_to_others(text: str, what: str, instead: str) -> str:
    return (
        f"{text} is {what} to some readers of YAML and text to others; write {instead}, "
        f"{_quotes(text)}"
    )


def _of_word(text: str) -> str:
    meant = "true" if text.lower() in ("yes", "on") else "false"
    return _text_to_others(text, meant, meant)


def _of_zero(text: str) -> str:
    sign, digits = re.fullmatch(r"([-+]?)(.*)", text).groups()
    plain = sign + (digits.replace("_", "").lstrip("0") or "0")
    return f"{text} begins with 0, so some readers count by eights; write {plain}, {_quotes(text)}"


def _of_sixty(text: str) -> str:
    return (
        f"{text} is a number to base 60 for some readers of YAML; write a plain number in the "
        f"key's own unit, {_quotes(text)}"
    )


def _of_base(text: str) -> str:
    try:
        instead = str(int(text.replace("_", ""), 0))
    except ValueError:  # 0x_ has no digit at all
        instead = "one"
    return f"{text} is no decimal number; write {instead}, {_quotes(text)}"


def _of_underscore(text: str) -> str:
    return _text_to_others(text, "a number", text.replace("_", ""))


def _of_date(text: str) -> str:
    return f"{text} is a date to some readers of YAML; write '{text}', in quotes"


def _of_merge(_text: str) -> str:
    return "merge keys (<<) are not read; write the keys out"


_AMBIGUOUS: tuple[tuple[re.Pattern[str], Callable[[str], str]], ...] = (
    (re.compile(r"yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF"), _of_word),
    (re.compile(r"[-+]?0[0-9_]{1,99}"), _of_zero),
    (re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"), _of_sixty),
    (re.compile(r"[-+]?0(x[0-9a-fA-F_]{1,99}|b[01_]{1,99}|o[0-7]{1,99})"), _of_base),
    (re.compile(r"(?=.*_)[-+]?(\.[0-9]|[0-9])[0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?"),
     _of_underscore),
    (re.compile(r"\d{4}-\d\d?-\d\d?(([Tt]|[ \t]+)\d.*)?"), _of_date),
    (re.compile(r"<<"), _of_merge),
)  # fmt: skip
