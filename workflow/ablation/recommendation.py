"""What would I use: tips at this scale, each carried by a comparison of a study in the report.

The best of many is never the highest mean: a winner is named when it alone may be the best
(multiple comparisons with the best, comparisons.may_be_best) and its simultaneous interval to the
baseline, the same as in the table of comparisons, excludes zero. Where several may be the best, all
are named; where nothing can be told apart, the tip says so and how many seeds it would take.

"No better" is all that such a comparison says of the others: equals are left out too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .claims import SUPPORTED, Verdict
from .comparisons import Comparison, Paired, common, compare, may_be_best
from .entries import number
from .frames import StudyData, shown
from .grid import Variant
from .sentences import count, listed

METRIC = "val_top1"
LEAST_SEEDS = 3
"""With two, an interval stands on one degree of freedom, and on the normal distribution's tails."""
NAMED = 4
"""So many choices are named; of more, how many they are."""
Kind = Literal["use", "either", "narrowed", "open"]


@dataclass(frozen=True)
class Tip:
    """One recommendation, or the sentence that there is none."""

    study: str
    """Whose section holds the evidence: its name is the place on the page."""
    title: str
    setting: str
    """What is chosen: an axis, or the study's variants."""
    kind: Kind
    """`use` one; `either`, choose the cheaper; `narrowed` to some; `open`."""
    text: str


def tips(data: StudyData, found: list[Verdict]) -> list[Tip]:
    """The tips of one study: on its variants, on each axis of a crossed grid on average over the
    others, and on what its claims show to make no difference. None of other kinds of studies."""
    plan = data.plan
    if plan.config.kind != "grid" or plan.scale.trial:
        return []
    values = plan.config.grid
    axes = [axis for axis in values if len(values[axis]) > 1]
    setting = listed(axes) if axes and not plan.config.rows else "variant"
    tips = [_tip(data, setting, by_variant(data), plan.baseline.label, "")]
    for axis in axes if len(axes) > 1 else ():
        others = listed(other for other in axes if other != axis)
        reference = shown(plan.baseline, axis) if axis in plan.baseline.axes else ""
        tips.append(_tip(data, axis, by_level(data, axis), reference, others, len(values[axis])))
    return [tip for tip in tips if tip] + [_either(data, v) for v in found if _no_difference(v)]


def summary(studies: list[StudyData], verdicts: Mapping[str, list[Verdict]]) -> dict[str, Any]:
    """The tips of a report: those that are carried, and what is open. Empty without any."""
    found = [tip for data in studies for tip in tips(data, verdicts[data.plan.name])]
    if not found:
        return {}
    note = "Each tip by itself names a wrong winner, or leaves the best variant out, with a "
    note += "probability of at most 5 %; of twenty, one may. They hold for this scale, its data "
    note += "and its model. Verdicts share 5 % among all claims of a document, so a tip may name a "
    note += "winner where a claim on the same pair is open."
    return {
        "note": note,
        "carried": [tip for tip in found if tip.kind != "open"],
        "open": [tip for tip in found if tip.kind == "open"],
    }


def by_variant(data: StudyData) -> Paired:
    """Values of the study's variants over the seeds that all with a run have."""
    variants = data.plan.variants
    values = {v.label: data.values(v, METRIC) for v in variants}
    return common(values, {v.label: data.lost_seeds(v) for v in variants})


def by_level(data: StudyData, axis: str) -> Paired:
    """Values of an axis, each the mean over the grid's points with it, seed by seed."""
    levels: dict[str, list[Variant]] = {}
    for variant in data.plan.variants:
        if axis in variant.axes:
            levels.setdefault(shown(variant, axis), []).append(variant)
    values, lost = {}, {}
    for name, variants in levels.items():
        found = [data.values(v, METRIC) for v in variants]
        seeds = set.intersection(*map(set, found))
        values[name] = {s: float(np.mean([f[s] for f in found])) for s in seeds}
        lost[name] = set().union(*map(data.lost_seeds, variants))
    return common(values, lost)


def _tip(
    data: StudyData, setting: str, found: Paired, reference: str, others: str, levels: int = 0
) -> Tip | None:
    """The tip on one choice. reference: the baseline's name in it; others: axes averaged over;
    levels: of how many values."""
    if len(found.names) < 2:
        return None
    kind, text = chosen(found, reference)
    ends = [f"on average over {others}"] if others else []
    ends.append(count(len(found.seeds), "seed"))
    if kind == "use":
        ends += _at_the_edge(data, chosen_name(found), setting)
    lost = [name for name, gone in zip(found.names, found.lost, strict=True) if gone]
    ends += [f"runs of {listed(lost)} diverged"] if lost else []
    planned = len(data.plan.variants)
    if not others and len(found.names) < planned:
        ends.append(f"{planned - len(found.names)} of {planned} variants have no run")
    if gone := levels - len(found.names) if others else 0:
        verb = "is" if gone == 1 else "are"
        which = f"{gone} of {levels} values of {setting} {verb} left out"
        ends.append(f"{which}, for a point without a run")
    tail = f" ({'; '.join(ends)})."
    return Tip(data.plan.name, data.plan.config.title, setting, kind, text + tail)


