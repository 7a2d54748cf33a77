"""Claims: the register, what studies ask, measures of curves, verdicts with a planted truth."""

from __future__ import annotations

import csv
import json
import math

import configs
import numpy as np
import pandas as pd
import pytest
import study_claims
import yaml
from pydantic import TypeAdapter
from synthetic import collected, config_dir, study_copy

from ablation import claims, verdicts
from ablation.claim_plan import check_one_decision, threshold, why_not, window
from ablation.config.claim import MEASURES, AnyMeasure
from ablation.config.load import load_register, load_study
from ablation.errors import ConfigError
from ablation.frames import StudyData
from ablation.grid import Planner
from ablation.measures import UNKNOWN, Run, counts, measure

CONFIG = configs.ROOT / "config"
DOCUMENTS = {range(1, 20): 19, range(20, 45): 25, range(45, 55): 10, range(55, 72): 17}
DOCUMENTS |= {range(72, 84): 12}
FIG1 = "aime_fig1_constant_lr"
LAST = {"name": "last"}


# ---- the register, and who tests what ------------------------------------------------------------


def test_the_register_holds_every_claim_of_every_document():
    register = load_register(CONFIG)
    assert [list(d.claims) for d in register.documents] == [list(r) for r in DOCUMENTS]
    assert [len(d.claims) for d in register.documents] == list(DOCUMENTS.values())
    says = [entry.says for d in register.documents for entry in d.claims.values()]
    assert len(set(says)) == 83 and all(text.endswith(".") and len(text) < 110 for text in says)
    assert register.alpha(1) == pytest.approx(0.05 / 19)
    assert register.alpha(83) == pytest.approx(0.05 / 12)


def test_each_claim_is_tested_by_one_study_at_most_and_those_of_aime_are():
    found = []
    for path in sorted((CONFIG / "studies").glob("*.yaml")):
        found += [claim.number for claim in load_study(CONFIG, path.stem).claims]
    assert len(found) == len(set(found))
    assert set(range(1, 20)) <= set(found)


@pytest.mark.parametrize("scale", ["smoke", "demo", "cifar", "imagenet"])
def test_every_claim_can_be_planned_at_every_scale(scale):
    planner = Planner(CONFIG)  # without data: outlines, as ImageNet has no lock here
    for path in sorted((CONFIG / "studies").glob("*.yaml")):
        study = load_study(CONFIG, path.stem)
        if not study.claims or scale in study.not_at:
            continue
        outline = planner._outline(path.stem, scale)
        for claim in outline.claims:
            assert bool(claim.untested) == (scale not in claim.claim.scales)
            assert claim.questions or claim.untested


def test_two_studies_with_the_same_claim_are_refused(tmp_path):
    config = study_copy(
        tmp_path, "again", claims=[{"number": 1, "parts": [GOOD], "scales": ["demo"]}]
    )
    plans = [Planner(config).plan(name, "demo") for name in (FIG1, "again")]
    check_one_decision([plans[0], plans[0]])
    with pytest.raises(ConfigError, match="claim 1 is tested by the studies aime_fig1.* and again"):
        check_one_decision(plans)


