"""What a study varies and what it holds equal: its settings, and what the scale makes of them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from .config.base import Technique
from .config.recipe import Described, Training
from .config.study import LOADER_KEYS
from .grid import StudyPlan, Variant, format_value
from .markup import Column, Entry, Table

# Which reader is used changes no number that the document speaks of; `auto` is not yet a choice.
_LEFT_OUT = {"reading"}
# A learning rate by rule is worked out before the scale's mapping: `lr` itself stands beside them.
_RULES = ("lr.per_256", "lr.rule")
_COLUMNS = ("Setting", "As the study has it", "Run here", "Where from")


def settings_table(plan: StudyPlan) -> Table:
    """A row per setting: the swept ones first, then those held equal; changed ones are marked."""
    documents = [settings_of(v, v.document) for v in plan.variants]
    here = [settings_of(v, v.training) for v in plan.variants]
    keys = list(dict.fromkeys(key for content in (*documents, *here) for key in content))
    rows, marked = [], []
    for swept in (True, False):
        for key in keys:
            theirs, ours = _values(documents, key), _values(here, key)
            if (len(theirs) > 1) != swept:
                continue
            changed = theirs != ours and key not in _RULES
            if changed:
                marked.append(len(rows))
            name = f"{key} (swept)" if swept else key
            run = f"→ {_text(ours)}" if changed else _text(ours)
            origin = where_from(plan, key) if theirs else "scale"
            rows.append(tuple(map(Entry, (name, _text(theirs), run, origin))))
    columns = tuple(Column(heading, header=not i) for i, heading in enumerate(_COLUMNS))
    note = f"→: changed by the scale {plan.scale_name}."
    caption = f"{plan.config.title}: what was varied and what was held equal"
    return Table(
        "settings", caption, columns, tuple(rows), (note,) if marked else (), (), (*marked,)
    )


def settings_of(variant: Variant, training: Training) -> dict[str, str]:
    """Setting -> value as text; of a loader benchmark, what bears on reading alone."""
    if variant.loader is None:
        return flat(training)
    used = {k: v for k, v in flat(training).items() if k.split(".")[0] in LOADER_KEYS}
    return used | {"reading": training.reading} | _parts("loader", variant.loader)


def flat(training: Training) -> dict[str, str]:
    """Setting -> value as text. A model is one setting, with its options in parentheses."""
    found: dict[str, str] = {}
    for key in type(training).model_fields:
        value = getattr(training, key)
        if key == "compute":
            value = value.of_model(training.model)
        if key in _LEFT_OUT:
            continue
        if key == "model":
            found[key] = model_text(training)
        elif key == "lr" and isinstance(value, BaseModel):
            found[key] = plain_value(training.absolute_lr)
            found |= _parts(key, value)
        elif isinstance(value, BaseModel):
            found |= _parts(key, value)
        else:
            found[key] = plain_value(value)
    return found


def _parts(key: str, value: BaseModel) -> dict[str, str]:
    """Dotted key -> value of a technique's or another part's options, the unused ones left out."""
    found = {key: value.name} if isinstance(value, Technique) else {}
    for option in type(value).model_fields:
        inner = getattr(value, option)
        if isinstance(inner, BaseModel):
            found |= _parts(f"{key}.{option}", inner)
        elif inner is not None and option != "name":
            found[f"{key}.{option}"] = plain_value(inner)
    return found


def model_text(training: Training) -> str:
    """A model with its options: `resnet_small (width 16, blocks 1)`, `resnet50`."""
    model = training.model
    options = {k: v for k, v in _options(model).items() if k not in ("name", "arch")}
    text = ", ".join(f"{key} {value}" for key, value in options.items())
    return f"{model.label} ({text})" if text else str(model.label)


def _options(model: Any) -> dict[str, str]:
    return {k: plain_value(v) for k, v in model.model_dump(mode="json").items() if v is not None}


def plain_value(value: Any) -> str:
    """A setting's value as text."""
    if value is None:
        return "none"
    if isinstance(value, dict):
        return ", ".join(f"{key} {plain_value(v)}" for key, v in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(plain_value(v) for v in value)
    return format_value(value)


def _values(contents: list[dict[str, str]], key: str) -> list[str]:
    """The different values of a setting over the variants; '' where a variant has no such one."""
    found = list(dict.fromkeys(content.get(key, "") for content in contents))
    return [] if found == [""] else found


def _text(values: list[str]) -> str:
    return " · ".join(value or "none" for value in values) or "–"


def where_from(plan: StudyPlan, key: str) -> str:
    """`stated: ...` or `assumed: ...`, from the study, else the recipe; the nearest parent counts.

    A setting that neither describes is the project's own default.
    """
    described: tuple[Described, ...] = (plan.config, plan.recipe)
    for content in described:
        parts = key.split(".")
        while parts:
            name = ".".join(parts)
            for kind in ("stated", "assumed"):
                if name in getattr(content, kind):
                    return f"{kind}: {getattr(content, kind)[name]}"
            parts.pop()
    return "project default"
