"""Accuracy and loss of a model on a source, without augmentation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from .compute import autocast
from .ranks import Ranks

if TYPE_CHECKING:
    from .data.source import Source


@dataclass(frozen=True)
class Normalize:
    """uint8 images of a batch to the model's input: the training set's mean and spread removed."""

    mean: torch.Tensor
    """(3,) in [0, 255]."""
    std: torch.Tensor
    """(3,) in [0, 255]."""

    @classmethod
    def of(cls, mean: tuple, std: tuple, device: torch.device) -> Normalize:
        """From the dataset's lock. A channel without any spread is only centred."""
        spread = torch.tensor([s if s > 0 else 1.0 for s in std], device=device)
        return cls(torch.tensor(mean, device=device), spread)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """(b, h, w, 3) uint8 to (b, 3, h, w) float32 in channels-last memory."""
        return ((images.float() - self.mean) / self.std).permute(0, 3, 1, 2)

    def to_another(self, other: Normalize) -> tuple[torch.Tensor, torch.Tensor]:
        """(factor, shift), each (3, 1, 1): x * factor + shift of this normalisation's images are
        the other's."""
        factor = self.std / other.std
        shift = (self.mean - other.mean) / other.std
        return factor[:, None, None], shift[:, None, None]


def correct_counts(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """(2,) int64: how many of a batch are right at the first, and among the five first.

    logits (b, classes), labels (b,). With fewer than five classes all of them count.
    """
    top = logits.topk(min(5, logits.shape[1]), dim=1).indices
    hits = top == labels[:, None]
    return torch.stack([hits[:, 0].sum(), hits.sum()])


def evaluate(
    model: torch.nn.Module,
    source: Source,
    samples: np.ndarray,
    windows: np.ndarray,
    normalize: Normalize,
    *,
    batch_size: int,
    size: int,
    device: torch.device,
    flip: bool = False,
    precision: str = "fp32",
    layout: torch.memory_format = torch.channels_last,
    ranks: Ranks | None = None,
) -> dict[str, float]:
    """Mean loss (without label smoothing), top-1 and top-5 in percent over `samples`.

    windows: (n, 4) int32 of all samples of the source; size: side of the images, pixels; layout:
    how they lie in memory; flip: the mean of the logits for an image and its mirror image counts.
    Every sample counts exactly once: several ranks share them out.
    """
    ranks = ranks or Ranks()
    # Batch norms count their statistics apart in each rank.
    ranks.copy_first(model.buffers())
    was_training = model.training
    model.eval()
    loss = torch.zeros((), dtype=torch.float64, device=device)
    correct = torch.zeros(2, dtype=torch.int64, device=device)
    counted = torch.zeros((), dtype=torch.int64, device=device)
    mine = samples[ranks.number :: ranks.count]
    with torch.inference_mode():
        for batch in source.batches(mine, windows, batch_size, size):
            images = normalize(torch.from_numpy(batch.images).to(device))
            images = images.contiguous(memory_format=layout)
            labels = torch.from_numpy(batch.labels).to(device)
            with autocast(precision, device):
                logits = model(images).float()
                if flip:
                    logits = (logits + model(images.flip(3)).float()) / 2
            loss += cross_entropy(logits, labels, reduction="sum").double()
            correct += correct_counts(logits, labels)
            counted += len(labels)
    model.train(was_training)
    loss, correct, total = ranks.sum(loss), ranks.sum(correct), int(ranks.sum(counted))
    if total != len(samples):
        raise RuntimeError(f"evaluated {total} of {len(samples)} samples")
    top1, top5 = (100.0 * correct.double() / total).tolist()
    return {"loss": loss.item() / total, "top1": top1, "top5": top5}