PAIR = {"variant": {"lr": 0.1}, "against": {"lr": 0.01}}
GOOD = {"kind": "superiority", "measure": LAST, "direction": "higher", "pairs": [PAIR]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"number": 99}, "claim 99 is not in claims.yaml"),
        ({"number": 77}, "claims.yaml says that no study can test it: it wants gradients"),
        ({"scales": ["demmo"]}, "claim 1: scales: there is no 'demmo'.*did you mean 'demo'"),
        ({"scales": []}, "one or more different scales"),
        ({"seeds": 1}, "seeds: must be at least 2"),
        ({"parts": []}, "wants at least 1"),
        ({"parts": [GOOD | {"pairs": [{"variant": {"lr": 0.2}, "against": {"lr": 0.1}}]}]},
         "claim 1: superiority: no variant is 'lr=0.2'"),
        ({"parts": [GOOD | {"margin": 1}]}, "a margin wants its reason"),
        ({"parts": [GOOD | {"other": LAST}]}, "other: it is `measure` again; leave it out"),
        ({"parts": [GOOD | {"other": {"name": "last", "metric": "val_loss"}}]},
         "other: its unit is validation loss, that of `measure` is points"),
        ({"parts": [GOOD | {"pairs": [{"variant": {"lr": 0.1}, "against": {"lr": 0.1}}]}]},
         "superiority: 'lr=0.1' is compared with itself"),
        ({"parts": [GOOD | {"scales": ["cifar"]}]}, "'cifar' is none of the claim's scales"),
        ({"scales": ["demo", "cifar"], "parts": [GOOD | {"scales": ["cifar"]}]},
         "none is asked at demo scale"),
        ({"parts": [GOOD | {"kind": "equivalence"}]}, "margin: missing"),
        ({"parts": [GOOD | {"measure": {"name": "at", "epochs": [86, 91]}}]},
         "names epoch 91, the document trains 90"),
        ({"parts": [GOOD | {"measure": {"name": "at", "epochs": [5, 4]}}]}, "first and last epoch"),
        ({"parts": [GOOD | {"measure": {"name": "change", "before": [1, 2], "after": [3, 3]}}]},
         "has both windows in one of 18 epochs"),
        ({"parts": [GOOD | {"measure": {"name": "change", "before": [1, 3], "after": [3, 4]}}]},
         "`before` ends before"),
        ({"parts": [GOOD | {"measure": {"name": "fluctuation", "epochs": [1, 15]}}]},
         "has a window of 3 epochs, too few"),
        ({"parts": [GOOD | {"measure": {"name": "epochs_to", "threshold": {"cifar": 90}}}]},
         "has no threshold for demo"),
        ({"parts": [GOOD | {"measure": {"name": "of_run", "metric": "val_top1"}}]},
         "val_top1 is no value of a run"),
        ({"parts": [GOOD | {"measure": {"name": "last", "metric": "val_topp1"}}]},
         "is not measured each epoch.*did you mean 'val_top1'"),
        ({"parts": [{"kind": "threshold", "measure": LAST, "variants": [{"lr": 0.1}],
                     "relation": "about", "value": 3}]}, "`about` has one above 0"),
        ({"parts": [{"kind": "spread", "wider": {"measure": LAST, "where": {"lr": 0.1}},
                     "narrower": {"measure": LAST}}]}, "1 variants have these values"),
        ({"parts": [{"kind": "spread", "wider": {"measure": LAST, "where": {"lr": [0.1, 0.2]}},
                     "narrower": {"measure": LAST}}]}, "where: no variant has lr=0.2"),
    ],
)  # fmt: skip
def test_a_claim_that_cannot_be_tested_so_is_refused(tmp_path, change, message):
    claim = {"number": 1, "parts": [GOOD], "scales": ["demo"]} | change
    config = study_copy(tmp_path, "wrong", claims=[claim])
    with pytest.raises(ConfigError, match=message):
        Planner(config).plan("wrong", "demo")


def test_no_claim_is_tested_at_a_trial_scale(tmp_path):
    claim = {"number": 1, "parts": [GOOD], "scales": ["demo", "smoke"]}
    planner = Planner(study_copy(tmp_path, "wrong", claims=[claim]))
    with pytest.raises(ConfigError, match="claim 1: scales: smoke is a trial, its accuracies mean"):
        planner.plan("wrong", "smoke")


def test_the_plan_of_a_study_follows_the_words_of_its_claims(tmp_path):
    config = study_copy(tmp_path, "words")
    before = {s: Planner(config).plan(s, "demo").digest for s in (FIG1, "aime_fig2_decay_epoch")}
    configs.edit(config / "claims.yaml", "has not caught up with 0.1", "is behind 0.1")
    after = {s: Planner(config).plan(s, "demo").digest for s in before}
    assert [before[s] == after[s] for s in before] == [False, True]


# ---- measures ------------------------------------------------------------------------------------


def option(name: str, **options):
    return TypeAdapter(AnyMeasure).validate_python({"name": name, **options})


