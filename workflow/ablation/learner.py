"""What learns in a cell: the model with its optimizer, and one update from one batch."""

from __future__ import annotations

import contextlib
from typing import Any

import torch

from .compute import autocast, memory_format
from .config.recipe import CellConfig
from .data.draws import Draws, torch_seed
from .data.source import Batch
from .errors import UserError
from .evaluate import Normalize, correct_counts
from .losses.distillation import distillation_loss
from .models.weights import load_start
from .ranks import Ranks
from .teacher import Teacher


class Learner:
    """Model, optimizer, average and loss scale: all of a cell's state that is made of tensors."""

    def __init__(
        self,
        config: CellConfig,
        classes: int,
        normalize: Normalize,
        device: torch.device,
        *,
        steps_per_epoch: int,
        ranks: Ranks | None = None,
        start: dict[str, torch.Tensor] | None = None,
        teacher: Teacher | None = None,
    ) -> None:
        """start: weights that the training starts from; the seed's random ones without."""
        for key, given in (("distill", teacher), ("pretrained", start)):
            if (getattr(config, key) is None) != (given is None):
                raise ValueError(f"{key} of the cell, and teacher or start: one without the other")
        self.config, self.classes, self.device = config, classes, device
        self.normalize, self.teacher = normalize, teacher
        self.steps_per_epoch, self.ranks = steps_per_epoch, ranks or Ranks()
        self.format = memory_format(config)
        torch.manual_seed(torch_seed("weights", config.seed))
        self.model = config.model.build(classes)
        self._try_model()
        self.started: dict[str, Any] | None = None
        if start is not None:
            given = config.pretrained
            self.started = load_start(
                self.model, start, head=given.head, classes=classes, where=given.weights.label
            )
        self.model.to(device, memory_format=self.format)
        self.forward = self._forward()
        self.optimizer = config.optimizer.start(self.model)
        fp16 = config.precision == "fp16"
        self.scaler = torch.amp.GradScaler(device.type) if fp16 else None
        self.average = None
        if config.averaging is not None:
            self.average = config.averaging.start(
                self.model, steps_per_epoch=steps_per_epoch, epochs=config.epochs
            )

    def _forward(self) -> torch.nn.Module:
        """What is called in training: the model, with its gradients averaged over the ranks."""
        compute, forward = self.config.compute, self.model
        if compute.sync_bn:
            forward = self.model = torch.nn.SyncBatchNorm.convert_sync_batchnorm(self.model)
        if self.ranks.count > 1:
            devices = [self.device] if self.device.type == "cuda" else None
            forward = torch.nn.parallel.DistributedDataParallel(self.model, device_ids=devices)
        return torch.compile(forward) if compute.compile else forward

    def _try_model(self) -> None:
        """One image of each size through the model, and through its teacher: a model that wants
        another image size is told at once."""
        config = self.config
        growing = config.progressive_resize
        trained = {config.img_size, growing.start_size if growing else config.img_size}
        shown = {config.val_img_size or config.img_size} | trained
        self.model.eval()
        for size in sorted(shown):
            _try(self.model, config.model.label, size, torch.device("cpu"))
        if self.teacher is not None:
            for size in sorted(trained):
                _try(self.teacher, config.distill.teacher.label, size, self.device)

    # -- one update -------------------------------------------------------------------------------

    def update(
        self, batch: Batch, draws: Draws, *, epoch: int, step: int, lr: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """One step of the optimizer; returns the batch's mean loss and its right answers.

        batch: this rank's part of it, of which loss and answers are; epoch and step count from 0.
        The answers, (2,) int64, are those right at the first and among the five first; of a
        blended image the label with the larger share counts.
        """
        self.model.zero_grad(set_to_none=True)
        parts = self.config.accumulate
        loss, hits = torch.zeros((), device=self.device), 0
        for part in range(parts):
            rows = slice(part * len(batch.index) // parts, (part + 1) * len(batch.index) // parts)
            number = self.ranks.number * parts + part  # of the part within the whole batch
            # Whatever the model itself draws (dropout) is a function of seed, epoch and step.
            where = (epoch, step) if number == 0 else (epoch, step, number)
            torch.manual_seed(torch_seed("model", self.config.seed, *where))
            number += step * parts * self.ranks.count
            images, targets = self.inputs(batch, rows, draws, number)
            with self._apart(part < parts - 1):
                with autocast(self.config.precision, self.device):
                    logits = self.forward(images)
                value = self._loss(logits.float(), images, targets) / parts
                (value if self.scaler is None else self.scaler.scale(value)).backward()
            loss = value.detach() if parts == 1 else loss + value.detach()
            labels = targets if targets.ndim == 1 else targets.argmax(1)
            hits = hits + correct_counts(logits.detach(), labels)
        self._step(lr)
        if self.average is not None:
            self.average.after_step(self.model, epoch * self.steps_per_epoch + step + 1)
        return loss, hits

    def _apart(self, apart: bool) -> contextlib.AbstractContextManager:
        """Ranks exchange the gradients of a batch once, with those of its last part: of the other
        parts both passes lie in here, as torch prepares the exchange in the forward one."""
        if not apart or self.ranks.count == 1:
            return contextlib.nullcontext()
        return self.forward.no_sync()

    def inputs(
        self, batch: Batch, rows: slice, draws: Draws, number: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What the model is shown of some rows of a batch, and its targets.

        Returns (b, 3, h, w) float32 images and (b,) int64 labels, or (b, classes) float32 shares of
        classes if images are blended. number: of the part within the epoch.
        """
        config, index = self.config, batch.index[rows]
        images = torch.from_numpy(batch.images[rows]).to(self.device)
        labels = torch.from_numpy(batch.labels[rows]).to(self.device)
        images = config.augment.batch(images, index, draws)
        if config.policy is not None:
            images = config.policy.batch(images, index, draws)
        images = self.normalize(images).contiguous(memory_format=self.format)
        if config.erase is not None:
            images = config.erase.batch(images, index, draws)
        if config.mix is None:
            return images, labels
        # torch's one_hot may look at the largest label, and a look waits for the GPU.
        targets = (labels[:, None] == torch.arange(self.classes, device=self.device)).float()
        return config.mix.batch(images, targets, index, draws, number)

    def _loss(
        self, logits: torch.Tensor, images: torch.Tensor, targets: torch.Tensor
    ) -> torch.Tensor:
        loss = self.config.loss(logits, targets)
        if self.teacher is None:
            return loss
        distill = self.config.distill
        with torch.no_grad(), autocast(self.config.precision, self.device):
            taught = self.teacher(images)
        part = distillation_loss(logits, taught.float(), temperature=distill.temperature)
        return (1.0 - distill.alpha) * loss + distill.alpha * part

    def _step(self, lr: float) -> None:
        clip = self.config.clip_grad_norm
        if self.scaler is not None:
            optimizer = _Optimizer(self.model, self.optimizer)
            self.scaler.unscale_(optimizer)
        if clip is not None:
            # A norm that is not finite makes the weights so: seen by the next look at the loss.
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), clip)
        if self.scaler is None:
            self.optimizer.step(lr)
        else:  # a step whose scaled gradients have overflowed is left out, and the scale halved
            self.scaler.step(optimizer, lr)
            self.scaler.update()

    # -- state ------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """All that is learned or remembered, tensors and plain values; not a copy."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": None if self.scaler is None else self.scaler.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what was saved; an error of any kind if it does not fit."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.scaler is not None:
            self.scaler.load_state_dict(state["scaler"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])


def _try(model: Any, label: str, size: int, device: torch.device) -> None:
    try:
        with torch.inference_mode():
            model(torch.zeros(1, 3, size, size, device=device))
    except (AssertionError, RuntimeError, ValueError) as error:
        if "memory" in str(error).lower():
            raise
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"the model {label} does not take images of img_size {size}: {why}"
        ) from None


class _Optimizer:
    """Our optimizers as torch's GradScaler wants them: gradients in groups, and a step."""

    def __init__(self, model: torch.nn.Module, optimizer: Any) -> None:
        self.param_groups = [{"params": list(model.parameters())}]
        self.step = optimizer.step
