"""Text that others wrote (labels, host names, logs, class names) as one line that a terminal shows
and does not obey."""

from __future__ import annotations

import re

MOST = 4000
"""Characters of a line: some fifty labels of variants."""
# Control characters (an escape begins a terminal's command), line and paragraph separators, the
# marks that turn the direction of what follows, and halves of a character that nothing can print.
_ORDERS = "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_ORDER = re.compile(f"[{_ORDERS}]")
_ORDER_BUT_LAYOUT = re.compile(f"(?![\n\t])[{_ORDERS}]")


def one_line(text: object, most: int = MOST) -> str:
    """A text as one line: its lines joined by `; `, what is no printable character written out
    (`\\x1b`), and shortened to `most` characters."""
    # Of endless text only so much is looked at.
    lines = str(text)[: 4 * most].splitlines()
    shown = escaped("; ".join(" ".join(line.split()) for line in lines if line.strip()))
    return shown if len(shown) <= most else shown[:most] + " ..."


def escaped(line: str) -> str:
    """A line as it stands, with what is no printable character written out."""
    return _ORDER.sub(lambda found: ascii(found[0])[1:-1], line)


def order_in(text: str, *, layout: bool = False) -> str:
    """The first control or direction character of a text, written out; empty if it has none.

    layout: line breaks and tabs are none.
    """
    found = (_ORDER_BUT_LAYOUT if layout else _ORDER).search(text)
    return ascii(found[0])[1:-1] if found else ""
