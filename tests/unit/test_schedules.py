"""Schedules against torch's own, step by step, and decays on exactly their step."""

from __future__ import annotations

import math
import re
import warnings
from fractions import Fraction

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler as ls

from ablation.overrides import _stretch
from ablation.schedules import (
    SCHEDULES,
    Constant,
    Cosine,
    Cyclic,
    Exponential,
    LrRange,
    OneCycle,
    Piecewise,
    PiecewiseLinear,
    Polynomial,
    ReduceOnPlateau,
    Step,
)
from ablation.schedules.base import Schedule, linear_warmup
from ablation.schedules.cosine import cosine
from ablation.schedules.one_cycle import one_cycle

LR, EPOCHS, STEPS = 0.3, 6, 7
TOTAL = EPOCHS * STEPS


def ours(schedule: Schedule, epochs: int = EPOCHS, steps: int = STEPS, lr: float = LR) -> list:
    """Learning rate of every step, asked for as the training loop does."""
    return [schedule.lr(lr, e + s / steps, epochs) for e in range(epochs) for s in range(steps)]


def theirs(make) -> list:
    """Learning rate of every step of a scheduler of torch, stepped each iteration."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SequentialLR itself uses a deprecated argument
        scheduler = make(optimizer)
        seen = []
        for _ in range(TOTAL):
            seen.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
    return seen


def warmup(optimizer, epochs: float, start: float):
    return ls.LinearLR(optimizer, start, 1.0, round(epochs * STEPS))


def after_warmup(optimizer, epochs: int, start: float, rest):
    parts = [warmup(optimizer, epochs, start), rest]
    return ls.SequentialLR(optimizer, parts, [epochs * STEPS])


def one_cycle_lr(optimizer, pct_start: float, **options):
    """torch's peak and end lie on steps `pct_start * total - 1` and `total - 1`; ours on the steps
    `pct_start * TOTAL` and TOTAL, the one after the last. Asked for so, torch's are the same."""
    total = TOTAL + 1
    share = (pct_start * TOTAL + 1) / total
    return ls.OneCycleLR(
        optimizer, LR, total_steps=total, pct_start=share, cycle_momentum=False, **options
    )


def cyclic_lr(optimizer, up: int, down: int, mode: str, gamma: float = 1.0):
    return ls.CyclicLR(optimizer, LR / 4, LR, up, down, mode, gamma, cycle_momentum=False)


def lines(optimizer, *pieces: tuple[float, float, int]):
    """Straight lines from factor to factor over so many steps each."""
    parts = [ls.LinearLR(optimizer, low, high, steps) for low, high, steps in pieces]
    ends = [sum(steps for _, _, steps in pieces[: i + 1]) for i in range(len(pieces) - 1)]
    return ls.SequentialLR(optimizer, parts, ends)


