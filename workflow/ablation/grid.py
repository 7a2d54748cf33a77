"""The plan: a study becomes variants, and variants become cells. Pure, and without torch."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from .claim_plan import PlannedClaim, check_one_decision, plan_claims
from .config.claim import Register
from .config.dataset import DatasetConfig, DatasetLock
from .config.explain import tag
from .config.load import (
    find,
    load_dataset,
    load_lock,
    load_recipe,
    load_register,
    load_scale,
    load_study,
    validate,
)
from .config.recipe import CellConfig, Described, RecipeConfig, Training
from .config.resources import Resources, Site, combined
from .config.scale import ScaleConfig
from .config.study import LoaderTest, StudyConfig
from .dataset_id import beton_digest
from .errors import ConfigError, NotAtScale, nearest
from .identity import cell_id, digest, loader_id
from .models import MODELS
from .models.base import bare
from .models.zoo import arch_names
from .overrides import at_scale, override
from .weights import OtherCell
from .weights.base import Weights

_WEIGHT_FILES = (".pt", ".pth", ".bin", ".safetensors")
# Above this many bytes of pixels a dataset is streamed: memory of a job is a few GB.
RESIDENT_BYTES = 2 * 1024**3


@dataclass(frozen=True)
class Dataset:
    """A dataset with its lock, as planning knows it."""

    name: str
    config: DatasetConfig
    lock: DatasetLock

    @cached_property
    def digest(self) -> str:
        """Identity of the converted dataset: the lock and the writer's options."""
        return beton_digest(self.lock, self.config.writer)

    @property
    def directory(self) -> str:
        """Where its betons lie, below `results/`."""
        return f"data/{self.name}-{self.digest}"

    def images(self, split: str, share: float) -> int:
        """Number of images in a stratified share of a split, as the readers choose it."""
        if share >= 1:
            return getattr(self.lock, split).images
        return sum(max(1, int(n * share + 1e-9)) for n in getattr(self.lock, split).per_class)

    @property
    def resident_bytes(self) -> int:
        """Bytes of all images as raw pixels, an upper bound of what a resident cell holds."""
        return 3 * (self.lock.train.pixels + self.lock.val.pixels)


@dataclass(frozen=True)
class Variant:
    """One point of a study: a row of its table."""

    label: str
    axes: dict[str, Any]
    """Axis -> value as the study names it; `{"row": name}` for a named row."""
    document: Training
    """As the document has it."""
    training: Training
    """As it is run at this scale."""
    loader: LoaderTest | None = None
    """Of a loader benchmark: from where it reads, and with how many workers."""


@dataclass(frozen=True)
class Cell:
    """One variant with one seed: one training job."""

    id: str
    variant: Variant
    config: CellConfig
    dataset: Dataset
    parents: tuple[Cell, ...] = ()
    """Cells whose weights this one needs: its teacher, what it starts from; trained first."""
    needed: bool = False
    """Whether the plan holds it for its weights alone; it is then a variant of another study."""


