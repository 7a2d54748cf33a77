"""Tips: only what the numbers carry, linked to its study; a planted winner is found, a wrong one is
not named in more than 5 % of cases."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic import collected, config_dir, study_copy

from ablation import recommendation
from ablation.claims import verdicts
from ablation.comparisons import Paired
from ablation.frames import StudyData
from ablation.grid import Planner
from ablation.markup import Column, Table
from ablation.recommendation import chosen, summary, tips
from ablation.render import HtmlRenderer, render_markdown

RNG = 20261121


def planted(data: StudyData, effect, sd: float = 0.5) -> StudyData:
    """The data with top-1 = 70 + effect(axes) + seed + noise, where a run completed."""
    rng = np.random.default_rng(RNG)
    shift = {seed: rng.normal(0, 1) for seed in sorted(set(data.runs["seed"]))}
    axes = {v.label: v.axes for v in data.plan.variants}
    for i, run in data.runs.iterrows():
        if run["status"] == "completed":
            noise = shift[run["seed"]] + rng.normal(0, sd)
            top1 = 70 + effect(axes[run["variant"]]) + noise
            data.runs.loc[i, "val_top1"] = top1
            mine = (data.epochs["cell_id"] == run["cell_id"]) & (data.epochs["epoch"] == 18)
            data.epochs.loc[mine, "val_top1"] = top1
    return data


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """Five seeds at demo scale, two studies."""
    grid = {"batch_size": [192, 768], "lr": [0.05, 0.1, 0.2]}
    more = {"figures": {}, "published": []}
    config = study_copy(
        tmp_path_factory.mktemp("tips"), "two", grid=grid, baseline={"batch_size": 768, "lr": 0.1},
        **more,
    )  # fmt: skip
    scale = config / "scales/demo.yaml"
    scale.write_text(scale.read_text().replace("max_seeds: 2", "max_seeds: 5"))
    return config


def data_of(config, folder, study="two", **options) -> StudyData:
    return collected(Planner(config).plan(study, "demo"), folder, **options)


def test_a_planted_winner_is_used_with_its_evidence(config, tmp_path):
    data = planted(data_of(config, tmp_path), lambda axes: 6 * (axes["lr"] == 0.2))
    found = {tip.setting: tip for tip in tips(data, verdicts(data))}
    lr = found["lr"]
    assert (lr.kind, lr.study) == ("use", "two")
    assert lr.text.startswith("Use 0.2: none of the other 2 is better. ")
    assert "on average over batch_size; 5 seeds; the highest lr that was tried)" in lr.text
    assert "Against the baseline 0.1 +" in lr.text
    assert found["batch_size"].kind == "open"
    # Two points of the grid share the effect: neither is called the winner.
    both = found["batch_size and lr"]
    assert both.kind == "narrowed" and both.text.startswith("The best is one of “")
    assert all(f"“batch_size={b}, lr=0.2”" in both.text for b in (192, 768))


def test_the_baseline_is_kept_where_it_wins(config, tmp_path):
    data = planted(data_of(config, tmp_path), lambda axes: 6 * (axes["lr"] == 0.1))
    found = {tip.setting: tip for tip in tips(data, [])}["lr"]
    assert found.kind == "use" and found.text.startswith("Keep 0.1: ")
    assert "that was tried" not in found.text  # 0.1 lies between others
    assert "Against the next, " in found.text


def test_without_effect_nothing_is_recommended(config, tmp_path):
    data = planted(data_of(config, tmp_path), lambda axes: 0)
    found = tips(data, [])
    assert {tip.kind for tip in found} <= {"open", "narrowed"}
    assert all("would take" in tip.text for tip in found)


def test_a_wrong_winner_is_named_in_less_than_5_of_100_cases():
    """All equal but one, which is better by a third of a standard deviation."""
    rng, wrong, named = np.random.default_rng(RNG), 0, 0
    names, seeds = tuple("abcde"), tuple(range(5))
    for _ in range(400):
        values = rng.normal(0, 1, (5, 5)) + rng.normal(0, 2, 5)
        values[2] += 0.3
        kind, text = chosen(Paired(names, seeds, values, np.zeros(5, bool)), "a")
        named += kind == "use"
        wrong += kind == "use" and not text.startswith("Use c:")
        wrong += kind == "narrowed" and "“c”" in text.split("no better than these")[1]
    assert wrong / 400 < 0.05 and named < 100


def test_few_seeds_carry_no_tip():
    values = np.array([[80.0, 81], [60, 61.5]])
    kind, text = chosen(Paired(("a", "b"), (0, 1), values, np.zeros(2, bool)), "a")
    assert kind == "open" and text == "2 seeds in common: at least 3 are wanted for a tip"


def test_a_variant_that_breaks_down_once_is_not_the_one_to_use():
    steady = 80 + 0.01 * np.arange(10)
    broken = steady + 1 + 0.003 * np.arange(10)
    broken[3] = 10
    values = np.array([steady, broken])
    kind, _ = chosen(Paired(("a", "b"), tuple(range(10)), values, np.array([False, True])), "a")
    assert kind == "open"


def test_seeds_are_told_of_two_that_may_be_best():
    """The second by mean is shown to be worse, a third that scatters more is not."""
    noise = np.array([-1.0, 1, -1, 1, 0])
    values = np.array([80 + 0.01 * noise, 79 + 0.01 * noise[::-1], 78 + 5 * noise])
    names = ("a", "b", "c")
    kind, text = chosen(Paired(names, tuple(range(5)), values, np.zeros(3, bool)), "a")
    assert kind == "narrowed" and text.startswith("The best is one of “a” and “c”;")
    assert "Telling a from c, the two best of these by mean" in text


def test_a_level_without_runs_is_said(config, tmp_path):
    plan = Planner(config).plan("two", "demo")
    gone = {"batch_size": 192, "lr": 0.2}
    missing = tuple(c.id for c in plan.cells if c.variant.axes == gone)
    data = planted(data_of(config, tmp_path, missing=missing), lambda axes: 0)
    found = {tip.setting: tip.text for tip in tips(data, [])}
    assert "1 of 3 values of lr is left out, for a point without a run" in found["lr"]


def test_smoke_scale_and_other_kinds_of_studies_have_no_tips(tmp_path):
    plan = Planner(config_dir()).plan("aime_fig3_without_augmentation", "smoke")
    data = collected(plan, tmp_path)
    assert tips(data, []) == [] and summary([data], {plan.name: []}) == {}
    plan = Planner(config_dir()).plan("lr_range_test", "demo")
    assert tips(collected(plan, tmp_path), []) == []


def test_diverged_runs_are_said_and_are_no_evidence_by_t(config, tmp_path):
    plan = Planner(config).plan("two", "demo")
    lost = {c.id: 2 for c in plan.cells if c.variant.axes["lr"] == 0.2}
    data = planted(data_of(config, tmp_path, diverged=lost), lambda axes: 0)
    found = {tip.setting: tip for tip in tips(data, [])}["lr"]
    assert found.kind == "open" and "runs of 0.2 diverged" in found.text


def test_a_supported_equivalence_says_choose_the_cheaper(config, tmp_path):
    claims = [{"number": 8, "scales": ["demo"], "parts": [
        {"kind": "equivalence", "measure": {"name": "last"}, "margin": 3, "why": "set before",
         "pairs": [{"variant": {"lr": 0.05}, "against": {"lr": 0.1}}]}]}]  # fmt: skip
    own = study_copy(tmp_path, "equal", grid={"lr": [0.05, 0.1]}, claims=claims, published=[])
    scale = own / "scales/demo.yaml"
    scale.write_text(scale.read_text().replace("max_seeds: 2", "max_seeds: 5"))
    data = planted(data_of(own, tmp_path, "equal"), lambda axes: 0, sd=0.05)
    found = tips(data, verdicts(data))
    assert [tip.kind for tip in found] == ["open", "either"]
    assert "No difference as large as 3 points" in found[1].text
    assert "Choose the cheaper (claim 8: " in found[1].text


def test_tips_are_linked_to_their_study_and_are_plain_text():
    hostile = "<script>x</script> | {{ 7*7 }}"
    tip = recommendation.Tip("two", hostile, "lr", "use", f"Use {hostile}.")
    content = {"tips": {"note": "n", "carried": [tip], "open": [tip]}, "studies": [], "claims": []}
    rest = {key: [] for key in ("facts", "notice", "mixtures", "how_to_read")}
    table = Table("empty", "caption", (Column("a"),), ())
    rest |= {"overview": table, "hardware": table, "versions": table, "time": table}
    rest |= {"scale": "demo", "scale_title": "demo", "trained": "", "not_run": None}
    rest |= {"trial": False, "tally": None, "documents": [], "summary": [], "totals": {}}
    page = HtmlRenderer().page("index", content | rest)
    assert '<section id="tips">' in page and page.count('<a href="studies/two.html">') == 2
    assert "<script>x" not in page and "&lt;script&gt;x" in page
    assert "<script>" not in render_markdown(content | rest)
    assert 'id="tips"' not in HtmlRenderer().page("index", content | rest | {"tips": {}})
