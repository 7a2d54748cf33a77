"""Mixup and CutMix: against timm's, and what their draws are distributed like."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ablation.augment import CutMix, Mixup, MixupCutMix
from ablation.augment._mixing import beta_shares, cutmix_boxes, partners
from ablation.augment.cutmix import cutmix
from ablation.augment.mixup import mixup
from ablation.augment.mixup_cutmix import mixup_or_cutmix
from ablation.data.draws import Draws
from ablation.losses import Bce, CrossEntropy

from .timm_parts import timm_part

CLASSES, BATCH = 7, 16
REVERSED = np.arange(BATCH)[::-1].copy()


@pytest.fixture(scope="module")
def timm():
    return timm_part("data/mixup.py")


def batch(count: int = BATCH) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(count, 21, 21, 3, generator=generator).permute(0, 3, 1, 2)
    return images, torch.randint(0, CLASSES, (count,), generator=generator)


def one_hot(labels: torch.Tensor) -> torch.Tensor:
    return torch.eye(CLASSES)[labels]


def smoothed(targets: torch.Tensor, smoothing: float) -> torch.Tensor:
    return targets * (1 - smoothing) + smoothing / CLASSES


def timm_mixes(timm, monkeypatch, lam, cut, centre, *, smoothing=0.0, per="elem"):
    """timm's Mixup on the batch, its draws replaced by ours."""
    mix = timm.Mixup(1.0, 1.0, mode=per, label_smoothing=smoothing, num_classes=CLASSES)
    monkeypatch.setattr(mix, "_params_per_elem", lambda n: (lam.astype(np.float32), cut))
    monkeypatch.setattr(mix, "_params_per_batch", lambda: (float(lam[0]), bool(cut[0])))
    numbers = iter((centre[cut & (lam != 1)] if per == "elem" else centre[:1]).ravel())
    monkeypatch.setattr(
        timm.np.random, "randint", lambda low, high, size=None: int(next(numbers) * (high - low))
    )
    images, labels = batch()
    return mix(images.clone(), labels)


def draws_of(kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """lam, cut, centre of a batch."""
    rng = np.random.default_rng(5)
    lam, centre = rng.beta(1, 1, BATCH), rng.random((BATCH, 2))
    lam[3] = 1.0
    both = rng.random(BATCH) < 0.5
    both[4] = True
    return lam, {"mixup": both & False, "cutmix": both | True, "both": both}[kind], centre


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("kind", ["mixup", "cutmix", "both"])
def test_with_the_same_shares_boxes_and_partners_it_is_timm(timm, monkeypatch, kind, smoothing):
    lam, cut, centre = draws_of(kind)
    wanted = timm_mixes(timm, monkeypatch, lam, cut, centre, smoothing=smoothing)
    images, labels = batch()
    boxes = cutmix_boxes(lam, centre, 21, 21)
    common = {"permutation": REVERSED}
    if kind == "mixup":
        found = mixup(images, one_hot(labels), lam=lam, **common)
    elif kind == "cutmix":
        found = cutmix(images, one_hot(labels), boxes=boxes, **common)
    else:
        found = mixup_or_cutmix(images, one_hot(labels), cut=cut, lam=lam, boxes=boxes, **common)
    assert torch.allclose(found[0], wanted[0], atol=1e-6)
    assert torch.allclose(smoothed(found[1], smoothing), wanted[1], atol=1e-6)


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_one_draw_for_the_batch_is_timms_mode_batch(timm, monkeypatch, kind):
    lam, cut, centre = (np.repeat(part[:1], BATCH, 0) for part in draws_of(kind))
    wanted = timm_mixes(timm, monkeypatch, lam, cut, centre, per="batch")
    images, labels = batch()
    targets, boxes = one_hot(labels), cutmix_boxes(lam, centre, 21, 21)
    found = mixup_or_cutmix(images, targets, cut=cut, lam=lam, boxes=boxes, permutation=REVERSED)
    assert torch.allclose(found[0], wanted[0], atol=1e-6)
    assert torch.allclose(found[1], wanted[1], atol=1e-6)


@pytest.mark.parametrize("threshold", [None, 0.2])
def test_losses_of_mixed_targets_are_timms(timm, threshold):
    """Smoothing after the mixing (ours) is smoothing before it (timm's)."""
    lam, _, _ = draws_of("mixup")
    images, labels = batch()
    mixed = timm.mixup_target(labels, CLASSES, torch.from_numpy(lam).float()[:, None], 0.1)
    logits = torch.randn(BATCH, CLASSES, generator=torch.Generator().manual_seed(2))
    _, targets = mixup(images, one_hot(labels), lam=lam, permutation=REVERSED)
    soft = timm_part("loss/cross_entropy.py").SoftTargetCrossEntropy()
    assert torch.allclose(CrossEntropy(label_smoothing=0.1)(logits, targets), soft(logits, mixed))
    bce = timm_part("loss/binary_cross_entropy.py").BinaryCrossEntropy
    for sum_classes in (False, True):
        theirs = bce(smoothing=0.1, target_threshold=threshold, sum_classes=sum_classes)
        ours = Bce(label_smoothing=0.1, target_threshold=threshold, sum_classes=sum_classes)
        assert torch.allclose(ours(logits, targets), theirs(logits, mixed))


@pytest.mark.parametrize("alpha", [0.1, 0.2, 1.0, 4.0])
def test_shares_are_beta_distributed(alpha):
    from scipy.stats import beta, kstest

    lam = beta_shares(Draws(0, 0, 5000).of("x", np.arange(5000))[:, 0], alpha)
    assert (lam >= 0).all() and (lam <= 1).all()
    assert kstest(lam, beta(alpha, alpha).cdf).pvalue > 0.01
    assert lam.mean() == pytest.approx(0.5, abs=0.02)
    assert lam.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.06)


