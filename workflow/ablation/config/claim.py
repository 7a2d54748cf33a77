"""Claims: one sentence of a source document as a testable comparison between variants.

The sentences stand in the register, `config/claims.yaml`; a study that has the variants says how it
tests them. What decides, and how: inference.py.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from ..errors import nearest
from ..metrics import EPOCH_METRICS, METRICS, RUN_METRICS, TIME_METRICS
from .base import Config, Count, NoBool, NonNegative, Number, Percent, Positive, Text, Title

Labels = dict[str, Any]
"""Which variant: axis -> its value as the grid has it; or `{row: name}` for a named row."""


def _ordered(pair: tuple[int, int]) -> tuple[int, int]:
    if pair[0] > pair[1]:
        raise ValueError(f"first and last epoch, got {list(pair)}")
    return pair


Epochs = Annotated[tuple[Count, Count], AfterValidator(_ordered)]
"""First and last epoch of a window, from 1, in the document's epochs."""
Threshold = Percent | dict[str, Percent]


# ---- measures: one number of a run ---------------------------------------------------------------


class Measure(Config):
    """One number of each run, from its curve or its row in runs.csv (measures.py)."""

    name: str

    def last_epoch(self) -> int:
        """Latest epoch of the document that it names, 0 for none."""
        return 0

    def unit(self) -> tuple[str, str]:
        """The unit of its differences, and the form in which its numbers are shown."""
        raise NotImplementedError


def _of_metric(name: str) -> tuple[str, str]:
    metric = METRICS[name]
    return ("points" if metric.unit == "%" else metric.unit or metric.label.lower()), metric.format


class OfEpochs(Measure):
    """A measure of a metric's curve."""

    metric: str = "val_top1"

    def unit(self) -> tuple[str, str]:
        return _of_metric(self.metric)

    @field_validator("metric")
    @classmethod
    def _measured_each_epoch(cls, name: str) -> str:
        if name not in EPOCH_METRICS:
            raise ValueError(f"{name} is not measured each epoch{nearest(name, EPOCH_METRICS)}")
        return name


class Last(OfEpochs):
    """The value at the last epoch."""

    name: Literal["last"]


class Best(OfEpochs):
    """The best value of all epochs. It is chosen on the validation set and so flattered: for claims
    about the best alone."""

    name: Literal["best"]


class AtEpoch(OfEpochs):
    """The mean over a window of epochs on the way."""

    name: Literal["at"]
    epochs: Epochs
    """First and last epoch of the window, in the document's epochs."""

    def last_epoch(self) -> int:
        return self.epochs[1]


class Change(OfEpochs):
    """The mean over a later window minus the mean over an earlier one: the jump at a decay, what
    the last epochs still gain, or the fall after a peak. Fixed windows: a highest epoch minus the
    last one would be above zero by noise alone."""

    name: Literal["change"]
    before: Epochs
    """The earlier window, in the document's epochs."""
    after: Epochs
    """The later window."""

    @model_validator(mode="after")
    def _in_order(self) -> Change:
        if self.before[1] >= self.after[0]:
            raise ValueError("the window `before` ends before `after` begins")
        return self

    def last_epoch(self) -> int:
        return self.after[1]


class PeakMinusLast(OfEpochs):
    """The best epoch minus the last one. By noise alone it is above zero, so it is for comparing
    variants, not for showing a fall (`change` is)."""

    name: Literal["peak_minus_last"]
    first: Count = 1
    """Epoch from which on the peak counts, in the document's epochs."""

    def last_epoch(self) -> int:
        return self.first


class Fluctuation(OfEpochs):
    """Logarithm (base e) of the epoch-to-epoch scatter: the standard deviation of the differences
    of neighbouring epochs over the square root of two, which a slow trend does not enter. A
    difference of logarithms is a ratio: 0.69 is twice."""

    name: Literal["fluctuation"]
    epochs: Epochs | None = None
    """Window, in the document's epochs; all of them if none is given."""
    relative: bool = False
    """Of the metric's logarithm, so that curves of different levels compare (losses)."""

    def last_epoch(self) -> int:
        return self.epochs[1] if self.epochs else 0

    def unit(self) -> tuple[str, str]:
        return "log scatter", "{:.2f}"


