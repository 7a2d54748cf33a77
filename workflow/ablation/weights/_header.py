"""What the header of a safetensors file tells, read without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

# The layer of the logits as the models of timm (1.0), torchvision and ours call it.
_HEADS = (
    *("head", "fc", "classifier", "linear", "last_linear", "classif", "heads.head", "classifier.1"),
    *("head.fc", "head.fc2", "head.fc.fc2", "head.linear", "head.l", "head.classifier.linear"),
)
_LARGEST = 100 * 1024**2  # bytes; safetensors itself reads no larger header


def head_classes(path: Path) -> int | None:
    """Number of outputs of the head of the model in a safetensors file.

    None where the header does not tell: no such file, another format, or a head of another name;
    then it is found when the weights are loaded.
    """
    if path.suffix != ".safetensors":
        return None
    try:
        header = _header(path)
        shapes = [
            header[f"{name}.weight"]["shape"] for name in _HEADS if f"{name}.weight" in header
        ]
        return int(shapes[0][0]) if len(shapes) == 1 else None
    except (OSError, ValueError, TypeError, KeyError, IndexError):
        return None  # a damaged file is told when it is loaded, with what to do


def _header(path: Path) -> dict[str, Any]:
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > _LARGEST:
            raise ValueError("no safetensors file")
        return json.loads(file.read(size))