def lone_classes(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Image i is all i + 1, and is alone in its class."""
    images = torch.arange(1.0, count + 1)[:, None, None, None].expand(count, 3, 20, 20)
    return images.contiguous(), torch.eye(count)


def own_shares(options, count=500, step=0):
    """Each image's share of its own target, those that meet themselves left out."""
    images, targets = lone_classes(count)
    draws, index = Draws(0, 0, count), np.arange(count)
    mixed, targets = options.batch(images, targets, index, draws, step)
    other = torch.from_numpy(partners(count, draws, step) != index)
    return mixed[other], targets.diagonal()[other]


def test_mixup_blends_images_as_it_blends_targets():
    images, targets = lone_classes(40)
    mixed, shares = Mixup(alpha=1).batch(images, targets, np.arange(40), Draws(0, 0, 40), 0)
    values = shares @ torch.arange(1.0, 41)
    assert torch.allclose(mixed, values[:, None, None, None].expand_as(mixed), rtol=1e-4)
    assert abs(float(own_shares(Mixup(alpha=1))[1].mean()) - 0.5) < 0.05


def test_cutmix_targets_are_the_areas_to_be_seen():
    images, targets = lone_classes(200)
    mixed, shares = CutMix().batch(images, targets, np.arange(200), Draws(0, 0, 200), 3)
    for number in range(200):
        seen = torch.bincount(mixed[number, 0].long().flatten() - 1, minlength=200) / 400
        assert torch.allclose(shares[number], seen, atol=1e-6)
    assert (shares > 0).sum(1).max() == 2


def test_cutmix_boxes_are_of_the_asked_area_before_they_are_clipped():
    lam = np.array([0.75, 0.75, 1.0, 0.0])
    centre = np.array([[0.5, 0.5], [0.0, 0.99], [0.5, 0.5], [0.5, 0.5]])
    boxes = cutmix_boxes(lam, centre, 20, 40)
    assert boxes.tolist() == [[5, 10, 10, 20], [0, 29, 5, 11], [10, 20, 0, 0], [0, 0, 20, 40]]


@pytest.mark.parametrize("technique", [Mixup, CutMix, MixupCutMix])
def test_a_share_of_the_images_is_mixed(technique):
    alphas = {"mixup_alpha": 1, "cutmix_alpha": 1} if technique is MixupCutMix else {"alpha": 1}
    _, shares = own_shares(technique(prob=0.3, **alphas), count=2000)
    # A box of less than a pixel leaves its image alone: 1 of 400 here.
    assert float((shares < 1).double().mean()) == pytest.approx(0.3, abs=0.04)


def test_mixup_cutmix_does_each_in_its_share():
    mixed, shares = own_shares(MixupCutMix(switch_prob=0.25), count=2000)
    flat = mixed[:, 0].flatten(1)
    pasted = (flat.max(1).values - flat.min(1).values) > 0.5  # two whole values in one image
    assert float(pasted.double().mean()) == pytest.approx(0.25, abs=0.03)
    blended = shares[~pasted & (shares < 1)]
    assert float(blended.var()) == pytest.approx(1 / (4 * (2 * 0.8 + 1)), rel=0.1)


@pytest.mark.parametrize("technique", [Mixup, CutMix, MixupCutMix])
def test_per_batch_all_images_have_one_share(technique):
    options = technique(per="batch")
    found = [own_shares(options, 50, step)[1] for step in range(20)]
    assert all(len(shares.unique()) == 1 for shares in found)
    assert len({float(shares[0]) for shares in found}) > 15
    assert len(own_shares(technique(), 50)[1].unique()) > 30


def test_per_batch_a_share_of_the_batches_is_mixed():
    options = Mixup(per="batch", prob=0.3)
    mixed = [bool((own_shares(options, 8, step)[1] < 1).any()) for step in range(400)]
    assert np.mean(mixed) == pytest.approx(0.3, abs=0.07)


def test_an_images_share_is_its_own_and_its_partner_the_steps():
    """The share goes with the sample, whatever batch it is in."""
    images, targets = lone_classes(40)
    draws = Draws(0, 0, 40)
    own = []
    for step, index in ((0, np.arange(40)), (7, np.arange(40)[::-1].copy())):
        _, made = Mixup(alpha=1).batch(images, targets, index, draws, step)
        met = partners(40, draws, step) == np.arange(40)
        shares = np.full(40, np.nan)
        shares[index] = np.where(met, np.nan, made.diagonal().numpy())
        own.append(shares)
    known = ~np.isnan(own).any(0)
    assert known.sum() > 30 and np.allclose(own[0][known], own[1][known])


def test_partners_are_a_permutation_of_the_step():
    draws = Draws(0, 0, 9)
    assert sorted(partners(100, draws, 0)) == list(range(100))
    assert np.array_equal(partners(100, draws, 0), partners(100, draws, 0))
    assert not np.array_equal(partners(100, draws, 0), partners(100, draws, 1))
    assert not np.array_equal(partners(100, draws, 0), partners(100, Draws(1, 0, 9), 0))
