"""Importance: planted shares are found, noise is none, and intervals cover; refusals in words."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from scipy import stats
from study_figures import main
from synthetic import collected, config_dir, study_copy

from ablation.captions import caption
from ablation.config.study import Importance
from ablation.errors import ConfigError
from ablation.figure_data import shares, why_not
from ablation.figures import draw
from ablation.grid import Planner
from ablation.importance import HIGHER, components, importance

RNG = 20261121
STUDY = "aime_fig3_without_augmentation"


def truth(effect: np.ndarray, sd: float) -> list[float]:
    """Shares of the axes, their pair and the noise of a table of effects."""
    rows, columns = (effect.mean(axis=a, keepdims=True) - effect.mean() for a in (1, 0))
    both = effect - effect.mean() - rows - columns
    parts = np.array([(rows**2).mean(), (columns**2).mean(), (both**2).mean(), sd**2])
    return list(100 * parts / parts.sum())


def runs(rng, effect: np.ndarray, seeds: int, sd: float = 0.7) -> np.ndarray:
    """Values with a common effect of each seed and noise."""
    noise = sd * rng.normal(size=(*effect.shape, seeds))
    return 70 + effect[..., None] + 0.7 * rng.normal(size=seeds) + noise


EFFECTS = {
    "none": np.zeros((3, 3)),
    "one": np.array([[0.0], [1], [2]]) + np.zeros((1, 3)),
    "both and their pair": np.array([[0, 0.5, 1], [1, 2, 2], [2, 2.5, 4]]),
    "2 x 2": np.array([[0, 0.5], [1, 1.5]]),
}


@pytest.mark.parametrize("name", EFFECTS)
@pytest.mark.parametrize("seeds", [3, 5])
def test_planted_shares_are_unbiased_and_covered(name, seeds):
    """Mean of the estimates within 3 points; intervals cover in 85 of 100 cases or more (measured:
    87 to 99), and an axis without effect seems to have one in 5 of 100 at most."""
    rng, effect = np.random.default_rng(RNG), EFFECTS[name]
    expected, cases = truth(effect, 0.7), 300
    found = [importance(runs(rng, effect, seeds), ["a", "b"]) for _ in range(cases)]
    for place, component in ((0, 0), (1, 1), (2, 2), (3, -1)):
        mine = [f[component] for f in found]
        assert np.mean([c.share for c in mine]) == pytest.approx(expected[place], abs=4)
        assert np.mean([c.low <= expected[place] <= c.high for c in mine]) > 0.85
        if expected[place] == 0:
            assert np.mean([c.low > 0 for c in mine]) < 0.05


def test_sums_of_squares_are_scipys():
    """They add up to the whole; without the seeds' effect, all effects together have scipy's F."""
    values = runs(np.random.default_rng(RNG), EFFECTS["both and their pair"], 4)
    found = components(values, ["a", "b"])
    assert sum(c.sum_of_squares for c in found) == pytest.approx(values.size * values.var())
    assert sum(c.df for c in found) == values.size - 1
    by_seed = values - values.mean(axis=(0, 1)) + values.mean()
    groups = by_seed.reshape(9, 4)
    inside = ((groups - groups.mean(axis=1, keepdims=True)) ** 2).sum()
    assert found[-1].sum_of_squares == pytest.approx(inside)
    between = sum(c.sum_of_squares for c in found[:3])
    f = (between / 8) / (inside / 27)
    assert stats.f_oneway(*groups).statistic == pytest.approx(f)
    assert sum(c.share for c in found if c.name != "seed") == pytest.approx(100)


def test_what_three_axes_do_together_has_a_place_of_its_own():
    effect = np.zeros((2, 2, 3))
    effect[0, 0, 0] = effect[1, 1, 0] = 8
    found = {c.name: c for c in importance(runs(np.random.default_rng(1), effect, 5), list("abc"))}
    assert list(found) == ["a", "b", "c", "a × b", "a × c", "b × c", HIGHER, "seed", "noise"]
    assert found[HIGHER].share > 15 and found["a × b"].share > 15 and found["a"].share < 3


@pytest.fixture
def plan():
    return Planner(config_dir()).plan(STUDY, "demo")


def test_every_crossed_grid_gets_the_figure(plan, tmp_path):
    data = collected(plan, tmp_path, diverged={plan.cells[0].id: 3})
    drawn = draw(data, "importance")
    rows = list(csv.DictReader(io.StringIO(drawn.table)))
    assert [r["name"] for r in rows] == ["batch_size", "lr", "batch_size × lr", "seed", "noise"]
    assert float(rows[1]["share"]) == shares(data, Importance(kind="importance"))[1].share
    assert rows[0]["n_diverged"] == "1" and drawn.png and draw(data, "importance") == drawn
    text = caption(data, "importance")
    assert "1 diverged run at chance accuracy may be most" in text and "no interval" in text
    assert "importance" not in Planner(config_dir()).plan("aime_fig1_constant_lr", "demo").config \
        .all_figures  # fmt: skip


def test_missing_runs_and_single_seeds_are_refused_in_words(plan, tmp_path):
    data = collected(plan, tmp_path, missing=(plan.cells[1].id,))
    assert "not drawn, 1 of the 18 runs of its grid have no value" in why_not(data, "importance")
    folder = tmp_path / "studies/demo" / STUDY
    args = ["--study", STUDY, "--scale", "demo", "--runs", str(folder / "runs.csv")]
    args += ["--out", str(folder / "figures"), "--config-dir", str(config_dir())]
    assert main(args) == 0
    said = (folder / "figures/importance.txt").read_text()
    assert said == caption(data, "importance") + "\n"
    assert not (folder / "figures/importance.svg").exists()
    smoke = Planner(config_dir()).plan(STUDY, "smoke")
    reason = why_not(collected(smoke, tmp_path / "smoke"), "importance")
    assert "with one seed noise cannot be told from an effect" in reason


@pytest.mark.parametrize(
    ("figures", "message"),
    [
        ({"a": {"kind": "importance"}}, "importance is of a grid of two or more axes"),
        ({"a": {"kind": "pareto", "title": "t", "cost": "seconds", "metric": "val_loss"}},
         "of a metric of which more is better"),
        ({"a": {"kind": "pareto", "title": "t", "cost": "euro"}}, "images_seen"),
    ],
)  # fmt: skip
def test_figures_that_cannot_be_are_refused(tmp_path, figures, message):
    config = study_copy(tmp_path, "odd", figures=figures)
    with pytest.raises(ConfigError, match=message):
        Planner(config).plan("odd", "demo")


def test_rounding_errors_are_no_variance():
    """Cells that differ by their seed's effect alone, which is taken out."""
    values = np.full((2, 3, 5), 84.12) + 0.1 * np.arange(5)
    assert all(np.isnan(c.share) for c in importance(values, ["a", "b"]))
    values[0] += 1  # an effect without noise is all there is
    assert [round(c.share) for c in importance(values, ["a", "b"])[:3]] == [100, 0, 0]
