"""Training of tiny cells within a test's own process."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from ablation.config.load import validate
from ablation.config.recipe import CellConfig
from ablation.errors import StopRequested
from ablation.loop import Trainer
from ablation.teacher import Teacher

LOCK = SimpleNamespace(classes=("a", "b", "c"), mean=(120.0, 125.0, 130.0), std=(60.0, 61.0, 62.0))
PLAIN: dict[str, Any] = {
    "dataset": "pictures",
    "model": {"name": "resnet_small", "width": 4},
    "img_size": 16,
    "epochs": 3,
    "batch_size": 8,
    "lr": 0.005,
    "optimizer": {"name": "sgd"},
    "schedule": {"name": "constant"},
    "loss": {"name": "cross_entropy"},
    "augment": {"name": "standard", "scale": [0.5, 1.0]},
    "measure": {"clean_images": 6},
    "reading": "resident",
    "seed": 0,
}


def cell(**changes: Any) -> CellConfig:
    """A tiny cell: three steps an epoch on 24 images."""
    return validate(CellConfig, PLAIN | changes, "here")


def trainer(
    config: CellConfig,
    betons: Path,
    folder: Path,
    *,
    teacher: Teacher | None = None,
    **options: Any,
) -> Trainer:
    """A trainer of the cell with its checkpoint in `folder`."""
    return Trainer(
        config, LOCK, betons, cell_id="0" * 12, checkpoint_path=folder / "checkpoint.pt",
        device=torch.device("cpu"), workers=0, say=lambda text: None, teacher=teacher, **options,
    )  # fmt: skip


def trained(config: CellConfig, betons: Path, folder: Path, **options: Any) -> Trainer:
    """The trainer after an unbroken run."""
    folder.mkdir(parents=True, exist_ok=True)
    made = trainer(config, betons, folder, **options)
    made.run(0.0)
    return made


def broken(
    config: CellConfig, betons: Path, folder: Path, stops: set[tuple[int, int]], **options: Any
) -> Trainer:
    """The trainer after a run that was stopped at each (epochs done, steps done) in `stops`, and
    each time went on from the checkpoint as a new process would."""
    folder.mkdir(parents=True, exist_ok=True)
    left = set(stops)
    while True:
        made = trainer(config, betons, folder, **options)

        def stop(made: Trainer = made) -> bool:
            return (made.state.epoch, made.state.step) in left

        made.stop = stop
        try:
            made.run(0.0)
            assert not left, f"never stopped at {left}"
            return made
        except StopRequested:
            left.discard((made.state.epoch, made.state.step))


def result(made: Trainer) -> tuple[list[dict[str, Any]], dict[str, torch.Tensor]]:
    """The record of a finished training and the weights that it yields."""
    return made.state.epochs, made.final_model().state_dict()


def same(one: Trainer, other: Trainer) -> bool:
    """Whether two trainings have the same record and the same weights, bit for bit."""
    (epochs, weights), (others, theirs) = result(one), result(other)
    return epochs == others and all(torch.equal(v, theirs[k]) for k, v in weights.items())
