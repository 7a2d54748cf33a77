"""The plan: a study becomes variants, and variants become cells. Pure, and without torch."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from .config.dataset import DatasetConfig, DatasetLock
from .config.load import (
    load_dataset,
    load_lock,
    load_recipe,
    load_scale,
    load_study,
    validate,
)
from .config.recipe import CellConfig, Described, RecipeConfig, Training
from .config.scale import ScaleConfig
from .config.study import StudyConfig
from .dataset_id import beton_digest
from .errors import ConfigError, nearest
from .identity import cell_id
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
        recipe = load_recipe(self.config_dir, config.recipe)
        scale_config = load_scale(self.config_dir, scale)
        at = f"{where} at scale {scale}"
        variants = tuple(_variants(config, recipe, scale_config, where, at))
        _check_described(config, recipe, where)
        _check_distinct(variants, at)
        baseline = _match(variants, config.baseline, where)
        for published in config.published:
            if published.variant:
                _match(variants, published.variant, f"{where}: published ({published.where})")
        seeds = config.seed_list[: scale_config.max_seeds]
        cells = tuple(self._cell(v, seed, at) for v in variants for seed in seeds)
        return StudyPlan(study, scale, config, scale_config, recipe, variants, baseline, cells)

    def dataset(self, name: str) -> Dataset:
        """A dataset with its lock."""
        if name not in self._datasets:
            config, lock = load_dataset(self.config_dir, name), load_lock(self.config_dir, name)
            self._datasets[name] = Dataset(name, config, lock)
        return self._datasets[name]

    def _cell(self, variant: Variant, seed: int, where: str) -> Cell:
        training, dataset = variant.training, self.dataset(variant.training.dataset)
        _check_data(training, dataset, f"{where}, {variant.label}")
        reading = training.reading
        if reading == "auto":
            reading = "resident" if dataset.resident_bytes <= RESIDENT_BYTES else "streaming"
        config = CellConfig.model_construct(
            **{**{f: getattr(training, f) for f in Training.model_fields}, "reading": reading},
            seed=seed,
        )
        return Cell(cell_id(config, dataset.digest), variant, config, dataset)


def _variants(
    study: StudyConfig, recipe: RecipeConfig, scale: ScaleConfig, where: str, at: str
) -> list[Variant]:
    training = {key: getattr(recipe, key) for key in Training.model_fields}
    content = Training.model_construct(**training).model_dump()
    content = override(content, study.base, f"{where}: base")
    variants = []
    for axes, changes in _points(study, where):
        label = _label(axes)
        document = validate(Training, override(content, changes, f"{where}: {label}"), f"{where}, {label}")
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
    if len({repr(v) for v in values}) != len(values):
        raise ConfigError(f"{where}: grid.{key}: a value stands there twice")
    return [(value, value) for value in values]


def _label(axes: dict[str, Any]) -> str:
    if "row" in axes:
        return str(axes["row"])
    return ", ".join(f"{key.split('.')[-1]}={format_value(v)}" for key, v in axes.items())


def format_value(value: Any) -> str:
    """A value of an axis as readers see it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)


def _match(variants: tuple[Variant, ...], labels: dict[str, Any], where: str) -> Variant:
    found = [v for v in variants if v.axes == labels]
    if not found:
        hint = nearest(_label(labels) if labels else "", [v.label for v in variants])
        raise ConfigError(f"{where}: no variant is {labels}{hint}")
    return found[0]


def _check_described(study: StudyConfig, recipe: RecipeConfig, where: str) -> None:
    """The keys under `stated` and `assumed` are settings, or the study's own."""
    content = recipe.model_dump()
    for described in (study, recipe):
        for key in itertools.chain(described.stated, described.assumed):
            inside: Any = content
            for part in key.split("."):
                inside = inside.get(part) if isinstance(inside, dict) else None
            swept = any(key == axis or axis.startswith(f"{key}.") for axis in study.grid)
            known = inside is not None or swept or key in study.base or key in content
            if not known and key not in StudyConfig.model_fields:
                valid = set(Training.model_fields) | set(study.grid) | set(Described.model_fields)
                raise ConfigError(f"{where}: stated/assumed: '{key}' is no setting{nearest(key, valid)}")


def _check_distinct(variants: tuple[Variant, ...], where: str) -> None:
    """A scale may not make two points of a study equal: that would fake the comparison."""
    seen: dict[str, Variant] = {}
    for variant in variants:
        key = variant.training.model_dump_json()
        if key in seen:
            raise ConfigError(
                f"{where}: variants '{seen[key].label}' and '{variant.label}' become equal; "
                "leave one out or change the scale's mapping"
            )
        seen[key] = variant


def _check_data(training: Training, dataset: Dataset, where: str) -> None:
    images = int(dataset.lock.train.images * training.train_share)
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
