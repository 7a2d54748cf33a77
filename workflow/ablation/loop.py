"""The training of one cell, top to bottom: prepare, (resume,) train and evaluate each epoch, end.

Every random draw is a function of (seed, purpose, epoch, sample or step), so the state between two
steps is weights, optimizer and the record so far: a cell can be cut anywhere and goes on exactly.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from . import checkpoint
from .compute import prepare_torch
from .config.dataset import DatasetLock
from .config.recipe import CellConfig
from .data.draws import Draws
from .data.source import Batch, open_source
from .errors import StopRequested, UserError
from .evaluate import Normalize
from .identity import digest
from .judge import Judge
from .learner import Learner
from .meters import open_meter
from .provenance import hardware_kind
from .ranks import Ranks
from .record import finite, steps_of
from .state import State, epoch_line, part_line
from .teacher import Teacher

_CHECK_EVERY = 50  # steps between looks at the loss: each look waits for the GPU
_ASK_EVERY = 10  # steps between the ranks' agreements on whether to stop
_SAY_EVERY_S = 15.0


class Diverged(Exception):
    """The loss is not finite any more: the end of a cell, and data."""


class Trainer:
    """One cell's model, data and state."""

    def __init__(
        self,
        config: CellConfig,
        lock: DatasetLock,
        betons: Path,
        *,
        cell_id: str,
        checkpoint_path: Path,
        device: torch.device,
        workers: int,
        say: Callable[[str], None],
        stop: Callable[[], bool] = lambda: False,
        before_save: Callable[[], None] = lambda: None,
        alone: Callable[[], bool] = lambda: True,
        ranks: Ranks | None = None,
        start: dict[str, torch.Tensor] | None = None,
        teacher: Teacher | None = None,
    ) -> None:
        """start: weights that the training starts from, in place of random ones."""
        self.config, self.cell_id, self.device = config, cell_id, device
        self.ranks = ranks or Ranks()
        self.checkpoint_path = checkpoint_path
        self.say, self.stop, self.before_save, self.alone = say, stop, before_save, alone
        self.state = State()
        self.began = time.time()
        self.earlier_wall_s = 0.0
        prepare_torch(config, device)
        self.train_set, self.val_set = (
            open_source(
                config.reading, betons / f"{split}.beton", split=split, share=share, workers=workers
            )
            for split, share in (("train", config.train_share), ("val", config.val_share))
        )
        self.steps_per_epoch = len(self.train_set) // config.batch_size
        if self.steps_per_epoch == 0:
            raise UserError(
                f"batch_size {config.batch_size} is larger than the {len(self.train_set)} images "
                f"that train_share {config.train_share:g} leaves of {betons / 'train.beton'}"
            )
        normalize, steps = Normalize.of(lock.mean, lock.std, device), self.steps_per_epoch
        given = {"ranks": self.ranks, "start": start, "teacher": teacher}
        self.learner = Learner(
            config, len(lock.classes), normalize, device, steps_per_epoch=steps, **given
        )
        self.meter = open_meter(*self._metered_devices())
        self.judge = Judge(
            config, self.learner, self.train_set, self.val_set, self.epoch_batches, self.ranks
        )

    def _metered_devices(self) -> list[torch.device]:
        """All devices of the cell, for the one rank that reads meters."""
        if not self.ranks.first or self.device.type != "cuda":
            return [self.device] if self.ranks.first else []
        return [torch.device("cuda", number) for number in range(self.ranks.count)]

    # -- the whole -------------------------------------------------------------------------------

    def run(self, began: float) -> State:
        """Train to the end from wherever a checkpoint stands. began: time.time() of the start."""
        self.began = began
        self.resume()
        self.earlier_wall_s = self.state.wall_time_s
        self.state.attempts += 1
        self.state.machines.append(digest(hardware_kind(self.device)))
        self.state.startup_time_s += time.time() - began
        self._look_around()
        self.meter.start(whole=self.state.step == 0)
        try:
            while self.state.epoch < self.config.epochs:
                self.train_epoch()
                self.end_epoch()
        except Diverged:
            at = self.state.diverged_at
            where = "its evaluation" if at["step"] is None else f"step {at['step']}"
            self.say(f"diverged in epoch {at['epoch']}, {where}: the loss is not finite")
        finally:
            self.meter.close()
        return self.state

    def give_up(self, why: str) -> None:
        """End before the first step, as diverged: what the training needs has diverged itself."""
        self.state.diverged_at = {"epoch": 1, "step": None}
        self.say(why)

    def train_epoch(self) -> None:
        """The rest of the current epoch."""
        state = self.state
        began, said = time.perf_counter(), time.perf_counter()
        first = state.step
        draws, batches = self.epoch_batches(state.epoch, first)
        self.learner.model.train()
        losses = torch.zeros(self.steps_per_epoch, device=self.device)
        correct = torch.zeros(2, dtype=torch.int64, device=self.device)
        for batch in batches:
            losses[state.step], hits = self.train_step(batch, draws)
            correct += hits
            state.step += 1
            if state.step % _CHECK_EVERY == 0 or state.step == self.steps_per_epoch:
                self._check_finite(losses, first)
            if time.perf_counter() - said > _SAY_EVERY_S:
                said = time.perf_counter()
                rate = (state.step - first) / (said - began)
                self.say(part_line(state, self.config, self.steps_per_epoch, rate))
                self._look_around()
            if state.step < self.steps_per_epoch and self._asked_to_stop():
                self._check_finite(losses, first)
                self._add_up(losses, correct, first, began)
                self._stop()
        self._add_up(losses, correct, first, began)

    def epoch_batches(self, epoch: int, first: int = 0) -> tuple[Draws, Iterator[Batch]]:
        """The draws of an epoch (from 0), and its batches from step `first` on."""
        config, growing = self.config, self.config.progressive_resize
        size = config.img_size if growing is None else growing.size(epoch, config.img_size)
        draws = Draws(config.seed, epoch, len(self.train_set), config.repeated_augment)
        order = draws.order()[: self.steps_per_epoch * config.batch_size]
        sizes = np.tile(self.train_set.sizes, (config.repeated_augment, 1))
        windows = config.augment.windows(sizes, draws, crop_ratio=config.val_crop_ratio)
        # Every rank has its part of every batch: the batch is the same whatever their number.
        parts = order.reshape(self.steps_per_epoch, self.ranks.count, -1)
        mine = parts[first:, self.ranks.number].reshape(-1)
        return draws, self.train_set.batches(mine, windows, parts.shape[2], size)

    def train_step(self, batch: Batch, draws: Draws) -> tuple[torch.Tensor, torch.Tensor]:
        """One update; returns the batch's mean loss and its right answers (first, among five)."""
        state = self.state
        return self.learner.update(batch, draws, epoch=state.epoch, step=state.step, lr=self.lr())

    def lr(self) -> float:
        """Learning rate of the step that comes next."""
        state = self.state
        epoch = state.epoch + state.step / self.steps_per_epoch
        lr = self.config.schedule.lr(self.config.lr, epoch, self.config.epochs)
        return lr * state.schedule.get("factor", 1.0)

    def end_epoch(self) -> None:
        """Evaluate, add the epoch to the record, save the state."""
        state, images = self.state, self.steps_per_epoch * self.config.batch_size
        state.step = 0
        began = time.perf_counter()
        record: dict[str, Any] = {"epoch": state.epoch + 1, "lr": self.lr()}
        loss, top1, top5 = state.sums
        record |= {
            "train_loss": loss / images,
            "train_top1": 100.0 * top1 / images,
            "train_top5": 100.0 * top5 / images,
        }
        record |= self.judge.epoch(state.epoch + 1)
        if not finite(record):
            state.diverged_at = {"epoch": state.epoch + 1, "step": None}
            raise Diverged
        spent = state.train_time_s
        times = {
            "train_time_s": spent,
            "eval_time_s": time.perf_counter() - began,
            "images_per_s": images / spent if spent > 0 else math.nan,
            **self.meter.epoch(),
        }
        state.epochs.append(record)
        state.times.append(times)
        state.schedule = self.config.schedule.after_epoch(state.schedule, record["val_loss"])
        state.epoch += 1
        state.sums, state.train_time_s = [0.0, 0.0, 0.0], 0.0
        self._look_around()
        self.say(epoch_line(record, times, self.config.epochs))
        self.save()
        if state.epoch < self.config.epochs and self._asked_to_stop():
            self._stop(saved=True)

    def _look_around(self) -> None:
        """Note whether another cell is trained beside this one."""
        self.state.alone = self.state.alone and self.alone()

    def _asked_to_stop(self) -> bool:
        """Whether to stop here; all ranks say the same."""
        if self.ranks.count == 1:
            return self.stop()
        return self.state.step % _ASK_EVERY == 0 and self.ranks.any(self.stop(), self.device)

    # -- parts -----------------------------------------------------------------------------------

    def final_model(self) -> torch.nn.Module:
        """The model that the cell yields."""
        diverged = self.state.diverged_at is not None
        return self.learner.model if diverged else self.judge.final_model()

    def _check_finite(self, losses: torch.Tensor, first: int) -> None:
        done = self._mean(losses[first : self.state.step])
        bad = (~done.isfinite()).nonzero()
        if len(bad):
            step = first + int(bad[0])
            self._record_steps(done[: int(bad[0])], first)
            self.state.diverged_at = {"epoch": self.state.epoch + 1, "step": step + 1}
            raise Diverged

    def _mean(self, losses: torch.Tensor) -> torch.Tensor:
        """Losses of whole batches: the mean over the ranks' equal parts."""
        return self.ranks.sum(losses) / self.ranks.count

    def _add_up(
        self, losses: torch.Tensor, correct: torch.Tensor, first: int, began: float
    ) -> None:
        """Add what this attempt has done of the epoch to the epoch's sums, in double precision."""
        state, batch = self.state, self.config.batch_size
        losses = self._mean(losses[first : state.step])
        top1, top5 = self.ranks.sum(correct).tolist()
        # One addition a step, in order: the sum is the same however the epoch was cut.
        for value in losses.tolist():
            state.sums[0] += value * batch
        self._record_steps(losses, first)
        state.sums[1] += top1
        state.sums[2] += top5
        state.train_time_s += time.perf_counter() - began

    def _record_steps(self, losses: torch.Tensor, first: int) -> None:
        """Learning rate and loss of the steps of this epoch from `first` on, of a range test."""
        if self.config.schedule.records_steps:
            epoch, steps = self.state.epoch, self.steps_per_epoch
            self.state.steps += steps_of(self.config, epoch, first, steps, losses.tolist())

    def save(self) -> None:
        """Write the whole state to the checkpoint."""
        if self.ranks.first:
            self.before_save()
            self.state.wall_time_s = self.wall_time_s()
            checkpoint.save(
                self.checkpoint_path,
                self.cell_id,
                {**self.learner.state_dict(), "state": vars(self.state)},
            )
        self.ranks.wait()

    def wall_time_s(self) -> float:
        """Seconds since the start of the process, and those of earlier attempts."""
        return self.earlier_wall_s + time.time() - self.began

    def resume(self) -> None:
        """Go on from the checkpoint, if there is one."""
        saved = checkpoint.load(self.checkpoint_path, self.cell_id)
        if saved is None:
            return
        try:
            self.learner.load_state_dict(saved)
            self.state = State(**saved["state"])
        except (KeyError, TypeError, ValueError, RuntimeError, IndexError, AttributeError):
            raise UserError(
                f"{self.checkpoint_path}: does not fit this cell's model, optimizer or program; "
                "delete it to train the cell from the start"
            ) from None
        self.say(f"goes on after epoch {self.state.epoch}, step {self.state.step}")

    def _stop(self, saved: bool = False) -> None:
        if not saved:
            self.save()
        raise StopRequested(
            f"stopped as asked after epoch {self.state.epoch}, step {self.state.step}; the same "
            "command goes on from there"
        )
