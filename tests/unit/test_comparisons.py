"""Comparisons of many variants at once: corrected p, what seeds resolve, and the best of many."""

from __future__ import annotations

import csv
import io
import itertools
import math

import numpy as np
import pytest
from scipy import stats
from synthetic import collected, config_dir

from ablation import inference, sentences
from ablation.comparison_table import comparison_table, p_entry, to_baseline
from ablation.comparisons import common, compare, may_be_best
from ablation.grid import Planner
from ablation.markup import to_csv

RNG = 20261121


def test_p_is_the_paired_t_tests_times_the_number_of_comparisons():
    rng = np.random.default_rng(RNG)
    a, b = rng.normal(81, 1, 6), rng.normal(80, 1, 6)
    found, expected = compare(a - b, tests=4), stats.ttest_rel(a, b)
    assert found.p == pytest.approx(expected.pvalue) and found.method == "t"
    assert found.p_corrected == pytest.approx(4 * expected.pvalue)
    assert (found.low, found.high) == pytest.approx(expected.confidence_interval(1 - 0.05 / 4))


@pytest.mark.parametrize("free", [False, True])
def test_corrected_p_and_simultaneous_interval_say_the_same(free):
    rng, both = np.random.default_rng(RNG), set()
    for _ in range(60):
        effects = rng.normal(rng.choice([0, 1, 3]), 1, 12)
        found = compare(effects, tests=3, free=free)
        assert found.decided == (found.p_corrected <= 0.05)
        both.add(found.decided)
    assert both == {True, False}


def shown(effects: np.ndarray, tests: int) -> np.ndarray:
    """Whether the simultaneous interval excludes zero, as compare() has it; effects: (..., n)."""
    low, high = inference.bounds(effects, effects, 0.05 / (2 * tests))
    return (low > 0) | (high < 0)


def test_what_is_resolved_is_shown_in_four_of_five_cases():
    rng = np.random.default_rng(RNG)
    least = compare(rng.normal(0, 1, 5), tests=4)
    effects = rng.normal(least.resolvable / least.sd, 1, (20_000, 5))
    assert 0.78 < shown(effects, tests=4).mean() < 0.82
    needed = compare(rng.normal(0.9, 1, 8), tests=4)
    truth = (needed.mean / needed.sd, 1, (20_000, needed.seeds_needed))
    assert needed.seeds_needed > 8 and 0.78 < shown(rng.normal(*truth), tests=4).mean() < 0.86


def test_few_seeds_and_no_spread_know_little():
    assert compare(np.array([])).n == 0 and math.isnan(compare(np.array([1.0])).p)
    same = compare(np.zeros(5), tests=2)
    assert (same.p, same.method, same.decided) == (1.0, "ranks", False)
    assert p_entry(0.0002).text == "< 0.001" and p_entry(0.0004).text == "< 0.001"


def test_no_wrong_comparison_in_a_family_in_95_of_100_cases():
    """Eight variants equal to the baseline: any one that is said to differ is wrong."""
    rng = np.random.default_rng(RNG)
    runs = rng.normal(0, 1, (20_000, 9, 5)) + rng.normal(0, 1, (20_000, 1, 5))  # common seeds
    assert shown(runs[:, 1:] - runs[:, :1], tests=8).any(axis=1).mean() < 0.05


@pytest.mark.parametrize("truth", [[0] * 6, [0, 0, 0, 0, 0, 0.3], [2, 2, 0, 0, 0, 0]])
@pytest.mark.parametrize("scatter", [1.0, "unequal"])
def test_the_best_variant_is_in_the_set(truth, scatter):
    """Also with equals, near equals, and one variant that scatters ten times as much."""
    rng, truth = np.random.default_rng(RNG), np.array(truth, dtype=float)
    sd = np.array([3, 1, 1, 0.3, 1, 1]) if scatter == "unequal" else np.ones(6)
    runs = truth[:, None] + sd[:, None] * rng.normal(0, 1, (20_000, 6, 5))
    kept = may_be_best(runs + rng.normal(0, 1, (20_000, 1, 5)))
    best = truth == truth.max()
    for one in np.flatnonzero(best):
        assert kept[:, one].mean() > 0.947  # 20,000 cases: 0.95 to two standard errors
    alone = kept.sum(axis=1) == 1
    assert (alone & ~(kept & best).any(axis=1)).mean() < 0.05


def test_a_clear_winner_is_named():
    rng = np.random.default_rng(RNG)
    truth = np.array([0, 1, 2, 6.0])[:, None]
    kept = may_be_best(truth + rng.normal(0, 1, (2000, 4, 5)))
    assert (kept == [False, False, False, True]).all(axis=1).mean() > 0.8


def test_a_variant_of_diverged_runs_is_judged_by_ranks():
    """Five seeds cannot show it: one sign in 2^5 is above the share of each comparison."""
    values = np.array([[10.0] * 5, [80.0, 81, 79, 80, 82], [70.0, 71, 70, 69, 71]])
    free = np.array([True, False, False])
    assert may_be_best(values, free).tolist() == [True, True, False]
    assert may_be_best(np.tile(values, 3), free).tolist() == [False, True, False]