@dataclass(frozen=True)
class StudyPlan:
    """A study at a scale: its variants and its cells."""

    name: str
    scale_name: str
    config: StudyConfig
    scale: ScaleConfig
    recipe: RecipeConfig
    variants: tuple[Variant, ...]
    baseline: Variant
    cells: tuple[Cell, ...]
    claims: tuple[PlannedClaim, ...] = ()

    @cached_property
    def digest(self) -> str:
        """Of all that tables, figures and report show of the plan: texts, variants and cells.

        Comments, the order of keys and what a job asks of the cluster are no part of it.
        """
        datasets = {c.dataset.name: c.dataset.config.model_dump(mode="json") for c in self.cells}
        return digest(
            [
                self.config.model_dump(mode="json", exclude={"resources"}),
                self.recipe.model_dump(mode="json", exclude={"resources"}),
                self.scale.model_dump(mode="json", exclude={"resources"}),
                datasets,
                [[c.id, c.variant.label] for c in self.cells],
                *([[c.summary for c in self.claims]] if self.claims else []),
            ]
        )

    @cached_property
    def parents(self) -> tuple[Cell, ...]:
        """Every cell whose weights a cell of this study needs, and those that these need."""
        found: dict[str, Cell] = {}
        todo = [parent for cell in self.cells for parent in cell.parents]
        while todo:
            parent = todo.pop()
            if parent.id not in found:
                found[parent.id] = parent
                todo += parent.parents
        return tuple(found.values())

    def missing_files(self, trained: Path) -> list[str]:
        """One line for each file of weights that is not there, with where to put it.

        trained: folder of all cells' results; a trained cell needs its file no more.
        """
        lines: dict[str, None] = {}
        for cell in (*self.cells, *self.parents):
            if (trained / cell.id / "metrics.json").exists():
                continue
            for key, weights in given_weights(cell.config).items():
                if (line := weights.missing()) is not None:
                    lines[f"{cell.variant.label}: {key}: {line}"] = None
        return list(lines)

    def resources(self, site: Site) -> Resources:
        """What a cell asks of the cluster: the site's, the scale's, the recipe's, the study's."""
        parts = (self.recipe.resources, self.config.resources)
        otherwise = [part[self.scale_name] for part in parts if self.scale_name in part]
        content = combined(site, self.scale.resources, *otherwise)
        where = f"resources of study {self.name} at scale {self.scale_name}"
        if self.config.kind == "loader":
            return validate(Resources, content | {"gpus": 0, "gpu_model": None}, where)
        found = validate(Resources, content, where)
        for ranks in {cell.config.compute.ranks for cell in self.cells}:
            if found.gpus and found.gpus != ranks:
                raise ConfigError(
                    f"{where}: gpus is {found.gpus}, but compute.ranks of its cells is {ranks}: "
                    "each rank has a GPU of its own"
                )
        return found

    def check_media(self, media: Mapping[str, str]) -> None:
        """ConfigError when a loader benchmark reads from a medium that the site does not name."""
        for variant in self.variants:
            medium = variant.loader and variant.loader.medium
            if medium is not None and medium not in media:
                raise ConfigError(
                    f"study {self.name}, {variant.label}: `media` of config.yaml has no "
                    f"'{medium}'{nearest(medium, media)}"
                )

    def cell(self, cell: str) -> Cell:
        """The cell of an id, of the study or one that it needs; ConfigError when there is none."""
        for candidate in (*self.cells, *self.parents):
            if candidate.id == cell:
                return candidate
        raise ConfigError(f"study {self.name} at scale {self.scale_name} has no cell {cell}")