def run(top1: list[float], status: str = "completed", planned: int = 0, **row) -> Run:
    epochs = [
        {"epoch": i, "val_top1": v, "val_loss": 1 / v, "train_top1": v + 1, "train_time_s": 2.0,
         "eval_time_s": 0.5}
        for i, v in enumerate(top1, 1)
    ]  # fmt: skip
    planned = planned or len(top1)
    return Run(status, row, epochs, planned, 2 * planned, 10)


CURVE = run(
    [20.0, 50.0, 40.0, 60.0, 70.0, 65.0, 72.0, 71.0], energy_j=9.0, val_loss_spikes=math.nan
)
BROKEN = run([20.0, 50.0, 40.0], "diverged", 8)


@pytest.mark.parametrize(
    ("chosen", "completed", "diverged"),
    [
        (option("last"), 71, 10),
        (option("last", metric="val_loss"), 1 / 71, math.inf),
        (option("best"), 72, 10),
        (option("best", metric="val_loss"), 1 / 72, math.inf),
        (option("at", epochs=[3, 8]), 50, 10),  # epochs 2 to 4 of half the length
        (option("change", before=[1, 4], after=[13, 16]), 71.5 - 35, 10 - 35),
        (option("change", before=[1, 4], after=[13, 16], metric="val_loss"),
         (1 / 72 + 1 / 71 - 1 / 20 - 1 / 50) / 2, math.inf),
        (option("peak_minus_last", first=9), 1, 0),
        (option("peak_minus_last"), 1, 40),
        (option("fluctuation"), math.log(np.std([30, -10, 20, 10, -5, 7, -1], ddof=1) / 2**0.5),
         UNKNOWN),
        (option("epochs_to", threshold=50), 4, 4),
        (option("epochs_to", threshold=50, held=True), 8, (18, math.inf)),
        (option("epochs_to", threshold=73), (18, math.inf), (18, math.inf)),
        (option("seconds_to", threshold=60), 10, (7.5, math.inf)),
        (option("seconds_to", threshold=73), (20, math.inf), (7.5, math.inf)),
        (option("seconds_to", threshold=60, log=True), math.log(10), (math.log(7.5), math.inf)),
        (option("at_crossing", threshold=60), 61, UNKNOWN),
        (option("reached", threshold=60), 1, 0),
        (option("diverged"), 0, 1),
        (option("of_run", metric="energy_j"), 9, UNKNOWN),
        (option("of_run", metric="val_loss_spikes"), None, UNKNOWN),
    ],
)  # fmt: skip
def test_measures(chosen, completed, diverged):
    for found, wanted in ((CURVE, completed), (BROKEN, diverged)):
        value = measure(chosen, found, "demo")
        pair = wanted if wanted is None or isinstance(wanted, tuple) else (wanted, wanted)
        assert value == (pair if pair is None else pytest.approx(pair))


def test_every_measure_is_tested_and_can_be_taken():
    assert {type(case[0]) for case in test_measures.pytestmark[0].args[1]} == set(MEASURES)


def test_scatter_does_not_see_a_trend_and_compares_curves_of_other_levels():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 1, 400)
    flat, rising = run(list(50 + noise)), run(list(50 + noise + np.arange(400) / 10))
    values = [measure(option("fluctuation"), r, "demo")[0] for r in (flat, rising)]
    assert values[0] == pytest.approx(values[1], abs=0.01) == pytest.approx(0, abs=0.1)
    losses = option("fluctuation", metric="val_loss", relative=True)
    high = run(list(5 * (50 + noise)))
    assert measure(losses, flat, "demo") == pytest.approx(measure(losses, high, "demo"))
    assert measure(option("fluctuation"), run([50.0] * 9), "demo") == (-math.inf, -math.inf)


def test_windows_keep_their_share_of_the_training():
    assert window((26, 30), 90, 18) == (6, 6)
    assert window((31, 40), 90, 18) == (7, 8)
    assert window((1, 1), 90, 18) == (1, 1)
    assert window((86, 90), 90, 18) == (18, 18)
    assert window((5, 7), 90, 90) == (5, 7)
    assert why_not(option("at", epochs=[1, 90]), 90, 3) == ""


