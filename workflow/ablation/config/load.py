"""YAML files to frozen models, with errors that name the file, the key and the nearest name."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from ..errors import ConfigError, nearest
from .claim import Register
from .dataset import DatasetConfig, DatasetLock
from .explain import explain
from .recipe import RecipeConfig
from .scale import ScaleConfig
from .study import StudyConfig, WorkflowConfig

M = TypeVar("M", bound=BaseModel)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """YAML's safe subset; numbers like 1e-3 are numbers, a key given twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                raise _refused("merge keys (<<) are not read; write the keys out", key_node)
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, (dict, list)) or key in seen:
                said = "is no plain key" if isinstance(key, (dict, list)) else "stands here twice"
                raise _refused(f"key '{key}' {said}", key_node)
            seen.add(key)
        return super().construct_mapping(node, deep)


def _refused(why: str, node: yaml.Node) -> yaml.YAMLError:
    return yaml.constructor.ConstructorError(None, None, why, node.start_mark)


def _no_tags(_loader: _Loader, node: yaml.Node) -> None:
    """Nothing in a file chooses a Python type: a tag is refused, whatever it names."""
    shown = node.tag.replace("tag:yaml.org,2002:", "!!")
    raise _refused(f"the tag {shown} is refused; write plain values", node)


_Loader.add_constructor(None, _no_tags)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+0123456789."),
)


def read_yaml(path: Path) -> Any:
    """The plain content of a YAML file; ConfigError with line and column when it is none."""
    try:
        return yaml.load(_read_text(path), Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or " ".join(str(error).split())
        raise ConfigError(f"{place}: {problem}") from None
    except (ValueError, TypeError, RecursionError) as error:  # the 45th of May, 5,000 digits
        raise ConfigError(f"{path}: cannot be read as YAML ({error})") from None


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text ({error.reason})") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None


def validate(model: type[M], content: Any, where: str) -> M:
    """`content` as a `model`; a ConfigError of one line a mistake, beginning with `where`."""
    if not isinstance(content, dict):
        kinds = {type(None): "nothing", str: "text", list: "a list"}
        holds = kinds.get(type(content), f"a {type(content).__name__}")
        raise ConfigError(f"{where}: wants keys with values, holds {holds}")
    try:
        return model.model_validate(content)
    except ValidationError as error:
        lines = explain(model, content, error.errors())
        raise ConfigError("\n".join(f"{where}: {line}" for line in lines)) from None


def find(config_dir: Path, folder: str, name: str, where: str = "") -> Path:
    """Path of the YAML file that a name means; a misspelt one is answered with the nearest.

    where: place that gives the name (file and key); without it the folder is named alone.
    """
    here = Path(config_dir) / folder
    path = here / f"{name}.yaml"
    if NAME.fullmatch(str(name)) and path.is_file():
        return path
    said = f"{where}: there is no '{name}' in" if where else f"there is no '{name}' in"
    if not NAME.fullmatch(str(name)):
        hint = "; a name has letters, digits, - and _ only"
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
    try:
        content = json.loads(_read_text(path))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not valid JSON ({error})") from None
    return validate(DatasetLock, content, str(path))


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