class Planner:
    """Plans studies; each file is read once."""

    def __init__(self, config_dir: Path | str = "config") -> None:
        self.config_dir = Path(config_dir)
        self._datasets: dict[str, Dataset] = {}
        self._outlines: dict[tuple[str, str], StudyPlan] = {}
        self._open: list[str] = []
        """Variants whose cells are being made, each for the weights that the one before needs."""

    def plan(self, study: str, scale: str) -> StudyPlan:
        """The plan of one study at one scale; every mistake in its files is a ConfigError, and
        NotAtScale says that the study has no comparison to make there."""
        self._check_carried(study, scale)
        outline = self._outline(study, scale)
        seeds = outline.config.seed_list[: outline.scale.max_seeds]
        cells = tuple(self._cell(outline, v, seed) for v in outline.variants for seed in seeds)
        return replace(outline, cells=cells)

    def _check_carried(self, study: str, scale: str) -> None:
        config = load_study(self.config_dir, study)
        where = f"{self.config_dir / 'studies' / study}.yaml"
        for name in config.not_at:
            find(self.config_dir, "scales", name, f"{where}: not_at")
        if scale in config.not_at:
            raise NotAtScale(f"{where}: not run at scale {scale}: {config.not_at[scale]}")

    def plans(
        self, studies: Iterable[str], scale: str
    ) -> tuple[dict[str, StudyPlan], dict[str, str]]:
        """(study -> plan, study -> why it is not run at this scale by its own file)."""
        plans: dict[str, StudyPlan] = {}
        not_run: dict[str, str] = {}
        for study in studies:
            try:
                plans[study] = self.plan(study, scale)
            except NotAtScale as reason:
                not_run[study] = str(reason)
        check_one_decision(plans.values())
        return plans, not_run

    def _outline(self, study: str, scale: str) -> StudyPlan:
        """The plan without its cells."""
        if (study, scale) not in self._outlines:
            self._outlines[study, scale] = self._read(study, scale)
        return self._outlines[study, scale]

    def _read(self, study: str, scale: str) -> StudyPlan:
        where = str(self.config_dir / "studies" / f"{study}.yaml")
        config = load_study(self.config_dir, study)
        recipe = load_recipe(self.config_dir, config.recipe, f"{where}: recipe")
        scale_config = load_scale(self.config_dir, scale)
        self._check_scale(scale_config, scale)
        at = f"{where} at scale {scale}"
        variants = tuple(_variants(config, recipe, scale_config, where, at))
        recipe_where = str(self.config_dir / "recipes" / f"{config.recipe}.yaml")
        for config_where, resources in (
            (recipe_where, recipe.resources),
            (where, config.resources),
        ):
            for name in resources:
                find(self.config_dir, "scales", name, f"{config_where}: resources")
        _check_described(config, recipe, variants, where)
        _check_described(recipe, recipe, variants, recipe_where)
        _check_distinct(variants, where, at)
        baseline = variants[0]
        if config.kind != "lr_range":
            baseline = _match(variants, config.baseline, f"{where}: baseline")
        for number, published in enumerate(config.published):
            if published.variant:
                _match(variants, published.variant, f"{where}: published.{number}.variant")
        outline = StudyPlan(study, scale, config, scale_config, recipe, variants, baseline, ())
        if not config.claims:
            return outline
        for claim in config.claims:
            for name in claim.scales:
                find(self.config_dir, "scales", name, f"{where}: claim {claim.number}: scales")
        return replace(outline, claims=plan_claims(outline, self.register, where, _match))

    @cached_property
    def register(self) -> Register:
        """The claims of all documents."""
        return load_register(self.config_dir)

    def dataset(self, name: str, where: str = "") -> Dataset:
        """A dataset with its lock; where: what gives the name, for the error."""
        if name not in self._datasets:
            config = load_dataset(self.config_dir, name, where)
            self._datasets[name] = Dataset(name, config, load_lock(self.config_dir, name))
        return self._datasets[name]

    def _check_scale(self, scale: ScaleConfig, name: str) -> None:
        """The names in its mappings; one misspelt on the left would map nothing, in silence."""
        where = f"{self.config_dir / 'scales' / name}.yaml"
        for dataset in (*scale.datasets, *scale.datasets.values()):
            find(self.config_dir, "datasets", dataset, f"{where}: datasets")
        for label in scale.models:
            if label not in _model_labels():
                hint = nearest(label, _model_labels())
                raise ConfigError(f"{where}: models: there is no model '{label}'{hint}")
        for label in scale.weights:
            arch, suffix = label.partition(".")[0], Path(label).suffix
            if suffix not in _WEIGHT_FILES and arch not in arch_names("timm"):
                hint = nearest(arch, arch_names("timm"))
                raise ConfigError(
                    f"{where}: weights: '{label}' is no model of timm and no file{hint}"
                )

    def _cell(self, plan: StudyPlan, variant: Variant, seed: int) -> Cell:
        path, training = self.config_dir / "studies" / f"{plan.name}.yaml", variant.training
        where = f"{path} at scale {plan.scale_name}, {variant.label}"
        dataset = self.dataset(training.dataset, f"{where}: dataset")
        _check_data(training, dataset, where, trains=variant.loader is None)
        reading = training.reading
        if reading == "auto":
            reading = "resident" if dataset.resident_bytes <= RESIDENT_BYTES else "streaming"
        values = {f: getattr(training, f) for f in Training.model_fields}
        values |= {"reading": reading, "lr": training.absolute_lr, "seed": seed}
        if variant.loader is not None:
            values["epochs"] = variant.loader.epochs
            config = CellConfig.model_construct(**values)
            return Cell(loader_id(config, variant.loader, dataset.digest), variant, config, dataset)
        parents = []
        for key, weights in given_weights(training).items():
            if isinstance(weights, OtherCell):
                parent = self._parent(plan, variant, weights, seed, f"{where}: {key}")
                _check_parent(training, key, parent, dataset, where)
                parents.append(parent)
                outer, inner = key.split(".")
                found = weights.model_copy(update={"cell_id": parent.id})
                values[outer] = values[outer].model_copy(update={inner: found})
        config = CellConfig.model_construct(**values)
        return Cell(cell_id(config, dataset.digest), variant, config, dataset, tuple(parents))

    def _parent(
        self, plan: StudyPlan, variant: Variant, weights: OtherCell, seed: int, where: str
    ) -> Cell:
        """The cell that a variant takes its weights from; its seed need not be of its study."""
        if weights.cell_id is not None:
            raise ConfigError(f"{where}.cell_id is filled in by the plan; leave it out")
        find(self.config_dir, "studies", weights.study, f"{where}.study")
        theirs = self._outline(weights.study, plan.scale_name)
        other = _match(theirs.variants, weights.variant, f"{where}.variant")
        self._open.append(f"{plan.name}, {variant.label}")
        try:
            name = f"{theirs.name}, {other.label}"
            if name in self._open:
                circle = " -> ".join([*self._open[self._open.index(name) :], name])
                raise ConfigError(f"{where}: weights come from each other in a circle: {circle}")
            cell = self._cell(theirs, other, seed if weights.seed is None else weights.seed)
        finally:
            self._open.pop()
        return replace(cell, needed=True)


