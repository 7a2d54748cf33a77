"""The verdicts of a study's claims: from its runs, by inference.py, with the numbers behind them.

A run enters a question as measures.py says; pairs are the seeds that all of a question's variants
have. A missing run is in no pair, and is counted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy

from . import inference
from .claim_plan import PlannedClaim, Question, Term
from .config import claim as options
from .frames import StudyData
from .grid import Variant
from .inference import Region
from .measures import UNKNOWN, Run, Value, counts, measure
from .metrics import ENERGY_METRICS, TIME_METRICS
from .stats import CONFIDENCE, NAN

Runs = dict[str, dict[int, Run]]
"""Variant's label -> seed -> run."""
SUPPORTED, CONTRADICTED, INCONCLUSIVE = "supported", "contradicted", "inconclusive"
NOT_TESTED, NOT_HERE = "not tested", "not tested at this scale"


@dataclass(frozen=True)
class Finding:
    """What was found for one question of a claim."""

    question: Question
    state: str
    """`supported`, `contradicted` or `inconclusive`."""
    n: int
    """Seeds that all of its variants have."""
    method: str
    """`t` (mean) or `ranks` (median, with diverged runs, censored times or no spread)."""
    estimate: float
    """Mean or median of the effect; NaN where only a bound is known."""
    sd: float
    low: float
    """Lower bound at the claim's own level; its upper bound is `high`."""
    high: float
    low95: float
    """Of the plain 95 % interval, which decides nothing."""
    high95: float
    inside: bool
    """Whether what was seen lies where the claim says, decided or not."""
    resolvable: float
    """Smallest distance from the region's end that so many seeds support in four of five cases."""
    seeds_needed: int | None
    """Seeds that would decide in four of five cases, were what was seen the truth."""
    sampling: float
    """Standard error that the validation images add, at most; seeds do not show it."""


@dataclass(frozen=True)
class Verdict:
    """A claim's verdict with what carries it."""

    planned: PlannedClaim
    verdict: str
    reason: str
    """Why it is not tested, or why inconclusive; empty else."""
    findings: tuple[Finding, ...]
    n_diverged: int
    n_missing: int

    @property
    def decisive(self) -> Finding | None:
        """The finding to show: the closest call of a supported claim, the first that contradicts
        it, and of an open one that which so many more seeds would decide (`seeds_needed`)."""
        mine = [f for f in self.findings if f.state == self.verdict] or list(self.findings)
        if self.verdict == SUPPORTED:
            return min(mine, key=_clearance)
        if self.verdict == INCONCLUSIVE:
            wanted = [f for f in self._against or mine if f.seeds_needed == self.seeds_needed]
            mine = wanted or mine
        return next(iter(mine), None)

    @property
    def seeds_needed(self) -> int | None:
        """Seeds that would decide in four of five cases, were what was seen the truth: the fewest
        that contradict it, or else as many as its hardest question wants. None if unknown."""
        found = [f.seeds_needed for f in self._against or self.findings]
        known = [n for n in found if n is not None]
        if self._against:
            return min(known, default=None)
        return max(known) if known and len(known) == len(found) else None

    @property
    def _against(self) -> list[Finding]:
        """The findings that came out otherwise than the claim says, decided or not."""
        return [f for f in self.findings if not f.inside]


def _clearance(found: Finding) -> float:
    """How far the bounds of a supported question lie inside its region."""
    low, high = found.question.region
    below = found.low - low if math.isfinite(low) else math.inf
    return min(below, high - found.high if math.isfinite(high) else math.inf)


def verdicts(data: StudyData) -> list[Verdict]:
    """The verdicts of a study's claims, in its order."""
    used = {t.variant.label: t.variant for c in data.plan.claims for t in _terms(c)}
    runs = {name: runs_of(data, variant) for name, variant in used.items()}
    return [_verdict(data, runs, planned) for planned in data.plan.claims]


def _terms(planned: PlannedClaim) -> list[Term]:
    return [term for question in planned.questions for term in question.terms]


