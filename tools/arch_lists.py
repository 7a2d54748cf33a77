"""The lists of torchvision's and timm's models, with the options that change each.

A line a model: its name, then the options of `workflow/ablation/models/zoo.py` that it takes, then
`strided_1x1=N` if that is few channels (`ablation.models.base.NARROW`). Many models take an option
and leave it unused (torchvision's convnext a `dropout`), so each is built with and without it,
without memory for its weights, and looked at: some ten minutes. A list begins with the library's
version, and is made anew when another one is installed, or when the list is deleted.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ablation.models import Timm, Torchvision
from ablation.models.base import NARROW

VALUES = {"dropout": 0.1234, "stochastic_depth": 0.1234, "width_mult": 0.25}  # nobody's default


def archs(file: Path, library: str) -> str:
    """The text of a library's list; the one in `file` when it is of the installed version."""
    release = version(library).split("+")[0]  # without a build's name (+cu128)
    head = f"# {library} {release}"
    if file.is_file() and file.read_text(encoding="utf-8").split("\n", 1)[0] == head:
        return file.read_text(encoding="utf-8")
    names, keywords, make = _LIBRARIES[library]
    return "\n".join([head, *lines(names(), keywords, make)]) + "\n"


def lines(names: Iterable[str], keywords: dict[str, str], make: Callable[..., Any]) -> list[str]:
    """`name option option strided_1x1=N`, sorted. keywords: option -> the library's name of it."""
    return [" ".join([name, *_words(name, keywords, make)]) for name in sorted(names)]


def _words(name: str, keywords: dict[str, str], make: Callable[..., Any]) -> list[str]:
    """The options that change a model, sorted, and its narrow convolution."""
    model, found = _built(make, name), []
    plain, narrowest = _looks(model), strided_1x1(model)
    for option, keyword in sorted(keywords.items()):
        try:
            changed = _looks(_built(make, name, **{keyword: VALUES[option]}))
        except TypeError:  # unexpected keyword argument
            continue
        if changed != plain:
            found.append(option)
    narrow = narrowest is not None and narrowest < NARROW
    return [*found, f"strided_1x1={narrowest}"] if narrow else found


def strided_1x1(model: Any) -> int | None:
    """Fewest input channels (of a group) of a model's 1 x 1 convolutions with a stride; none
    without such a one."""
    from torch import nn

    return min(
        (
            module.in_channels // module.groups
            for module in model.modules()
            if isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1)
            if max(module.stride) > 1
        ),
        default=None,
    )


def _built(make: Callable[..., Any], name: str, **options: float) -> Any:
    import torch

    with warnings.catch_warnings(action="ignore"):
        try:
            with torch.device("meta"):  # the shapes alone
                return make(name, **options)
        except NotImplementedError:  # torchvision's regnet computes its widths with tensors
            return make(name, **options)


def _looks(model: Any) -> list[Any]:
    """All numbers that modules hold, and the shapes of the parameters."""
    rates = [
        (name, key, value)
        for name, module in model.named_modules()
        for key, value in vars(module).items()
        if isinstance(value, float)
    ]
    return [*rates, *((name, p.shape) for name, p in model.named_parameters())]


def torchvision_names() -> set[str]:
    """Names of torchvision's classification models, without the quantized ones."""
    from torchvision import models

    # These two return a second output in training, which the loop has no use for.
    return set(models.list_models(module=models)) - {"googlenet", "inception_v3"}


def torchvision_model(name: str, **options: float) -> Any:
    """A model of torchvision with random weights."""
    from torchvision.models import get_model

    return get_model(name, weights=None, **options)


def timm_names() -> set[str]:
    """Names of timm's models."""
    import timm

    return set(timm.list_models())


def timm_model(name: str, **options: float) -> Any:
    """A model of timm with random weights."""
    import timm

    return timm.create_model(name, pretrained=False, **options)


_LIBRARIES = {
    "torchvision": (torchvision_names, Torchvision.keywords, torchvision_model),
    "timm": (timm_names, Timm.keywords, timm_model),
}