class OfThreshold(Measure):
    """A measure that needs an accuracy to reach."""

    threshold: Threshold
    """Validation top-1 in percent; or scale -> top-1, where scales reach different ones."""


class EpochsTo(OfThreshold):
    """Epochs to an accuracy, here as a share of the training in the document's epochs; longer than
    the training where it was not reached (censored)."""

    name: Literal["epochs_to"]
    held: bool = False
    """From which on no epoch was below it, instead of the first epoch with it."""

    def unit(self) -> tuple[str, str]:
        return "epochs", "{:.1f}"


class SecondsTo(OfThreshold):
    """Seconds of training and evaluation to an accuracy, censored likewise; only of cells that ran
    alone on equal hardware."""

    name: Literal["seconds_to"]
    held: bool = False
    """From which on no epoch was below it, instead of the first epoch with it."""
    log: bool = False
    """Its logarithm (base e), so that a difference is a ratio: 0.69 is twice."""

    def unit(self) -> tuple[str, str]:
        return ("log seconds", "{:.2f}") if self.log else ("s", "{:.0f}")


class AtCrossing(OfThreshold):
    """A metric in the first epoch whose validation top-1 reaches an accuracy."""

    name: Literal["at_crossing"]
    metric: str = "train_top1"

    _metric = field_validator("metric")(OfEpochs._measured_each_epoch.__func__)

    def unit(self) -> tuple[str, str]:
        return _of_metric(self.metric)


class Reached(OfThreshold):
    """1 for a run that reached an accuracy, 0 for one that did not."""

    name: Literal["reached"]

    def unit(self) -> tuple[str, str]:
        return "share of runs", "{:.2f}"


class Diverged(Measure):
    """1 for a run that diverged, 0 for one that did not."""

    name: Literal["diverged"]

    def unit(self) -> tuple[str, str]:
        return "share of runs", "{:.2f}"


class OfRun(Measure):
    """A column of runs.csv that has one value a run: time, energy, spikes, gaps."""

    name: Literal["of_run"]
    metric: str

    @field_validator("metric")
    @classmethod
    def _one_a_run(cls, name: str) -> str:
        allowed = (*RUN_METRICS, *TIME_METRICS)
        if name not in METRICS or name not in allowed:
            raise ValueError(f"{name} is no value of a run{nearest(name, allowed)}")
        return name

    def unit(self) -> tuple[str, str]:
        return _of_metric(self.metric)


MEASURES: tuple[type[Measure], ...] = (
    *(Last, Best, AtEpoch, Change, PeakMinusLast, Fluctuation),
    *(EpochsTo, SecondsTo, AtCrossing, Reached, Diverged, OfRun),
)
AnyMeasure = Annotated[
    Last
    | Best
    | AtEpoch
    | Change
    | PeakMinusLast
    | Fluctuation
    | EpochsTo
    | SecondsTo
    | AtCrossing
    | Reached
    | Diverged
    | OfRun,
    Field(discriminator="name"),
]


# ---- parts of a claim ----------------------------------------------------------------------------

Direction = Literal["higher", "lower"]


class Pair(Config):
    """Two variants; their difference is `variant` minus `against`, seed by seed."""

    variant: Labels
    """The variant of which the claim speaks."""
    against: Labels
    """The variant that it is compared with."""


Pairs = Annotated[tuple[Pair, ...], Field(min_length=1)]


class Part(Config):
    """One kind of comparison; a claim holds if all its parts do."""

    kind: str
    scales: tuple[str, ...] = ()
    """At which of the claim's scales this part is asked; at all of them if none is named."""


# Beyond these no difference lies: of two accuracies, of two shares.
_WIDEST = {"points": 100, "share of runs": 1}


class Compared(Part):
    """A part with a margin, or a number, in units of its measure."""

    @model_validator(mode="after")
    def _in_reach(self) -> Compared:
        unit = self.measure.unit()[0]
        for key in ("margin", "value"):
            number = getattr(self, key, 0)
            if abs(number) > _WIDEST.get(unit, math.inf):
                raise ValueError(f"{key}: {number:g} is out of reach in {unit}")
        return self


