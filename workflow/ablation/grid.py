"""The plan: a study becomes variants, and variants become cells. Pure, and without torch."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from .config.dataset import DatasetConfig, DatasetLock
from .config.explain import tag
from .config.load import (
    find,
    load_dataset,
    load_lock,
    load_recipe,
    load_scale,
    load_study,
    validate,
)
from .config.recipe import CellConfig, Described, RecipeConfig, Training
from .config.resources import Resources, Site, combined
from .config.scale import ScaleConfig
from .config.study import StudyConfig
from .dataset_id import beton_digest
from .errors import ConfigError, nearest
from .identity import cell_id, digest
from .models import MODELS
from .models.zoo import arch_names
from .overrides import at_scale, override

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


@dataclass(frozen=True)
class Cell:
    """One variant with one seed: one training job."""

    id: str
    variant: Variant
    config: CellConfig
    dataset: Dataset


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
            ]
        )

    def resources(self, site: Site) -> Resources:
        """What a cell asks of the cluster: the site's, the scale's, the recipe's, the study's."""
        parts = (self.recipe.resources, self.config.resources)
        otherwise = [part[self.scale_name] for part in parts if self.scale_name in part]
        content = combined(site, self.scale.resources, *otherwise)
        where = f"resources of study {self.name} at scale {self.scale_name}"
        return validate(Resources, content, where)

    def cell(self, cell: str) -> Cell:
        """The cell of an id; ConfigError when the study has none such."""
        for candidate in self.cells:
            if candidate.id == cell:
                return candidate
        raise ConfigError(f"study {self.name} at scale {self.scale_name} has no cell {cell}")


class Planner:
    """Plans studies; each file is read once."""

    def __init__(self, config_dir: Path | str = "config") -> None:
        self.config_dir = Path(config_dir)
        self._datasets: dict[str, Dataset] = {}

    def plan(self, study: str, scale: str) -> StudyPlan:
        """The plan of one study at one scale; every mistake in its files is a ConfigError."""
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
        baseline = _match(variants, config.baseline, f"{where}: baseline")
        for number, published in enumerate(config.published):
            if published.variant:
                _match(variants, published.variant, f"{where}: published.{number}.variant")
        seeds = config.seed_list[: scale_config.max_seeds]
        cells = tuple(self._cell(v, seed, at) for v in variants for seed in seeds)
        return StudyPlan(study, scale, config, scale_config, recipe, variants, baseline, cells)

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

    def _cell(self, variant: Variant, seed: int, where: str) -> Cell:
        where, training = f"{where}, {variant.label}", variant.training
        dataset = self.dataset(training.dataset, f"{where}: dataset")
        _check_data(training, dataset, where)
        reading = training.reading
        if reading == "auto":
            reading = "resident" if dataset.resident_bytes <= RESIDENT_BYTES else "streaming"
        config = CellConfig.model_construct(
            **{**{f: getattr(training, f) for f in Training.model_fields}, "reading": reading},
            seed=seed,
        )
        return Cell(cell_id(config, dataset.digest), variant, config, dataset)


@cache
def _model_labels() -> frozenset[str]:
    """Every label that a model can have: an architecture, or the name of one of our own."""
    own = frozenset(str(tag(model)) for model in MODELS if "arch" not in model.model_fields)
    return own | arch_names("torchvision") | arch_names("timm")


def _variants(
    study: StudyConfig, recipe: RecipeConfig, scale: ScaleConfig, where: str, at: str
) -> list[Variant]:
    training = {key: getattr(recipe, key) for key in Training.model_fields}
    content = Training.model_construct(**training).model_dump()
    content = override(content, study.base, f"{where}: base")
    variants = []
    for axes, changes in _points(study, where):
        label = _label(axes)
        at_label = f"{where}, {label}"
        document = validate(Training, override(content, changes, at_label), at_label)
        variants.append(Variant(label, axes, document, at_scale(document, scale, f"{at}, {label}")))
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
    return points


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
    _refuse_equal([(v.label, v.document) for v in variants], where, "are equal; leave one out")
    _refuse_equal(
        [(v.label, v.training) for v in variants],
        at,
        "become equal; leave one out or change the scale's mapping",
    )


def _refuse_equal(trainings: list[tuple[str, Training]], where: str, said: str) -> None:
    seen: dict[str, str] = {}
    for label, training in trainings:
        first = seen.setdefault(training.model_dump_json(), label)
        if first != label:
            raise ConfigError(f"{where}: variants '{first}' and '{label}' {said}")


def _check_data(training: Training, dataset: Dataset, where: str) -> None:
    images = dataset.images("train", training.train_share)
    if training.batch_size > images:
        raise ConfigError(
            f"{where}: batch_size {training.batch_size} is larger than the training set "
            f"({images} images of {dataset.name})"
        )
    if training.measure.clean_images > images:
        raise ConfigError(
            f"{where}: measure.clean_images {training.measure.clean_images} is larger than the "
            f"training set ({images} images of {dataset.name})"
        )