def given_weights(training: Training) -> dict[str, Weights]:
    """Dotted key -> where weights come from that a training is given."""
    found: dict[str, Weights] = {}
    if training.pretrained is not None:
        found["pretrained.weights"] = training.pretrained.weights
    if training.distill is not None:
        found["distill.teacher"] = training.distill.teacher
    return found


def _check_parent(training: Training, key: str, parent: Cell, dataset: Dataset, where: str) -> None:
    """Outputs are compared or kept: both cells know the same classes. A start fits the model."""
    if key == "pretrained.weights":
        if bare(parent.config.model) != bare(training.model):
            raise ConfigError(
                f"{where}: {key}: its model is {parent.config.model.label} with other options or "
                f"another one than {training.model.label}; a start has the cell's own model"
            )
        if training.pretrained.head == "new":
            return
    if parent.dataset.lock.classes != dataset.lock.classes:
        hint = "; `head: new` gives the cell a head of its own" if "pretrained" in key else ""
        raise ConfigError(
            f"{where}: {key}: {parent.dataset.name} and {dataset.name} have other classes{hint}"
        )


@cache
def _model_labels() -> frozenset[str]:
    """Every label that a model can have: an architecture, or the name of one of our own."""
    own = frozenset(str(tag(model)) for model in MODELS if "arch" not in model.model_fields)
    return own | arch_names("torchvision") | arch_names("timm")


def _variants(
    study: StudyConfig, recipe: RecipeConfig, scale: ScaleConfig, where: str, at: str
) -> list[Variant]:
    values = {key: getattr(recipe, key) for key in Training.model_fields}
    content = Training.model_construct(**values).model_dump()
    content = override(content, study.base, f"{where}: base")
    if study.range is not None:
        content = override(content, study.range.changes(), f"{where}: range")
        scale = scale.model_copy(update={"epochs_divide_by": 1.0})  # it has its length everywhere
    variants = []
    for axes, changes in _points(study, where):
        label = _label(axes)
        at_label = f"{where}, {label}"
        loader = None
        if study.loader is not None:
            own = {key: value for key, value in changes.items() if key.startswith("loader.")}
            changes = {key: value for key, value in changes.items() if key not in own}
            options = override({"loader": study.loader.model_dump()}, own, at_label)["loader"]
            loader = validate(LoaderTest, options, f"{at_label}: loader")
        document = validate(Training, override(content, changes, at_label), at_label)
        training = at_scale(document, scale, f"{at}, {label}")
        variants.append(Variant(label, axes, document, training, loader))
    return variants


