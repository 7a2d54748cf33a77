"""Measures of a cell's epochs, on curves whose answer is known."""

from __future__ import annotations

import math
from typing import Any

import pytest

from ablation import diagnosis
from ablation.config.load import validate
from ablation.config.recipe import CellConfig
from ablation.diagnosis import Spike, fit, held, noise_scale, reached, spikes, time_to


def epochs(*top1: float) -> list[dict[str, Any]]:
    return [{"epoch": n, "val_top1": v, "val_loss": 1.0} for n, v in enumerate(top1, 1)]


TIMES = [{"train_time_s": float(n), "eval_time_s": 0.5} for n in range(1, 7)]


# -- time to an accuracy --------------------------------------------------------------------------


def test_reached_is_the_first_epoch_at_or_above():
    assert reached(epochs(10, 20, 15, 20), 20) == 2
    assert reached(epochs(10, 20), 20.0001) is None
    assert reached([], 0) is None


def test_held_is_the_first_epoch_of_the_last_stretch():
    assert held(epochs(20, 10, 20, 25, 20), 20) == 3
    assert held(epochs(20, 21), 20) == 1
    assert held(epochs(10, 20), 20) == 2
    assert held(epochs(20, 19.999), 20) is None
    assert held([], 0) is None


def test_seconds_are_those_of_training_and_evaluation_up_to_that_epoch():
    curve = epochs(5, 30, 10, 31, 32)
    assert time_to(curve, TIMES[:5], 30) == (2, 4.0, 4, 12.0)
    assert time_to(curve, TIMES[:5], 32.5) == (None, None, None, None)
    assert time_to(curve, TIMES[:5], 30, diverged=True) == (2, 4.0, None, None)


# -- spikes ---------------------------------------------------------------------------------------


def decay(n: int = 40, *, rate: float = 0.05) -> list[float]:
    return [0.3 + 2 * math.exp(-rate * t) for t in range(n)]


def planted(*where: tuple[int, float]) -> list[float]:
    curve = decay()
    for epoch, factor in where:
        curve[epoch - 1] *= factor
    return curve


@pytest.mark.parametrize("rate", [0.0, 0.05, 1.0])
def test_a_smooth_curve_has_no_spike(rate):
    assert spikes(decay(rate=rate)) == []
    assert spikes([]) == spikes([1.0]) == spikes([1, 9, 1]) == []


def test_planted_spikes_are_found_where_they_are_and_as_high_as_they_are():
    found = spikes(planted((12, 2.0), (20, 1.6), (21, 3.0), (30, 1.2)))
    assert [(s.epoch, s.epochs) for s in found] == [(12, 1), (20, 2)]
    level = sorted(decay()[14:19])[2]
    assert found[1].height == decay()[20] * 3.0 / level


def test_scale_does_not_matter():
    curve = planted((12, 2.0), (20, 1.6))
    for scale in (1e-6, 7.0):
        again = spikes([scale * v for v in curve])
        assert [s[:2] for s in again] == [s[:2] for s in spikes(curve)]
        assert [s.height for s in again] == pytest.approx([s.height for s in spikes(curve)])


def test_a_rise_that_stays_is_no_spike():
    assert spikes([1.0] * 10 + [2.0] * 20) == []
    assert spikes([1.0 + 0.1 * t for t in range(40)]) == []  # overfitting
    assert spikes([1.0] * 10 + [1.5**t for t in range(20)]) == []
    assert spikes([1.0] * 10 + [3.0]) == []  # whether it goes back is not known
    assert spikes([1.0] * 10 + [2.0] * 6 + [1.0] * 9) == []  # six epochs: too long
    assert spikes([1.0] * 10 + [2.0] * 5 + [1.0] * 9) == [Spike(11, 5, 2.0)]


def test_spikes_on_a_new_level_are_found():
    curve = [1.0] * 10 + [2.0] * 10 + [4.0] + [2.0] * 5
    assert spikes(curve) == [Spike(21, 1, 2.0)]


def test_the_factor_itself_is_none():
    assert spikes([1.0] * 5 + [1.25] + [1.0] * 5) == []
    assert spikes([1.0] * 5 + [1.2501] + [1.0] * 5) == [Spike(6, 1, 1.2501)]


