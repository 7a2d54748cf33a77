"""The points of a study's grid and its named rows become variants, as a scale runs them."""

from __future__ import annotations

import itertools
import math
from typing import Any

from .config.load import validate
from .config.recipe import Described, RecipeConfig, Training
from .config.scale import ScaleConfig
from .config.study import LoaderTest, StudyConfig
from .errors import ConfigError, nearest
from .overrides import at_scale, override
from .plan import Variant
from .printable import one_line, order_in

# Planning takes 3 ms a variant, and a table of so many rows is read by nobody.
MOST_VARIANTS = 2000


def variants_of(
    study: StudyConfig, recipe: RecipeConfig, scale: ScaleConfig, where: str, at: str
) -> list[Variant]:
    """Every point of a study. where: its file; at: the same with the scale, for errors."""
    values = {key: getattr(recipe, key) for key in Training.model_fields}
    content = Training.model_construct(**values).model_dump()
    content = override(content, study.base, f"{where}: base")
    if study.range is not None:
        content = override(content, study.range.changes(), f"{where}: range")
        scale = scale.model_copy(update={"epochs_divide_by": 1.0})  # it has its length everywhere
    variants = []
    for axes, changes in _points(study, where):
        label = _label(axes)
        if order := order_in(label):
            raise ConfigError(
                f"{where}: the variant '{one_line(label, 100)}' has the control or direction "
                f"character {order} in its label; a label is one line of text"
            )
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
    _refuse_too_many(study, where)
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


def _refuse_too_many(study: StudyConfig, where: str) -> None:
    """By their number, before one of them is made: a product grows beyond any memory."""
    lengths = [len(values) for values in study.grid.values()]
    # An axis without values is told later, and hides none that is too long.
    points = math.prod(max(1, length) for length in lengths) if lengths else 0
    if points + len(study.rows) > MOST_VARIANTS:
        parts = [f"a grid of {' x '.join(map(str, lengths))} points"] if lengths else []
        said = " and ".join([*parts, *([f"{len(study.rows)} rows"] if study.rows else [])])
        raise ConfigError(
            f"{where}: {said}, more than {MOST_VARIANTS:,} variants; leave some out, or make "
            "several studies"
        )


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


def match(variants: tuple[Variant, ...], labels: dict[str, Any], where: str) -> Variant:
    """The variant with these values of the axes; ConfigError when there is none."""
    found = [v for v in variants if v.axes == labels]
    if not found:
        label = _label(labels)
        for variant in variants:
            if variant.label == label:
                raise ConfigError(f"{where}: {_not_quite(labels, variant.axes)}")
        hint = nearest(label, [v.label for v in variants])
        raise ConfigError(f"{where}: no variant is '{label}'{hint}")
    return found[0]


def _not_quite(labels: dict[str, Any], axes: dict[str, Any]) -> str:
    """In what labels differ from those of a variant that looks the same."""
    for key, value in labels.items():
        if key not in axes:
            hint = nearest(key, axes)
            return f"there is no axis '{key}'{hint}"
        if value != axes[key]:
            return (
                f"{key}: {_as_yaml(value)} is not {_as_yaml(axes[key])}; write {key}: "
                + (_as_yaml(axes[key]).split(" ", 2)[-1])
            )
    return f"the axis '{next(key for key in axes if key not in labels)}' is missing"


def _as_yaml(value: Any) -> str:
    """A value of an axis with its kind, as a file has it."""
    if isinstance(value, str):
        return f"the text '{value}'"
    if isinstance(value, bool):
        return f"the word {str(value).lower()}"
    return f"the number {value}" if isinstance(value, (int, float)) else f"the value {value}"


def check_described(
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


def check_distinct(variants: tuple[Variant, ...], where: str, at: str) -> None:
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
