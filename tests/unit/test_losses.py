"""Losses against their formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ablation.errors import UserError
from ablation.losses import Bce, CrossEntropy
from ablation.losses.distillation import distillation_loss

from .timm_parts import timm_part


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


def example(classes: int = 10) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits, labels and soft targets of a batch of 16."""
    generator = torch.Generator().manual_seed(classes)
    logits = 3 * torch.randn(16, classes, generator=generator)
    soft = torch.rand(16, classes, generator=generator) ** 4
    return logits, torch.randint(0, classes, (16,), generator=generator), soft / soft.sum(1, True)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_of_labels_is_torchs_to_the_bit(smoothing: float) -> None:
    """The path of every training without mixing: a change of its bits makes new cells."""
    logits, labels, _ = example()
    expected = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=smoothing)
    assert torch.equal(CrossEntropy(label_smoothing=smoothing)(logits, labels), expected)
    smooth = timm_part("loss/cross_entropy.py").LabelSmoothingCrossEntropy(smoothing)
    assert torch.allclose(expected, smooth(logits, labels))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("loss", [CrossEntropy, Bce])
def test_one_hot_targets_are_labels(loss: type, smoothing: float) -> None:
    logits, labels, _ = example()
    options = loss(label_smoothing=smoothing)
    assert torch.allclose(options(logits, labels), options(logits, torch.eye(10)[labels]))


def test_cross_entropy_of_soft_targets_is_timms() -> None:
    logits, _, soft = example()
    theirs = timm_part("loss/cross_entropy.py").SoftTargetCrossEntropy()
    assert torch.allclose(CrossEntropy()(logits, soft), theirs(logits, soft))
    spread = soft * 0.9 + 0.1 / 10
    smooth = CrossEntropy(label_smoothing=0.1)
    assert torch.allclose(smooth(logits, soft), theirs(logits, spread))


@pytest.mark.parametrize("sum_classes", [False, True])
@pytest.mark.parametrize("threshold", [None, 0.0, 0.2])
def test_bce_is_timms(threshold: float | None, sum_classes: bool) -> None:
    logits, labels, soft = example()
    theirs = timm_part("loss/binary_cross_entropy.py").BinaryCrossEntropy
    options = {"target_threshold": threshold, "sum_classes": sum_classes}
    for smoothing in (0.0,) if threshold == 0 else (0.0, 0.1):
        ours = Bce(label_smoothing=smoothing, **options)
        assert torch.allclose(ours(logits, labels), theirs(smoothing, **options)(logits, labels))
    # timm takes soft targets as they are.
    assert torch.allclose(Bce(**options)(logits, soft), theirs(**options)(logits, soft))


def test_bce_is_its_formula() -> None:
    logits, labels = torch.tensor([[2.0, -1.0, 0.0]]), torch.tensor([0])
    p = 1 / (1 + np.exp(-np.array([2.0, -1.0, 0.0])))
    terms = -np.log([p[0], 1 - p[1], 1 - p[2]])
    assert float(Bce()(logits, labels)) == pytest.approx(terms.mean())
    assert float(Bce(sum_classes=True)(logits, labels)) == pytest.approx(terms.sum())


def test_thresholds_that_leave_no_target_or_all_are_refused() -> None:
    with pytest.raises(ValueError, match="above every target"):
        Bce(label_smoothing=0.3, target_threshold=0.7)
    with pytest.raises(ValueError, match="every class of a smoothed target"):
        Bce(label_smoothing=0.1, target_threshold=0)
    logits, labels, _ = example()
    with pytest.raises(UserError, match="every target a 1"):
        Bce(label_smoothing=0.5, target_threshold=0.04)(logits, labels)


@pytest.mark.parametrize("loss", [CrossEntropy(label_smoothing=0.1), Bce(target_threshold=0.2)])
def test_gradients_of_soft_targets_flow_to_the_logits(loss: CrossEntropy | Bce) -> None:
    logits, _, soft = example()
    logits.requires_grad_()
    loss(logits, soft).backward()
    assert logits.grad.isfinite().all() and logits.grad.abs().sum() > 0


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_distillation_is_torchs_divergence_times_the_temperature_squared(
    temperature: float,
) -> None:
    student, _, _ = example()
    teacher = student.flip(0) + 1
    theirs = torch.nn.KLDivLoss(reduction="batchmean")
    soft = (teacher / temperature).softmax(1)
    expected = temperature**2 * theirs((student / temperature).log_softmax(1), soft)
    found = distillation_loss(student, teacher, temperature=temperature)
    assert found.shape == () and torch.allclose(found, expected, rtol=1e-5)
    assert float(distillation_loss(teacher, teacher, temperature=temperature)) < 1e-6


def test_distillation_leaves_the_teacher_alone_and_keeps_the_gradients_size() -> None:
    student, _, _ = example()
    teacher = student.flip(0)
    sizes = []
    for temperature in (20.0, 40.0):
        ours, theirs = student.clone().requires_grad_(), teacher.clone().requires_grad_()
        distillation_loss(ours, theirs, temperature=temperature).backward()
        assert theirs.grad is None
        sizes.append(float(ours.grad.norm()))
    assert sizes[1] == pytest.approx(sizes[0], rel=0.1)