def _points(study: StudyConfig, where: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """(axes, overrides) of every point of the grid and every named row."""
    points = []
    if study.grid:
        axes = [
            [(key, value, v) for value, v in (_named_values(key, values, where))]
            for key, values in study.grid.items()
        ]
        for combination in itertools.product(*axes):
            labels = {key: name for key, name, _ in combination}
            points.append((labels, {key: value for key, _, value in combination}))
    for name, changes in study.rows.items():
        points.append(({"row": name}, changes))
    return points or [({"row": "recipe"}, {})]  # a range test of the recipe as it is


def _named_values(key: str, values: list | dict, where: str) -> list[tuple[Any, Any]]:
    if not values:
        raise ConfigError(f"{where}: grid.{key}: an axis has at least one value")
    if isinstance(values, dict):
        return list(values.items())
    for value in values:
        if isinstance(value, (dict, list)):
            raise ConfigError(
                f"{where}: grid.{key}: a value with parts needs a name, write `{key}: "
                f"{{name: {{...}}}}` instead of a list"
            )
    for number, value in enumerate(values):
        if value in values[:number]:
            raise ConfigError(f"{where}: grid.{key}: {format_value(value)} stands there twice")
    return [(value, value) for value in values]


def _label(axes: dict[str, Any]) -> str:
    if "row" in axes:
        return str(axes["row"])
    return ", ".join(f"{key.split('.')[-1]}={format_value(v)}" for key, v in axes.items())


def format_value(value: Any) -> str:
    """A value of an axis as readers see it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if not isinstance(value, float):
        return str(value)
    short = f"{value:g}"
    return short if float(short) == value else repr(value)  # two values never look the same


def _match(variants: tuple[Variant, ...], labels: dict[str, Any], where: str) -> Variant:
    found = [v for v in variants if v.axes == labels]
    if not found:
        label = _label(labels)
        hint = nearest(label, [v.label for v in variants])
        raise ConfigError(f"{where}: no variant is '{label}'{hint}")
    return found[0]


def _check_described(
    described: Described, recipe: RecipeConfig, variants: tuple[Variant, ...], where: str
) -> None:
    """The keys under `stated` and `assumed` are settings of a variant, or the study's own."""
    keys = [(part, key) for part in ("stated", "assumed") for key in getattr(described, part)]
    if not keys:
        return
    contents = [recipe.model_dump(), *(v.document.model_dump() for v in variants)]
    contents += [{"loader": v.loader.model_dump()} for v in variants if v.loader is not None]
    for part, key in keys:
        if key not in StudyConfig.model_fields and not any(_holds(c, key) for c in contents):
            hint = nearest(key, set().union(*map(_dotted, contents)))
            raise ConfigError(f"{where}: {part}: '{key}' is no setting{hint}")


def _holds(content: Any, key: str) -> bool:
    for part in key.split("."):
        if not isinstance(content, dict) or part not in content:
            return False
        content = content[part]
    return True


def _dotted(content: dict[str, Any], above: str = "") -> set[str]:
    keys = {f"{above}{key}" for key in content}
    for key, value in content.items():
        if isinstance(value, dict):
            keys |= _dotted(value, f"{above}{key}.")
    return keys


def _check_distinct(variants: tuple[Variant, ...], where: str, at: str) -> None:
    """Two points may not be equal; nor may a scale make them so: that would fake a comparison."""
    labels: set[str] = set()
    for variant in variants:
        if variant.label in labels:
            raise ConfigError(f"{where}: two variants are named '{variant.label}'")
        labels.add(variant.label)
    _refuse_equal([(v, v.document) for v in variants], where, "are equal; leave one out")
    _refuse_equal(
        [(v, v.training) for v in variants],
        at,
        "become equal; leave one out or change the scale's mapping",
    )


def _refuse_equal(trainings: list[tuple[Variant, Training]], where: str, said: str) -> None:
    seen: dict[tuple[str, LoaderTest | None], str] = {}
    for variant, training in trainings:
        first = seen.setdefault((training.model_dump_json(), variant.loader), variant.label)
        if first != variant.label:
            raise ConfigError(f"{where}: variants '{first}' and '{variant.label}' {said}")


def _check_data(training: Training, dataset: Dataset, where: str, *, trains: bool) -> None:
    images = dataset.images("train", training.train_share)
    if training.batch_size > images:
        raise ConfigError(
            f"{where}: batch_size {training.batch_size} is larger than the training set "
            f"({images} images of {dataset.name})"
        )
    if trains and training.measure.clean_images > images:
        raise ConfigError(
            f"{where}: measure.clean_images {training.measure.clean_images} is larger than the "
            f"training set ({images} images of {dataset.name})"
        )
