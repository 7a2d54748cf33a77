"""What a plan is made of: datasets, variants, cells, and a study with all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from .claim_plan import PlannedClaim
from .class_order import other_order, unchecked_order
from .config.dataset import DatasetConfig, DatasetLock
from .config.expected import notes as of_lock
from .config.load import validate
from .config.recipe import CellConfig, RecipeConfig, Training
from .config.resources import Resources, Site, combined
from .config.scale import ScaleConfig
from .config.study import LoaderTest, StudyConfig
from .dataset_id import beton_digest
from .errors import ConfigError, UserError, nearest
from .identity import digest
from .memory import streaming_mb
from .models.base import refuse_unsound
from .weights.base import Weights


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
        used = {cell.dataset.name: cell.dataset for cell in self.cells}
        datasets = {  # of a lock more is shown than its id holds
            name: [part.model_dump(mode="json") for part in (dataset.config, dataset.lock)]
            for name, dataset in used.items()
        }
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
        """One line for each file of weights that is not there, with where to put it, and for each
        that knows other classes than the dataset.

        trained: folder of all cells' results; a trained cell needs its file no more.
        """
        lines: dict[str, None] = {}
        for cell in (*self.cells, *self.parents):
            if (trained / cell.id / "metrics.json").exists():
                continue
            for key, weights in given_weights(cell.config).items():
                line = _wanting(cell, key, weights)
                if line is not None:
                    lines[f"{cell.variant.label}: {key}: {line}"] = None
        return list(lines)

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What the plan takes on trust, one line each, for readers of the plan and the report."""
        locks = {cell.dataset.name: cell.dataset.lock for cell in self.cells}
        lines = {f"{name}: {note}": None for name, lock in locks.items() for note in of_lock(lock)}
        for cell in self.cells:
            for key, weights in given_weights(cell.config).items():
                if _keeps_classes(cell, key):
                    classes = cell.dataset.lock.classes
                    line = unchecked_order(weights, cell.dataset.name, classes)
                    lines |= {f"{key}: {line}": None} if line else {}
        return tuple(lines)

    def resources(self, site: Site) -> Resources:
        """What a cell asks of the cluster: the site's, the scale's, the recipe's, the study's."""
        parts = (self.recipe.resources, self.config.resources)
        otherwise = [part[self.scale_name] for part in parts if self.scale_name in part]
        content = combined(site, self.scale.resources, *otherwise)
        where = f"resources of study {self.name} at scale {self.scale_name}"
        if self.config.kind == "loader":
            found = validate(Resources, content | {"gpus": 0, "gpu_model": None}, where)
            self._check_memory(found, where)
            return found
        found = validate(Resources, content, where)
        for ranks in {cell.config.compute.ranks for cell in self.cells}:
            if found.gpus and found.gpus != ranks:
                raise ConfigError(
                    f"{where}: gpus is {found.gpus}, but compute.ranks of its cells is {ranks}: "
                    "each rank has a GPU of its own"
                )
        if not found.gpus:
            self._check_kernels()
        self._check_memory(found, where)
        return found

    def _check_kernels(self) -> None:
        """ConfigError when a cell that is trained on a CPU asks for what CPUs compute wrongly."""
        for cell in (*self.cells, *self.parents):
            try:
                refuse_unsound(cell.config.model, cell.config.compute.channels_last)
            except UserError as error:
                where = f"study {self.name} at scale {self.scale_name}, {cell.variant.label}"
                raise ConfigError(f"{where}: {error}") from None

    def _check_memory(self, asked: Resources, where: str) -> None:
        """ConfigError when streaming's buffers alone are more than the memory of the job."""
        for cell in self.cells:
            needed = self.buffers_mb(cell, asked)
            if needed > asked.mem_mb:
                raise ConfigError(
                    f"{where}: mem_mb is {asked.mem_mb}, and the buffers of streaming take "
                    f"{needed} MB alone ({cell.variant.label}: batch_size "
                    f"{cell.config.batch_size}, img_size {cell.config.img_size}, cpus "
                    f"{asked.cpus}); raise mem_mb, or set `max_resolution` in the writer of "
                    f"dataset {cell.dataset.name} or a smaller batch_size"
                )

    @staticmethod
    def buffers_mb(cell: Cell, asked: Resources) -> int:
        """MB of a cell's streaming buffers with the cores that it asks for; 0 if resident."""
        loader = cell.variant.loader
        return streaming_mb(cell, asked.cpus if loader is None else loader.workers)

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


def given_weights(training: Training) -> dict[str, Weights]:
    """Dotted key -> where weights come from that a training is given."""
    found: dict[str, Weights] = {}
    if training.pretrained is not None:
        found["pretrained.weights"] = training.pretrained.weights
    if training.distill is not None:
        found["distill.teacher"] = training.distill.teacher
    return found


def _keeps_classes(cell: Cell, key: str) -> bool:
    """Whether the outputs of given weights are used: not of a start with a head of its own."""
    return key != "pretrained.weights" or cell.config.pretrained.head != "new"


def _wanting(cell: Cell, key: str, weights: Weights) -> str | None:
    """What is wrong with given weights and their classes, as far as the file itself tells."""
    if (missing := weights.missing()) is not None:
        return missing
    try:
        theirs, ours = weights.classes(), len(cell.dataset.lock.classes)
    except ConfigError as error:
        return str(error)
    if not _keeps_classes(cell, key):
        return None
    if theirs in (None, ours):
        return other_order(weights, cell.dataset.lock.classes)
    hint = "; `head: new` gives the cell a head of its own" if key == "pretrained.weights" else ""
    return f"{weights.label} knows {theirs} classes, {cell.dataset.name} has {ours}{hint}"
