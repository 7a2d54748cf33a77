"""A study's claims at a scale: each becomes questions about its variants. Pure, without numpy.

A question asks whether an effect lies in an open region; inference.py decides it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .config import claim as options
from .config.claim import Claim, Entry, Register
from .errors import ConfigError, nearest
from .metrics import METRICS

if TYPE_CHECKING:
    from .grid import StudyPlan, Variant

Match = Callable[[tuple["Variant", ...], dict[str, Any], str], "Variant"]


@dataclass(frozen=True)
class Term:
    """A measure of a variant, added or taken away."""

    sign: int
    variant: Variant
    measure: options.Measure


@dataclass(frozen=True)
class Question:
    """Does the effect lie in the region?

    `sum` adds the terms. `spread` takes the standard deviation over the terms of sign 1 minus that
    over those of sign -1; `ranking` is Spearman's correlation between the terms of sign 1 (early)
    and those of sign -1 (late), in the order of their variants.
    """

    label: str
    kind: str
    terms: tuple[Term, ...]
    region: tuple[float, float]


@dataclass(frozen=True)
class PlannedClaim:
    """A claim of the register with what its study asks."""

    claim: Claim
    entry: Entry
    document: str
    alpha: float
    """Probability of a wrong verdict: the document's error rate over its number of claims."""
    questions: tuple[Question, ...]
    untested: str
    """Why it is not tested at this scale; empty when it is."""
    left_out: tuple[str, ...]
    """Kinds of its parts that are not asked at this scale."""

    @property
    def number(self) -> int:
        """Its number in the register."""
        return self.claim.number

    @property
    def summary(self) -> list[Any]:
        """What of the register is shown with it; the rest stands in the study."""
        return [self.number, self.entry.model_dump(), self.document, self.alpha]


def window(epochs: tuple[int, int], document: int, planned: int) -> tuple[int, int]:
    """A window of `document` epochs as the same share of `planned` ones, at least one epoch.

    With 90 and 18 epochs, 26 to 30 is epoch 6 and 31 to 40 is 7 to 8.
    """
    share = planned / document
    first = math.floor((epochs[0] - 1) * share + 1e-9) + 1
    return first, max(first, round(epochs[1] * share))


def threshold(option: options.OfThreshold, scale: str) -> float:
    """The accuracy that is to be reached at a scale."""
    found = option.threshold
    return found[scale] if isinstance(found, dict) else found


def plan_claims(
    plan: StudyPlan, register: Register, where: str, match: Match
) -> tuple[PlannedClaim, ...]:
    """The claims of a study. where: its file; match: that of variants.py."""
    planned = []
    for claim in plan.config.claims:
        at = f"{where}: claim {claim.number}"
        document = register.document_of(claim.number)
        if document is None:
            numbers = [str(n) for d in register.documents for n in d.claims]
            raise ConfigError(f"{at} is not in claims.yaml{nearest(str(claim.number), numbers)}")
        entry = document.claims[claim.number]
        if entry.untested:
            raise ConfigError(f"{at}: claims.yaml says that no study can test it: {entry.untested}")
        scale = plan.scale_name
        if plan.scale.trial and scale in claim.scales:
            raise ConfigError(f"{at}: scales: {scale} is a trial, its accuracies mean nothing")
        asked = [p for p in claim.parts if not p.scales or scale in p.scales]
        left_out = tuple(p.kind for p in claim.parts if p not in asked)
        found = {id(p): _questions(plan, p, at, match) for p in claim.parts}  # all are checked
        questions = tuple(q for part in asked for q in found[id(part)])
        untested = ""
        if scale in claim.scales:
            _check(questions, scale, at)
        else:
            untested = why_elsewhere(claim)
        alpha = register.alpha(claim.number)
        planned.append(
            PlannedClaim(claim, entry, document.title, alpha, questions, untested, left_out)
        )
    return tuple(planned)


def why_elsewhere(claim: Claim) -> str:
    """Why a claim is not tested at a scale that is none of its own."""
    return claim.elsewhere or f"it asks for {' or '.join(claim.scales)} scale"


def check_one_decision(plans: Iterable[StudyPlan]) -> None:
    """ConfigError when two of these studies test the same claim."""
    found: dict[int, str] = {}
    for plan in plans:
        for claim in plan.claims:
            first = found.setdefault(claim.number, plan.name)
            if first != plan.name:
                raise ConfigError(
                    f"claim {claim.number} is tested by the studies {first} and {plan.name}; a "
                    "claim has one decision: take it out of one of them"
                )


def _check(questions: tuple[Question, ...], scale: str, at: str) -> None:
    for term in (t for q in questions for t in q.terms):
        variant, measure = term.variant, term.measure
        problem = why_not(measure, variant.document.epochs, variant.training.epochs)
        if isinstance(measure, options.OfThreshold) and isinstance(measure.threshold, dict):
            problem = problem if scale in measure.threshold else f"has no threshold for {scale}"
        if problem:
            raise ConfigError(f"{at} at scale {scale}, {variant.label}: {measure.name} {problem}")


def why_not(option: options.Measure, document: int, planned: int) -> str:
    """Why a measure cannot be taken of a training of so many epochs; empty when it can."""
    if option.last_epoch() > document:
        return f"names epoch {option.last_epoch()}, the document trains {document}"
    if isinstance(option, options.Change):
        before, after = (window(w, document, planned) for w in (option.before, option.after))
        if before[1] >= after[0]:
            return f"has both windows in one of {planned} epochs"
    if isinstance(option, options.Fluctuation):
        first, last = window(option.epochs or (1, document), document, planned)
        if last - first < 3:
            return f"has a window of {last - first + 1} epochs, too few for a scatter"
    return ""


