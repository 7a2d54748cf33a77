"""YAML files to frozen models, with errors that name the file, the key and the nearest name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from ..errors import ConfigError, nearest
from ..printable import one_line, order_in
from .claim import Register
from .dataset import DatasetConfig, DatasetLock
from .explain import explain
from .recipe import RecipeConfig
from .scale import ScaleConfig
from .strict import read_json, read_yaml
from .study import StudyConfig, WorkflowConfig

M = TypeVar("M", bound=BaseModel)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
NAME_LENGTH = 100


def validate(model: type[M], content: Any, where: str) -> M:
    """`content` as a `model`; a ConfigError of one line a mistake, beginning with `where`."""
    if not isinstance(content, dict):
        kinds = {type(None): "nothing", str: "text", list: "a list"}
        holds = kinds.get(type(content), f"a {type(content).__name__}")
        raise ConfigError(f"{where}: wants keys with values, holds {holds}")
    if model is not DatasetLock:  # it names files as others have named them; its classes it checks
        _refuse_orders(content, where)
    try:
        return model.model_validate(content)
    except ValidationError as error:
        lines = explain(model, content, error.errors())
        raise ConfigError("\n".join(f"{where}: {line}" for line in lines)) from None


def _refuse_orders(content: dict, where: str) -> None:
    """No text or key of a file may order a terminal about or turn what stands beside it: labels,
    titles and names are printed, and stand in logs that are read for causes of failure."""
    todo: list[tuple[str, Any]] = [("", content)]
    while todo:
        place, value = todo.pop()
        if isinstance(value, (dict, list)):
            items = value.items() if isinstance(value, dict) else enumerate(value)
            for key, part in items:
                below = f"{place}.{key}" if place else str(key)
                todo += [(below, key), (below, part)]
        elif isinstance(value, str) and (order := order_in(value, layout=True)):
            raise ConfigError(
                f"{where}: {one_line(place, 100)}: holds the control or direction character "
                f"{order}; write it without"
            )


def find(config_dir: Path, folder: str, name: str, where: str = "") -> Path:
    """Path of the YAML file that a name means; a misspelt one is answered with the nearest.

    where: place that gives the name (file and key); without it the folder is named alone.
    """
    here = Path(config_dir) / folder
    path = here / f"{name}.yaml"
    plain = NAME.fullmatch(str(name)) is not None
    if plain and len(name) <= NAME_LENGTH and path.is_file():
        return path
    said = f"{where}: there is no '{name}' in" if where else f"there is no '{name}' in"
    if not plain:
        hint = "; a name has letters, digits, - and _ only"
    elif len(name) > NAME_LENGTH:
        hint = f"; a name has at most {NAME_LENGTH} characters"
    else:
        hint = nearest(str(name), [p.stem for p in here.glob("*.yaml") if p.is_file()])
    raise ConfigError(f"{said} {here}{hint}")


def _load(model: type[M], config_dir: Path, folder: str, name: str, where: str) -> M:
    path = find(config_dir, folder, name, where)
    return validate(model, read_yaml(path), str(path))


def load_dataset(config_dir: Path, name: str, where: str = "") -> DatasetConfig:
    """The dataset `config/datasets/{name}.yaml`; where: what gives the name, for the error."""
    return _load(DatasetConfig, config_dir, "datasets", name, where)


def title_of(dataset: str, config_dir: Path) -> str:
    """A dataset's name for readers; its file name where it has no file."""
    try:
        return load_dataset(config_dir, dataset).title
    except ConfigError:
        return dataset


def load_recipe(config_dir: Path, name: str, where: str = "") -> RecipeConfig:
    """The recipe `config/recipes/{name}.yaml`; where: what gives the name, for the error."""
    return _load(RecipeConfig, config_dir, "recipes", name, where)


def load_scale(config_dir: Path, name: str, where: str = "") -> ScaleConfig:
    """The scale `config/scales/{name}.yaml`; where: what gives the name, for the error."""
    return _load(ScaleConfig, config_dir, "scales", name, where)


def load_study(config_dir: Path, name: str, where: str = "") -> StudyConfig:
    """The study `config/studies/{name}.yaml`; where: what gives the name, for the error."""
    return _load(StudyConfig, config_dir, "studies", name, where)


def load_register(config_dir: Path) -> Register:
    """The claims of all documents, `config/claims.yaml`."""
    path = Path(config_dir) / "claims.yaml"
    return validate(Register, read_yaml(path), str(path))


def load_lock(config_dir: Path, name: str) -> DatasetLock:
    """The lock of a dataset; ConfigError with the command that makes it when there is none."""
    path = Path(config_dir) / "datasets" / f"{name}.lock.json"
    if not path.is_file():
        raise ConfigError(
            f"{path}: the dataset '{name}' has no lock yet; put its images in place and run "
            f"`python workflow/lock_dataset.py --dataset {name}`"
        )
    return validate(DatasetLock, read_json(path), str(path))


def check_settings(paths: Iterable[Path]) -> None:
    """Refuse a file of the workflow's settings that is not strict YAML, or has a key that is none.

    Snakemake reads these files too, by a looser reader: the last of two equal keys wins there, and
    some keys run code. So this comes first.
    """
    for path in paths:
        content = read_yaml(path)
        if not isinstance(content, dict):
            validate(WorkflowConfig, content, str(path))
        for key in content:
            if key not in WorkflowConfig.model_fields:
                hint = nearest(str(key), WorkflowConfig.model_fields)
                raise ConfigError(f"{path}: {key}: unknown key{hint}")


def check_workflow(content: Any, where: str = "config/config.yaml") -> WorkflowConfig:
    """The workflow's own settings, from what Snakemake has read and merged."""
    return validate(WorkflowConfig, content, where)


def study_names(config_dir: Path | str, chosen: Sequence[str]) -> tuple[str, ...]:
    """The studies that `studies` of the workflow's settings means: `all` is every file there is."""
    if tuple(chosen) != ("all",):
        return tuple(chosen)
    found = sorted(path.stem for path in (Path(config_dir) / "studies").glob("*.yaml"))
    if not found:
        raise ConfigError(f"studies: all: there is no study in {Path(config_dir) / 'studies'}")
    return tuple(found)
