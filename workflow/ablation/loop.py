"""The training of one cell, top to bottom: prepare, (resume,) train and evaluate each epoch, end.

Every random draw is a function of (seed, purpose, epoch, sample or step), so the state between two
steps is weights, optimizer and the record so far: a cell can be cut anywhere and goes on exactly.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from . import checkpoint
from .config.dataset import DatasetLock
from .config.recipe import CellConfig
from .data.draws import Draws, generator, torch_seed
from .data.source import Batch, Source, open_source
from .data.windows import centre_windows
from .errors import StopRequested, UserError
from .evaluate import Normalize, correct_counts, evaluate
from .identity import digest
from .provenance import hardware_kind
from .record import finite

_CHECK_EVERY = 50  # steps between looks at the loss: each look waits for the GPU
_SAY_EVERY_S = 15.0
_RESIDENT_EVAL_BATCH = {"cpu": 128, "cuda": 1000}  # the fastest; activations stay in the cache


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
    diverged_at: dict[str, int | None] | None = None


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
    ) -> None:
        self.config, self.cell_id, self.device = config, cell_id, device
        self.checkpoint_path = checkpoint_path
        self.say, self.stop, self.before_save, self.alone = say, stop, before_save, alone
        self.state = State()
        self.began = time.time()
        self.earlier_wall_s = 0.0
        prepare_torch(config, device)
        read = {"img_size": config.img_size, "workers": workers}
        share, val_share = config.train_share, config.val_share
        self.train_set = open_source(
            config.reading, betons / "train.beton", split="train", share=share, **read
        )
        self.val_set = open_source(
            config.reading, betons / "val.beton", split="val", share=val_share, **read
        )
        self.classes = len(lock.classes)
        self.normalize = Normalize.of(lock.mean, lock.std, device)
        torch.manual_seed(torch_seed("weights", config.seed))
        self.model = config.model.build(self.classes).to(device, memory_format=torch.channels_last)
        self._try_model()
        self.optimizer = config.optimizer.start(self.model)
        self.steps_per_epoch = len(self.train_set) // config.batch_size
        if self.steps_per_epoch == 0:
            raise UserError(
                f"batch_size {config.batch_size} is larger than the {len(self.train_set)} images "
                f"that train_share {config.train_share:g} leaves of {betons / 'train.beton'}"
            )
        clean = generator("clean").permutation(len(self.train_set))
        self.clean_samples = np.sort(clean[: config.measure.clean_images])

    # -- the whole -------------------------------------------------------------------------------

    def run(self, began: float) -> State:
        """Train to the end from wherever a checkpoint stands. began: time.time() of the start."""
        self.began = began
        self.resume()
        self.earlier_wall_s = self.state.wall_time_s
        self.state.attempts += 1
        self.state.machines.append(digest(hardware_kind(self.device)))
        self.state.startup_time_s += time.time() - began
        try:
            while self.state.epoch < self.config.epochs:
                self.train_epoch()
                self.end_epoch()
        except Diverged:
            at = self.state.diverged_at
            where = "its evaluation" if at["step"] is None else f"step {at['step']}"
            self.say(f"diverged in epoch {at['epoch']}, {where}: the loss is not finite")
        return self.state

    def train_epoch(self) -> None:
        """The rest of the current epoch."""
        config, state = self.config, self.state
        began, said = time.perf_counter(), time.perf_counter()
        first = state.step
        draws = Draws(config.seed, state.epoch, len(self.train_set))
        order = draws.order()[: self.steps_per_epoch * config.batch_size]
        windows = config.augment.windows(
            self.train_set.sizes, draws, crop_ratio=config.val_crop_ratio
        )
        self.model.train()
        losses = torch.zeros(self.steps_per_epoch, device=self.device)
        correct = torch.zeros(2, dtype=torch.int64, device=self.device)
        batches = self.train_set.batches(
            order[first * config.batch_size :], windows, config.batch_size
        )
        for batch in batches:
            losses[state.step], hits = self.train_step(batch, draws)
            correct += hits
            state.step += 1
            if state.step % _CHECK_EVERY == 0 or state.step == self.steps_per_epoch:
                self._check_finite(losses, first)
            if time.perf_counter() - said > _SAY_EVERY_S:
                said = time.perf_counter()
                self._say_progress(said - began, state.step - first)
            if state.step < self.steps_per_epoch and self.stop():
                self._check_finite(losses, first)
                self._add_up(losses, correct, first, began)
                self._stop()
        self._add_up(losses, correct, first, began)

    def train_step(self, batch: Batch, draws: Draws) -> tuple[torch.Tensor, torch.Tensor]:
        """One update; returns the batch's mean loss and its right answers (first, among five)."""
        config, state = self.config, self.state
        # Whatever the model itself draws (dropout) is a function of seed, epoch and step.
        torch.manual_seed(torch_seed("model", config.seed, state.epoch, state.step))
        images = torch.from_numpy(batch.images).to(self.device)
        labels = torch.from_numpy(batch.labels).to(self.device)
        images = config.augment.batch(images, batch.index, draws)
        logits = self.model(self.normalize(images))
        loss = config.loss(logits, labels)
        self.model.zero_grad(set_to_none=True)
        loss.backward()
        if config.clip_grad_norm is not None:
            # A norm that is not finite makes the weights so: seen by the next look at the loss.
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), config.clip_grad_norm)
        self.optimizer.step(self.lr())
        return loss.detach(), correct_counts(logits.detach(), labels)

    def lr(self) -> float:
        """Learning rate of the step that comes next."""
        state = self.state
        epoch = state.epoch + state.step / self.steps_per_epoch
        return self.config.schedule.lr(self.config.lr, epoch, self.config.epochs)

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
        record |= _prefixed("val", self._evaluate(self.val_set, np.arange(len(self.val_set))))
        record |= _prefixed("clean", self._clean())
        if not finite(record):
            state.diverged_at = {"epoch": state.epoch + 1, "step": None}
            raise Diverged
        spent = state.train_time_s
        times = {
            "train_time_s": spent,
            "eval_time_s": time.perf_counter() - began,
            "images_per_s": images / spent if spent > 0 else math.nan,
        }
        state.epochs.append(record)
        state.times.append(times)
        state.epoch += 1
        state.sums, state.train_time_s = [0.0, 0.0, 0.0], 0.0
        state.alone = state.alone and self.alone()
        self._say_epoch(record, times)
        self.save()
        if state.epoch < self.config.epochs and self.stop():
            self._stop(saved=True)

    def _try_model(self) -> None:
        """One image through the model: a model that wants another image size is told at once."""
        size = self.config.img_size
        self.model.eval()
        try:
            with torch.inference_mode():
                self.model(torch.zeros(1, 3, size, size, device=self.device))
        except (AssertionError, RuntimeError, ValueError) as error:
            if "memory" in str(error).lower():
                raise
            raise UserError(
                f"the model {self.config.model.label} does not take images of img_size {size}: "
                f"{str(error).splitlines()[0] if str(error) else type(error).__name__}"
            ) from None

    # -- parts -----------------------------------------------------------------------------------

    def _evaluate(self, source: Source, samples: np.ndarray) -> dict[str, float]:
        # A streaming source compiles a pipeline per batch size: there, training's own is used.
        streaming = self.config.reading == "streaming"
        resident = _RESIDENT_EVAL_BATCH[self.device.type]
        return evaluate(
            self.model,
            source,
            samples,
            centre_windows(source.sizes, crop_ratio=self.config.val_crop_ratio),
            self.normalize,
            batch_size=self.config.batch_size if streaming else resident,
            device=self.device,
        )

    def _clean(self) -> dict[str, float | None]:
        """Accuracy on the fixed training subset, at the epochs at which it is measured."""
        number, measure = self.state.epoch + 1, self.config.measure
        due = number % measure.clean_every == 0 or number == self.config.epochs
        if not due or not len(self.clean_samples):
            return {"loss": None, "top1": None, "top5": None}
        return self._evaluate(self.train_set, self.clean_samples)

    def _check_finite(self, losses: torch.Tensor, first: int) -> None:
        done = losses[first : self.state.step]
        bad = (~done.isfinite()).nonzero()
        if len(bad):
            step = first + int(bad[0])
            self.state.diverged_at = {"epoch": self.state.epoch + 1, "step": step + 1}
            raise Diverged

    def _add_up(
        self, losses: torch.Tensor, correct: torch.Tensor, first: int, began: float
    ) -> None:
        """Add what this attempt has done of the epoch to the epoch's sums, in double precision."""
        state, batch = self.state, self.config.batch_size
        top1, top5 = correct.tolist()
        # One addition a step, in order: the sum is the same however the epoch was cut.
        for value in losses[first : state.step].tolist():
            state.sums[0] += value * batch
        state.sums[1] += top1
        state.sums[2] += top5
        state.train_time_s += time.perf_counter() - began

    def save(self) -> None:
        """Write the whole state to the checkpoint."""
        self.before_save()
        self.state.wall_time_s = self.wall_time_s()
        checkpoint.save(
            self.checkpoint_path,
            self.cell_id,
            {
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "state": vars(self.state),
            },
        )

    def wall_time_s(self) -> float:
        """Seconds since the start of the process, and those of earlier attempts."""
        return self.earlier_wall_s + time.time() - self.began

    def resume(self) -> None:
        """Go on from the checkpoint, if there is one."""
        saved = checkpoint.load(self.checkpoint_path, self.cell_id)
        if saved is None:
            return
        try:
            self.model.load_state_dict(saved["model"])
            self.optimizer.load_state_dict(saved["optimizer"])
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

    def _say_progress(self, seconds: float, steps: int) -> None:
        rate = steps * self.config.batch_size / seconds
        left = (self.steps_per_epoch - self.state.step) * self.config.batch_size / rate
        self.say(
            f"epoch {self.state.epoch + 1}/{self.config.epochs} step "
            f"{self.state.step}/{self.steps_per_epoch}  {rate:.0f} images/s  "
            f"{left:.0f} s left in epoch"
        )

    def _say_epoch(self, record: dict[str, Any], times: dict[str, float]) -> None:
        a_epoch = times["train_time_s"] + times["eval_time_s"]
        left = a_epoch * (self.config.epochs - self.state.epoch)
        clean = record["clean_top1"]
        self.say(
            f"epoch {self.state.epoch}/{self.config.epochs}  "
            f"train loss {record['train_loss']:.4f} top-1 {record['train_top1']:.2f}"
            + (f" (clean {clean:.2f})" if clean is not None else "")
            + f"  val loss {record['val_loss']:.4f} top-1 {record['val_top1']:.2f} "
            f"top-5 {record['val_top5']:.2f}  {times['images_per_s']:.0f} images/s  "
            f"{a_epoch:.1f} s, {left:.0f} s left"
        )


def _prefixed(prefix: str, values: dict[str, Any]) -> dict[str, Any]:
    return {f"{prefix}_{key}": value for key, value in values.items()}


def prepare_torch(config: CellConfig, device: torch.device) -> None:
    """Threads and determinism: the same cell gives the same bits on one kind of hardware."""
    torch.set_num_threads(config.compute.threads)
    if device.type != "cuda":
        return
    torch.backends.cudnn.benchmark = not config.compute.deterministic
    # fp32 means fp32: TF32 keeps 10 bits of the mantissa.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    if config.compute.deterministic:
        torch.use_deterministic_algorithms(True)


def choose_device(name: str) -> torch.device:
    """`auto` is the first GPU if there is one. Call before anything else touches the GPU."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("no GPU can be used here; see what nvidia-smi says, or give --device cpu")
    return torch.device(name)


def peak_mem_gib(device: torch.device) -> float:
    """Largest memory so far, GiB: the GPU's if the cell runs on one, else this process's."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
