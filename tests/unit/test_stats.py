"""Statistics against scipy's own functions and values known from tables."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from ablation import stats


def test_interval_is_the_textbook_one():
    # t(0.975, 4) = 2.776; mean 3, sd sqrt(2.5): 3 +- 2.776 * 1.5811 / sqrt(5)
    found = stats.summarise([1, 2, 3, 4, 5])
    assert (found.n, found.mean) == (5, 3.0)
    assert found.sd == pytest.approx(math.sqrt(2.5))
    assert found.half == pytest.approx(1.9632, abs=1e-4)


@pytest.mark.parametrize("n", [2, 3, 5, 30])
def test_interval_agrees_with_scipy(n):
    x = np.random.default_rng(n).normal(80, 2, n)
    low, high = scipy_stats.ttest_1samp(x, 0).confidence_interval(0.95)
    found = stats.summarise(x)
    assert (found.low, found.high) == pytest.approx((low, high))


def test_one_value_has_no_interval_and_none_has_no_mean():
    one, none = stats.summarise([80.0]), stats.summarise([])
    assert (one.n, one.mean) == (1, 80.0)
    assert all(math.isnan(v) for v in (one.sd, one.low, one.high, one.half, none.mean))
    assert not one.has_interval and none.n == 0


def test_equal_values_have_an_interval_of_no_width():
    # The mean of three times 0.1 is not 0.1 in floating point.
    found = stats.summarise([0.1, 0.1, 0.1])
    assert (found.mean, found.sd, found.low, found.high) == (0.1, 0.0, 0.1, 0.1)


def test_paired_difference_is_the_paired_t_test():
    rng = np.random.default_rng(1)
    a, b = rng.normal(80, 3, 6), rng.normal(79, 3, 6)
    found = stats.paired_difference(dict(enumerate(a)), dict(enumerate(b)))
    low, high = scipy_stats.ttest_rel(a, b).confidence_interval(0.95)
    assert found.mean == pytest.approx(np.mean(a) - np.mean(b))
    assert (found.low, found.high) == pytest.approx((low, high))


def test_pairs_are_the_seeds_that_both_have():
    found = stats.paired_difference({0: 80.0, 1: 81.0, 3: 99.0}, {1: 80.0, 0: 78.0, 2: 5.0})
    assert (found.n, found.mean) == (2, 1.5)
    assert stats.paired_difference({0: 1.0}, {1: 1.0}).n == 0


@pytest.mark.parametrize(
    ("metric", "classes", "expected"),
    [
        ("val_top1", 10, 10.0),
        ("val_top5", 10, 50.0),
        ("clean_top1", 1000, 0.1),
        ("val_top5", 3, 100.0),
        ("best_val_top1", 4, 25.0),
        ("val_loss", 10, None),
        ("train_time_s", 10, None),
    ],
)
def test_chance(metric, classes, expected):
    assert stats.chance(metric, classes) == expected


def test_times_are_compared_only_alone_and_on_equal_hardware():
    assert stats.why_times_differ([True, True], ["a", "a"]) == ""
    assert "1 of 2 cells shared" in stats.why_times_differ([True, False], ["a", "a"])
    assert "2 kinds of hardware" in stats.why_times_differ([True, True], ["a", "b"])


def test_median_counts_a_censored_run_as_the_latest():
    assert stats.median_reached([3, 5, None]) == 5
    assert stats.median_reached([3, None, None]) is None
    assert stats.median_reached([3, None]) is None
    assert stats.median_reached([]) is None


def test_t_factor_of_two_seeds():
    assert stats.t_factor(2) == pytest.approx(12.7062 / math.sqrt(2), abs=1e-4)
