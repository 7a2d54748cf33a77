"""The command that makes a cell again, from its plan: what a cell's own files say is not run."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from .plan import Cell


def training(study: str, scale: str, cell: Cell, data: Path, out: Path, checkpoints: Path) -> str:
    """Of a cell that is trained."""
    own = {"variant": cell.variant.label, "seed": cell.config.seed}
    which = {"cell": cell.id} if cell.needed else own
    options = {"study": study, "scale": scale, **which}
    return _command("train_cell", {**options, "data": data, "out": out, "checkpoints": checkpoints})


def timing(
    study: str, scale: str, cell: Cell, data: Path, medium: str, out: Path, checkpoints: Path
) -> str:
    """Of a cell that only reads. medium: the folder on it."""
    options = {"study": study, "scale": scale, "cell": cell.id, "data": data, "medium": medium}
    return _command("time_loader", {**options, "out": out, "checkpoints": checkpoints})


def in_results(study: str, scale: str, cell: Cell, results: Path, media: Mapping[str, str]) -> str:
    """Of any cell, where the workflow has it. media: medium -> folder on it, of config.yaml."""
    data, out = results / cell.dataset.directory, results / "cells" / cell.id
    checkpoints = results / "checkpoints"
    if cell.variant.loader is None:
        return training(study, scale, cell, data, out, checkpoints)
    medium = cell.variant.loader.medium
    folder = media.get(medium, f"FOLDER_ON_{medium}")
    return timing(study, scale, cell, data, folder, out, checkpoints)


def _command(program: str, options: Mapping[str, object]) -> str:
    given = (f"--{key} {shlex.quote(str(value))}" for key, value in options.items())
    return " ".join((f"python workflow/{program}.py", *given))