def chosen(found: Paired, reference: str) -> tuple[Kind, str]:
    """What the values carry, and a sentence without its end."""
    total, order = len(found.names), np.argsort(-found.values.mean(axis=1), kind="stable")
    names = [found.names[i] for i in order]
    if len(found.seeds) < LEAST_SEEDS:
        have = count(len(found.seeds), "seed")
        return "open", f"{have} in common: at least {LEAST_SEEDS} are wanted for a tip"
    kept = may_be_best(found.values, found.lost)
    best = [found.names[i] for i in order if kept[i]]
    pair = best[:2] if len(best) > 1 else names[:2]
    nearest = _against(found, *pair, total - 1)
    take = "an unknown number of seeds"
    if nearest.seeds_needed is not None:
        take = f"about {max(nearest.seeds_needed, nearest.n):,} seeds"
    of = " of these" if 1 < len(best) < total else ""
    told = f"Telling {pair[0]} from {pair[1]}, the two best{of} by mean "
    told += f"({number(METRIC, nearest.mean, sign=True)} points), would take {take}"
    if len(best) == total:
        return "open", f"None of {total} choices can be told from the best. {told}"
    if len(best) == 1:
        rival = reference if reference in found.names and reference != best[0] else names[1]
        # Without a fixed reference the pair is chosen from all of them.
        tests = total - 1 if reference in found.names else total * (total - 1) // 2
        seen = _against(found, best[0], rival, tests)
        if seen.low > 0:
            return "use", _winner(found, best[0], rival, reference, seen)
        return "open", f"{best[0]} leads, but its interval to {rival} includes zero. {told}"
    worse = [name for name in names if name not in best]
    few = len(best) <= NAMED
    text = f"The best is one of {_names(best) if few else f'{len(best)} of {total} choices'}"
    text += f"; no better than these: {_names(worse)}" if len(worse) <= NAMED else ""
    return "narrowed", f"{text}. {told}"


def chosen_name(found: Paired) -> str:
    """The choice of the highest mean."""
    return found.names[int(np.argmax(found.values.mean(axis=1)))]


def _at_the_edge(data: StudyData, name: str, setting: str) -> list[str]:
    """That a winner has the highest or the lowest number tried on an axis: a better one may lie
    beyond. setting: the axis of its name, if it is no variant's."""
    named = {v.label: v.axes for v in data.plan.variants}
    levels = {
        shown(v, setting): {setting: v.axes[setting]}
        for v in data.plan.variants
        if setting in v.axes
    }
    mine, found = named.get(name) or levels.get(name, {}), []
    for axis, values in data.plan.config.grid.items():
        ordered = len(values) > 2 and all(type(value) in (int, float) for value in values)
        if ordered and mine.get(axis) in (min(values), max(values)):
            word = "lowest" if mine[axis] == min(values) else "highest"
            found.append(f"the {word} {axis} that was tried")
    return found


def _names(names: list[str]) -> str:
    """Names, which may hold commas."""
    return listed(f"“{name}”" for name in names)


def _against(found: Paired, name: str, other: str, tests: int) -> Comparison:
    one, two = (found.names.index(key) for key in (name, other))
    lost = bool(found.lost[one] | found.lost[two])
    return compare(found.values[one] - found.values[two], tests, lost)


def _winner(found: Paired, best: str, rival: str, reference: str, seen: Comparison) -> str:
    low, high = (number(METRIC, v, sign=True) if math.isfinite(v) else "∞" for v in seen[3:5])
    effect = f"{number(METRIC, seen.mean, sign=True)} points of top-1 [{low}, {high}]"
    others = len(found.names) - 1
    text = f"{'Keep' if best == reference else 'Use'} {best}: "
    text += f"none of the other {others} is better. " if others > 1 else "the other is no better. "
    whom = f"the next, {rival}," if others > 1 else rival
    whom = f"the baseline {rival}" if rival == reference else whom
    return f"{text}Against {whom} {effect} (simultaneous 95 % interval)"


def _no_difference(verdict: Verdict) -> bool:
    """Whether a claim of equal accuracies at the last epoch, up to a margin, is supported."""
    parts = verdict.planned.claim.parts
    equal = all(part.kind == "equivalence" and part.measure.name == "last" for part in parts)
    return verdict.verdict == SUPPORTED and equal


def _either(data: StudyData, verdict: Verdict) -> Tip:
    """Two variants that are shown to be equal up to the claim's margin."""
    margins = {f"{f.question.region[1]:g} points" for f in verdict.findings}
    pairs = listed(dict.fromkeys(f.question.label for f in verdict.findings))
    text = f"No difference as large as {listed(sorted(margins))}: {pairs}. Choose the cheaper "
    text += f"(claim {verdict.planned.number}: {verdict.planned.entry.says} "
    text += f"{count(min(f.n for f in verdict.findings), 'seed')})."
    return Tip(data.plan.name, data.plan.config.title, "equal choices", "either", text)
