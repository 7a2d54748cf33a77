"""Models of torchvision and timm, by their names there, with random weights."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator

from ..errors import nearest
from .base import Model

if TYPE_CHECKING:
    import torch


@cache
def arch_names(library: str) -> frozenset[str]:
    """Names of a library's classification models, from the list beside this file.

    Importing timm to look a name up takes seconds; the list is made by `make schema` and a test
    holds it to the installed versions.
    """
    text = Path(__file__).with_name(f"{library}_archs.txt").read_text()
    return frozenset(text.split())


def _known(library: str):
    def check(arch: str) -> str:
        if arch not in arch_names(library):
            hint = nearest(arch, arch_names(library))
            raise ValueError(f"{library} has no model '{arch}'{hint}")
        return arch

    return AfterValidator(check)


class Torchvision(Model):
    """A classification model of torchvision, e.g. `arch: resnet50`."""

    name: Literal["torchvision"] = "torchvision"
    arch: Annotated[str, _known("torchvision")]
    """Name in torchvision.models."""

    @property
    def label(self) -> str:
        return self.arch

    def build(self, classes: int) -> torch.nn.Module:
        from torchvision.models import get_model

        return get_model(self.arch, weights=None, num_classes=classes)


class Timm(Model):
    """A model of timm, e.g. `arch: mobilenetv3_large_100`."""

    name: Literal["timm"] = "timm"
    arch: Annotated[str, _known("timm")]
    """Name in timm, without the tag of pre-trained weights."""

    @property
    def label(self) -> str:
        return self.arch

    def build(self, classes: int) -> torch.nn.Module:
        import timm

        return timm.create_model(self.arch, pretrained=False, num_classes=classes)
