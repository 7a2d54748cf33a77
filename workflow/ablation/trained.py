"""What a trained cell tells of itself beside its epochs: cell.json, timing.json, the facts."""

from __future__ import annotations

import argparse
from typing import Any

from . import again, diagnosis, record
from .compute import peak_mem_gib
from .grid import Cell
from .identity import identity
from .loop import Trainer


def facts(trainer: Trainer) -> dict[str, Any]:
    """What metrics.json says of a cell besides its epochs."""
    return {
        "steps_per_epoch": trainer.steps_per_epoch,
        "train_images": len(trainer.train_set),
        "val_images": len(trainer.val_set),
        "clean_images": len(trainer.judge.clean_samples),
        "parameters": sum(p.numel() for p in trainer.learner.model.parameters()),
        "weight_decay_scalars": trainer.learner.optimizer.record(),
        **({"pretrained": trainer.learner.started} if trainer.learner.started else {}),
        "noise_scale": diagnosis.cell_noise_scale(
            trainer.config, len(trainer.train_set), trainer.steps_per_epoch
        ),
    }


def timing(trainer: Trainer) -> dict[str, Any]:
    """The content of timing.json: what differs from run to run."""
    state = trainer.state
    times = {key: sum(t[key] for t in state.times) for key in ("train_time_s", "eval_time_s")}
    images = len(state.times) * trainer.steps_per_epoch * trainer.config.batch_size
    return {
        **times,
        "startup_time_s": state.startup_time_s,
        "wall_time_s": trainer.wall_time_s(),
        "images_per_s": images / max(times["train_time_s"], 1e-9),
        "peak_mem_gib": peak_mem_gib(trainer.device),
        **record.metered(state.times),
        **record.seconds_to(state.epochs, state.times, diverged=state.diverged_at is not None),
        "alone": state.alone and len(set(state.machines)) == 1,
        "attempts": state.attempts,
    }


def describe(args: argparse.Namespace, cell: Cell) -> dict[str, Any]:
    """The content of cell.json: what was trained, and how to train it again."""
    places = (args.data, args.out, args.checkpoints)
    rule = cell.variant.document.lr
    return {
        **record.labels(cell, args.study, args.scale),
        "command": again.training(args.study, args.scale, cell, *places),
        "config": cell.config.model_dump(mode="json"),
        # Where the document has a learning rate by rule: `config` holds what it comes to.
        **({} if isinstance(rule, float) else {"lr_rule": rule.model_dump()}),
        "identity": identity(cell.config, cell.dataset.digest),
    }
