"""The report's content as HTML and as Markdown. Every text is plain text: jinja2 escapes it for
HTML, markup.markdown for Markdown."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from .markup import markdown, plain_text, to_markdown

TEMPLATES = Path(__file__).resolve().parent.parent / "report"
_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"


def inline_svg(svg: str, prefix: str, description: str) -> Markup:
    """An SVG to stand inside a page: ids of its own, scalable, described for screen readers."""
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    root = ElementTree.fromstring(svg)
    for metadata in root.findall(f"{{{_SVG}}}metadata"):
        root.remove(metadata)
    for element in root.iter():
        for key, value in element.attrib.items():
            if key == "id":
                element.set(key, f"{prefix}-{value}")
            elif key.endswith("href") and value.startswith("#"):
                element.set(key, f"#{prefix}-{value[1:]}")
            elif "url(#" in value:
                element.set(key, value.replace("url(#", f"url(#{prefix}-"))
    width = float(re.sub(r"[^0-9.]", "", root.attrib.pop("width", "0")) or 0)
    root.attrib.pop("height", None)
    # Points to CSS pixels; on a narrow screen the figure scrolls rather than becoming unreadable.
    root.set("style", f"width:{width * 4 / 3:.0f}px;min-width:{min(width, 480):.0f}px")
    root.set("role", "img")
    root.set("aria-label", description)
    return Markup(ElementTree.tostring(root, encoding="unicode"))


class Raw(str):
    """Markdown that is markup already."""


class HtmlRenderer:
    """Pages of the report, from templates that are read once."""

    def __init__(self) -> None:
        self._environment = _environment(autoescape=True)

    def page(self, template: str, content: dict[str, Any]) -> str:
        """A page by the name of its template; autoescape is on for every text."""
        return self._environment.get_template(f"{template}.html.j2").render(content)


def render_markdown(content: dict[str, Any]) -> str:
    """The same as Markdown; every text that is put in is escaped."""
    environment = _environment(finalize=lambda v: v if isinstance(v, Raw) else markdown(v))
    environment.filters["table"] = lambda table: Raw(to_markdown(table))
    environment.filters["path"] = lambda text: Raw(text.replace(" ", "%20").replace(")", "%29"))
    environment.filters["code"] = code_block
    environment.filters["plain_text"] = plain_text
    return environment.get_template("report.md.j2").render(content)


def code_block(text: str) -> Raw:
    """A fenced block; the fence is longer than any row of backticks inside."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return Raw(f"{fence}\n{text}\n{fence}")


def _environment(
    autoescape: bool = False, finalize: Callable[[Any], Any] | None = None
) -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=autoescape,
        finalize=finalize,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