# ---- parts to questions --------------------------------------------------------------------------


def _questions(plan: StudyPlan, part: options.Part, at: str, match: Match) -> list[Question]:
    def of(labels: dict[str, Any]) -> Variant:
        return match(plan.variants, labels, f"{at}: {part.kind}")

    if isinstance(part, options.Level):
        region = _level_region(part)
        return [
            Question(v.label, "sum", (Term(1, v, part.measure),), region)
            for v in map(of, part.variants)
        ]
    if isinstance(part, options.BestOf):
        best = of(part.variant)
        others = [of(one) for one in part.others] or list(plan.variants)
        others = [v for v in others if v is not best]
        region = _directed(part.direction, 0)
        return [_difference([(best, other)], part.measure, region) for other in others]
    if isinstance(part, options.Interaction):
        pairs = [(of(p.variant), of(p.against)) for p in (part.first, part.second)]
        return [_difference(pairs, part.measure, _directed(part.direction, part.margin))]
    if isinstance(part, options.Spread):
        groups = (part.wider, part.narrower)
        sides = [(g.measure, _group(plan, g.where, 2, f"{at}: spread")) for g in groups]
        label = f"spread of {len(sides[0][1])} variants"
        return [Question(label, "spread", _terms(sides), (0, math.inf))]
    if isinstance(part, options.Ranking):
        found = _group(plan, part.where, 3, f"{at}: ranking")
        terms = _terms([(part.early, found), (part.late, found)])
        return [
            Question(f"ranks of {len(found)} variants", "ranking", terms, (part.above, math.inf))
        ]
    pairs = [(of(p.variant), of(p.against)) for p in part.pairs]
    if getattr(part, "other", None) is not None:
        return [_of_two_measures(part, pair) for pair in pairs]
    same = next((a.label for a, b in pairs if a is b), None)
    if same is not None:
        raise ConfigError(f"{at}: {part.kind}: '{same}' is compared with itself")
    return [_difference([pair], part.measure, _region(part)) for pair in pairs]


def _of_two_measures(part: options.Superiority, pair: tuple[Variant, Variant]) -> Question:
    """A measure of one variant minus another measure of another, or of the same one."""
    said = [_windowed(measure) for measure in (part.measure, part.other)]
    if pair[0] is pair[1]:
        label = f"{pair[0].label}: {said[0]} − {said[1]}"
    else:
        label = " − ".join(f"{v.label} ({w})" for v, w in zip(pair, said, strict=True))
    terms = (Term(1, pair[0], part.measure), Term(-1, pair[1], part.other))
    return Question(label, "sum", terms, _region(part))


def _windowed(measure: options.Measure) -> str:
    """Which of two measures: its metric, and its epochs or else its name."""
    metric = METRICS[measure.metric].label if hasattr(measure, "metric") else ""
    windows = [getattr(measure, key, None) for key in ("epochs", "before", "after")]
    epochs = " to ".join(f"{w[0]}–{w[1]}" for w in windows if w is not None)
    return " ".join(filter(None, (metric, f"epochs {epochs}" if epochs else measure.name)))


def _group(plan: StudyPlan, where: dict[str, Any], least: int, at: str) -> list[Variant]:
    """The variants that have all these values; of an axis that has a list, any of them."""
    wanted = {axis: v if isinstance(v, list | tuple) else [v] for axis, v in where.items()}
    for axis, value in ((axis, value) for axis, values in wanted.items() for value in values):
        if not any(v.axes.get(axis) == value for v in plan.variants):
            raise ConfigError(f"{at}: where: no variant has {axis}={value}")
    found = [
        v
        for v in plan.variants
        if all(axis in v.axes and v.axes[axis] in values for axis, values in wanted.items())
    ]
    if len(found) < least:
        raise ConfigError(
            f"{at}: where: {len(found)} variants have these values, at least {least} are wanted"
        )
    return found


def _terms(sides: list[tuple[options.Measure, list[Variant]]]) -> tuple[Term, ...]:
    signs = zip((1, -1), sides, strict=True)
    return tuple(Term(sign, v, measure) for sign, (measure, group) in signs for v in group)


def _difference(
    pairs: list[tuple[Variant, Variant]], measure: options.Measure, region: tuple[float, float]
) -> Question:
    """Of one pair, or of a pair's difference minus another's."""
    labels = [f"{a.label} − {b.label}" for a, b in pairs]
    label = labels[0] if len(labels) == 1 else f"({labels[0]}) − ({labels[1]})"
    terms = []
    for sign, (a, b) in zip((1, -1), pairs, strict=False):
        terms += [Term(sign, a, measure), Term(-sign, b, measure)]
    return Question(label, "sum", tuple(terms), region)


def _region(part: options.Part) -> tuple[float, float]:
    if isinstance(part, options.Equivalence):
        return -part.margin, part.margin
    if isinstance(part, options.NonInferiority):
        return _directed(part.direction, -part.margin)
    return _directed(part.direction, part.margin)


def _directed(direction: str, margin: float) -> tuple[float, float]:
    return (margin, math.inf) if direction == "higher" else (-math.inf, 0.0 - margin)


def _level_region(part: options.Level) -> tuple[float, float]:
    if part.relation == "about":
        return part.value - part.margin, part.value + part.margin
    return (part.value, math.inf) if part.relation == "above" else (-math.inf, part.value)
