"""Pre-trained weights by their name in timm."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator

from ..errors import nearest
from ..models.zoo import arch_names
from ._header import head_classes
from .base import Weights

FOLDER = Path("weights")


def _known(name: str) -> str:
    arch, dot, tag = name.partition(".")
    if arch not in arch_names("timm"):
        raise ValueError(f"timm has no model '{arch}'{nearest(arch, arch_names('timm'))}")
    if not dot or not tag:
        raise ValueError(f"wants the tag of the weights too, as in '{arch}.a1_in1k'")
    return name


class TimmWeights(Weights):
    """Pre-trained weights of timm, e.g. `arch: beit_base_patch16_224.in22k_ft_in22k_in1k`.

    Their file is put in place by hand, as `weights/{arch}.safetensors`.
    """

    name: Literal["timm"] = "timm"
    arch: Annotated[str, AfterValidator(_known)]
    """Name in timm with the tag of its weights."""

    @property
    def label(self) -> str:
        return self.arch

    def missing(self) -> str | None:
        path = self.file(Path())
        if path.is_file():
            return None
        return (
            f"{path}: the weights are not there; put the file model.safetensors of timm's "
            f"'{self.arch}' at this path"
        )

    def classes(self) -> int | None:
        return head_classes(self.file(Path()))

    def file(self, cells: Path) -> Path:
        return FOLDER / f"{self.arch}.safetensors"
