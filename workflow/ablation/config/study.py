"""A study: one ablation, from its question to its figures."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from ..errors import nearest
from ..metrics import COLUMN_METRICS, EPOCH_METRICS, METRICS, TIME_METRICS
from .base import Config, Count, Fraction, NoBool, Number, Positive, Whole
from .claim import Claim, Labels
from .recipe import Described
from .resources import Otherwise, Site

EPOCHS_TO = "epochs_to"


def _known_metric(name: str) -> str:
    if name not in METRICS:
        raise ValueError(f"there is no metric '{name}'{nearest(name, METRICS)}")
    return name


def _drawn_metric(name: str) -> str:
    if _known_metric(name) in TIME_METRICS:
        raise ValueError(
            f"{name} is a time: it stands in the table, which says whether times may be compared"
        )
    return name


class Curves(Config):
    """Accuracy (or another metric) over epochs: a line per variant, a band over its seeds."""

    kind: Literal["curves"]
    metric: str = "val_top1"
    title: str
    colour: str | None = None
    """Axis told apart by colour; None for the variant itself."""
    style: str | None = None
    """Axis told apart by the line's dashes."""
    panel: str | None = None
    """Axis told apart by panels side by side."""

    @field_validator("metric")
    @classmethod
    def _measured_each_epoch(cls, name: str) -> str:
        if _drawn_metric(name) not in EPOCH_METRICS:
            raise ValueError(f"{name} is not measured each epoch{nearest(name, EPOCH_METRICS)}")
        return name


class Heatmap(Config):
    """A metric at the last epoch over two axes."""

    kind: Literal["heatmap"]
    metric: str = "val_top1"
    title: str
    x: str
    y: str

    _metric = field_validator("metric")(_drawn_metric)


class Importance(Config):
    """How much of the variance each axis of the grid, each pair of axes and the noise between seeds
    explain. A grid of two or more axes gets one named `importance` by itself."""

    kind: Literal["importance"]
    metric: str = "val_top1"
    title: str = "Importance of the axes"

    _metric = field_validator("metric")(_drawn_metric)


class Pareto(Config):
    """A metric of which more is better against what it costs: a point a variant, and which are on
    the front. Where costs may not be compared, the report says why in its place."""

    kind: Literal["pareto"]
    metric: str = "val_top1"
    cost: Literal["images_seen", "seconds", "energy_j"]
    """`images_seen` (epochs times training images) needs no clock, and one model and image size;
    `seconds` of training, and `energy_j`, want cells that ran alone on equal hardware."""
    title: str

    @field_validator("metric")
    @classmethod
    def _more_is_better(cls, name: str) -> str:
        if METRICS[_drawn_metric(name)].better != "higher":
            raise ValueError(f"{name}: a front is of a metric of which more is better")
        return name


class RangeCurves(Config):
    """The training loss over the learning rate, of a study of the kind `lr_range`."""

    kind: Literal["lr_range"]
    title: str


class LoaderRates(Config):
    """Images per second of the first and of the later epochs, of a study of the kind `loader`."""

    kind: Literal["loader"]
    title: str
    x: str
    """Axis along the figure; the axes that neither `x` nor `panel` names are told by colour."""
    panel: str | None = None
    """Axis told apart by panels side by side."""


Figure = Annotated[
    Curves | Heatmap | Importance | Pareto | RangeCurves | LoaderRates, Field(discriminator="kind")
]


class RangeTest(Config):
    """The course of a learning-rate range test; it takes the place of the recipe's lr, schedule
    and epochs."""

    lr_min: Positive
    """Learning rate of the first step."""
    lr_max: Positive
    """Learning rate at the end."""
    epochs: Count
    """Length of the test, the same at every scale: a hundred steps or more are wanted."""
    growth: Literal["exponential", "linear"] = "exponential"
    """By equal factors or by equal amounts a step."""
    smoothing: Annotated[Fraction, Field(lt=1)] = 0.03
    """Length of the loss's smoothing as a share of the steps; 0 for none."""

    @model_validator(mode="after")
    def _rises(self) -> RangeTest:
        if self.lr_max <= self.lr_min:
            raise ValueError(f"lr_max is above lr_min, got {self.lr_min:g} to {self.lr_max:g}")
        return self

    def changes(self) -> dict[str, Any]:
        """Overrides of the recipe, dotted key -> value."""
        schedule = {"name": "lr_range", "ratio": self.lr_max / self.lr_min, "growth": self.growth}
        return {"lr": self.lr_min, "epochs": self.epochs, "schedule": schedule}