CASES = [
    (Constant(), lambda o: ls.ConstantLR(o, 1.0)),
    (Constant(warmup_epochs=2, warmup_start=0.1), lambda o: warmup(o, 2, 0.1)),
    (Step(every=2), lambda o: ls.StepLR(o, 2 * STEPS, 0.1)),
    (Step(every=4, decay=0.5), lambda o: ls.StepLR(o, 4 * STEPS, 0.5)),
    (Step(milestones=(1, 2, 5)), lambda o: ls.MultiStepLR(o, [7, 14, 35], 0.1)),
    (Step(milestones=(1.5,), decay=0.2), lambda o: ls.MultiStepLR(o, [11], 0.2)),
    (
        Step(milestones=(3, 5), warmup_epochs=2, warmup_start=0.01),
        lambda o: ls.ChainedScheduler([warmup(o, 2, 0.01), ls.MultiStepLR(o, [21, 35], 0.1)]),
    ),
    (
        Step(every=1, decay=0.7, warmup_epochs=2, warmup_start=0.5),
        lambda o: ls.ChainedScheduler([warmup(o, 2, 0.5), ls.StepLR(o, 7, 0.7)]),
    ),
    (Cosine(), lambda o: ls.CosineAnnealingLR(o, TOTAL)),
    (Cosine(final_ratio=0.01), lambda o: ls.CosineAnnealingLR(o, TOTAL, LR * 0.01)),
    (
        Cosine(warmup_epochs=2, warmup_start=0.01),
        lambda o: after_warmup(o, 2, 0.01, ls.CosineAnnealingLR(o, TOTAL - 14)),
    ),
    (Polynomial(), lambda o: ls.PolynomialLR(o, TOTAL, 1.0)),
    (Polynomial(power=0.9), lambda o: ls.PolynomialLR(o, TOTAL, 0.9)),
    (Polynomial(power=2, cooldown_epochs=2), lambda o: ls.PolynomialLR(o, TOTAL - 14, 2)),
    (
        Polynomial(power=2, warmup_epochs=2, warmup_start=0.01, cooldown_epochs=1),
        lambda o: after_warmup(o, 2, 0.01, ls.PolynomialLR(o, TOTAL - 21, 2)),
    ),
    (Exponential(decay=0.97, every=1 / STEPS), lambda o: ls.ExponentialLR(o, 0.97)),
    (Exponential(decay=0.5, every=2.4), lambda o: ls.ExponentialLR(o, 0.5 ** (1 / (2.4 * STEPS)))),
    (
        Exponential(decay=0.7, warmup_epochs=2, warmup_start=0.5),
        lambda o: ls.ChainedScheduler([warmup(o, 2, 0.5), ls.ExponentialLR(o, 0.7 ** (1 / STEPS))]),
    ),
    (
        Piecewise(milestones=(2, 3, 4, 5), factors=(0.1, 0.01, 0.001, 0.0005)),
        lambda o: ls.ChainedScheduler(
            [ls.MultiStepLR(o, [14, 21, 28], 0.1), ls.MultiStepLR(o, [35], 0.5)]
        ),
    ),
    (
        PiecewiseLinear(start=0.2, points=(2, 5), factors=(1, 0.01)),
        lambda o: lines(o, (0.2, 1.0, 14), (1.0, 0.01, 21), (0.01, 0.01, 7)),
    ),
    (OneCycle(), lambda o: one_cycle_lr(o, 0.3)),
    (
        OneCycle(pct_start=0.45, div_factor=10, final_div_factor=50, anneal_strategy="linear"),
        lambda o: one_cycle_lr(
            o, 0.45, div_factor=10, final_div_factor=50, anneal_strategy="linear"
        ),
    ),
    (Cyclic(up_epochs=1), lambda o: cyclic_lr(o, 7, 7, "triangular")),
    (Cyclic(up_epochs=1, down_epochs=0.5), lambda o: cyclic_lr(o, 7, 3.5, "triangular")),
    (Cyclic(up_epochs=1, mode="triangular2"), lambda o: cyclic_lr(o, 7, 7, "triangular2")),
    (
        Cyclic(up_epochs=1, down_epochs=2, mode="exp_range", decay=0.99**21),
        lambda o: cyclic_lr(o, 7, 14, "exp_range", 0.99),
    ),
    (LrRange(ratio=1e4), lambda o: ls.ExponentialLR(o, 1e4 ** (1 / TOTAL))),
    (
        LrRange(ratio=50, growth="linear"),
        lambda o: ls.LambdaLR(o, lambda step: 1 + 49 * step / TOTAL),
    ),
]


@pytest.mark.parametrize("number", range(len(CASES)))
def test_whole_run_equals_torch(number: int) -> None:
    schedule, make = CASES[number]
    assert ours(schedule) == pytest.approx(theirs(make), rel=1e-9, abs=1e-12)


def test_every_schedule_is_held_against_torch() -> None:
    assert {type(schedule) for schedule, _ in CASES} | {ReduceOnPlateau} == set(SCHEDULES)


