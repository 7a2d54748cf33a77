"""Plain sentences with numbers, each generated from the data. None calls a difference more than
what its interval shows."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable

from . import diagnosis, inference, loader_table, lr_range, stats
from .comparison_table import to_baseline
from .comparisons import Comparison
from .entries import number
from .frames import StudyData
from .grid import Variant
from .main_table import energy_text
from .settings import flat, model_text
from .stats import Summary

METRIC = "val_top1"


def duration(seconds: float) -> str:
    """A time span for readers: 45 s, 12 min, 1 h 32 min."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 119.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def listed(items: Iterable[object]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    texts = [str(item) for item in items]
    return " and ".join(filter(None, [", ".join(texts[:-1]), *texts[-1:]]))


def count(n: int, noun: str) -> str:
    """`1 cell`, `2 cells`, `2 classes`."""
    if n == 1:
        return f"1 {noun}"
    return f"{n:,} {noun}{'es' if noun.endswith('s') else 's'}"


def notice(studies: list[StudyData], scale: str, titles: dict[str, str]) -> list[str]:
    """How far these numbers are from the documents' own. titles: dataset -> name for readers."""
    if studies[0].plan.scale.trial:
        return [
            f"This is a {scale} run, which tries the workflow out: its accuracies mean nothing.",
            "Whatever its tables, figures and sentences show is no evidence about any setting.",
        ]
    variants = [v for data in studies for v in data.plan.variants]
    changed = []
    trains = [("model", model_text), ("epochs", lambda t: t.epochs)]
    if all(variant.loader is not None for variant in variants):
        trains = []  # a loader benchmark has no model, and epochs of its own
    for what, of in (("dataset", lambda t: titles[t.dataset]), *trains):
        here, document = (
            {of(getattr(v, k)): None for v in variants} for k in ("training", "document")
        )
        if here != document:
            unit = " epochs" if what == "epochs" else ""
            changed.append(f"{_few(here, what)} instead of {_few(document, what)}{unit}")
    if not changed:
        if any(flat(v.training) != flat(v.document) for v in variants):
            return [f"These are {scale}-scale numbers: some settings differ from the documents'."]
        return ["The documents' settings were run as they are."]
    elsewhere = listed(dict.fromkeys(titles[v.document.dataset] for v in variants))
    return [
        f"These are {scale}-scale numbers: {'; '.join(changed)}.",
        f"They show how these settings compare here, not what {elsewhere} would give.",
    ]


def _few(values: Collection[str | int], noun: str) -> str:
    """Some values by name; of many, how many they are, of numbers from where to where."""
    if len(values) <= 3:
        return listed(values)
    if all(isinstance(value, int) for value in values):
        return f"{min(values)} to {max(values)}"
    return count(len(values), noun)


def findings(data: StudyData) -> list[str]:
    """The best variant, its difference to the baseline, and how wide intervals are."""
    if data.plan.config.kind == "lr_range":
        return _range_findings(data)
    if data.plan.config.kind == "loader":
        return loader_table.findings(data)
    plan, best = data.plan, data.best(METRIC)
    if best is None:
        return ["No run of this study has finished."]
    found = data.summary(best, METRIC)
    among = count(len(plan.variants), "variant")
    run = sum(bool(data.values(v, METRIC)) for v in plan.variants)
    if run < len(plan.variants):
        among = f"{run} of {among}, the others have no run,"
    text = f"Best of {among} by mean last-epoch top-1: {best.label} "
    text += f"with {number(METRIC, found.mean)} % ({_interval(found)})."
    sentences = [text, fit_sentence(data, best), _comparison(data, best), resolution(data)]
    if found.n == 2 and found.half > 0:
        sentences.append(
            f"With {found.n} seeds an interval is wide, {stats.t_factor(2):.2f} standard "
            f"deviations to each side: here ± {number(METRIC, found.half)} points."
        )
    return [s for s in sentences if s]


