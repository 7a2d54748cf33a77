"""The range test: rates are read off planted curves where they are, and a study shows them."""

from __future__ import annotations

import csv
import io
import xml.etree.ElementTree as ElementTree

import configs
import numpy as np
import pytest
from synthetic import collected, config_dir

from ablation import record
from ablation.captions import caption
from ablation.errors import ConfigError
from ablation.figures import draw
from ablation.grid import Planner
from ablation.lr_range import kept, mean, read_curve, smooth, suggest
from ablation.sentences import findings
from ablation.tables import study_tables

STUDY = "lr_range_test"
RANGE = """\
title: t
document: d
place: p
question: q
kind: lr_range
recipe: r
range: {lr_min: 1.0e-3, lr_max: 10, epochs: 5}
seeds: 2
"""


# -- reading a curve ------------------------------------------------------------------------------


def planted(steps: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Falls fastest at 0.1, is lowest between there and 10."""
    lrs = np.geomspace(1e-4, 10, steps)
    return lrs, 1.3 - np.tanh(1.5 * np.log10(lrs / 0.1)) + (lrs / 4) ** 3


def test_smoothing_keeps_constants_and_lines_and_has_no_lag():
    assert smooth(np.full(30, 2.5), 7.0) == pytest.approx(2.5)
    line = np.arange(101.0)
    assert smooth(line, 5.0)[50] == pytest.approx(50.0)
    assert smooth(line, 5.0)[::-1] == pytest.approx(100 - smooth(line, 5.0))
    step = smooth(np.repeat([0.0, 1.0], 50), 4.0)
    assert step[49] == pytest.approx(1 - step[50]) and 0.3 < step[49] < 0.5
    assert list(smooth(np.array([3.0, 1.0]), 0.0)) == [3.0, 1.0]


def test_smoothing_is_the_weighted_mean_that_it_says():
    values, length = np.random.default_rng(0).normal(size=40), 3.0
    weights = np.exp(-np.abs(np.subtract.outer(np.arange(40), np.arange(40))) / length)
    assert smooth(values, length) == pytest.approx(weights @ values / weights.sum(axis=1))


@pytest.mark.parametrize("noise", [0.0, 0.05])
@pytest.mark.parametrize("steps", [100, 1000])
def test_rates_are_found_where_they_are_planted(noise, steps):
    lrs, losses = planted(steps)
    losses = losses + np.random.default_rng(1).normal(0, noise, steps)
    found = read_curve(None, 0, lrs, losses, 0.05).suggestion
    lowest = lrs[np.argmin(planted(steps)[1])]
    assert found.steepest == pytest.approx(0.1, rel=0.35)
    assert found.lowest == pytest.approx(lowest, rel=0.35)
    assert found.tenth == found.lowest / 10


def test_steps_after_the_blow_up_are_left_out():
    assert kept([2.0, 1.0, 3.9, 4.1, 1.0], 0) == 3
    assert kept([2.0, 1.0], 0) == 2 and kept([], 0) == kept([], 5.0) == 0
    scattered = [1.0] * 20 + [0.2] + [1.0] * 20  # a lucky batch is no blow-up of the next
    assert kept(scattered, 0) == 21 and kept(scattered, 5.0) == 41
    assert kept([*scattered, 1e6, 1e6], 5.0) == 41
    lrs, losses = planted(200)
    blown = np.where(lrs > 5, 1e9, losses)
    found = read_curve(None, 0, lrs, blown, 0.05)
    assert found.lrs.max() <= 5 and found.suggestion.steepest == pytest.approx(0.1, rel=0.35)


def test_a_loss_that_does_not_fall_suggests_nothing():
    lrs = np.geomspace(1e-3, 10, 100)
    assert suggest(lrs, np.linspace(1, 2, 100), 5) == (None, None, None)
    falling = suggest(lrs, np.linspace(2, 1, 100), 5)  # the range ends too soon
    assert falling.steepest is not None and falling.tenth is falling.lowest is None
    assert suggest(lrs[:7], np.linspace(2, 1, 7), 5) == (None, None, None)
    assert read_curve(None, 0, [], [], 0.05).suggestion == (None, None, None)


def test_rates_are_averaged_by_factors():
    assert mean([0.01, 1.0, None]) == pytest.approx(0.1) and mean([None]) is mean([]) is None


# -- the study ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plan():
    return Planner(config_dir()).plan(STUDY, "demo")


@pytest.fixture(scope="module")
def data(plan, tmp_path_factory):
    """One run diverged in its last epoch."""
    return collected(plan, tmp_path_factory.mktemp("range"), diverged={plan.cells[1].id: 10})


def test_cells_are_range_tests_of_the_same_length_at_every_scale(plan):
    for at in (plan, Planner(config_dir()).plan(STUDY, "smoke")):
        for variant in at.variants:
            for training in (variant.training, variant.document):
                assert (training.lr, training.epochs) == (1e-4, 10)
                assert training.schedule.name == "lr_range"
                assert training.schedule.lr(training.lr, 10, 10) == pytest.approx(100)
    assert plan.variants[0].training.batch_size == 128  # the rest is mapped as ever


def test_every_step_is_recorded_with_its_own_rate(plan, data):
    config = plan.cells[0].config
    whole = record.steps_of(config, 3, 0, 19, [1.0] * 19)
    cut = record.steps_of(config, 3, 0, 19, [1.0] * 5) + record.steps_of(
        config, 3, 5, 19, [1.0] * 14
    )
    assert whole == cut
    assert whole[7][0] == config.schedule.lr(config.lr, 3 + 7 / 19, 10)
    steps = data.steps[data.steps["cell_id"] == plan.cells[0].id]
    assert list(steps["step"]) == list(range(1, 191)) and steps["lr"].is_monotonic_increasing
    assert steps["lr"].iloc[0] == 1e-4
    assert "steps" not in record.metrics("id", [], {"epoch": 1, "step": 1}, {})


def test_table_of_suggestions(data):
    (table,) = study_tables(data, config_dir())
    records = [r for r in table.records if r["variant"] == "batch_size=768"]
    assert [r["seed"] for r in records] == ["0", "1", "mean"] and table.marked == (2, 5)
    for entry in records:
        assert entry["steepest"] == pytest.approx(0.1, rel=0.35)
        assert entry["tenth"] == pytest.approx(entry["lowest"] / 10)
    assert records[2]["steepest"] == mean([r["steepest"] for r in records[:2]])
    assert "no accuracy is measured" in table.notes[0]
    assert records[0]["steps"] < 190  # it has blown up by then


def test_findings_say_what_they_are(data):
    sentences = findings(data)
    assert sentences[0].startswith("batch_size=768: the loss falls fastest at a learning rate of 0")
    assert "geometric means over 2 seeds" in sentences[0]
    assert "suggestions to begin with" in sentences[-1]


def test_figure_has_a_logarithmic_axis_and_its_data(data):
    drawn = draw(data, "loss")
    assert drawn == draw(data, "loss")
    words = {t.strip() for t in ElementTree.fromstring(drawn.svg).itertext()}
    assert {"Learning rate", "Train loss", "seed 0", "steepest descent", "batch_size=192"} <= words
    assert {"0.0001", "0.01"} <= words
    rows = list(csv.DictReader(io.StringIO(drawn.table)))
    assert list(rows[0]) == ["variant", "seed", "step", "lr", "loss", "smoothed"]
    assert float(rows[0]["lr"]) == 1e-4
    assert "Both are suggestions" in caption(data, "loss")


def test_without_any_run(plan, tmp_path):
    data = collected(plan, tmp_path, missing=tuple(c.id for c in plan.cells))
    assert findings(data)[0] == "batch_size=768: no suggestion, the loss does not fall."
    assert [r["seed"] for r in study_tables(data, config_dir())[0].records] == ["mean"] * 2
    assert "Missing: 4 of 4 runs" in caption(data, "loss") and draw(data, "loss").svg


# -- its configuration ----------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    configs.write(tmp_path / "config")
    (tmp_path / "config/studies/s.yaml").write_text(RANGE)
    return tmp_path / "config"


def test_without_a_grid_the_recipe_is_tested(folder):
    plan = Planner(folder).plan("s", "z")
    assert [v.label for v in plan.variants] == ["recipe"] and len(plan.cells) == 2
    assert plan.baseline is plan.variants[0] and plan.cells[0].config.schedule.ratio == 1e4


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("kind: lr_range\n", "", "`range` belongs to a study of the kind lr_range"),
        ("range: {lr_min: 1.0e-3, lr_max: 10, epochs: 5}\n", "", "`range` belongs to a study"),
        ("lr_max: 10", "lr_max: 1.0e-4", "lr_max is above lr_min"),
        ("seeds: 2", "grid: {lr: [0.1]}", "'lr' is set by `range`"),
        ("seeds: 2", "base: {schedule.name: cosine}", "'schedule.name' is set by `range`"),
        ("seeds: 2", "rows: {long: {epochs: 9}}", "'epochs' is set by `range`"),
        ("seeds: 2", "baseline: {row: recipe}", "a range test compares no accuracies"),
    ],
)
def test_what_a_range_test_cannot_use_is_refused(folder, old, new, message):
    configs.edit(folder / "studies/s.yaml", old, new)
    with pytest.raises(ConfigError, match=message):
        Planner(folder).plan("s", "z")


def test_a_grid_study_has_a_baseline_and_no_range_figure(folder):
    (folder / "studies/s.yaml").write_text(configs.STUDY.replace("baseline: {lr: 0.1}\n", ""))
    with pytest.raises(ConfigError, match="names the variant that differences are taken to"):
        Planner(folder).plan("s", "z")
    figure = "figures: {f: {kind: lr_range, title: f}}\n"
    (folder / "studies/s.yaml").write_text(configs.STUDY + figure)
    with pytest.raises(ConfigError, match=r"figures\.f: only a study of the kind lr_range"):
        Planner(folder).plan("s", "z")
