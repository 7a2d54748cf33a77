"""Models of torchvision and timm, by their names there, with random weights."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, model_validator

from ..config.base import Positive
from ..errors import nearest
from .base import Model, Rate

if TYPE_CHECKING:
    import torch


@cache
def _arch_list(library: str) -> dict[str, tuple[str, ...]]:
    """A library's classification models, each with the words after its name in the list beside.

    Importing timm to look a name up takes seconds; the list (a model a line) is made by
    `make schema` and a test holds it to the installed versions.
    """
    _version, *lines = Path(__file__).with_name(f"{library}_archs.txt").read_text().splitlines()
    return {words[0]: tuple(words[1:]) for words in map(str.split, lines)}


@cache
def arch_options(library: str) -> dict[str, frozenset[str]]:
    """A library's classification models and the options that change each."""
    return {
        arch: frozenset(word for word in words if "=" not in word)
        for arch, words in _arch_list(library).items()
    }


def arch_names(library: str) -> frozenset[str]:
    """Names of a library's classification models."""
    return frozenset(arch_options(library))


def _known(library: str):
    def check(arch: str) -> str:
        if arch not in arch_options(library):
            hint = nearest(arch, arch_names(library))
            raise ValueError(f"{library} has no model '{arch}'{hint}")
        return arch

    return AfterValidator(check)


class Library(Model):
    """What models of both libraries share: an architecture, and the options that it takes."""

    keywords: ClassVar[dict[str, str]]
    """Option -> the library's own name of it."""
    arch: str
    """Name of the architecture."""
    dropout: Rate | None = None
    """Share of the features that is dropped in training, before the last layer and where else the
    architecture has it; none is the library's own default for the architecture."""
    stochastic_depth: Rate | None = None
    """Share of the images for which the last block is dropped in training, the earlier ones less;
    none is the library's own default for the architecture."""

    @property
    def label(self) -> str:
        return self.arch

    @property
    def strided_1x1(self) -> int | None:
        """As every model's; the list has it where it is narrow, and no option makes it so."""
        words = dict(w.split("=") for w in _arch_list(self.name)[self.arch] if "=" in w)
        return int(words["strided_1x1"]) if words else None

    @model_validator(mode="after")
    def _arch_takes_the_options(self) -> Library:
        takes = arch_options(self.name)[self.arch]
        for option in self.keywords:
            if getattr(self, option) is not None and option not in takes:
                others = f"; it takes {', '.join(sorted(takes))}" if takes else ""
                raise ValueError(f"{option} does nothing in {self.name}'s {self.arch}{others}")
        return self

    def arguments(self) -> dict[str, Any]:
        """The options that are set, by the library's names."""
        values = {theirs: getattr(self, ours) for ours, theirs in self.keywords.items()}
        return {name: value for name, value in values.items() if value is not None}


class Torchvision(Library):
    """A classification model of torchvision, e.g. `arch: resnet50`.

    Networks and random weights are torchvision's; its documentation names the paper of each.
    """

    keywords = {
        "dropout": "dropout",
        "stochastic_depth": "stochastic_depth_prob",
        "width_mult": "width_mult",
    }
    name: Literal["torchvision"] = "torchvision"
    arch: Annotated[str, _known("torchvision")]
    """Name in torchvision.models."""
    width_mult: Positive | None = None
    """Width of the layers as a share of the architecture's (MobileNetV2 and V3), rounded to eights
    by torchvision; none is 1."""

    def build(self, classes: int) -> torch.nn.Module:
        from torchvision.models import get_model

        return get_model(self.arch, weights=None, num_classes=classes, **self.arguments())


class Timm(Library):
    """A model of timm, e.g. `arch: mobilenetv3_large_100`.

    Networks and random weights are timm's (Wightman 2019, PyTorch Image Models); its code names the
    paper of each.
    """

    keywords = {"dropout": "drop_rate", "stochastic_depth": "drop_path_rate"}
    name: Literal["timm"] = "timm"
    arch: Annotated[str, _known("timm")]
    """Name in timm, without the tag of pre-trained weights."""

    def build(self, classes: int) -> torch.nn.Module:
        import timm

        return timm.create_model(
            self.arch, pretrained=False, num_classes=classes, **self.arguments()
        )
