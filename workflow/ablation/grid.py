"""The plan: a study becomes variants, and variants become cells. Pure, and without torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path

from .claim_plan import check_one_decision, plan_claims
from .config.claim import Register
from .config.expected import check_lock
from .config.explain import tag
from .config.load import (
    find,
    load_dataset,
    load_lock,
    load_recipe,
    load_register,
    load_scale,
    load_study,
)
from .config.recipe import CellConfig, Training
from .config.scale import ScaleConfig
from .dataset_id import lock_is_older
from .errors import ConfigError, NotAtScale, nearest
from .identity import cell_id, loader_id
from .models import MODELS
from .models.base import bare
from .models.zoo import arch_names
from .plan import Cell, Dataset, StudyPlan, Variant, given_weights
from .variants import check_described, check_distinct, format_value, match, variants_of
from .weights import OtherCell

# What others take from a plan they find here, with the planner.
__all__ = ["Cell", "Dataset", "Planner", "StudyPlan", "Variant", "format_value", "given_weights"]

_WEIGHT_FILES = (".pt", ".pth", ".bin", ".safetensors")
# Of one study. Snakemake takes 2 ms a job to look at it.
MOST_CELLS = 20_000
# Above this many bytes of pixels a dataset is streamed: memory of a job is a few GB.
RESIDENT_BYTES = 2 * 1024**3


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
        seeds = outline.config.seed_list(scale)[: outline.scale.max_seeds]
        if len(outline.variants) * len(seeds) > MOST_CELLS:
            raise ConfigError(
                f"{self.config_dir / 'studies' / study}.yaml at scale {scale}: "
                f"{len(outline.variants)} variants x {len(seeds)} seeds, more than "
                f"{MOST_CELLS:,} cells; take fewer seeds, or make several studies"
            )
        cells = tuple(self._cell(outline, v, seed) for v in outline.variants for seed in seeds)
        self._refuse_same_cells(outline, cells)
        return replace(outline, cells=cells)

    def _refuse_same_cells(self, outline: StudyPlan, cells: tuple[Cell, ...]) -> None:
        """Two variants of one cell: values that differ as text (`auto`) and are run alike."""
        seen: dict[str, str] = {}
        for cell in cells:
            first = seen.setdefault(cell.id, cell.variant.label)
            if first != cell.variant.label:
                raise ConfigError(
                    f"{self.config_dir / 'studies' / outline.name}.yaml at scale "
                    f"{outline.scale_name}: variants '{first}' and '{cell.variant.label}' are "
                    "trained alike; leave one out"
                )

    def _check_carried(self, study: str, scale: str) -> None:
        config = load_study(self.config_dir, study)
        where = f"{self.config_dir / 'studies' / study}.yaml"
        for key, named in (("not_at", config.not_at), ("seeds_at", config.seeds_at)):
            for name in named:
                find(self.config_dir, "scales", name, f"{where}: {key}")
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
        variants = tuple(variants_of(config, recipe, scale_config, where, at))
        recipe_where = str(self.config_dir / "recipes" / f"{config.recipe}.yaml")
        for config_where, resources in (
            (recipe_where, recipe.resources),
            (where, config.resources),
        ):
            for name in resources:
                find(self.config_dir, "scales", name, f"{config_where}: resources")
        check_described(config, recipe, variants, where)
        check_described(recipe, recipe, variants, recipe_where)
        check_distinct(variants, where, at)
        baseline = variants[0]
        if config.kind != "lr_range":
            baseline = match(variants, config.baseline, f"{where}: baseline")
        for number, published in enumerate(config.published):
            if published.variant:
                match(variants, published.variant, f"{where}: published.{number}.variant")
        outline = StudyPlan(study, scale, config, scale_config, recipe, variants, baseline, ())
        if not config.claims:
            return outline
        for claim in config.claims:
            for name in claim.scales:
                find(self.config_dir, "scales", name, f"{where}: claim {claim.number}: scales")
        return replace(outline, claims=plan_claims(outline, self.register, where, match))

    @cached_property
    def register(self) -> Register:
        """The claims of all documents."""
        return load_register(self.config_dir)

    def dataset(self, name: str, where: str = "") -> Dataset:
        """A dataset with its lock; where: what gives the name, for the error."""
        if name not in self._datasets:
            config = load_dataset(self.config_dir, name, where)
            lock = load_lock(self.config_dir, name)
            check_lock(name, config, lock)
            if (differs := lock_is_older(config, lock)) is not None:
                raise ConfigError(
                    f"{self.config_dir / 'datasets' / name}.yaml: {differs}; make the lock again "
                    f"with `python workflow/lock_dataset.py --dataset {name}`"
                )
            self._datasets[name] = Dataset(name, config, lock)
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
        values["compute"] = training.compute.of_model(training.model)
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
        other = match(theirs.variants, weights.variant, f"{where}.variant")
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
