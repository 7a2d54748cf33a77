"""Print the plan of a study: its variants, its cells, and which of them are done.

    python workflow/plan_study.py --study aime_fig1_constant_lr --scale demo

Reads: the YAML files of the study and the dataset's lock; trains nothing and imports no torch.
Where a scale changes a value, the table shows it as `document -> run`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ablation.cli import run
from ablation.config.resources import Site
from ablation.grid import Cell, Planner, StudyPlan, Variant, format_value

# What a scale can map, beside the axes.
_MAPPED = ("dataset", "model", "img_size", "epochs", "batch_size", "train_share", "val_share")


def describe(plan: StudyPlan, cells: Path) -> dict[str, Any]:
    """The plan as plain data; cells: the folder in which results are looked for."""
    by_variant: dict[str, list[Cell]] = {}
    for cell in plan.cells:
        by_variant.setdefault(cell.variant.label, []).append(cell)
    variants = [_variant(v, by_variant[v.label], cells) for v in plan.variants]
    asked = plan.resources(Site())
    done = sum(cell["done"] for v in variants for cell in v["cells"])
    return {
        "study": plan.name,
        "title": plan.config.title,
        "scale": plan.scale_name,
        "baseline": plan.baseline.label,
        "buffers_mb": max((plan.buffers_mb(cell, asked) for cell in plan.cells), default=0),
        "mem_mb": asked.mem_mb,
        "notes": plan.notes,
        "seeds": len(plan.cells) // len(plan.variants),
        "variants": variants,
        "total": {
            "variants": len(variants),
            "cells": len(plan.cells),
            "done": done,
            "to_train": len(plan.cells) - done,
            "epochs": sum(v["epochs"] * len(v["cells"]) for v in variants),
            "images": sum(v["images"] * len(v["cells"]) for v in variants),
            "images_to_train": sum(
                v["images"] for v in variants for cell in v["cells"] if not cell["done"]
            ),
        },
    }


def _variant(variant: Variant, cells: list[Cell], results: Path) -> dict[str, Any]:
    training, dataset = variant.training, cells[0].dataset
    steps = dataset.images("train", training.train_share) // training.batch_size
    document, here = variant.document.model_dump(), training.model_dump()
    document["model"], here["model"] = variant.document.model.label, training.model.label
    axes = [key for key in variant.axes if key != "row"]
    if variant.loader is not None:
        document["loader"] = here["loader"] = variant.loader.model_dump()
    epochs = cells[0].config.epochs
    return {
        "label": variant.label,
        "axes": variant.axes,
        "document": {key: _value(document, key) for key in dict.fromkeys((*axes, *_MAPPED))},
        "run": {key: _value(here, key) for key in dict.fromkeys((*axes, *_MAPPED))},
        "reading": cells[0].config.reading,
        "data": dataset.directory,
        "epochs": epochs,
        "steps_per_epoch": steps,
        "images": epochs * steps * training.batch_size,
        "cells": [
            {
                "id": cell.id,
                "seed": cell.config.seed,
                "done": (results / cell.id / "metrics.json").is_file(),
            }
            for cell in cells
        ],
    }


def _value(content: Any, key: str) -> Any:
    for part in key.split("."):
        content = content.get(part) if isinstance(content, dict) else None
    return content


def _shown(variant: dict[str, Any], key: str) -> str:
    """A value, as the document has it and as it is run."""
    values = [variant[side].get(key) for side in ("document", "run")]
    if any(isinstance(value, dict) for value in values):
        return format_value(variant["axes"].get(key, "..."))
    first, second = ("" if v is None else format_value(_rounded(v)) for v in values)
    return first if first == second else f"{first} -> {second}"


def _rounded(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value


def show(plan: dict[str, Any]) -> None:
    """Print the plan for readers."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    # In a file or a pipe nothing is cut off.
    console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 200)
    variants, total = plan["variants"], plan["total"]
    axes = list(dict.fromkeys(key for v in variants for key in v["axes"] if key != "row"))
    console.print(f"{plan['study']} at scale {plan['scale']}: {plan['title']}")
    for key in (key for key in _MAPPED if key not in axes):
        shown = dict.fromkeys(_shown(v, key) for v in variants)
        console.print(f"  {key}: {', '.join(shown)}")
    for key in ("reading", "data"):
        console.print(f"  {key}: {', '.join(dict.fromkeys(v[key] for v in variants))}")
    if plan["buffers_mb"]:
        console.print(f"  buffers: {plan['buffers_mb']:,} MB of mem_mb {plan['mem_mb']:,}")
    for note in plan["notes"]:
        console.print(f"  note: {note}")
    table = Table(box=SIMPLE)
    for heading in ("variant", *axes, "seed", "cell", ""):
        table.add_column(heading, no_wrap=heading in ("cell", ""))
    for variant in variants:
        mark = " (baseline)" if variant["label"] == plan["baseline"] else ""
        table.add_row(
            variant["label"] + mark,
            *(_shown(variant, axis) for axis in axes),
            "\n".join(str(cell["seed"]) for cell in variant["cells"]),
            "\n".join(cell["id"] for cell in variant["cells"]),
            "\n".join("done" if cell["done"] else "to train" for cell in variant["cells"]),
        )
    console.print(table)
    console.print(
        f"{total['variants']} variants x {plan['seeds']} seeds = {total['cells']} cells: "
        f"{total['done']} done, {total['to_train']} to train; {total['epochs']:,} epochs, "
        f"{total['images']:,} images in all, {total['images_to_train']:,} to train"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Print the plan; return 0."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--study", required=True, help="name of a file in config/studies")
    parser.add_argument("--scale", default="demo", help="name of a file in config/scales")
    parser.add_argument("--config-dir", type=Path, default=Path("config"), help="default: config")
    parser.add_argument(
        "--cells", type=Path, default=Path("results/cells"), help="default: results/cells"
    )
    parser.add_argument("--json", action="store_true", help="print it for programs")
    args = parser.parse_args(argv)
    plan = describe(Planner(args.config_dir).plan(args.study, args.scale), args.cells)
    try:
        if args.json:
            print(json.dumps(plan, indent=2), flush=True)
        else:
            show(plan)
    except BrokenPipeError:  # `| head` has read enough
        sys.stdout = None
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
