"""A cell's whole state in one file: valid or absent."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

from .errors import UserError
from .files import publish

_FORMAT = 1


def save(path: Path, cell_id: str, state: dict[str, Any]) -> None:
    """Write `state` (tensors and plain values) under a temporary name, then rename it."""
    import torch

    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    torch.save({"format": _FORMAT, "cell_id": cell_id, **state}, temporary)
    publish(temporary, path)


def load(path: Path, cell_id: str) -> dict[str, Any] | None:
    """The state at `path`, None if there is none.

    Only tensors and plain values are read: a file that holds anything else, or belongs to another
    cell, is refused and never executed.
    """
    import torch

    if not path.is_file():
        return None
    advice = "delete it to train the cell from the start"
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        reason = str(error).split("\n", 1)[0][:120]
        raise UserError(f"{path}: not a checkpoint of ours ({reason}); {advice}") from None
    if not isinstance(state, dict) or state.get("format") != _FORMAT:
        raise UserError(f"{path}: not a checkpoint of this version; {advice}")
    if state["cell_id"] != cell_id:
        raise UserError(f"{path}: belongs to cell {state['cell_id']}, not {cell_id}; {advice}")
    return state
