"""YAML files to frozen models, with errors that name the file, the key and the nearest name."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from ..errors import ConfigError, nearest
from .dataset import DatasetConfig, DatasetLock
from .recipe import RecipeConfig
from .scale import ScaleConfig
from .study import StudyConfig, WorkflowConfig

M = TypeVar("M", bound=BaseModel)
NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_-]*$")


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """YAML's safe subset; numbers like 1e-3 are numbers, a key given twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, (dict, list)) or key in seen:
                said = "is no plain key" if isinstance(key, (dict, list)) else "stands here twice"
                raise yaml.constructor.ConstructorError(
                    None, None, f"key '{key}' {said}", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+0123456789."),
)


def read_yaml(path: Path) -> Any:
    """The plain content of a YAML file; ConfigError with line and column when it is none."""
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 safe subset
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text ({error.reason})") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise ConfigError(f"{place}: {getattr(error, 'problem', error)}") from None


def validate(model: type[M], content: Any, where: str) -> M:
    """`content` as a `model`; a ConfigError of one line a mistake, beginning with `where`."""
    if not isinstance(content, dict):
        kind = "nothing" if content is None else type(content).__name__
        raise ConfigError(f"{where}: wants keys with values, holds {kind}")
    try:
        return model.model_validate(content)
    except ValidationError as error:
        lines = [f"{where}: {_explain(model, item)}" for item in error.errors()]
        raise ConfigError("\n".join(lines)) from None


def _explain(model: type[BaseModel], item: dict[str, Any]) -> str:
    """One of pydantic's errors as `key: what is wrong; what to do`."""
    loc, kind, context = item["loc"], item["type"], item.get("ctx", {})
    key = ".".join(str(part) for part in loc if not _is_tag(model, loc, part))
    if kind == "extra_forbidden":
        fields = _fields_at(model, loc[:-1])
        return f"{key}: unknown key{nearest(str(loc[-1]), fields)}"
    if kind == "union_tag_invalid":
        valid = [tag.strip().strip("'") for tag in context["expected_tags"].split(",")]
        return f"{key}.name: there is no '{context['tag']}'{nearest(context['tag'], valid)}"
    if kind == "literal_error":
        valid = [v.strip().strip("'") for v in re.split(r",| or ", context["expected"])]
        return f"{key}: '{item['input']}' is not valid{nearest(str(item['input']), valid)}"
    if kind == "missing":
        return f"{key}: missing"
    if kind == "union_tag_not_found":
        return f"{key}.name: missing (which technique?)"
    message = item["msg"].removeprefix("Value error, ")
    given = item["input"]
    shown = f", got {given!r}" if kind != "value_error" and not isinstance(given, dict) else ""
    return f"{key}: {message}{shown}" if key else f"{message}"


def _members(annotation: Any) -> list[type[BaseModel]]:
    """The models inside an annotation: itself, or those of a union, tuple or dict."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [member for part in get_args(annotation) for member in _members(part)]


def _walk(model: type[BaseModel], loc: tuple) -> tuple[list[type[BaseModel]], set[int]]:
    """Models that may stand at `loc`, and the positions in it that are union tags, not keys."""
    here, tags = [model], set()
    for position, part in enumerate(loc):
        fields = [m.model_fields[part] for m in here if part in m.model_fields]
        if fields:
            here = [member for field in fields for member in _members(field.annotation)]
            continue
        tagged = [m for m in here if _tag(m) == part]
        if tagged:
            here, _ = tagged, tags.add(position)
    return here, tags


def _tag(model: type[BaseModel]) -> Any:
    for key in ("name", "kind"):
        if key in model.model_fields:
            return next(iter(get_args(model.model_fields[key].annotation)), None)
    return None


def _is_tag(model: type[BaseModel], loc: tuple, part: Any) -> bool:
    _, tags = _walk(model, loc)
    return any(loc[position] is part for position in tags)


def _fields_at(model: type[BaseModel], loc: tuple) -> list[str]:
    models, _ = _walk(model, loc)
    return [name for member in models for name in member.model_fields]


def _named(config_dir: Path, folder: str, name: str, suffix: str = ".yaml") -> Path:
    """Path of a named file; a misspelt name is answered with the nearest one."""
    path = config_dir / folder / f"{name}{suffix}"
    if not NAME.match(str(name)) or not path.is_file():
        valid = [p.name.removesuffix(suffix) for p in (config_dir / folder).glob(f"*{suffix}")]
        hint = nearest(str(name), valid)
        raise ConfigError(f"{config_dir / folder}: there is no '{name}{suffix}'{hint}")
    return path


def _load(model: type[M], config_dir: Path, folder: str, name: str) -> M:
    path = _named(Path(config_dir), folder, name)
    return validate(model, read_yaml(path), str(path))


def load_dataset(config_dir: Path, name: str) -> DatasetConfig:
    """The dataset `config/datasets/{name}.yaml`."""
    return _load(DatasetConfig, config_dir, "datasets", name)


def load_recipe(config_dir: Path, name: str) -> RecipeConfig:
    """The recipe `config/recipes/{name}.yaml`."""
    return _load(RecipeConfig, config_dir, "recipes", name)


def load_scale(config_dir: Path, name: str) -> ScaleConfig:
    """The scale `config/scales/{name}.yaml`."""
    return _load(ScaleConfig, config_dir, "scales", name)


def load_study(config_dir: Path, name: str) -> StudyConfig:
    """The study `config/studies/{name}.yaml`."""
    return _load(StudyConfig, config_dir, "studies", name)


def load_lock(config_dir: Path, name: str) -> DatasetLock:
    """The lock of a dataset; ConfigError with the command that makes it when there is none."""
    path = Path(config_dir) / "datasets" / f"{name}.lock.json"
    if not path.is_file():
        raise ConfigError(
            f"{path}: the dataset '{name}' has no lock yet; put its images in place and run "
            f"`python workflow/lock_dataset.py --dataset {name}`"
        )
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise ConfigError(f"{path}: not valid JSON ({error})") from None
    return validate(DatasetLock, content, str(path))


def check_workflow(content: Any, where: str = "config/config.yaml") -> WorkflowConfig:
    """The workflow's own settings, from what Snakemake has read and merged."""
    return validate(WorkflowConfig, content, where)