class Superiority(Compared):
    """Each pair's difference exceeds the margin in the direction."""

    kind: Literal["superiority"]
    measure: AnyMeasure
    """What is compared."""
    pairs: Pairs
    """Several: all must hold, as in "each of eight" or "32 below 64 below 128"."""
    direction: Direction
    """Whether the variant's value is the higher or the lower one."""
    other: AnyMeasure | None = None
    """What is measured of `against` where it is not the same: another metric, another window of
    epochs. Then a pair may be one variant twice, as the validation loss against the train loss."""
    margin: NonNegative = 0.0
    """By more than this, in units of the measure."""
    why: str = ""
    """Where a margin above zero comes from."""

    @model_validator(mode="after")
    def _other_compares(self) -> Superiority:
        if self.other == self.measure:
            raise ValueError("other: it is `measure` again; leave it out")
        theirs, mine = ((self.other or self.measure).unit()[0], self.measure.unit()[0])
        if theirs != mine:
            raise ValueError(f"other: its unit is {theirs}, that of `measure` is {mine}")
        return self

    @model_validator(mode="after")
    def _margin_has_a_reason(self) -> Superiority:
        if self.margin and not self.why:
            raise ValueError("why: a margin wants its reason")
        return self


class Equivalence(Compared):
    """Each pair's difference lies within the margin, by two one-sided tests. A claim of no
    difference is never supported by a large p."""

    kind: Literal["equivalence"]
    measure: AnyMeasure
    """What is compared."""
    pairs: Pairs
    """Several: all must hold."""
    margin: Positive
    """A difference smaller than this counts as none, in units of the measure; set beforehand."""
    why: Text
    """Where the margin comes from."""


class NonInferiority(Compared):
    """Each pair's variant is not worse than the other by the margin."""

    kind: Literal["noninferiority"]
    measure: AnyMeasure
    """What is compared."""
    pairs: Pairs
    """Several: all must hold."""
    direction: Direction
    """Which way is better."""
    margin: Positive
    """A disadvantage smaller than this counts as none; set beforehand."""
    why: Text
    """Where the margin comes from."""


class Interaction(Compared):
    """The first pair's difference exceeds the second's: a difference of differences."""

    kind: Literal["interaction"]
    measure: AnyMeasure
    """What is compared."""
    first: Pair
    """The pair whose difference is said to be the higher (or lower) one."""
    second: Pair
    """The pair that it is compared with."""
    direction: Direction
    """Whether the first difference is the higher or the lower one."""
    margin: NonNegative = 0.0
    """By more than this."""
    why: str = ""
    """Where a margin above zero comes from."""


class Level(Compared):
    """Each variant's own value against a number."""

    kind: Literal["threshold"]
    measure: AnyMeasure
    """What is compared."""
    variants: Annotated[tuple[Labels, ...], Field(min_length=1)]
    """Several: all must hold."""
    relation: Literal["above", "below", "about"]
    """Which side of the number; `about`: within the margin of it."""
    value: Number
    """The number, in units of the measure."""
    margin: NonNegative = 0.0
    """For `about`."""
    why: str = ""
    """Where number and margin come from."""

    @model_validator(mode="after")
    def _about_has_a_margin(self) -> Level:
        if (self.relation == "about") != (self.margin > 0):
            raise ValueError("margin: `about` has one above 0, `above` and `below` have none")
        return self


class BestOf(Part):
    """One variant is better than every other one, all at once."""

    kind: Literal["best_of"]
    measure: AnyMeasure
    """What is compared."""
    variant: Labels
    """The one that is said to be the best."""
    others: tuple[Labels, ...] = ()
    """Those that it is compared with; all others of the study if none is named."""
    direction: Direction = "higher"
    """Which way is better."""


class Group(Config):
    """Variants and what is measured of each."""

    measure: AnyMeasure
    """What is measured."""
    where: Labels = {}
    """Only the study's variants with these values (of an axis one, or a list of several); all of
    them if none is given."""


