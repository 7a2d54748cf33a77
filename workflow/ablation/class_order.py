"""Whether given weights mean the same class by an output as the dataset does by a label.

A label is the place of a class among the sorted folder names; an output's meaning is known to those
who trained the weights. Another order gives a teacher whose logits are permuted, and no error.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from .weights import OtherCell, TimmWeights
from .weights.base import Weights

_WNID = re.compile(r"n\d{8}")


@cache
def timm_synsets() -> tuple[str, ...]:
    """ImageNet's 1,000 synsets in the order of timm's outputs, read without importing timm."""
    spec = importlib.util.find_spec("timm")
    if spec is None or not spec.submodule_search_locations:
        return ()
    path = Path(spec.submodule_search_locations[0]) / "data/_info/imagenet_synsets.txt"
    return tuple(path.read_text().split()) if path.is_file() else ()


def numbers_as_text(classes: Sequence[str]) -> str | None:
    """Say how numbered classes are out of their order; None when they are not, or no numbers.

    Folders 0 ... 999 sort as text: 0, 1, 10, 100, 101 ...
    """
    if not all(name.isascii() and name.isdigit() for name in classes):
        return None
    for label, (name, wanted) in enumerate(zip(classes, sorted(classes, key=int), strict=True)):
        if name != wanted:
            return f"its classes are numbers and sort as text: label {label} is class '{name}'"
    return None


def other_order(weights: Weights, classes: Sequence[str]) -> str | None:
    """Say why timm's outputs cannot mean these classes; None as far as it is known.

    timm's weights of ImageNet have its synsets in sorted order.
    """
    if not isinstance(weights, TimmWeights) or tuple(classes) == timm_synsets():
        return None
    if odd := numbers_as_text(classes):
        return (
            f"{weights.label} has the order of timm, and the dataset has another: {odd}; name the "
            "folders so that they sort in the order meant (000, 001, ... or synsets), and make the "
            "lock again"
        )
    synsets = timm_synsets()
    if len(classes) == len(synsets) and all(map(_WNID.fullmatch, classes)):
        strange = sorted(set(classes) - set(synsets))
        return f"{weights.label} knows ImageNet's synsets, and '{strange[0]}' is none of them"
    return None


def unchecked_order(weights: Weights, dataset: str, classes: Sequence[str]) -> str | None:
    """Say that the order of classes is taken on trust, and what it has to be; None if it is known.

    Cells know their classes, and the plan compares them.
    """
    if isinstance(weights, OtherCell):
        return None
    if isinstance(weights, TimmWeights) and tuple(classes) == timm_synsets():
        return None
    shown = ", ".join(f"{label} = '{name}'" for label, name in enumerate(classes[:3]))
    odd = numbers_as_text(classes)
    return (
        f"the classes of {weights.label} have no names, so their order cannot be checked: its "
        f"outputs must be those of {dataset}, {shown}, ..." + (f" ({odd})" if odd else "")
    )