def test_thresholds_may_differ_by_scale():
    assert threshold(option("reached", threshold={"demo": 80, "cifar": 92}), "cifar") == 92
    assert threshold(option("reached", threshold=70), "cifar") == 70
    assert counts(option("reached", threshold=70)) and not counts(option("last"))


# ---- verdicts ------------------------------------------------------------------------------------


LEVELS = {1.0: 70.0, 0.1: 85.0, 0.01: 84.0, 0.001: 85.0, 0.0001: 40.0}
QUESTIONS = {
    "superiority": {**GOOD, "pairs": [PAIR]},
    "wrong way": {**GOOD, "direction": "lower"},
    "by a margin": {**GOOD, "margin": 3, "why": "w"},
    "each of two": {**GOOD, "pairs": [PAIR, {"variant": {"lr": 0.1}, "against": {"lr": 0.001}}]},
    "equivalence": {"kind": "equivalence", "measure": LAST, "margin": 1, "why": "w",
                    "pairs": [{"variant": {"lr": 0.1}, "against": {"lr": 0.001}}]},
    "no equivalence": {"kind": "equivalence", "measure": LAST, "margin": 1, "why": "w",
                       "pairs": [{"variant": {"lr": 0.1}, "against": {"lr": 1.0}}]},
    "noninferiority": {"kind": "noninferiority", "measure": LAST, "margin": 1.5, "why": "w",
                       "direction": "higher",
                       "pairs": [{"variant": {"lr": 0.01}, "against": {"lr": 0.1}}]},
    "two measures": {**GOOD, "other": {"name": "at", "epochs": [41, 50]},
                     "pairs": [{"variant": {"lr": 0.1}, "against": {"lr": 0.1}}]},
    "interaction": {"kind": "interaction", "measure": LAST, "direction": "higher",
                    "first": {"variant": {"lr": 0.1}, "against": {"lr": 1.0}}, "second": PAIR},
    "above": {"kind": "threshold", "measure": LAST, "variants": [{"lr": 0.1}], "value": 84,
              "relation": "above"},
    "below": {"kind": "threshold", "measure": LAST, "variants": [{"lr": 0.1}], "value": 84,
              "relation": "below"},
    "about": {"kind": "threshold", "measure": LAST, "variants": [{"lr": 0.1}], "value": 84.8,
              "relation": "about", "margin": 1},
    "best of": {"kind": "best_of", "measure": LAST, "variant": {"lr": 0.1},
                "others": [{"lr": 0.01}, {"lr": 1.0}]},
    "not the best": {"kind": "best_of", "measure": LAST, "variant": {"lr": 0.01}},
    "spread": {"kind": "spread", "wider": {"measure": {"name": "at", "epochs": [1, 5]}},
               "narrower": {"measure": LAST}},
    "spread of some": {"kind": "spread",
                       "wider": {"measure": LAST, "where": {"lr": [1.0, 0.0001]}},
                       "narrower": {"measure": LAST, "where": {"lr": [0.1, 0.01, 0.001]}}},
    "ranking": {"kind": "ranking", "early": {"name": "at", "epochs": [46, 50]}, "late": LAST,
                "above": 0.5, "why": "w"},
}  # fmt: skip
EXPECTED = dict.fromkeys(QUESTIONS, "supported")
EXPECTED |= dict.fromkeys(("wrong way", "by a margin", "no equivalence", "below"), "contradicted")
EXPECTED |= {"each of two": "inconclusive", "not the best": "contradicted"}
EXPECTED["spread"] = "contradicted"


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Five learning rates with nine seeds at known levels, standard deviation 0.2; the order of the
    rates is there from the start, and they spread with time."""
    folder = tmp_path_factory.mktemp("planted")
    config = study_copy(folder, "planted", seeds=9)
    scale = config / "scales/demo.yaml"
    scale.write_text(scale.read_text().replace("max_seeds: 2", "max_seeds: 9"))
    data = collected(Planner(config).plan("planted", "demo"), folder)
    return config, plant(data, LEVELS)


def plant(data: StudyData, levels: dict[float, float]) -> StudyData:
    rng, epochs, runs = np.random.default_rng(0), data.epochs.copy(), data.runs.copy()
    for i, row in runs.iterrows():
        level = levels[float(row["axis.lr"])]
        mine = (epochs["variant"] == row["variant"]) & (epochs["seed"] == row["seed"])
        curve = level * np.arange(1, 19) / 18 + rng.normal(0, 0.2, 18)
        epochs.loc[mine, "val_top1"], runs.loc[i, "val_top1"] = curve, curve[-1]
    return StudyData(data.plan, runs, epochs)


def planted_with(planted, parts: list, **claim) -> StudyData:
    """The planted runs under a plan with one claim."""
    config, data = planted
    path = config / "studies/planted.yaml"
    content = json.loads(path.read_text())
    content["claims"] = [{"number": 3, "parts": parts, "scales": ["demo"], **claim}]
    path.write_text(json.dumps(content))
    return StudyData(Planner(config).plan("planted", "demo"), data.runs, data.epochs)


@pytest.mark.parametrize("name", QUESTIONS)
def test_verdicts_of_a_planted_truth(planted, name):
    verdict = claims.verdicts(planted_with(planted, [QUESTIONS[name]]))[0]
    assert verdict.verdict == EXPECTED[name]
    shown = verdict.decisive
    assert shown.n == 9 and shown.method == ("ranks" if name == "ranking" else "t")
    assert shown.low <= shown.estimate <= shown.high
    if shown.method == "t":
        assert shown.low < shown.low95 < shown.high95 < shown.high  # 99.47 % is wider than 95 %
        assert 0 < shown.resolvable < 1
    assert EXPECTED[name] != claims.SUPPORTED or shown.inside


def test_what_nothing_is_known_of_did_not_come_out_as_claimed(planted):
    """No run reached 99 %: neither epoch is known, and their difference may be any."""
    part = {**GOOD, "measure": {"name": "epochs_to", "threshold": 99}, "direction": "lower"}
    verdict = claims.verdicts(planted_with(planted, [part]))[0]
    assert verdict.verdict == claims.INCONCLUSIVE
    assert not verdict.decisive.inside and verdict.seeds_needed is None


def test_what_a_contradiction_takes_is_said(planted):
    two = [QUESTIONS["each of two"]]
    note = verdicts.notes_of(claims.verdicts(planted_with(planted, two)))[0]
    assert (
        "share it to contradict, so an interval that lies elsewhere may leave a claim open" in note
    )
    one = verdicts.notes_of(claims.verdicts(planted_with(planted, [QUESTIONS["superiority"]])))[0]
    assert "share it" not in one


def test_two_measures_are_named(planted):
    same, other = QUESTIONS["two measures"], {**GOOD, "other": {"name": "best"}}
    found = [claims.verdicts(planted_with(planted, [p]))[0].decisive for p in (same, other)]
    labels = [f.question.label for f in found]
    assert labels[0] == "lr=0.1: Top-1 last − Top-1 epochs 41–50"
    assert labels[1] == "lr=0.1 (Top-1 last) − lr=0.01 (Top-1 best)"
    # Of 90 epochs 41 to 50 are 9 and 10 of 18: half and five ninths of the way up to 85.
    assert found[0].estimate == pytest.approx(85 * (1 - 9.5 / 18), abs=0.3)


def test_numbers_of_a_verdict(planted):
    found = claims.verdicts(planted_with(planted, [QUESTIONS["superiority"]]))[0].decisive
    assert found.estimate == pytest.approx(1, abs=0.3) and found.sd == pytest.approx(0.28, abs=0.15)
    error = 100 * math.sqrt((0.85 * 0.15 + 0.84 * 0.16) / 5000)
    assert found.sampling == pytest.approx(error, rel=0.02)


def test_a_conjunction_is_contradicted_by_one_and_supported_by_all(planted):
    def verdict(*names):
        return claims.verdicts(planted_with(planted, [QUESTIONS[n] for n in names]))[0]

    assert verdict("superiority", "equivalence").verdict == "supported"
    assert verdict("superiority", "no equivalence").verdict == "contradicted"
    found = verdict("superiority", "each of two")
    assert (found.verdict, found.reason) == ("inconclusive", "1 of 3 comparisons")
    assert found.seeds_needed is None or found.seeds_needed > 9


def test_too_few_seeds_and_missing_runs(planted):
    data = planted_with(planted, [QUESTIONS["superiority"]])
    runs = data.runs.copy()
    lost = (runs["axis.lr"] == "0.1") & (runs["seed"] < 5)
    runs.loc[lost, "status"] = "missing"
    found = claims.verdicts(StudyData(data.plan, runs, data.epochs))[0]
    assert (found.verdict, found.n_missing) == ("inconclusive", 5)
    assert found.reason == "4 of at least 5 seeds" and found.seeds_needed >= 5
    runs.loc[runs["axis.lr"] == "0.1", "status"] = "missing"
    found = claims.verdicts(StudyData(data.plan, runs, data.epochs))[0]
    assert (found.verdict, found.reason) == ("not tested", "no seed has run in all of its variants")


def test_a_diverged_run_is_a_failure_and_asks_for_ranks(planted):
    data = planted_with(planted, [{**GOOD, "pairs": [{"variant": {"lr": 0.1},
                                                      "against": {"lr": 1.0}}]}])  # fmt: skip
    runs, epochs = data.runs.copy(), data.epochs.copy()
    runs.loc[(runs["axis.lr"] == "0.1") & (runs["seed"] == 0), "status"] = "diverged"
    found = claims.verdicts(StudyData(data.plan, runs, epochs))[0]
    shown = found.decisive
    assert (found.verdict, found.n_diverged, shown.method) == ("inconclusive", 1, "ranks")
    assert shown.n == 9 and shown.low < 10 - 69  # the failed pair is in it
    assert shown.high == pytest.approx(15, abs=2)
    runs["status"] = "completed"
    runs.loc[runs["axis.lr"] == "1.0", "status"] = "diverged"
    found = claims.verdicts(StudyData(data.plan, runs, epochs))[0]
    assert (found.verdict, found.decisive.method) == ("supported", "ranks")
    assert found.decisive.estimate == pytest.approx(75, abs=1)


def test_differences_of_values_that_are_known_in_part():
    never, at_4, unknown = (90.0, math.inf), (4.0, 4.0), UNKNOWN
    assert claims._sum([(1, at_4), (-1, never)]) == (-math.inf, -86)
    assert claims._sum([(1, never), (-1, at_4)]) == (86, math.inf)
    assert claims._sum([(1, never), (-1, never)]) == UNKNOWN
    assert claims._sum([(1, at_4), (-1, unknown)]) == UNKNOWN
    broken = (math.inf, math.inf)  # a loss that is not finite
    assert claims._sum([(1, broken), (-1, at_4)]) == broken
    assert claims._sum([(1, broken), (-1, broken)]) == UNKNOWN


def test_times_that_most_never_reach(planted):
    """lr 0.1 reaches 82 %, 0.0001 never does: its time is longer, whatever it is."""
    part = {**GOOD, "measure": {"name": "epochs_to", "threshold": 82}, "direction": "lower",
            "pairs": [{"variant": {"lr": 0.1}, "against": {"lr": 0.0001}}]}  # fmt: skip
    found = claims.verdicts(planted_with(planted, [part]))[0]
    shown = found.decisive
    assert (found.verdict, shown.method, shown.n) == ("supported", "ranks", 9)
    assert (shown.low, shown.high) == (-math.inf, -5)  # epoch 18 of 18, against 19 or later
    assert math.isnan(shown.estimate)


def test_a_part_that_the_scale_cannot_test_is_said_to_be_left_out(planted):
    parts = [QUESTIONS["superiority"], {**QUESTIONS["below"], "scales": ["imagenet"]}]
    found = claims.verdicts(planted_with(planted, parts, scales=["demo", "imagenet"]))[0]
    assert found.verdict == "supported" and len(found.findings) == 1
    assert "without its part that demo scale cannot test" in found.reason


def test_times_that_may_not_be_compared_test_nothing(tmp_path):
    part = {**GOOD, "measure": {"name": "seconds_to", "threshold": 70}, "direction": "lower"}
    claim = {"number": 1, "parts": [part], "scales": ["demo"], "seeds": 2}
    config = study_copy(tmp_path, "times", claims=[claim])
    plan = Planner(config).plan("times", "demo")
    found = claims.verdicts(collected(plan, tmp_path / "shared", alone=False))[0]
    assert found.verdict == "not tested" and "shared their machine" in found.reason
    found = claims.verdicts(collected(plan, tmp_path / "alone"))[0]
    assert found.verdict == "inconclusive" and found.findings[0].n == 2


def test_what_was_not_measured_tests_nothing(tmp_path):
    part = {**GOOD, "measure": {"name": "of_run", "metric": "gpu_power_w"}}
    claim = {"number": 1, "parts": [part], "scales": ["demo"], "seeds": 2}
    config = study_copy(tmp_path, "watts", claims=[claim])
    plan = Planner(config).plan("watts", "demo")
    found = claims.verdicts(collected(plan, tmp_path / "none"))[0]
    assert (found.verdict, found.reason) == ("not tested", "not measured here")
    found = claims.verdicts(collected(plan, tmp_path / "all", metered=True))[0]
    assert found.findings[0].n == 2


def test_other_scales_say_why_they_test_nothing():
    plan = Planner(config_dir()).plan(FIG1, "smoke")
    assert all(c.untested for c in plan.claims)
    demo = {c.number: c.untested for c in Planner(config_dir()).plan(FIG1, "demo").claims}
    assert demo[1] == "" and "more steps" in demo[2]


# ---- files and tables ----------------------------------------------------------------------------


def test_the_program_writes_csv_json_and_markdown(tmp_path):
    plan = Planner(config_dir()).plan(FIG1, "demo")
    collected(plan, tmp_path)
    folder = tmp_path / f"studies/demo/{FIG1}"
    args = ["--study", FIG1, "--scale", "demo", "--runs", str(folder / "runs.csv")]
    args += ["--out", str(folder / "claims"), "--config-dir", str(config_dir())]
    assert study_claims.main(args) == 0
    rows = list(csv.DictReader((folder / "claims/claims.csv").open()))
    assert tuple(rows[0]) == verdicts.COLUMNS
    assert [int(r["claim"]) for r in rows] == [1, 2, 3, 4, 5, 5, 5, 5, 17, 18, 18]
    content = json.loads((folder / "claims/claims.json").read_text())
    assert [c["claim"] for c in content] == [1, 2, 3, 4, 5, 17, 18]
    assert content[0]["findings"][0]["estimate"] == float(rows[0]["estimate"])
    text = (folder / "claims/claims.md").read_text()
    assert "Claim 17: the first epochs are read as epochs 6 to 10 of 90; ranking: a rank" in text
    assert "2 of at least 5 seeds" in text and "not tested at this scale: levelling off" in text


def test_a_study_without_claims_has_empty_files(tmp_path):
    config = study_copy(tmp_path, "silent")
    data = collected(Planner(config).plan("silent", "demo"), tmp_path)
    verdicts.write_claims(data, claims.verdicts(data), tmp_path / "claims")
    assert len(pd.read_csv(tmp_path / "claims/claims.csv")) == 0
    assert json.loads((tmp_path / "claims/claims.json").read_text()) == []


def test_the_register_refuses_a_number_twice(tmp_path):
    config = study_copy(tmp_path, "x")
    content = yaml.safe_load((config / "claims.yaml").read_text())
    content["documents"][1]["claims"][1] = content["documents"][0]["claims"][1]
    (config / "claims.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match="claim 1 stands in two documents"):
        load_register(config)