# What of a recipe bears on how fast images are read; a loader benchmark leaves the rest alone.
LOADER_KEYS = (
    *("dataset", "train_share", "img_size", "val_crop_ratio", "batch_size", "augment", "reading"),
)


class LoaderTest(Config):
    """A loader benchmark: the training images are read, decoded and cropped as in a training, and
    nothing is trained. Each key is an axis too, `loader.workers` for one."""

    medium: str
    """Where the betons lie: a name in `media` of config.yaml. They are copied there if need be."""
    workers: Count = 1
    """Threads that read, decode and crop; a core each."""
    epochs: Annotated[int, NoBool, Field(ge=2)] = 3
    """Epochs that are read; the first one, from an empty page cache where that may be emptied, is
    measured apart from the later ones."""


class Published(Config):
    """A number that the document prints (or a threshold that it states)."""

    where: str
    """Place in the document: figure, table or section."""
    variant: Labels = {}
    """The variant it belongs to; empty for the study as a whole (its best variant)."""
    metric: str | None = "val_top1"
    """A metric; `epochs_to`, the epoch in which the accuracy `threshold` was first reached; or null
    for a number that nothing here measures, which `quantity` names."""
    quantity: str = ""
    """What the number is, with its unit, where `metric` is null."""
    threshold: Positive | None = None
    """Validation top-1 in percent, for `epochs_to`."""
    value: Number
    to: Number | None = None
    """Upper end, where the document gives a range; `value` is then its lower one."""
    of: Literal["level", "gain", "ratio"] = "level"
    """What the value is: the metric's own level; what the variant has more than the baseline
    (points); or its level as a multiple of the baseline's."""
    relation: Literal["=", "about", "<", ">", "up to", "at least"] = "="
    """How the document says it: read off a sentence, a number is `about` or a bound."""
    measures: Literal["last", "best", "unstated", "run"]
    """Which epoch the number is of; `run` for what a training has one of (a time, a power)."""
    note: str = ""

    @field_validator("metric")
    @classmethod
    def _is_measured(cls, name: str | None) -> str | None:
        return name if name in (None, EPOCHS_TO) else _known_metric(name)

    @model_validator(mode="after")
    def _whole(self) -> Published:
        if (self.metric == EPOCHS_TO) != (self.threshold is not None):
            raise ValueError("`threshold` belongs to the metric epochs_to, and only to it")
        if self.metric == EPOCHS_TO and not self.variant:
            raise ValueError("epochs_to is of a variant: name it")
        if (self.metric is None) != bool(self.quantity):
            raise ValueError("`quantity` belongs to a number without a metric, and only to it")
        if self.to is not None and (self.to <= self.value or self.relation not in ("=", "about")):
            raise ValueError("a range goes from `value` up to `to`, relation `=` or `about`")
        if self.of != "level" and self.metric in (None, EPOCHS_TO):
            raise ValueError(f"a {self.of} is one of a metric")
        return self

    @model_validator(mode="after")
    def _names_what_is_compared(self) -> Published:
        if self.of != "level" and not self.variant:
            raise ValueError(f"a {self.of} is of one variant against the baseline: name `variant`")
        return self


def _seeds_differ(seeds: int | tuple[int, ...]) -> int | tuple[int, ...]:
    if not isinstance(seeds, int) and (not seeds or len(set(seeds)) != len(seeds)):
        raise ValueError("seeds are one or more different numbers")
    return seeds


Seeds = Annotated[
    Annotated[int, NoBool, Field(ge=1, le=1000)] | tuple[Whole, ...], AfterValidator(_seeds_differ)
]