def _range_findings(data: StudyData) -> list[str]:
    """What a range test suggests, a sentence a variant."""
    found, sentences = lr_range.curves(data), []
    for variant in data.plan.variants:
        mine = [curve.suggestion for curve in found if curve.variant is variant]
        steepest, tenth = (
            lr_range.mean([getattr(s, key) for s in mine]) for key in ("steepest", "tenth")
        )
        if steepest is None:
            sentences.append(f"{variant.label}: no suggestion, the loss does not fall.")
            continue
        text = f"{variant.label}: the loss falls fastest at a learning rate of {steepest:.2g}; "
        if tenth is None:
            text += "it has no minimum within the range"
        else:
            text += f"a tenth of the rate at which it is lowest is {tenth:.2g}"
        over = f" (geometric means over {count(len(mine), 'seed')})" if len(mine) > 1 else ""
        sentences.append(f"{text}{over}.")
    return [*sentences, "These are suggestions to begin with: no accuracy is measured at them."]


def fit_sentence(data: StudyData, variant: Variant) -> str:
    """Over- and underfitting of a variant, with its numbers and whose thresholds they are."""
    counts, gap = data.fits(variant), data.summary(variant, "clean_gap")
    if not counts:
        return ""
    said = next(iter(counts)) if len(counts) == 1 else listed(f"{n} {k}" for k, n in counts.items())
    how = "above" if gap.mean >= 0 else "below"
    text = f"Its clean train top-1 is {number('clean_gap', abs(gap.mean))} points {how} its "
    text += f"validation top-1: {said} by PaddleClas' rule (2.2.8; "
    text += f"more than {diagnosis.OVERFIT_POINTS:g} points above, our number, is overfitting)"
    advice = {diagnosis.OVERFITTING: "more", diagnosis.UNDERFITTING: "less"}
    return f"{text}, which advises {advice[said]} regularization." if said in advice else f"{text}."


def _interval(found: Summary) -> str:
    if not found.has_interval:
        return "one run, so no interval" if found.n == 1 else "no interval"
    low, high = number(METRIC, found.low), number(METRIC, found.high)
    return f"95 % interval {low} to {high}, n = {found.n}"


def _comparison(data: StudyData, best: Variant) -> str:
    baseline = data.plan.baseline
    if best.label != baseline.label:
        found = to_baseline(data, best)
        return f"Against the baseline {baseline.label} this is {_difference(found)}"
    means = {v.label: data.summary(v, METRIC).mean for v in data.plan.variants}
    others = [v for v in data.plan.variants if v is not best and not math.isnan(means[v.label])]
    if not others:
        return "It is the baseline; no other variant has finished runs."
    following = max(others, key=lambda v: means[v.label])
    found = to_baseline(data, following)
    return f"It is the baseline. The next, {following.label}, differs by {_difference(found)}"


def _difference(found: Comparison) -> str:
    """`+1.20 points (simultaneous 95 % interval -0.50 to +2.90; it includes zero).` The variant was
    chosen of all for its mean, so an interval of its own alone would say too much."""
    if found.n == 0:
        return "an unknown amount: no seed has run in both."
    text = f"{number(METRIC, found.mean, sign=True)} points"
    if not math.isfinite(found.high - found.low):
        why = "one pair of runs, so" if found.n == 1 else "so few seeds by ranks:"
        return f"{text} ({why} no interval)."
    low, high = (number(METRIC, v, sign=True) for v in (found.low, found.high))
    of = "" if found.method == "t" else " of the median"
    zero = "excludes" if found.decided else "includes"
    return f"{text} (simultaneous 95 % interval{of} {low} to {high}; it {zero} zero)."