def test_record_of_spikes():
    record = [{"val_loss": v} for v in planted((12, 2.0), (20, 3.0))]
    found = diagnosis.spike_record(record)
    assert found["val_loss_spikes"] == 2 and 2.5 < found["val_loss_spike_height"] < 3
    nothing = {"val_loss_spikes": 0, "val_loss_spike_height": None}
    assert diagnosis.spike_record([{"val_loss": 1.0}] * 9) == nothing
    assert diagnosis.spike_record([{"val_loss": 1.0}] * 3)["val_loss_spikes"] is None


# -- noise scale ----------------------------------------------------------------------------------


def test_noise_scale_of_the_paper():
    assert noise_scale(1.0, 1000, 50, 0.0) == 19  # nearly N / B
    assert noise_scale(0.1, 50_000, 50_000, 0.9) == 0
    assert noise_scale(0.1, 50_000, 128, 0.9) == pytest.approx(389.625)


def cell(**changes: Any) -> CellConfig:
    plain = {
        "dataset": "d", "model": {"name": "resnet_small"}, "img_size": 28, "epochs": 4,
        "batch_size": 100, "lr": 0.1, "optimizer": {"name": "sgd", "momentum": 0.5},
        "schedule": {"name": "constant"}, "loss": {"name": "cross_entropy"},
        "augment": {"name": "none"}, "reading": "resident", "seed": 0,
    }  # fmt: skip
    return validate(CellConfig, plain | changes, "here")


def test_noise_scale_of_a_cell_is_that_of_its_highest_learning_rate():
    assert diagnosis.cell_noise_scale(cell(), 1000, 10) == pytest.approx(0.1 * 9 / 0.5)
    nesterov = cell(optimizer={"name": "sgd", "momentum": 0.5, "nesterov": True})
    assert diagnosis.cell_noise_scale(nesterov, 1000, 10) == pytest.approx(1.8)
    # The top of a warmup that ends within an epoch is no epoch's start.
    steep = cell(schedule={"name": "cosine", "warmup_epochs": 0.5})
    assert diagnosis.cell_noise_scale(steep, 1000, 10) == pytest.approx(1.8)
    drop = cell(schedule={"name": "piecewise", "milestones": [2], "factors": [3.0]})
    assert diagnosis.cell_noise_scale(drop, 1000, 10) == pytest.approx(5.4)


@pytest.mark.parametrize(
    "optimizer", [{"name": "adam"}, {"name": "adamw"}, {"name": "rmsprop", "momentum": 0.9}]
)
def test_other_optimizers_have_no_noise_scale(optimizer):
    assert diagnosis.cell_noise_scale(cell(optimizer=optimizer), 1000, 10) is None


# -- overfitting and underfitting -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("train", "val", "category"),
    [
        (99.0, 84.0, "overfitting"),
        (90.1, 85.0, "overfitting"),
        (89.9, 85.0, "balanced"),
        (85.0, 85.0, "balanced"),
        (84.0, 85.0, "balanced"),  # within twice its standard error, 2.5 points
        (81.0, 85.0, "underfitting"),
        (100.0, 100.0, "balanced"),
    ],
)
def test_categories(train, val, category):
    found = fit(train, val, 1000, 5000)
    assert found.category == category and found.gap == train - val


def test_few_images_say_less():
    assert fit(91.0, 85.0, 1000, 5000).category == "overfitting"
    few = fit(91.0, 85.0, 100, 100)
    error = 200 * math.sqrt(0.91 * 0.09 / 100 + 0.85 * 0.15 / 100)
    assert few.category == "balanced" and few.above == pytest.approx(error) == -few.below


def test_record_of_the_fit():
    last = {"val_top1": 80.0, "clean_top1": 95.0, "train_top1": 70.0}
    found = diagnosis.fit_record(last, 1000, 2500, 5000)
    assert found["fit_clean"]["category"] == "overfitting" and found["fit_clean"]["gap"] == 15
    assert found["fit_running"]["category"] == "underfitting"
    without = diagnosis.fit_record({**last, "clean_top1": None}, 1000, 2500, 5000)
    assert without["fit_clean"] is None and without["fit_running"] is not None
    assert diagnosis.fit_record(last, 0, 2500, 5000)["fit_clean"] is None
    diverged = {"fit_clean": None, "fit_running": None}
    assert diagnosis.fit_record(None, 1000, 2500, 5000) == diverged
