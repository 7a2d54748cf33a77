"""Schedules against torch's own, step by step, and decays on exactly their step."""

from __future__ import annotations

import warnings
from fractions import Fraction

import pytest
import torch
from torch.optim import lr_scheduler as ls

from ablation.schedules import SCHEDULES, Constant, Cosine, Step
from ablation.schedules.base import Schedule, linear_warmup
from ablation.schedules.cosine import cosine

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
]


@pytest.mark.parametrize("number", range(len(CASES)))
def test_whole_run_equals_torch(number: int) -> None:
    schedule, make = CASES[number]
    assert ours(schedule) == pytest.approx(theirs(make), rel=1e-9, abs=1e-12)


def test_every_schedule_is_held_against_torch() -> None:
    assert {type(schedule) for schedule, _ in CASES} == set(SCHEDULES)


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
