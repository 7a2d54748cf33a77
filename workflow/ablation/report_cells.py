"""A cell's page: its configuration, curves, results, provenance, log, and how to make it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .cell_curves import Panel, panel
from .collect import log_of
from .foreign import LARGE, read_tail
from .frames import StudyData
from .grid import Cell
from .markup import Column, Entry, Table
from .metrics import METRICS
from .place import Place
from .printable import escaped
from .results import EPOCH_METRICS, RAW_METRICS, CellRecord, reads_only
from .sentences import count, duration
from .settings import plain_value

LOG_LINES = 200  # a training of 90 epochs writes some 100
Facts = list[tuple[str, str]]
_PANELS: dict[str, dict[str, str]] = {
    "Top-1 (%)": {
        "val_top1": "validation",
        "clean_top1": "train, clean",
        "train_top1": "train, running",
    },
    "Loss": {
        "val_loss": "validation",
        "clean_loss": "train, clean",
        "train_loss": "train, running",
    },
    "Learning rate": {"lr": "at the start of an epoch"},
}

_COUNTS = {
    "parameters": "Trainable parameters",
    "train_images": "Training images",
    "val_images": "Validation images",
}


def paged_cells(
    studies: list[StudyData], records: Mapping[str, CellRecord], cells: Path
) -> set[str]:
    """The cells that have a page: those with results, and those that left a log."""
    every = {cell.id for data in studies for cell in data.plan.cells}
    return {cell for cell in every if cell in records or log_of(cells, cell).is_file()}


def cell_pages(
    studies: list[StudyData],
    records: Mapping[str, CellRecord],
    damaged: Mapping[str, str],
    paged: set[str],
    place: Place,
) -> Iterator[dict[str, Any]]:
    """The content of each cell's page, one by one: all of them at once would be large.

    damaged: what is wrong with the files of cells that have no record.
    """
    found: dict[str, list[tuple[StudyData, Cell]]] = {}
    for data in studies:
        for cell in data.plan.cells:
            found.setdefault(cell.id, []).append((data, cell))
    for name, places in found.items():
        if name in paged:
            yield _content(places, records.get(name), damaged.get(name), paged, place)


def _content(
    places: list[tuple[StudyData, Cell]],
    record: CellRecord | None,
    damage: str | None,
    paged: set[str],
    place: Place,
) -> dict[str, Any]:
    data, cell = places[0]
    epochs = record.metrics["epochs"] if record else []
    lines, left_out, log = log_text(log_of(place.cells, cell.id))
    settings = record.cell["config"] if record else cell.config.model_dump(mode="json")
    return {
        "id": cell.id,
        "variant": cell.variant.label,
        "seed": cell.config.seed,
        "studies": [
            {"name": d.plan.name, "title": d.plan.config.title, "variant": c.variant.label}
            for d, c in places
        ],
        "parents": [{"id": p.id, "page": p.id in paged} for p in cell.parents],
        "results": _results(record) if record else [("Status", status_text(None, damage))],
        "panels": _panels(record),
        "epochs": _epoch_table(epochs) if epochs else None,
        "settings": _settings(settings),
        "provenance": _provenance(data, record),
        "command": place.command(data.plan.name, cell) if record else "",
        "folder": (place.cells / cell.id).as_posix(),
        "log": {"path": log, "text": lines, "left_out": left_out},
    }


def status_text(record: CellRecord | None, damage: str | None = None) -> str:
    """`completed`, `diverged in epoch 3, step 7`, `missing: no result`, `damaged: ...`."""
    if record is None:
        return f"damaged: {damage}" if damage else "missing: no result"
    if record.metrics["status"] != "diverged":
        return str(record.metrics["status"])
    at = record.metrics.get("diverged_at") or {}
    where = "at its evaluation" if at.get("step") is None else f"step {at['step']}"
    return f"diverged in epoch {at.get('epoch')}, {where}"


def log_text(log: Path) -> tuple[str, int, str]:
    """The last lines of a log, how many stand before them, and its path."""
    if not log.is_file():
        return "", 0, ""
    # No link is followed: where a log is due, one to a private file would be published.
    lines = read_tail(log, LARGE, follow=False).splitlines()
    kept = lines[-LOG_LINES:]
    return (
        "\n".join(escaped(line.expandtabs()) for line in kept),
        len(lines) - len(kept),
        log.as_posix(),
    )


def _results(record: CellRecord) -> Facts:
    facts: Facts = [("Status", status_text(record))]
    metrics, timing = record.metrics, record.timing
    last, best = metrics.get("last") or {}, metrics.get("best") or {}
    facts.append(("Epochs", str(len(metrics["epochs"]))))
    for key in ("val_top1", "val_top5", "val_loss", "clean_top1", "train_top1", *RAW_METRICS[1:2]):
        if last.get(key) is not None:
            facts.append(
                (f"{METRICS[key].heading}, last epoch", METRICS[key].format.format(last[key]))
            )
    if best.get("val_top1") is not None:
        text = METRICS["val_top1"].format.format(best["val_top1"])
        facts.append(("Top-1 (%), best epoch", f"{text} in epoch {best['epoch']}"))
    for key, words in _COUNTS.items():
        if metrics.get(key):
            facts.append((words, f"{metrics[key]:,}"))
    facts += [
        (words, duration(timing[key]))
        for key, words in (("wall_time_s", "Time in all"), ("train_time_s", "Training"))
        if timing.get(key) is not None
    ]
    facts.append(("Images per second", f"{timing['images_per_s']:,.0f}"))
    if timing.get("energy_j") is not None:
        facts.append(("Energy", f"{timing['energy_j']:,.0f} J ({timing.get('energy_source')})"))
    alone = "alone on its machine" if timing["alone"] else "beside other cells"
    return [*facts, ("Ran", f"{alone}, {count(int(timing['attempts']), 'attempt')}")]


def _panels(record: CellRecord | None) -> list[Panel]:
    if record is None:
        return []
    if reads_only(record.metrics["cell_id"]):
        points = [(i, t["images_per_s"]) for i, t in enumerate(record.times, 1)]
        return [p for p in (panel("Images per second", {"": points}, "{:.0f}"),) if p]
    epochs, found = record.metrics["epochs"], []
    for title, lines in _PANELS.items():
        curves = {
            name: [(e["epoch"], e[key]) for e in epochs if e.get(key) is not None]
            for key, name in lines.items()
        }
        found.append(panel(title, curves, METRICS[next(iter(lines))].format))
    return [p for p in found if p]


def _epoch_table(epochs: list[dict[str, Any]]) -> Table:
    """The numbers behind the curves."""
    keys = [k for k in EPOCH_METRICS if any(e.get(k) is not None for e in epochs)]
    headings = [
        METRICS[k].heading if k in METRICS else k.replace("_", " ").capitalize() for k in keys
    ]
    columns = [Column("Epoch", numeric=True, header=True)]
    columns += [Column(heading, numeric=True) for heading in headings]
    rows = [
        (Entry(str(e["epoch"]), e["epoch"]), *(_value(key, e.get(key)) for key in keys))
        for e in epochs
    ]
    return Table("epochs", "Every epoch", tuple(columns), tuple(rows))


def _value(key: str, value: float | None) -> Entry:
    if value is None:
        return Entry("–", float("nan"))
    return Entry((METRICS[key].format if key in METRICS else "{:.4f}").format(value), value)


def _settings(config: Mapping[str, Any]) -> Table:
    """The configuration as it was run, one setting a row."""
    rows = tuple((Entry(key), Entry(text)) for key, text in _flat(config, ""))
    columns = (Column("Setting", header=True), Column("Value"))
    return Table("config", "Configuration as it was run", columns, rows)


def _flat(config: Mapping[str, Any], before: str) -> Iterator[tuple[str, str]]:
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", plain_value(value)


def _provenance(data: StudyData, record: CellRecord | None) -> Facts:
    if record is None:
        return []
    origin, cell = record.provenance, record.cell
    parts = origin.get("hardware") or {}
    gpu = f"{parts.get('gpu_count') or 1} × {parts['gpu']}" if parts.get("gpu") else ""
    machine = [gpu, parts.get("cpu"), f"{parts.get('cpu_count')} CPUs", parts.get("isa")]
    packages = origin.get("packages") or {}
    facts = [
        ("Scale", data.plan.scale_name),
        ("Dataset", f"{cell['dataset']}, digest {origin.get('dataset_digest')}"),
        ("Started", origin.get("started")),
        ("Finished", origin.get("finished")),
        ("Host", origin.get("host")),
        ("Job", origin.get("job")),
        ("Device", origin.get("device")),
        ("Machine", ", ".join(str(part) for part in machine if part)),
        ("Compute threads", origin.get("threads")),
        ("This project", origin.get("code_version") or "version not recorded"),
        ("Python", origin.get("python")),
        ("Packages", ", ".join(f"{name} {version}" for name, version in packages.items())),
    ]
    return [(what, str(text)) for what, text in facts if text]
