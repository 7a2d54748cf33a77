"""Text in a CSV that a spreadsheet opens: it takes a field that begins like a formula for one."""

from __future__ import annotations

import re
from typing import Any

_FORMULA = re.compile(r"[=+\-@\t\r']")
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")


def guarded(value: Any) -> Any:
    """A field as it is written: a text that would be a formula, or that begins with ', gets a '
    before it, which spreadsheets take for `this is text`. Numbers are left alone."""
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def unguarded(text: str) -> str:
    """The text that `guarded` was given."""
    return text.removeprefix("'")