def _verdict(data: StudyData, runs: Runs, planned: PlannedClaim) -> Verdict:
    used = {t.variant.label: t.variant for t in _terms(planned)}.values()
    lost, missing = (sum(data.count(v, s) for v in used) for s in ("diverged", "missing"))
    if planned.untested:
        return Verdict(planned, NOT_HERE, planned.untested, (), lost, missing)
    reason = _not_comparable(data, planned)
    if reason:
        return Verdict(planned, NOT_TESTED, reason, (), lost, missing)
    findings = tuple(_finding(data, runs, planned, question) for question in planned.questions)
    n = min(f.n for f in findings)
    if n == 0:
        why = "no seed has run in all of its variants" if missing else "not measured here"
        return Verdict(planned, NOT_TESTED, why, (), lost, missing)
    states = [f.state for f in findings]
    if n < planned.claim.seeds:
        verdict, reason = INCONCLUSIVE, f"{n} of at least {planned.claim.seeds} seeds"
    elif CONTRADICTED in states:
        verdict = CONTRADICTED
    elif all(state == SUPPORTED for state in states):
        verdict = SUPPORTED
    else:
        open_questions = states.count(INCONCLUSIVE)
        verdict = INCONCLUSIVE
        reason = f"{open_questions} of {len(states)} comparisons" if len(states) > 1 else ""
    if planned.left_out:
        part = f"without its part that {data.plan.scale_name} scale cannot test"
        reason = "; ".join(filter(None, (reason, part)))
    return Verdict(planned, verdict, reason, findings, lost, missing)


def _not_comparable(data: StudyData, planned: PlannedClaim) -> str:
    """Why times or energies of these runs may not be compared; empty where they may."""
    for term in _terms(planned):
        metric = getattr(term.measure, "metric", "")
        if metric in ENERGY_METRICS:
            why = data.why_energy_differs()
        elif metric in TIME_METRICS or isinstance(term.measure, options.SecondsTo):
            why = data.why_times_differ()
        else:
            continue
        if why:
            return f"its times or energies are not comparable: {why}"
    return ""


# ---- one question --------------------------------------------------------------------------------


def _finding(data: StudyData, runs: Runs, planned: PlannedClaim, question: Question) -> Finding:
    effects, free = effects_of(question, runs, data.plan.scale_name)
    region = Region(*question.region)
    at = inference.levels(planned.alpha, len(planned.questions), region.two_sided)
    sampling = _sampling_error(data, question)
    if not effects:
        nothing = (NAN,) * 6
        return Finding(question, INCONCLUSIVE, 0, "t", *nothing, True, NAN, None, sampling)
    low, high = (np.array(ends) for ends in zip(*effects, strict=True))
    decision = inference.decide(low, high, region, at, free)
    enough = len(effects) >= planned.claim.seeds
    state = SUPPORTED if decision.supported else CONTRADICTED if decision.contradicted else ""
    use_t = len(effects) > 1 and bool(inference.method(low, high, free))
    estimate, sd = _estimate(low, high, use_t)
    shares = _shares(low, high, region)
    inside = region.low < estimate < region.high if use_t else shares[0] > shares[1]
    if use_t:
        resolvable = inference.resolvable(sd, len(effects), at, region.two_sided)
        needed = inference.seeds_needed(estimate, sd, region, at)
    else:
        resolvable, needed = NAN, inference.seeds_needed_by_ranks(*shares, at)
    bounds = inference.bounds(low, high, at.support, free)
    plain = inference.bounds(low, high, (1 - CONFIDENCE) / 2, free)
    return Finding(
        question,
        state if enough and state else INCONCLUSIVE,
        len(effects),
        "t" if use_t else "ranks",
        estimate,
        sd,
        *map(float, (*bounds, *plain)),
        inside,
        resolvable,
        needed if needed is None else max(needed, planned.claim.seeds),
        sampling,
    )


def _estimate(low: np.ndarray, high: np.ndarray, use_t: bool) -> tuple[float, float]:
    """Mean and standard deviation; or the median, NaN where it is not known exactly."""
    if use_t:
        return float(low.mean()), float(low.std(ddof=1))
    ends = float(np.median(low)), float(np.median(high))
    return (ends[0] if ends[0] == ends[1] and math.isfinite(ends[0]) else NAN), NAN


def _shares(low: np.ndarray, high: np.ndarray, region: Region) -> tuple[float, float]:
    """Share of the effects wholly inside the region, and wholly on one side of it."""
    inside = float(np.mean(inference.within(low, high, region)))
    return inside, float(max(np.mean(high < region.low), np.mean(low > region.high)))


