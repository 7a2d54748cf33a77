"""Losses against their formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ablation.losses import CrossEntropy


def formula(logits: np.ndarray, labels: np.ndarray, smoothing: float) -> float:
    """Mean of -sum(target x log softmax), in double precision."""
    shifted = logits - logits.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    classes = logits.shape[1]
    target = np.full(logits.shape, smoothing / classes)
    target[np.arange(len(labels)), labels] += 1 - smoothing
    return float(-(target * log_p).sum(1).mean())


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_cross_entropy_is_its_formula(smoothing: float, classes: int) -> None:
    rng = np.random.default_rng(classes)
    logits, labels = 3 * rng.standard_normal((16, classes)), rng.integers(0, classes, 16)
    loss = CrossEntropy(label_smoothing=smoothing)
    found = loss(torch.tensor(logits, dtype=torch.float32), torch.tensor(labels))
    assert found.shape == ()
    assert float(found) == pytest.approx(formula(logits, labels, smoothing), rel=1e-5)


def test_smoothing_changes_the_loss_and_its_least_value() -> None:
    sure, label = torch.tensor([[20.0, 0.0, 0.0]]), torch.tensor([0])
    assert float(CrossEntropy()(sure, label)) < 1e-6
    assert float(CrossEntropy(label_smoothing=0.1)(sure, label)) > 1


@pytest.mark.parametrize("value", [-0.1, 1.0, float("nan"), True])
def test_wrong_smoothing_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="label_smoothing"):
        CrossEntropy(label_smoothing=value)
