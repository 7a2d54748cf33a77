"""Tables as CSV, Markdown and LaTeX. Every text is plain text: nothing in it is markup."""

from __future__ import annotations

import csv
import io
import math
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from .csv_text import guarded

_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "_": r"\_",
    "%": r"\%",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    # After the end of a row `[` would open an option and `*` would be one; inside braces neither.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "'": r"\textquotesingle{}",
    "±": r"$\pm$",
    "−": "$-$",
    "–": r"\textendash{}",
    "→": r"$\rightarrow$",
    "×": r"$\times$",
    "∞": r"$\infty$",
    **{"≤": r"$\leq$", "≥": r"$\geq$", "≈": r"$\approx$", "·": r"$\cdot$", "…": r"\dots{}"},
    **{"—": r"\textemdash{}", "‘": r"\textquoteleft{}", "’": r"\textquoteright{}"},
    **{"“": r"\textquotedblleft{}", "”": r"\textquotedblright{}", "„": r"\quotedblbase{}"},
    **{"µ": r"\textmu{}", "μ": r"\textmu{}", "°": r"\textdegree{}", "²": r"$^2$", "³": r"$^3$"},
    **{"ß": r"\ss{}", "ø": r"\o{}", "Ø": r"\O{}", "ł": r"\l{}", "Ł": r"\L{}"},
    **{"æ": r"\ae{}", "Æ": r"\AE{}", "œ": r"\oe{}", "Œ": r"\OE{}", "€": r"\texteuro{}"},
}
# Combining accents, as NFD takes letters apart.
_ACCENTS = dict(zip("\u0300\u0301\u0302\u0303\u0304\u0307\u0308", "`'^~=.\"", strict=True))
_ACCENTS |= dict(zip("\u0306\u030a\u030b\u030c\u0327\u0328", "urHvck", strict=True))


@dataclass(frozen=True)
class Entry:
    """One entry of a table: its text, and what it is sorted by."""

    text: str
    sort: float | str | None = None
    link: str = ""
    """Where it leads on a page: its evidence."""
    mark: str = ""
    """The verdict that it tells, by which a page marks it."""
    below: str = ""
    """Said below it, in smaller type."""

    @property
    def sort_key(self) -> str:
        """`sort`, else the text; empty for an unknown number, which sorts last."""
        if isinstance(self.sort, float) and math.isnan(self.sort):
            return ""
        return str(self.text if self.sort is None else self.sort)


class Link(NamedTuple):
    """A part of a sentence that leads to what carries it."""

    text: str
    to: str


Sentence = tuple[str | Link, ...]


def plain_text(sentence: Sentence) -> str:
    """A sentence without its links."""
    return "".join(part.text if isinstance(part, Link) else part for part in sentence)


@dataclass(frozen=True)
class Column:
    """A column's heading; numbers stand to the right. The first `header`s name the row."""

    heading: str
    numeric: bool = False
    header: bool = False


@dataclass(frozen=True)
class Table:
    """A table as readers see it, with the full-precision records behind it."""

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Entry, ...], ...]
    notes: tuple[str, ...] = ()
    records: tuple[dict[str, Any], ...] = ()
    """Rows of the CSV, all with the same keys."""
    marked: tuple[int, ...] = ()
    """Rows that are set off: the baseline."""
    ids: tuple[str, ...] = ()
    """Of the rows, where a page links to them."""


def to_csv(table: Table) -> str:
    """The records behind a table, at full precision; unknown numbers are empty."""
    out = io.StringIO()
    columns = list(table.records[0]) if table.records else [c.heading for c in table.columns]
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    for record in table.records:
        writer.writerow({key: "" if _unknown(v) else guarded(v) for key, v in record.items()})
    return out.getvalue()


def _unknown(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def plain(text: object) -> str:
    """A text in one line, without control characters."""
    return "".join(c if c.isprintable() else " " for c in str(text))


def markdown(text: object) -> str:
    """A text that Markdown shows as it stands, also inside a table."""
    line = re.sub(r"([\\`*\[\]|~$])", r"\\\1", plain(text))
    line = re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", line)  # inside a word it is plain
    return line.replace("&", "&amp;").replace("<", "&lt;")


def latex(text: object) -> str:
    """A text that LaTeX sets as it stands."""
    escaped = "".join(map(_latex_character, unicodedata.normalize("NFC", plain(text))))
    return re.sub("([-,])(?=\\1)", r"{\1}", escaped)  # two hyphens stay two hyphens


def _latex_character(character: str) -> str:
    """A character in ASCII. One that pdflatex's fonts do not have is named by its number: left as
    it is, it would stop the document."""
    if character in _LATEX or character.isascii():
        return _LATEX.get(character, character)
    letter, *marks = unicodedata.normalize("NFD", character)
    if letter.isascii() and letter.isalpha() and all(mark in _ACCENTS for mark in marks):
        for mark in marks:
            letter = f"\\{_ACCENTS[mark]}{{{letter}}}"
        return letter
    return f"{{[}}U+{ord(character):04X}{{]}}"


def to_markdown(table: Table) -> str:
    """A table in GitHub's Markdown, with its caption above and its notes below."""
    headings = [markdown(c.heading) for c in table.columns]
    rules = ["---:" if c.numeric else "---" for c in table.columns]
    rows = [[markdown(_whole(entry)) for entry in row] for row in table.rows]
    lines = ["| " + " | ".join(row) + " |" for row in (headings, rules, *rows)]
    notes = [f"\n{markdown(note)}" for note in table.notes]
    return "\n".join([markdown(table.caption), "", *lines, *notes]) + "\n"


def _whole(entry: Entry) -> str:
    return f"{entry.text} ({entry.below})" if entry.below else entry.text


def to_latex(table: Table) -> str:
    """A `table` environment for LaTeX, with the packages that its first line names."""
    layout = "".join("r" if c.numeric else "l" for c in table.columns)
    head = _latex_row(c.heading for c in table.columns)
    body = "\n".join(_latex_row(entry.text for entry in row) for row in table.rows)
    notes = "".join(f"\n  \\par\\footnotesize {latex(note)}" for note in table.notes)
    return (
        "% Needs \\usepackage{booktabs}, \\usepackage{textcomp} and \\usepackage[T1]{fontenc}.\n"
        "\\begin{table}\n  \\centering\n"
        f"  \\caption{{{latex(table.caption)}}}\n"
        f"  \\begin{{tabular}}{{{layout}}}\n    \\toprule\n{head}\n    \\midrule\n{body}\n"
        f"    \\bottomrule\n  \\end{{tabular}}{notes}\n\\end{{table}}\n"
    )


def _latex_row(texts: Iterable[str]) -> str:
    return "    " + " & ".join(latex(text) for text in texts) + r" \\"