def test_common_seeds_are_those_of_all_that_have_run():
    found = common(
        {"a": {0: 1.0, 1: 2.0}, "b": {1: 3.0}, "c": {}}, {"a": {0}, "b": {1}, "c": set()}
    )
    assert (found.names, found.seeds, found.values.tolist()) == (("a", "b"), (1,), [[2.0], [3.0]])
    assert found.lost.tolist() == [False, True]


def test_the_table_and_its_sentence(tmp_path):
    plan = Planner(config_dir()).plan("aime_fig1_constant_lr", "demo")
    data = collected(plan, tmp_path, diverged={plan.cells[0].id: 4})
    table = comparison_table(data)
    rows = list(csv.DictReader(io.StringIO(to_csv(table))))
    found = to_baseline(data, plan.variants[3])
    assert float(rows[3]["difference_p_corrected"]) == found.p_corrected
    assert float(rows[3]["difference_p"]) * 4 == pytest.approx(found.p_corrected)
    assert rows[0]["difference_method"] == "ranks" and rows[0]["difference_low"] == ""
    assert rows[1]["difference_n"] == "0" and table.marked == (1,)
    assert [e.text for e in table.rows[1]][5:8] == ["baseline", "–", "–"]
    said = sentences.resolution(data)
    assert said.startswith("2 seeds resolve a difference to the baseline of ")
    assert "4 comparisons at 5 % together" in said


def test_one_that_broke_down_once_beats_nothing_of_a_higher_mean():
    """Nine of ten seeds speak for it, so its median is higher; its mean is 6 points lower."""
    steady = 80 + 0.01 * np.arange(10)
    broken = steady + 1 + 0.003 * np.arange(10)
    broken[3] = 10
    free = np.array([False, True])
    assert compare(broken - steady, free=True).low > 0  # of the median
    assert may_be_best(np.array([steady, broken]), free).tolist() == [True, True]


def test_not_all_are_shown_while_one_that_diverged_is_open(tmp_path):
    plan = Planner(config_dir()).plan("aime_fig1_constant_lr", "demo")
    data = collected(plan, tmp_path, diverged={plan.cells[0].id: 4})
    for seed, rate in itertools.product((0, 1), (0.001, 0.01, 0.0001, 0.1)):
        mine = (data.runs["variant"] == f"lr={rate:g}") & (data.runs["seed"] == seed)
        data.runs.loc[mine, "val_top1"] = 80 - (rate != 0.1) * (30 + 1e-6 * seed)
    decided = {v.label: to_baseline(data, v).decided for v in plan.variants}
    assert decided == {"lr=1": False, "lr=0.1": False} | dict.fromkeys(
        ("lr=0.01", "lr=0.001", "lr=0.0001"), True
    )
    said = sentences.resolution(data)
    assert "all those seen are shown" not in said and said.endswith("; not shown: lr=1.")


def test_the_best_of_many_has_the_interval_of_all_at_once(tmp_path):
    plan = Planner(config_dir()).plan("aime_fig1_constant_lr", "demo")
    data = collected(plan, tmp_path)
    top1 = {"lr=0.1": [70.0, 70.0], "lr=0.01": [72.0, 72.2]}
    for label, values in top1.items():
        data.runs.loc[data.runs["variant"] == label, "val_top1"] = values
    for label in {v.label for v in plan.variants} - set(top1):
        data.runs.loc[data.runs["variant"] == label, "val_top1"] = [60.0, 61.0]
    plain = data.difference(data.best(), plan.baseline, "val_top1")
    found = to_baseline(data, data.best())
    assert plain.low > 0 > found.low  # one interval alone would call it better
    said = next(s for s in sentences.findings(data) if s.startswith("Against the baseline"))
    assert f"{found.low:+.2f}".replace("-", "−") in said and "it includes zero" in said
    assert "simultaneous 95 % interval" in said


def test_the_best_is_one_of_those_that_have_run(tmp_path):
    plan = Planner(config_dir()).plan("aime_fig1_constant_lr", "demo")
    absent = tuple(c.id for c in plan.cells if c.variant.axes["lr"] in (1, 0.01))
    said = sentences.findings(collected(plan, tmp_path, missing=absent))[0]
    assert said.startswith("Best of 3 of 5 variants, the others have no run, by mean ")


def test_no_t_interval_stands_on_a_diverged_run(tmp_path):
    """It would cover the mean in fewer than 75 of 100 cases (0013)."""
    plan = Planner(config_dir()).plan("aime_fig1_constant_lr", "demo")
    data = collected(plan, tmp_path, diverged={plan.cells[0].id: 4})
    lost = plan.cells[0].variant
    found = data.difference(lost, plan.baseline, "val_top1")
    assert found.n == 2 and not found.has_interval
    other = next(v for v in plan.variants if v not in (lost, plan.baseline))
    assert data.difference(other, plan.baseline, "val_top1").has_interval
