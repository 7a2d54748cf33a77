"""A cell's whole state in one file: valid or absent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .errors import UserError
from .files import disk_error, replacing

_FORMAT = 1


def save(path: Path, cell_id: str, state: dict[str, Any]) -> None:
    """Write `state` (tensors and plain values) whole, in place of what stood there."""
    write_tensors(path, {"format": _FORMAT, "cell_id": cell_id, **state})


def write_tensors(path: Path, content: dict[str, Any]) -> None:
    """Write tensors and plain values under a temporary name, then rename it.

    UserError when the disk is full; then nothing is left of it.
    """
    import torch

    try:
        # Through a file of Python's: torch's own says "unexpected pos" of a full disk.
        with replacing(path) as file:
            torch.save(content, file)
    except OSError as error:
        raise disk_error(path, error) from None
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):
            raise disk_error(path, error.__context__) from None
        raise


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
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None
    except MemoryError:
        raise
    except Exception as error:  # damaged bytes end in any of a dozen kinds
        reason = str(error).split("\n", 1)[0][:120]
        raise UserError(f"{path}: not a checkpoint of ours ({reason}); {advice}") from None
    if not isinstance(state, dict) or state.get("format") != _FORMAT:
        raise UserError(f"{path}: not a checkpoint of this version; {advice}")
    if state.get("cell_id") != cell_id:
        raise UserError(f"{path}: belongs to cell {state.get('cell_id')}, not {cell_id}; {advice}")
    return state
