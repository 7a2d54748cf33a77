"""What a page reads off a curve figure at an epoch: the numbers of the CSV behind the figure, and
where its SVG has them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from .csv_text import unguarded
from .errors import DataError
from .foreign import LARGE, read_json, read_text
from .metrics import METRICS


def hover(folder: Path, name: str, metric: str) -> dict[str, Any]:
    """Panels and lines of a figure; a line has for each epoch its mean, lowest, highest and n.

    A diverged run is a line of its own, up to its end, and has a mean alone.
    """
    form = METRICS[metric].format
    layout, rows = _read(folder, name)
    lines: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        lost = row["status"] == "diverged"
        label = f"{row['variant']}, seed {row['seed']}, diverges" if lost else row["variant"]
        look = layout["variants"][row["variant"]]
        name = f"{look['number']}  {label}".strip()
        line = lines.setdefault((row["variant"], row["seed"]), {"name": name, "points": {}} | look)
        keys = ("mean",) if lost or int(row["n"]) < 2 else ("mean", "low", "high")
        numbers = [form.format(float(row[key])) for key in keys]
        line["points"][row["epoch"]] = [*numbers, row["n"]] if len(numbers) > 1 else numbers
    return {
        "metric": METRICS[metric].heading,
        "panels": layout["panels"],
        "lines": list(lines.values()),
    }


def _read(folder: Path, name: str) -> tuple[dict[str, Any], list[dict[str, str]]]:
    try:
        layout = read_json(folder / f"{name}.layout.json", LARGE)
        table = csv.DictReader(read_text(folder / f"{name}.csv", LARGE).splitlines())
        return layout, [{**row, "variant": unguarded(row["variant"])} for row in table]
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise DataError(
            f"{folder / name}: the data behind the figure cannot be read ({error}); "
            "run `python workflow/study_figures.py` first"
        ) from None
