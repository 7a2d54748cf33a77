"""What the header of a safetensors file tells, read without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..errors import ConfigError

# The layer of the logits as the models of timm (1.0), torchvision and ours call it.
_HEADS = (
    *("head", "fc", "classifier", "linear", "last_linear", "classif", "heads.head", "classifier.1"),
    *("head.fc", "head.fc2", "head.fc.fc2", "head.linear", "head.l", "head.classifier.linear"),
)
# Bytes. Some 130 a tensor, so 30,000 tensors; the models of timm have up to 4,000. As JSON a header
# takes thirty times its length in memory.
_LARGEST = 4 * 1024**2


def head_classes(path: Path) -> int | None:
    """Number of outputs of the head of the model in a safetensors file.

    None where the header does not tell: no such file, another format, or a head of another name;
    then it is found when the weights are loaded.
    """
    if path.suffix != ".safetensors":
        return None
    refuse_long_header(path)
    try:
        header = _header(path)
        shapes = [
            header[f"{name}.weight"]["shape"] for name in _HEADS if f"{name}.weight" in header
        ]
        return int(shapes[0][0]) if len(shapes) == 1 else None
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return None  # a damaged file is told when it is loaded, with what to do


def refuse_long_header(path: Path) -> None:
    """ConfigError when the header of a safetensors file is longer than any model's."""
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
    except OSError:
        return
    if _LARGEST < length < size:  # else a damaged file, which is told when it is loaded
        raise ConfigError(
            f"{path}: the list of its tensors has {length:,} bytes, more than the {_LARGEST:,} "
            "that a model needs; fetch the file again"
        )


def _header(path: Path) -> dict[str, Any]:
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > _LARGEST:
            raise ValueError("no safetensors file")
        return json.loads(file.read(size))
