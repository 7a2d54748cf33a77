"""Evaluation: counts against plain numpy, each sample exactly once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from ablation.data.source import Batch, Source
from ablation.evaluate import Normalize, correct_counts, evaluate


@pytest.mark.parametrize("classes", [1, 2, 4, 5, 6, 10, 1000])
def test_counts_are_those_of_sorting(classes: int) -> None:
    rng = np.random.default_rng(classes)
    logits = rng.permutation(64 * classes).reshape(64, classes).astype(np.float32)
    labels = rng.integers(0, classes, 64)
    ranked = np.argsort(-logits, 1)
    first = int((ranked[:, 0] == labels).sum())
    five = sum(int(label in row[:5]) for label, row in zip(labels, ranked, strict=True))
    found = correct_counts(torch.tensor(logits), torch.tensor(labels))
    assert found.dtype == torch.int64 and found.tolist() == [first, five]


class Coded(Source):
    """Images that hold their sample's number; notes which samples it was asked for."""

    def __init__(self, labels: np.ndarray, lose: int = 0) -> None:
        self.labels, self.sizes, self.lose = labels, np.full((len(labels), 2), 4), lose
        self.asked: list[int] = []

    def batches(
        self, order: np.ndarray, windows: np.ndarray, batch_size: int, size: int
    ) -> Iterator[Batch]:
        for start in range(0, len(order) - self.lose, batch_size):
            index = order[start : start + batch_size]
            self.asked += index.tolist()
            images = np.broadcast_to(index[:, None, None, None], (len(index), 4, 4, 3))
            yield Batch(index, images.astype(np.uint8), self.labels[index])


class Table(torch.nn.Module):
    """Looks the logits of a sample's number up."""

    def __init__(self, logits: np.ndarray) -> None:
        super().__init__()
        self.logits = torch.tensor(logits)
        self.modes: list[bool] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.modes.append(self.training)
        return self.logits[images[:, 0, 0, 0].round().long()]


IDENTITY = Normalize(torch.zeros(3), torch.ones(3))
CPU = torch.device("cpu")


def made(classes: int, count: int = 50, lose: int = 0) -> tuple[Table, Coded]:
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((count, classes)).astype(np.float32)
    return Table(logits), Coded(rng.integers(0, classes, count), lose)


def evaluated(model: Table, source: Coded, samples: np.ndarray, batch_size: int) -> dict:
    windows = np.zeros((len(source), 4), np.int32)
    options = {"batch_size": batch_size, "size": 1, "device": CPU}
    return evaluate(model, source, samples, windows, IDENTITY, **options)


@pytest.mark.parametrize("classes", [3, 10])
@pytest.mark.parametrize("batch_size", [1, 7, 50, 64])
def test_every_sample_counts_once_whatever_the_batches(classes: int, batch_size: int) -> None:
    model, source = made(classes)
    found = evaluated(model, source, np.arange(50), batch_size)
    logits, labels = model.logits.double().numpy(), source.labels
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    rank = (logits > logits[np.arange(50), labels][:, None]).sum(1)
    assert source.asked == list(range(50))
    assert found["loss"] == pytest.approx(-log_p[np.arange(50), labels].mean(), rel=1e-6)
    assert found["top1"] == 100 * (rank == 0).sum() / 50
    assert found["top5"] == 100 * (rank < 5).sum() / 50
    assert all(isinstance(value, float) for value in found.values())


def test_a_subset_is_that_subset() -> None:
    model, source = made(10)
    samples = np.array([3, 9, 41])
    found = evaluated(model, source, samples, 2)
    assert source.asked == [3, 9, 41]
    right = model.logits.numpy().argmax(1)[samples] == source.labels[samples]
    assert found["top1"] == pytest.approx(100 * right.mean())


def test_a_source_that_loses_samples_is_an_error() -> None:
    model, source = made(10, lose=1)
    with pytest.raises(RuntimeError, match="evaluated 49 of 50"):
        evaluated(model, source, np.arange(50), 7)


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_in_evaluation_mode_and_put_back(training: bool) -> None:
    model, source = made(10)
    model.train(training)
    evaluated(model, source, np.arange(50), 20)
    assert model.modes == [False] * 3 and model.training is training


def test_normalising_takes_mean_and_spread_away() -> None:
    normalize = Normalize.of((10.0, 20.0, 30.0), (2.0, 4.0, 0.0), CPU)
    images = torch.tensor([12, 28, 33], dtype=torch.uint8).expand(2, 5, 6, 3)
    found = normalize(images)
    assert found.shape == (2, 3, 5, 6) and found.dtype == torch.float32
    assert found[0, :, 0, 0].tolist() == [1.0, 2.0, 3.0]  # without spread: only centred
    assert found.is_contiguous(memory_format=torch.channels_last)
