"""Who asks which claim of the register, at which scale, with which seeds, and why not."""

from __future__ import annotations

import re
from dataclasses import dataclass

import configs
import pytest

from ablation import inference
from ablation.config import claim as options
from ablation.config.claim import Claim, Part
from ablation.config.load import load_register, load_study
from ablation.config.study import StudyConfig
from ablation.grid import Planner

CONFIG = configs.ROOT / "config"
REGISTER = load_register(CONFIG)
# First and last claim of a document -> how many of them demo scale tests at least.
ASKED = {(1, 19): 10, (20, 44): 15, (45, 54): 0, (55, 71): 0, (72, 83): 0}
AT_DEMO = 25  # of all 83 claims
NUMBERS = [n for first, last in ASKED for n in range(first, last + 1)]


@dataclass(frozen=True)
class Asked:
    """A claim with the study that asks it."""

    study: str
    config: StudyConfig
    claim: Claim


def _all() -> list[Asked]:
    names = sorted(path.stem for path in (CONFIG / "studies").glob("*.yaml"))
    studies = {name: load_study(CONFIG, name) for name in names}
    return [Asked(n, config, claim) for n, config in studies.items() for claim in config.claims]


ALL = sorted(_all(), key=lambda asked: asked.claim.number)
IDS = [f"{asked.claim.number} {asked.study}" for asked in ALL]
each = pytest.mark.parametrize("asked", ALL, ids=IDS)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_claim_is_asked_by_one_study_or_says_why_not(number):
    studies = [asked.study for asked in ALL if asked.claim.number == number]
    untested = REGISTER.document_of(number).claims[number].untested
    assert len(studies) == (0 if untested else 1), studies


@each
def test_a_claim_is_asked_by_a_study_of_its_document(asked):
    assert asked.config.document == REGISTER.document_of(asked.claim.number).title


@pytest.fixture(scope="module")
def planner(tmp_path_factory) -> Planner:
    """With locks of the datasets that are not embedded."""
    return Planner(configs.with_locks(tmp_path_factory.mktemp("asked")))


@each
def test_a_claim_is_planned_at_each_scale_that_it_names(planner, asked):
    for scale in asked.claim.scales:
        assert scale != "smoke"  # its accuracies mean nothing
        plan = planner.plan(asked.study, scale)
        planned = next(c for c in plan.claims if c.number == asked.claim.number)
        assert not planned.untested and planned.questions
        seeds = {cell.config.seed for cell in plan.cells}
        assert len(seeds) >= asked.claim.seeds


@each
def test_where_demo_scale_does_not_test_a_claim_it_says_why(asked):
    claim = asked.claim
    assert {"demo"} & {*claim.scales, *asked.config.not_at} or len(claim.elsewhere) > 20
    assert "imagenet" in claim.scales or len(claim.elsewhere) > 20


@each
def test_every_margin_and_number_set_beforehand_has_a_reason(asked):
    for part in asked.claim.parts:
        if getattr(part, "margin", 0) or isinstance(part, options.Ranking):
            assert len(part.why) > 20, part.kind


def free_of_distributions(part: Part) -> bool:
    """Whether ranks will decide it: times that may not be reached, counts, rank correlations."""
    measures = [part.measure] if hasattr(part, "measure") else []
    kinds = (options.EpochsTo, options.SecondsTo, options.Reached, options.Diverged)
    return isinstance(part, options.Ranking) or any(isinstance(m, kinds) for m in measures)


@pytest.mark.parametrize("asked", [a for a in ALL if a.claim.number > 19])
def test_so_many_seeds_can_decide(asked):
    """Of the documents after AIME, whose studies have five seeds each."""
    for scale in asked.claim.scales:
        seeds = len(asked.config.seed_list(scale))
        assert seeds >= asked.claim.seeds >= 5
        if any(map(free_of_distributions, asked.claim.parts)):
            assert inference.rank_of_bound(seeds, REGISTER.alpha(asked.claim.number)) > 0


def test_demo_scale_tests_enough_claims():
    at_demo = [asked.claim.number for asked in ALL if "demo" in asked.claim.scales]
    for (first, last), least in ASKED.items():
        assert sum(first <= n <= last for n in at_demo) >= least
    assert set(NUMBERS) == {n for d in REGISTER.documents for n in d.claims}
    assert len(at_demo) >= AT_DEMO


def test_a_threshold_is_named_for_each_scale_of_its_claim(planner):
    """One accuracy cannot be that of ImageNet's thousand classes and of ten: it is one number where
    the scales train on the same images alone."""
    for asked in ALL:
        for part in asked.claim.parts:
            of = getattr(getattr(part, "measure", None), "threshold", None)
            scales = part.scales or asked.claim.scales
            if isinstance(of, dict):
                assert set(of) == set(scales), asked.claim.number
            elif of is not None:
                plans = [planner.plan(asked.study, scale) for scale in scales]
                names = {cell.dataset.name for plan in plans for cell in plan.cells}
                assert len(names) == 1, asked.claim.number


def test_make_claims_tests_as_many_as_it_says():
    makefile = (configs.ROOT / "Makefile").read_text()
    listed = re.search(r"^DECISIVE := (.*?)\n\n", makefile, re.S | re.M).group(1)
    chosen = set(listed.replace("\\", "").split())
    decided = [a for a in ALL if a.study in chosen and "demo" in a.claim.scales]
    assert chosen == {asked.study for asked in decided}
    assert f"what tests {len(decided)} claims" in makefile
    assert f"what tests {len(decided)} claims" in (configs.ROOT / "README.md").read_text()
