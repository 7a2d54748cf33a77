"""What a training has come to: all that a checkpoint holds beside tensors, and how it is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .config.recipe import CellConfig


@dataclass
class State:
    """All that a checkpoint holds besides the tensors of model and optimizer."""

    epoch: int = 0
    """Epochs that are finished."""
    step: int = 0
    """Steps of the current epoch that are done."""
    sums: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    """Of the current epoch: loss x images, right at first, right among five."""
    epochs: list[dict[str, Any]] = field(default_factory=list)
    times: list[dict[str, float]] = field(default_factory=list)
    train_time_s: float = 0.0
    """Of the current epoch."""
    startup_time_s: float = 0.0
    """Over all attempts."""
    attempts: int = 0
    wall_time_s: float = 0.0
    """Over all attempts, up to the last save."""
    machines: list[str] = field(default_factory=list)
    """Kind of hardware of each attempt: times of a cell that changed it are not comparable."""
    alone: bool = True
    steps: list[list[float]] = field(default_factory=list)
    """[learning rate, loss] of every step so far, of a range test."""
    schedule: dict[str, Any] = field(default_factory=dict)
    """What the schedule remembers, if it is no function of progress."""
    diverged_at: dict[str, int | None] | None = None


def part_line(state: State, config: CellConfig, steps: int, steps_per_s: float) -> str:
    """How far the current epoch of so many steps is."""
    images_per_s = steps_per_s * config.batch_size
    left_s = (steps - state.step) / steps_per_s
    return (
        f"epoch {state.epoch + 1}/{config.epochs} step {state.step}/{steps}  "
        f"{images_per_s:.0f} images/s  {left_s:.0f} s left in epoch"
    )


def epoch_line(record: dict[str, Any], times: dict[str, float], epochs: int) -> str:
    """What a finished epoch has come to."""
    a_epoch = times["train_time_s"] + times["eval_time_s"]
    left, clean = a_epoch * (epochs - record["epoch"]), record["clean_top1"]
    return (
        f"epoch {record['epoch']}/{epochs}  "
        f"train loss {record['train_loss']:.4f} top-1 {record['train_top1']:.2f}"
        + (f" (clean {clean:.2f})" if clean is not None else "")
        + f"  val loss {record['val_loss']:.4f} top-1 {record['val_top1']:.2f} "
        f"top-5 {record['val_top5']:.2f}  {times['images_per_s']:.0f} images/s  "
        f"{a_epoch:.1f} s, {left:.0f} s left"
    )