class StudyConfig(Described):
    """One ablation (`config/studies/`)."""

    title: str
    """Heading in the report."""
    document: str
    """The source document, by its name."""
    place: str
    """Figure, table or section of the document that this study makes anew."""
    question: str
    """What the study asks, one sentence."""
    kind: Literal["grid", "lr_range", "loader"] = "grid"
    """`grid` trains and compares variants; `lr_range` makes a learning-rate range test of each (of
    the recipe as it is, if there is neither grid nor rows); `loader` measures how fast each reads
    its images, and trains nothing: its seeds are repetitions."""
    range: RangeTest | None = None
    """The course of the range test, for the kind `lr_range`."""
    loader: LoaderTest | None = None
    """What is read from where, for the kind `loader`."""
    recipe: str
    """Name of a file in `config/recipes/`."""
    base: dict[str, Any] = {}
    """Overrides of the recipe for every variant: dotted key -> value."""
    grid: dict[str, list[Any] | dict[str, Any]] = {}
    """Axes: dotted key -> list of values, or name -> value for values that need a name."""
    rows: dict[str, dict[str, Any]] = {}
    """Named variants beside the grid: name -> overrides."""
    baseline: Labels = {}
    """The variant that differences are taken to. A range test takes none and needs none."""
    seeds: Seeds = 5
    """Number of seeds (0, 1, ...) or the seeds themselves."""
    seeds_at: dict[str, Seeds] = {}
    """Scale -> seeds there instead, where cells are cheap or few seeds decide nothing."""
    not_at: dict[str, str] = {}
    """Scale -> why its comparison says nothing there (a difference below what so short a training
    can show): the study is not run at that scale, and the report says so with this reason."""
    columns: tuple[str, ...] = ()
    """Further columns of the main table: metrics, or `fit` for the diagnosis of over- and
    underfitting. Energy, GPU load and power stand there wherever they were measured."""
    figures: dict[str, Figure] = {}
    """File name -> figure."""
    published: tuple[Published, ...] = ()
    """Numbers of the document, laid beside the measured ones."""
    claims: tuple[Claim, ...] = ()
    """Claims of the register that this study tests."""
    resources: dict[str, Otherwise] = {}
    """Scale -> what cells of this study ask of the cluster otherwise; wins over the recipe's."""

    @field_validator("claims")
    @classmethod
    def _claims_differ(cls, claims: tuple[Claim, ...]) -> tuple[Claim, ...]:
        numbers = [claim.number for claim in claims]
        twice = sorted({n for n in numbers if numbers.count(n) > 1})
        if twice:
            raise ValueError(f"claim {twice[0]} stands there twice; a claim has one decision")
        return claims

    @model_validator(mode="after")
    def _claims_are_run(self) -> StudyConfig:
        for claim in self.claims:
            for scale in set(claim.scales) & set(self.not_at):
                raise ValueError(f"claim {claim.number}: {scale} is one of its scales and not_at")
        return self

    @model_validator(mode="after")
    def _seeds_are_run(self) -> StudyConfig:
        for scale in set(self.seeds_at) & set(self.not_at):
            raise ValueError(f"seeds_at: the study is not run at scale {scale} (not_at)")
        return self

    @field_validator("columns")
    @classmethod
    def _known_columns(cls, columns: tuple[str, ...]) -> tuple[str, ...]:
        for number, name in enumerate(columns):
            if name not in COLUMN_METRICS:
                why = "stands in the main table anyway" if name in METRICS else "is no metric"
                raise ValueError(f"{name} {why}{nearest(name, COLUMN_METRICS)}")
            if name in columns[:number]:
                raise ValueError(f"{name} stands there twice")
        return columns

    @field_validator("figures")
    @classmethod
    def _plain_file_names(cls, figures: dict[str, Figure]) -> dict[str, Figure]:
        for name in figures:
            if not name.replace("_", "").replace("-", "").isalnum():
                raise ValueError(f"'{name}' becomes a file name: letters, digits, - and _ only")
        return figures

    @model_validator(mode="after")
    def _kind_has_its_parts(self) -> StudyConfig:
        ranges = self.kind == "lr_range"
        if ranges != (self.range is not None):
            raise ValueError("`range` belongs to a study of the kind lr_range, and only to it")
        loads = self.kind == "loader"
        if loads != (self.loader is not None):
            raise ValueError("`loader` belongs to a study of the kind loader, and only to it")
        if not ranges and not self.grid and not self.rows:
            raise ValueError("a study has a grid or rows, or both")
        if not ranges and not self.baseline:
            raise ValueError("baseline: a study names the variant that differences are taken to")
        for name, figure in self.figures.items():
            if isinstance(figure, RangeCurves) and not ranges:
                raise ValueError(f"figures.{name}: only a study of the kind lr_range has its curve")
            if isinstance(figure, LoaderRates) != loads:
                raise ValueError(
                    f"figures.{name}: figures of the kind loader are those of studies of this kind"
                )
        if ranges:
            self._leave_to_the_range()
        if loads:
            self._reads_only()
        return self

    def _reads_only(self) -> None:
        if self.rows or self.published or self.columns or self.claims:
            raise ValueError(
                "a loader benchmark is a grid of images per second: no `rows`, `published`, "
                "`columns` or `claims`"
            )
        for key in (*self.base, *self.grid):
            part = key.split(".")[0]
            if part == "loader" and key in self.base:
                raise ValueError(f"base: '{key}' belongs to `loader` itself")
            if part not in (*LOADER_KEYS, "loader"):
                raise ValueError(
                    f"'{key}' does nothing in a loader benchmark"
                    f"{nearest(part, (*LOADER_KEYS, 'loader'))}"
                )

    def _leave_to_the_range(self) -> None:
        if self.published or self.baseline or self.columns or self.claims:
            raise ValueError(
                "a range test compares no accuracies: no `baseline`, `published`, `columns` or "
                "`claims`"
            )
        keys = (*self.base, *self.grid, *(key for row in self.rows.values() for key in row))
        taken = [key for key in keys if key.split(".")[0] in ("lr", "schedule", "epochs")]
        if taken:
            raise ValueError(f"'{taken[0]}' is set by `range` in a range test")

    @model_validator(mode="after")
    def _figures_have_their_data(self) -> StudyConfig:
        for name, figure in self.figures.items():
            if isinstance(figure, Importance) and not self.crossed:
                raise ValueError(f"figures.{name}: importance is of a grid of two or more axes")
            if isinstance(figure, Pareto) and self.kind != "grid":
                raise ValueError(f"figures.{name}: a front is of a study of the kind grid")
            if name == "importance" and self.crossed and not isinstance(figure, Importance):
                raise ValueError("figures.importance: the name of the figure that a grid gets")
        return self

    @model_validator(mode="after")
    def _axes_exist(self) -> StudyConfig:
        for name, figure in self.figures.items():
            for key in ("colour", "style", "panel", "x", "y"):
                axis = getattr(figure, key, None)
                if axis is not None and axis not in self.grid:
                    hint = nearest(axis, self.grid)
                    raise ValueError(f"figures.{name}.{key}: no axis '{axis}' in grid{hint}")
        return self

    @property
    def crossed(self) -> bool:
        """Whether two or more axes of a grid that trains are crossed."""
        return self.kind == "grid" and sum(len(values) > 1 for values in self.grid.values()) > 1

    @property
    def all_figures(self) -> dict[str, Figure]:
        """The study's figures, and the importance of its axes where it draws none itself."""
        own = any(isinstance(figure, Importance) for figure in self.figures.values())
        if not self.crossed or own:
            return dict(self.figures)
        return {**self.figures, "importance": Importance(kind="importance")}

    def seed_list(self, scale: str) -> tuple[int, ...]:
        """The seeds themselves, at a scale by its name."""
        seeds = self.seeds_at.get(scale, self.seeds)
        return tuple(range(seeds)) if isinstance(seeds, int) else seeds