def effects_of(
    question: Question, runs: Runs, scale: str
) -> tuple[list[tuple[float, float]], bool]:
    """The effect of each seed as the two ends between which it lies, and whether it wants a method
    free of distributions: a diverged run is in it, or a measure that counts."""
    values: list[tuple[Term, dict[int, Value]]] = []
    free = question.kind == "ranking" or any(counts(t.measure) for t in question.terms)
    for term in question.terms:
        mine = runs[term.variant.label]
        found = {seed: measure(term.measure, run, scale) for seed, run in mine.items()}
        free = free or any(run.diverged for run in mine.values())
        values.append((term, {s: v for s, v in found.items() if v is not None}))
    seeds = sorted(set.intersection(*(set(found) for _, found in values)))
    combine = {"sum": _sum, "spread": _spread, "ranking": _ranking}[question.kind]
    return [combine([(term.sign, found[seed]) for term, found in values]) for seed in seeds], free


def _sum(terms: list[tuple[int, tuple[float, float]]]) -> tuple[float, float]:
    ends = [(v if sign > 0 else (-v[1], -v[0])) for sign, v in terms]
    low, high = (sum(side) for side in zip(*ends, strict=True))
    # Infinity minus infinity: two losses that broke down, two times not reached.
    return (-math.inf if math.isnan(low) else low), (math.inf if math.isnan(high) else high)


def _spread(terms: list[tuple[int, tuple[float, float]]]) -> tuple[float, float]:
    wider, narrower = _sides(terms)
    if wider is None or narrower is None:
        return UNKNOWN
    found = float(np.std(wider, ddof=1) - np.std(narrower, ddof=1))
    return found, found


def _ranking(terms: list[tuple[int, tuple[float, float]]]) -> tuple[float, float]:
    early, late = _sides(terms)
    if early is None or late is None or len(set(early)) == 1 or len(set(late)) == 1:
        return UNKNOWN
    found = float(scipy.stats.spearmanr(early, late).statistic)
    return found, found


def _sides(terms: list[tuple[int, tuple[float, float]]]) -> list[list[float] | None]:
    """The values of the terms of sign 1 and of sign -1; None where one is not known exactly."""
    sides: list[list[float] | None] = []
    for wanted in (1, -1):
        ends = [v for sign, v in terms if sign == wanted]
        exact = all(low == high and math.isfinite(low) for low, high in ends)
        sides.append([low for low, _ in ends] if exact else None)
    return sides


def runs_of(data: StudyData, variant: Variant) -> dict[int, Run]:
    """The runs of a variant by seed, as measures see them."""
    mine = data.of(variant)
    mine = mine[mine["status"] != "missing"]
    epochs = data.epochs[data.epochs["variant"] == variant.label]
    found = {}
    for row in mine.to_dict("records"):
        curve = epochs[epochs["seed"] == row["seed"]].to_dict("records")
        found[int(row["seed"])] = Run(
            row["status"],
            row,
            [{**e, "epoch": int(e["epoch"])} for e in curve],
            variant.training.epochs,
            variant.document.epochs,
            data.classes,
        )
    return found


_ON_IMAGES = (options.Last, options.Best, options.AtEpoch, options.Change)


def _sampling_error(data: StudyData, question: Question) -> float:
    """Standard error of the effect by the validation images, in points; at most, because variants
    are measured on the same images and mostly agree on them.

    Of accuracies p on N images: sqrt(sum p (1 - p) / N), as if each had images of its own. NaN for
    what is no accuracy.
    """
    terms = question.terms
    metrics = {getattr(t.measure, "metric", "") for t in terms}
    accuracies = metrics <= {"val_top1", "val_top5"}
    if (
        question.kind != "sum"
        or not accuracies
        or not all(isinstance(t.measure, _ON_IMAGES) for t in terms)
    ):
        return NAN
    total = 0.0
    for term in terms:
        images = images_of(data, term.variant)
        share = data.summary(term.variant, term.measure.metric).mean / 100
        parts = 2 if isinstance(term.measure, options.Change) else 1
        total += parts * share * (1 - share) / images
    return 100 * math.sqrt(total)


def images_of(data: StudyData, variant: Variant) -> int:
    """Number of validation images that a variant is measured on."""
    cell = next(c for c in data.plan.cells if c.variant.label == variant.label)
    return cell.dataset.images("val", variant.training.val_share)
