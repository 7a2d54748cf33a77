"""Pareto fronts: a variant is off the front only where another is shown to beat it."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from synthetic import collected, study_copy

from ablation.captions import caption
from ablation.figure_data import why_not
from ablation.figures import draw
from ablation.grid import Planner
from ablation.pareto import beaten_by

RNG = 20261121


@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("top1", [[0, 0, 0, 0, 0], [0, 1, 2, 2.2, 2.2]])
def test_a_variant_of_the_front_is_taken_off_it_in_5_of_100_cases_at_most(counted, top1):
    """Costs rise with accuracy, or all are equal: none is truly beaten, also where times scatter
    by a tenth so that a dearer one often seems the cheaper."""
    rng, cases, n = np.random.default_rng(RNG), 20_000, 5
    values = np.array(top1)[:, None] + rng.normal(0, 1, (cases, 5, n))
    values += rng.normal(0, 1, (cases, 1, n))
    costs = np.array([10.0, 11, 12, 13, 14])[:, None] * np.ones((cases, 5, n))
    if not counted:
        costs = costs * rng.normal(1, 0.1, costs.shape)
    beaten = beaten_by(values, costs, counted=counted) >= 0
    wrong = beaten[:, 1:] if not any(top1) else beaten
    if any(top1):
        assert wrong.any(axis=1).mean() < 0.05
    else:  # of equals any may be beaten by chance alone
        assert beaten.any(axis=1).mean() < 0.05


def test_a_planted_loser_is_found():
    rng = np.random.default_rng(RNG)
    values = np.array([0, 5, 0])[:, None] + rng.normal(0, 0.5, (2000, 3, 5))
    costs = np.array([10.0, 10, 8])[:, None] * rng.normal(1, 0.01, (2000, 3, 5))
    beaten = beaten_by(values, costs)
    assert (beaten[:, 0] == 1).mean() > 0.8  # equal costs that scatter by a hundredth
    assert (beaten[:, 1] == -1).all() and (beaten[:, 2] == -1).mean() > 0.99  # the cheapest stays


def test_a_better_one_that_costs_more_beats_nothing():
    values = np.array([[70.0, 71, 70, 71, 70], [80, 81, 80, 80.5, 80]])
    costs = np.array([[10.0] * 5, [10.6] * 5])
    assert beaten_by(values, costs).tolist() == [-1, -1]
    assert beaten_by(values, np.array([[10.0] * 5, [10.3] * 5])).tolist() == [1, -1]
    assert beaten_by(values, np.array([[10.0] * 5, [10.3] * 5]), counted=True).tolist() == [-1, -1]
    assert beaten_by(values, costs[:1].repeat(2, 0), np.array([True, False])).tolist() == [-1, -1]


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    figures = {
        cost: {"kind": "pareto", "cost": cost, "title": f"Accuracy against {cost}"}
        for cost in ("images_seen", "seconds", "energy_j")
    }
    rows = {f"{e} epochs": {"epochs": e} for e in (30, 90)} | {"poor": {"lr": 0.001}}
    config = study_copy(
        tmp_path_factory.mktemp("front"), "front", grid={}, rows=rows,
        baseline={"row": "90 epochs"}, published=[], figures=figures,
    )  # fmt: skip
    scale = config / "scales/demo.yaml"
    scale.write_text(scale.read_text().replace("max_seeds: 2", "max_seeds: 5"))
    return config


def test_the_figure_marks_what_is_beaten_and_its_csv_says_by_what(config, tmp_path):
    data = collected(Planner(config).plan("front", "demo"), tmp_path, metered=True)
    for name, unit in (("images_seen", 18 * 2500), ("seconds", 27.0), ("energy_j", 18 * 210)):
        drawn = draw(data, name)
        rows = {r["variant"]: r for r in csv.DictReader(io.StringIO(drawn.table))}
        assert float(rows["90 epochs"]["cost"]) == pytest.approx(unit)
        assert rows["poor"]["on_front"] == "False" and rows["poor"]["beaten_by"]
        assert rows["90 epochs"]["on_front"] == rows["30 epochs"]["on_front"] == "True"
        assert drawn == draw(data, name) and "Off the front: 1 of 3" in caption(data, name)


def test_costs_that_may_not_be_compared_are_refused_in_words(config, tmp_path):
    plan = Planner(config).plan("front", "demo")
    shared = collected(plan, tmp_path / "shared", alone=False, metered=True)
    for name, what in (("seconds", "times"), ("energy_j", "energies")):
        said = why_not(shared, name)
        assert f"not drawn, {what} may not be compared: 15 of 15 cells shared" in said
        assert draw(shared, name).svg == "" and caption(shared, name) == said
    assert why_not(shared, "images_seen") == ""
    assert "no energy was measured" in why_not(collected(plan, tmp_path / "dark"), "energy_j")


def test_images_of_different_models_are_not_one_cost(tmp_path):
    front = {"kind": "pareto", "cost": "images_seen", "title": "Front"}
    config = study_copy(
        tmp_path, "models", grid={"img_size": [128, 224]}, baseline={"img_size": 224},
        published=[], figures={"f": front},
    )  # fmt: skip
    data = collected(Planner(config).plan("models", "demo"), tmp_path)
    assert "an image does not cost the same: variants differ in img_size" in why_not(data, "f")


def test_one_seed_takes_nothing_off_the_front(tmp_path):
    front = {"kind": "pareto", "cost": "images_seen", "title": "Front"}
    config = study_copy(tmp_path, "one", published=[], figures={"f": front}, seeds=1)
    plan = Planner(config).plan("one", "demo")
    lost = [c.id for c in plan.cells if c.variant.label == "lr=1"]
    data = collected(plan, tmp_path, diverged=dict.fromkeys(lost, 2))
    rows = list(csv.DictReader(io.StringIO(draw(data, "f").table)))
    assert {r["on_front"] for r in rows} == {"True"}
    assert "1 diverged run at chance accuracy." in caption(data, "f")


def test_one_that_broke_down_once_beats_nothing_of_a_higher_mean():
    steady = 80 + 0.01 * np.arange(10)
    broken = steady + 1 + 0.003 * np.arange(10)
    broken[3] = 10
    values, free = np.array([steady, broken]), np.array([False, True])
    assert beaten_by(values, np.ones((2, 10)), free, counted=True).tolist() == [-1, -1]


def test_the_cost_of_a_diverged_run_is_unknown_and_no_evidence():
    """Three of ten unknown: the other seven agree, but the order statistic may lie anywhere."""
    values = np.array([[70.0] * 10, [80.0] * 10]) + 0.1 * np.arange(10) * np.array([[1], [2]])
    costs = np.array([[10.0] * 10, [9.0] * 10]) + 0.01 * np.arange(10)
    assert beaten_by(values, costs).tolist() == [1, -1]
    costs[0, :3] = np.nan
    assert beaten_by(values, costs).tolist() == [-1, -1]
    costs[0, 1:3] = 10  # one unknown of ten may lie anywhere
    assert beaten_by(values, costs).tolist() == [1, -1]


def test_a_diverged_run_has_no_cost_of_its_own(config, tmp_path):
    plan = Planner(config).plan("front", "demo")
    lost = [c.id for c in plan.cells if c.variant.axes["row"] == "poor"][:2]
    data = collected(plan, tmp_path, diverged=dict.fromkeys(lost, 2))
    row = next(r for r in csv.DictReader(io.StringIO(draw(data, "seconds").table))
               if r["variant"] == "poor")  # fmt: skip
    assert (row["n"], row["cost_n"], row["n_diverged"]) == ("5", "3", "2")
    assert "2 diverged runs at chance accuracy, of unknown cost." in caption(data, "seconds")
    assert "2 diverged runs at chance accuracy." in caption(data, "images_seen")


def test_without_a_common_seed_no_front_is_drawn(config, tmp_path):
    plan = Planner(config).plan("front", "demo")
    seeds = {"poor": {0, 1}, "90 epochs": {2, 3}, "30 epochs": {4}}
    missing = tuple(c.id for c in plan.cells if c.config.seed not in seeds[c.variant.axes["row"]])
    data = collected(plan, tmp_path, missing=missing)
    assert "no seed has run in all of its variants" in why_not(data, "images_seen")
