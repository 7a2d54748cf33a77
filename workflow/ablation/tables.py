"""The tables of a study: which there are, and how they are written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from . import loader_table, products
from .comparison_table import comparison_table
from .entries import axis_columns
from .files import write_text
from .frames import StudyData
from .main_table import main_table
from .markup import Table, to_csv, to_latex, to_markdown
from .mixtures import noted
from .published_table import published_table
from .range_table import range_table
from .threshold_table import threshold_table

_EXTENSIONS: dict[str, Callable[[Table], str]] = {
    "csv": to_csv,
    "md": to_markdown,
    "tex": to_latex,
}


def study_tables(data: StudyData, config_dir: Path) -> list[Table]:
    """The tables of a study: `main`; `comparisons` of more than one variant; `thresholds` where
    the scale has some; `published` where the document gives numbers. Of a range test, `main` holds
    what it suggests, of a loader benchmark its images per second, and is all. The first one says
    where cells of other versions or machines are mixed."""
    first, *others = _tables(data, config_dir)
    return [noted(first, data), *others]


def _tables(data: StudyData, config_dir: Path) -> list[Table]:
    if data.plan.config.kind == "lr_range":
        return [range_table(data)]
    if data.plan.config.kind == "loader":
        return [loader_table.rates_table(data, axis_columns(data))]
    tables = [main_table(data)]
    if len(data.plan.variants) > 1:
        tables.append(comparison_table(data))
    if data.plan.scale.thresholds:
        tables.append(threshold_table(data))
    if data.plan.config.published:
        tables.append(published_table(data, config_dir))
    return tables


def write_tables(tables: list[Table], folder: Path) -> None:
    """Write each table as CSV, Markdown and LaTeX."""
    folder.mkdir(parents=True, exist_ok=True)
    for table in tables:
        for extension, render in _EXTENSIONS.items():
            write_text(folder / f"{table.name}.{extension}", render(table))
    products.write_list(folder)
