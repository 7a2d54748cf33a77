"""Errors that a user can act on. Programs print them in one line and exit with their code."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something the user can mend: said in one line (what, where, what to do), no traceback."""

    exit_code = 2


class ConfigError(UserError):
    """A configuration file is wrong: names the file, the key and the nearest valid name."""

    longest = 1000
    """Characters of a line: a value of the file that it repeats may be of any length."""

    def __init__(self, message: str) -> None:
        lines = message.split("\n")
        short = [x if len(x) <= self.longest else f"{x[: self.longest]} ..." for x in lines]
        super().__init__("\n".join(short))


class NotAtScale(ConfigError):
    """A study that its own file says a scale cannot carry: no mistake, it is not run there."""


class DataError(UserError):
    """The source images, the lock or a beton are not what they should be."""


class StopRequested(Exception):
    """A signal asked the cell to stop: its state has been written, a later start goes on."""

    exit_code = 75  # EX_TEMPFAIL: try again


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the closest valid name, or the list of valid names."""
    valid = sorted(set(valid))
    close = difflib.get_close_matches(str(name), valid, n=1, cutoff=0.6)
    if close:
        return f"; did you mean '{close[0]}'?"
    if len(valid) <= 12:
        return f"; valid: {', '.join(valid)}" if valid else ""
    return ""