def resolution(data: StudyData) -> str:
    """The smallest difference that so many seeds resolve, and how many would resolve the largest
    one seen that they do not. Empty where no comparison has two seeds and a spread."""
    others = [v for v in data.plan.variants if v.label != data.plan.baseline.label]
    found = {v.label: to_baseline(data, v) for v in others}
    known = [c for c in found.values() if not math.isnan(c.resolvable)]
    if not known:
        return ""
    seeds = listed(sorted({c.n for c in known}))
    ends = [number(METRIC, f(c.resolvable for c in known)) for f in (min, max)]
    reach = ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"
    text = f"{seeds} seeds resolve a difference to the baseline of {reach} points"
    text += f" (in four of five cases; {count(len(others), 'comparison')} at 5 % together)"
    open_ones = {k: c for k, c in found.items() if c.method == "t" and not c.decided}
    if not open_ones:
        rest = [k for k, c in found.items() if not c.decided]  # by ranks, or too few runs
        return f"{text}; {f'not shown: {listed(rest)}' if rest else 'all those seen are shown'}."
    label = max(open_ones, key=lambda k: abs(open_ones[k].mean))
    most = open_ones[label]
    needed = f"more than {inference.MOST_SEEDS:,}"
    needed = needed if most.seeds_needed is None else f"{most.seeds_needed:,}"
    seen = number(METRIC, most.mean, sign=True)
    return f"{text}. The largest seen that is not shown, {seen} of {label}, would take {needed}."


def how_to_read(studies: list[StudyData], val_images: int) -> list[tuple[str, str]]:
    """(term, explanation) for the numbers of this report."""
    data = studies[0]
    seeds = max(len({c.config.seed for c in s.plan.cells}) for s in studies)
    guess, guess5 = (stats.chance(f"val_top{k}", data.classes) for k in (1, 5))
    terms = [
        ("Runs", "n of planned: how many seeds of a variant are in its row."),
        (
            "Mean ± half-width",
            "mean over seeds at the last epoch, with a 95 % t interval: it says how the mean would "
            "vary with other seeds."
            + (
                f" With {seeds} seeds its half-width is {stats.t_factor(seeds):.2f} standard "
                "deviations of the runs."
                if seeds > 1
                else " With one seed there is none."
            ),
        ),
        (
            "Difference to baseline",
            "in points of top-1, taken seed by seed, with the 95 % interval of its mean in "
            "brackets. Of twenty comparisons without any effect, one interval on average "
            "excludes zero.",
        ),
        (
            "Diverged",
            f"a run whose loss was no longer finite. It counts at chance accuracy ({guess:g} % "
            f"top-1, {guess5:g} % top-5) and is not left out. A missing run is in no mean.",
        ),
        (
            "Epochs to an accuracy",
            "first epoch with that validation top-1: median and range over seeds, or both runs. "
            "> 18 means not within 18 epochs. Held: the first epoch from which it was never "
            "lower.".replace("18", str(_most_epochs(studies))),
        ),
        (
            "Best epoch",
            "the highest of all epochs, chosen on the validation set itself and so flattered. "
            "Comparisons use the last epoch. The best of many variants is flattered likewise.",
        ),
        (
            "Running and clean train accuracy",
            "running: on the augmented batches while the weights change, as documents print it. "
            "Clean: on a fixed training subset, evaluated like validation.",
        ),
        *_energy_term(studies),
    ]
    return [*terms, *_sampling_error(data, val_images)]


def _energy_term(studies: list[StudyData]) -> list[tuple[str, str]]:
    """Where energies come from; nothing where no machine had a meter."""
    sources = sorted({s for data in studies for s in data.runs["energy_source"] if s})
    if not sources:
        return []
    text = "read from the machine's own meters, never estimated: "
    text += "; or ".join(energy_text(source) for source in sources)
    text += ". It spans training, evaluation and saving, and idle devices count as well."
    return [("Energy, GPU load and power", text)]


def _sampling_error(data: StudyData, val_images: int) -> list[tuple[str, str]]:
    """The binomial standard error of an accuracy p on n images, sqrt(p (1 - p) / n)."""
    best = data.best(METRIC)
    if best is None or not val_images:
        return []
    share = data.summary(best, METRIC).mean / 100
    error = 100 * math.sqrt(max(0.0, share * (1 - share)) / val_images)
    text = f"{val_images:,} images: at {100 * share:.0f} % a sampling error of {error:.1f} points "
    text += "(one standard error) that seeds do not show, common to all variants."
    return [("Validation set", text)]


def _most_epochs(studies: list[StudyData]) -> int:
    return max(v.training.epochs for data in studies for v in data.plan.variants)