class Spread(Part):
    """One group of variants lies farther apart than another: difference of the standard deviations
    over the variants, seed by seed."""

    kind: Literal["spread"]
    wider: Group
    """The group that is said to lie farther apart."""
    narrower: Group
    """The group that lies closer together; the same variants later, or others."""


class Ranking(Part):
    """An early look ranks the variants as the end does: Spearman's rank correlation over the
    variants, seed by seed."""

    kind: Literal["ranking"]
    early: AnyMeasure
    """What is seen early."""
    late: AnyMeasure
    """What it is to foretell."""
    where: Labels = {}
    """Only the study's variants with these values (of an axis one, or a list of several); all of
    them if none is given."""
    above: Annotated[float, NoBool, Field(ge=-1, lt=1)]
    """The correlation that must be exceeded."""
    why: Text
    """Where that number comes from."""


CLAIM_PARTS: tuple[type[Part], ...] = (
    *(Superiority, Equivalence, NonInferiority, Interaction),
    *(Level, BestOf, Spread, Ranking),
)
AnyPart = Annotated[
    Superiority | Equivalence | NonInferiority | Interaction | Level | BestOf | Spread | Ranking,
    Field(discriminator="kind"),
]


# ---- claims --------------------------------------------------------------------------------------


class Claim(Config):
    """How a study tests a claim of the register (`config/claims.yaml`)."""

    number: Count
    """Its number in the register, which holds its sentence and its document."""
    parts: Annotated[tuple[AnyPart, ...], Field(min_length=1)]
    """The comparisons. The claim is supported if all are, contradicted if one is."""
    scales: tuple[str, ...]
    """Scales at which the comparison means something."""
    elsewhere: str = ""
    """Why it cannot be tested at other scales."""
    seeds: Annotated[int, NoBool, Field(ge=2, le=1000)] = 5
    """With fewer pairs of runs the verdict is inconclusive; a study has so many seeds at least."""
    note: str = ""
    """How the document's words were read."""

    @model_validator(mode="after")
    def _scales_are_named(self) -> Claim:
        if not self.scales or len(set(self.scales)) != len(self.scales):
            raise ValueError("scales: one or more different scales")
        named = [name for part in self.parts for name in part.scales]
        other = [name for name in named if name not in self.scales]
        if other:
            raise ValueError(f"parts: '{other[0]}' is none of the claim's scales")
        for scale in self.scales:
            if all(part.scales and scale not in part.scales for part in self.parts):
                raise ValueError(f"parts: none is asked at {scale} scale")
        return self


class Entry(Config):
    """A claim of a document, in our own words."""

    place: Text
    """Section, figure or table."""
    says: Text
    """One sentence."""
    untested: str = ""
    """Why no study can test it, where none can."""


class Document(Config):
    """A source document and its claims. Their number is the family of its verdicts: fixed, so that
    another study changes no verdict."""

    title: Title
    claims: dict[Count, Entry]
    """Number -> claim."""

    @field_validator("claims")
    @classmethod
    def _some(cls, claims: dict[int, Entry]) -> dict[int, Entry]:
        if not claims:
            raise ValueError("a document has claims")
        return claims


class Register(Config):
    """All claims of all documents (`config/claims.yaml`)."""

    documents: tuple[Document, ...]
    """Documents in the order of the report."""
    error_rate: Annotated[float, NoBool, Field(gt=0, lt=1)] = 0.05
    """Of a document: probability of any wrong *supported*, and of any wrong *contradicted*."""

    @model_validator(mode="after")
    def _each_number_once(self) -> Register:
        numbers = [number for d in self.documents for number in d.claims]
        twice = sorted({n for n in numbers if numbers.count(n) > 1})
        if twice:
            raise ValueError(f"claim {twice[0]} stands in two documents")
        return self

    def document_of(self, number: int) -> Document | None:
        """The document of a claim."""
        return next((d for d in self.documents if number in d.claims), None)

    def alpha(self, number: int) -> float:
        """Probability of a wrong verdict of one claim: its share of the document's error rate."""
        document = self.document_of(number)
        return self.error_rate / len(document.claims)
