"""Layers of a network from input to head, for learning rates by depth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

# What holds more than this share of a model's parameters is no layer of it but its trunk
# (torchvision's vision transformers keep all blocks in one `encoder`), and is opened.
_TRUNK = 0.9


def layers(model: torch.nn.Module) -> list[list[torch.nn.Parameter]]:
    """Parameters by layer, the first layer first, the head last; each parameter once.

    Layers are told by the tree of modules, not by names: what the model holds, in order, with
    containers (Sequential, ModuleList, ModuleDict) opened to any depth and all else whole, so that
    a residual block is one layer. A module of vectors alone (a norm, a PReLU) belongs to the
    convolution or linear layer directly before it; after a block, to the layer behind it, so that a
    last norm is part of the head. Parameters that stand outside of layers (a class token, position
    embeddings) belong to the layer before them, the first of them to the first layer.

    On ResNets and BEiT these are the groups of timm's param_groups_layer_decay; of other vision
    transformers timm counts the last norm to the last block. A deep stem (timm's resnet50d) has a
    layer for each of its convolutions, and what keeps its blocks in modules of its own (the stages
    of timm's convnext) one for each of these.
    """
    found: list[list[torch.nn.Parameter]] = []
    waiting: list[torch.nn.Parameter] = []
    seen: set[int] = set()
    after_weight = False
    for module, parameters in _parts(model, sum(p.numel() for p in model.parameters())):
        mine = [p for p in parameters if id(p) not in seen]
        seen |= {id(p) for p in mine}
        if not mine:
            continue
        loose = module is None
        vectors = all(p.ndim <= 1 for p in parameters)
        if found and (loose or (vectors and after_weight)):
            found[-1] += mine
        elif loose or vectors:
            waiting += mine
        else:
            found.append(waiting + mine)
            waiting = []
        if not loose:
            after_weight = not vectors and not any(module.children())
    if waiting and found:
        found[-1] += waiting
    elif waiting:
        found.append(waiting)
    return found


def _parts(
    module: torch.nn.Module, total: int
) -> Iterator[tuple[torch.nn.Module | None, list[torch.nn.Parameter]]]:
    """(layer, all its parameters), and (None, a module's own ones) where it has been opened."""
    from torch import nn

    parameters = list(module.parameters())
    container = isinstance(module, (nn.Sequential, nn.ModuleList, nn.ModuleDict))
    trunk = any(module.children()) and sum(p.numel() for p in parameters) > _TRUNK * total
    if not (container or trunk):
        yield module, parameters
        return
    yield None, list(module.parameters(recurse=False))
    for child in module.children():
        yield from _parts(child, total)