@pytest.mark.parametrize("seed", range(5))
def test_plateaus_are_torchs(seed: int) -> None:
    """Over losses that fall, stall and jump; the rate is judged after every epoch."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    options = {"patience": seed, "threshold": 0.01 * seed}
    theirs = ls.ReduceLROnPlateau(optimizer, factor=0.3, min_lr=LR * 1e-3, eps=0.0, **options)
    mine = ReduceOnPlateau(decay=0.3, min_factor=1e-3, **options)
    memory: dict = {}
    rng = np.random.default_rng(seed)
    for epoch in range(200):
        loss = 2 * 0.995**epoch * (1 + 0.1 * rng.random()) + (rng.random() < 0.05)
        theirs.step(loss)
        memory = mine.after_epoch(memory, loss)
        assert LR * memory["factor"] == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
    assert memory["factor"] < 1


def test_every_other_schedule_remembers_nothing() -> None:
    for schedule, _ in CASES:
        assert schedule.after_epoch({}, 1.0) == {}


def test_warmup_from_zero_is_the_straight_line() -> None:
    # torch's LinearLR refuses to start at 0.
    found = ours(Constant(warmup_epochs=1.5))
    expected = [LR * min(1.0, step / (1.5 * STEPS)) for step in range(TOTAL)]
    assert found == pytest.approx(expected, rel=1e-12)
    assert found[0] == 0 and found[11] == LR


@pytest.mark.parametrize("steps", [1, 3, 7, 19, 39, 156, 1251])
@pytest.mark.parametrize("epochs", [3, 9, 18, 90])
@pytest.mark.parametrize("after", [20, 30, 7, 1])
def test_decay_falls_on_its_own_step_at_any_scale(steps: int, epochs: int, after: int) -> None:
    """Decays after 20 or 30 of 90 epochs, stretched to another length in floating point."""
    exact = Fraction(after * epochs, 90)
    period = after * epochs / 90
    schedule = Step(every=period, decay=0.5)
    count = int(Fraction(epochs) / exact)
    milestones = tuple(k * after * epochs / 90 for k in range(1, min(count + 1, 4)))
    listed = Step(milestones=milestones, decay=0.5)
    for epoch in range(epochs):
        for step in range(0, steps, max(1, steps // 40)):
            passed = int((epoch + Fraction(step, steps)) / exact)
            at = epoch + step / steps
            assert schedule.factor(at, epochs) == 0.5**passed
            assert listed.factor(at, epochs) == 0.5 ** min(passed, len(milestones))


@pytest.mark.parametrize("steps", [3, 7, 19, 1251])
def test_the_step_of_a_milestone_is_the_first_with_the_new_rate(steps: int) -> None:
    for milestone in range(1, 30):
        before, on = milestone - 1 + (steps - 1) / steps, milestone + 0 / steps
        assert Step(every=milestone).factor(before, 90) == 1.0
        assert Step(every=milestone).factor(on, 90) == 0.1
        assert Step(milestones=(milestone,)).factor(before, 90) == 1.0
        assert Step(milestones=(milestone,)).factor(on, 90) == 0.1


def test_cosine_ends() -> None:
    assert cosine(0.0, final_ratio=0.1) == 1.0
    assert cosine(0.5, final_ratio=0.1) == pytest.approx(0.55)
    assert cosine(1.0, final_ratio=0.1) == pytest.approx(0.1)


def test_a_training_that_is_all_warmup() -> None:
    assert ours(Cosine(warmup_epochs=EPOCHS))[-1] == pytest.approx(LR * (TOTAL - 1) / TOTAL)
    assert linear_warmup(0.0, warmup_epochs=0.0, start=0.0) == 1.0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "one of"),
        ({"every": 2, "milestones": (1,)}, "one of"),
        ({"milestones": (3, 2)}, "rise strictly"),
        ({"every": 0}, "greater than 0"),
        ({"every": 1, "decay": 0}, "greater than 0"),
        ({"every": 1, "factor": 0.1}, "Extra inputs"),
    ],
)
def test_wrong_step_is_refused(options: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Step(**options)


# -- the course, the cooldown, and what does not fit -----------------------------------------------

HELD = [
    (Cosine(final_ratio=0.1, cooldown_epochs=1.5), 0.1),
    (Polynomial(final_ratio=0.2, cooldown_epochs=1.5), 0.2),
    (Polynomial(cooldown_epochs=1.5, warmup_epochs=1), 0.0),
    (Exponential(decay=0.5, every=0.9, cooldown_epochs=1.5), 0.5**5),
    (Step(every=1.5, decay=0.5, cooldown_epochs=1.5), 0.25),
    (Step(every=2, decay=0.5, cooldown_epochs=1.5), 0.25),
    (OneCycle(cooldown_epochs=1.5, div_factor=10, final_div_factor=20), 0.005),
    (Cyclic(up_epochs=1, cooldown_epochs=1.5, base_ratio=0.5), 0.75),
    (LrRange(ratio=100, cooldown_epochs=1.5), 100.0),
]


@pytest.mark.parametrize("number", range(len(HELD)))
def test_cooldown_keeps_the_value_at_which_the_course_ended(number: int) -> None:
    """A training of 6 epochs, 1.5 of them cooldown, is one of 4.5 with the last value held."""
    schedule, last = HELD[number]
    found = ours(schedule, steps=8)
    assert found[36:] == [pytest.approx(LR * last, rel=1e-12)] * 12
    shorter = schedule.model_copy(update={"cooldown_epochs": 0.0})
    alone = [shorter.lr(LR, step / 8, 4.5) for step in range(36)]
    assert found[:36] == alone


def test_every_schedule_with_an_end_is_held_in_a_cooldown() -> None:
    without = {Constant, Piecewise, PiecewiseLinear, ReduceOnPlateau}
    assert {type(schedule) for schedule, _ in HELD} == set(SCHEDULES) - without


def test_cooldown_equals_timm() -> None:
    from timm.scheduler import CosineLRScheduler, PolyLRScheduler

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    common = {"lr_min": LR * 0.01, "t_in_epochs": False}
    cosine_ = CosineLRScheduler(optimizer, t_initial=35, **common)
    poly = PolyLRScheduler(optimizer, t_initial=35, power=2, **common)
    for other, schedule in (
        (cosine_, Cosine(final_ratio=0.01, cooldown_epochs=1)),
        (poly, Polynomial(final_ratio=0.01, power=2, cooldown_epochs=1)),
    ):
        expected = [other._get_values(step, on_epoch=False)[0] for step in range(TOTAL)]
        assert ours(schedule) == pytest.approx(expected, rel=1e-9)


def test_one_cycle_is_torch_s_but_for_one_step() -> None:
    """torch reaches the peak and the end a step earlier, with its own options as they are."""
    found = ours(OneCycle(), steps=1000)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)
    other = ls.OneCycleLR(optimizer, LR, total_steps=6000, cycle_momentum=False)
    expected = []
    for _ in range(6000):
        expected.append(other.get_last_lr()[0])
        optimizer.step()
        if len(expected) < 6000:
            other.step()
    assert found == pytest.approx(expected, abs=LR * math.pi / 2 / 1800)
    assert found[0] == pytest.approx(LR / 25) and max(found) == found[1800] == LR
    assert one_cycle(
        1.0, pct_start=0.3, div_factor=25, final_div_factor=1e4, strategy="cos"
    ) == pytest.approx(1 / 25e4)


def test_piecewise_as_the_cifar_document_has_it() -> None:
    schedule = Piecewise(milestones=(80, 120, 160, 180), factors=(0.1, 0.01, 0.001, 0.0005))
    found = [schedule.lr(1e-3, epoch, 200) for epoch in (0, 79.99, 80, 119, 120, 160, 180, 199)]
    expected = [1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-6, 5e-7, 5e-7]
    assert found == pytest.approx(expected, rel=1e-12)


def test_piecewise_linear_goes_through_its_points() -> None:
    schedule = PiecewiseLinear(start=0, points=(5, 24), factors=(1, 0))
    at = [schedule.factor(epoch, 30) for epoch in (0, 2.5, 5, 14.5, 24, 29)]
    assert at == pytest.approx([0, 0.5, 1, 0.5, 0, 0])


NO_FIT = {
    "warmup": (Cosine(warmup_epochs=6), "warmup_epochs (6) leaves no epoch after it"),
    "all cooldown": (Cosine(cooldown_epochs=6), "leave no epoch between them"),
    "warmup and cooldown": (Cosine(cooldown_epochs=3, warmup_epochs=3), "leave no epoch"),
    "every": (Step(every=6), "schedule.every (6) never comes: the training has 6 epochs"),
    "every in the cooldown": (Step(every=5, cooldown_epochs=2), "6 epochs, 2 of cooldown"),
    "milestones": (Piecewise(milestones=(2, 6), factors=(1, 2)), "milestones [6.0] never come"),
    "points": (PiecewiseLinear(points=(6, 7), factors=(1, 2)), "points [7.0] never come"),
    "rise": (Cyclic(up_epochs=6), "schedule.up_epochs (6) never comes"),
}


@pytest.mark.parametrize("case", NO_FIT)
def test_what_does_not_fit_the_training_is_refused(case: str) -> None:
    schedule, said = NO_FIT[case]
    with pytest.raises(ValueError, match=re.escape(said)):
        schedule.refuse_unreached(6)
    schedule.refuse_unreached(8)


@pytest.mark.parametrize(
    ("technique", "options", "said"),
    [
        (Constant, {"cooldown_epochs": 1}, "cooldown_epochs does nothing"),
        (Step, {"milestones": (1,), "cooldown_epochs": 1}, "cooldown_epochs does nothing"),
        (Piecewise, {"milestones": (1, 2), "factors": (0.1,)}, "2 milestones, 1 factors"),
        (Piecewise, {"milestones": (2, 1), "factors": (0.1, 1)}, "rise strictly"),
        (PiecewiseLinear, {"points": (1, 2), "factors": (0.1,)}, "2 points, 1 factors"),
        (Cyclic, {"up_epochs": 1, "decay": 0.9}, "exp_range, and there alone"),
        (Cyclic, {"up_epochs": 1, "mode": "exp_range"}, "exp_range, and there alone"),
        (Cyclic, {"up_epochs": 1, "base_ratio": 1}, "no cycle"),
        (OneCycle, {"pct_start": 1}, "less than 1"),
    ],
)
def test_options_that_do_nothing_or_contradict_are_refused(technique, options, said) -> None:
    with pytest.raises(ValueError, match=said):
        technique(**options)


def test_a_scale_maps_all_that_is_counted_in_epochs() -> None:
    """Half as long, every curve is the same one over the share of the training."""
    for schedule, _ in CASES + HELD:
        halved = type(schedule)(**_stretch(schedule, 3, 6))
        assert ours(halved, epochs=3, steps=2 * STEPS) == pytest.approx(ours(schedule), rel=1e-9)
