"""The teacher of a distillation: a trained model that sees what the student sees."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from .config.recipe import CellConfig
from .errors import UserError
from .evaluate import Normalize
from .foreign import LARGE, Unreadable
from .models.weights import load_start, read_weights
from .results import Named, typed
from .weights import OtherCell, TimmWeights, WeightsFile

if TYPE_CHECKING:
    from .grid import Cell


class Teacher:
    """A frozen model with the normalisation that it was trained with."""

    def __init__(self, model: torch.nn.Module, seen: Normalize, own: Normalize) -> None:
        """seen: normalisation of the images that it is given; own: the one that it wants."""
        self.model = model.eval().requires_grad_(False)
        self.factor, self.shift = seen.to_another(own)
        self.same = bool((self.factor == 1).all() and (self.shift == 0).all())

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """(b, 3, h, w) images in the student's normalisation to (b, classes) logits."""
        return self.model(images if self.same else images * self.factor + self.shift)


def diverged_parent(cell: Cell, cells: Path) -> Cell | None:
    """A cell whose weights this one needs and whose training diverged; None if there is none."""
    return next((p for p in cell.parents if _status(cells / p.id) == "diverged"), None)


def _status(folder: Path) -> str:
    path = folder / "metrics.json"
    advice = f"train it first: `--cell {folder.name}` of the same study"
    if not path.exists():
        raise UserError(
            f"{path}: the cell whose weights this one needs is not trained yet; {advice}"
        )
    try:
        return typed(path, Named, LARGE).status
    except Unreadable as error:
        raise UserError(
            f"{error}: the cell whose weights this one needs cannot be read; delete its folder, "
            f"then {advice}"
        ) from None


def starting_weights(cell: Cell, cells: Path) -> dict[str, torch.Tensor] | None:
    """The state dict that a cell starts from; None for random weights."""
    pretrained = cell.config.pretrained
    return None if pretrained is None else _read(pretrained.weights, cells)


def teacher_of(cell: Cell, cells: Path, device: torch.device) -> Teacher | None:
    """The teacher of a cell, on `device`; None without distillation."""
    if cell.config.distill is None:
        return None
    weights, classes = cell.config.distill.teacher, len(cell.dataset.lock.classes)
    seen = own = Normalize.of(cell.dataset.lock.mean, cell.dataset.lock.std, device)
    if isinstance(weights, TimmWeights):
        model, own = _timm(weights, classes, device)
    else:
        model = _model_config(cell.config, weights, cell.parents).build(classes)
    if isinstance(weights, OtherCell):
        lock = _parent(weights, cell.parents).dataset.lock
        own = Normalize.of(lock.mean, lock.std, device)
    state = _read(weights, cells)
    load_start(model, state, head="keep", classes=classes, where=weights.label)
    return Teacher(model.to(device, memory_format=torch.channels_last), seen, own)


def _read(weights: OtherCell | WeightsFile | TimmWeights, cells: Path) -> dict[str, torch.Tensor]:
    sha256 = weights.sha256 if isinstance(weights, WeightsFile) else None
    state = read_weights(weights.file(cells), sha256=sha256)
    return _as_timm_reads_it(weights, state) if isinstance(weights, TimmWeights) else state


def _as_timm_reads_it(
    weights: TimmWeights, state: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """The state of timm's model: its files are older than its models, and BEiT's, for one, may hold
    tables of places that the model computes today. timm knows what to leave out or to rename."""
    import timm

    try:
        overlay = {"state_dict": state}
        model = timm.create_model(weights.arch, pretrained=True, pretrained_cfg_overlay=overlay)
    except (RuntimeError, KeyError, ValueError, AttributeError) as error:
        why = str(error).strip().split("\n", 1)[0]
        raise UserError(
            f"{weights.file(Path())}: timm cannot load it as {weights.arch} ({why}); fetch it again"
        ) from None
    return model.state_dict()


def _parent(weights: OtherCell, parents: tuple[Cell, ...]) -> Cell:
    return next(parent for parent in parents if parent.id == weights.cell_id)


def _model_config(config: CellConfig, weights: OtherCell | WeightsFile, parents: tuple[Cell, ...]):
    if isinstance(weights, OtherCell):
        return _parent(weights, parents).config.model
    return config.distill.teacher_model


def _timm(
    weights: TimmWeights, classes: int, device: torch.device
) -> tuple[torch.nn.Module, Normalize]:
    """A model of timm, without its weights, and the normalisation they were trained with."""
    import timm

    model = timm.create_model(weights.arch, pretrained=False)
    if model.num_classes != classes:
        raise UserError(
            f"the teacher {weights.arch} knows {model.num_classes} classes, the dataset {classes}"
        )
    given = model.pretrained_cfg
    mean, std = ([255.0 * value for value in given[key]] for key in ("mean", "std"))
    return model, Normalize.of(mean, std, device)