def _listed(studies: Any) -> Any:
    """Snakemake's `--config studies=a,b` is a text, and so is `studies: all`."""
    if not isinstance(studies, str):
        return studies
    return [name.strip() for name in studies.split(",") if name.strip()]


_NAMES = {"type": "array", "items": {"type": "string"}}
Studies = Annotated[
    tuple[str, ...],
    BeforeValidator(_listed),
    WithJsonSchema({"anyOf": [_NAMES, {"const": "all"}]}),
]


class WorkflowConfig(Config):
    """`config/config.yaml`: what a plain `snakemake` runs, and where data lie."""

    scale: str
    """Name of a file in `config/scales/`."""
    studies: Studies
    """Names of files in `config/studies/`, in the order of the report; `all` for every one. Those
    that a scale cannot carry are listed with their reason."""
    data_paths: dict[str, str] = {}
    """Dataset -> where its images lie at this site, instead of the path in its YAML."""
    media: dict[str, str] = {"shared": "results/data"}
    """Medium -> folder on it, for studies of the kind `loader`: betons are copied below it, into a
    folder of this user's, and stay there. `$NAME` in a folder is the job's environment variable."""
    loader_workers: Whole = 0
    """Processes or threads that read and augment; 0 for none beside the training itself (resident
    reading) or one a core (streaming). Changes no result."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where cells are trained. `auto` demands a GPU where a scale asks for one, so that a node with
    a broken driver is an error and no training on its CPU."""
    cluster: Site = Site()
    """Where jobs go on this site's cluster, unless a scale, recipe or study says otherwise."""
    partial: bool = False
    """Train nothing and report on the cells that are there, the missing ones named: for a study
    one of whose cells cannot be trained."""

    @field_validator("studies")
    @classmethod
    def _studies_differ(cls, studies: tuple[str, ...]) -> tuple[str, ...]:
        if not studies or len(set(studies)) != len(studies):
            raise ValueError("one or more different studies")
        return studies
