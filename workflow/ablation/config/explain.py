"""Pydantic's errors in this project's words: the key as the file has it, and what to do."""

from __future__ import annotations

import re
import reprlib
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel

from ..errors import nearest

# What is wanted, by pydantic's error type. These say that the *kind* of a value is wrong.
_WANTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "keys with values",
    "model_type": "keys with values",
    "model_attributes_type": "keys with values, as in `{name: ...}`",
}
_LIMITS = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "at most"),
}


class _Mistake(NamedTuple):
    keys: tuple
    """Place in the file: keys of mappings and numbers of list items."""
    models: list[type[BaseModel]]
    """What may stand where the last key is."""
    others: list[type[BaseModel]]
    """The techniques that the `name` beside it has not chosen."""
    item: dict[str, Any]
    """The error as pydantic has it."""

    @property
    def key(self) -> str:
        return ".".join(str(key) for key in self.keys)


def explain(model: type[BaseModel], content: Any, errors: list[dict[str, Any]]) -> list[str]:
    """One line `key: what is wrong; what to do` a mistake in `content`, which is no `model`."""
    mistakes = [_located(model, content, item) for item in errors]
    lines = []
    for mistake in mistakes:
        line = _words(mistake, mistakes) if _counts(mistake, mistakes) else None
        if line is not None and line not in lines:
            lines.append(line)
    return lines


def _located(model: type[BaseModel], content: Any, item: dict[str, Any]) -> _Mistake:
    """An error with its place: pydantic's own mixes keys with the names of a union's members.

    A part that is no key of the content is such a name; of techniques, it is the chosen one.
    """
    keys, models, others = [], [model], []
    parts = item["loc"]
    for number, part in enumerate(parts):
        missing = item["type"] == "missing" and number == len(parts) - 1
        found, inner = _step(content, part)
        if not found and not missing:
            chosen = [m for m in models if tag(m) == part]
            others = [m for m in models if chosen and m not in chosen]
            models = chosen or models
            continue
        keys.append(part)
        content = inner
        if number < len(parts) - 1:
            fields = [m.model_fields[part] for m in models if part in m.model_fields]
            if fields:
                models = [member for f in fields for member in _members(f.annotation)]
                others = []
    return _Mistake(tuple(keys), models, others, item)


def _step(content: Any, part: Any) -> tuple[bool, Any]:
    """Whether `part` is a key of the content or the number of an item, and what stands there."""
    if isinstance(content, BaseModel):
        content = dict(content)
    if isinstance(content, dict):
        return part in content, content.get(part)
    if isinstance(content, (list, tuple)) and isinstance(part, int) and part < len(content):
        return True, content[part]
    return False, None


def _members(annotation: Any) -> list[type[BaseModel]]:
    """The models inside an annotation: itself, or those of a union, tuple or dict."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [member for part in get_args(annotation) for member in _members(part)]


def tag(model: type[BaseModel]) -> Any:
    """The name by which a model is chosen among others, None if it is not."""
    for key in ("name", "kind"):
        if key in model.model_fields:
            return next(iter(get_args(model.model_fields[key].annotation)), None)
    return None


def _counts(mistake: _Mistake, mistakes: list[_Mistake]) -> bool:
    """Whether a mistake is one of its own.

    Of a union every member complains: a wrong kind of value says nothing when another member was
    of the right kind and has found more. A list with a bad item is not also too short.
    """
    rest = [m for m in mistakes if m.keys[: len(mistake.keys)] == mistake.keys and m is not mistake]
    if mistake.item["type"] == "too_short":
        return not any(len(m.keys) > len(mistake.keys) for m in rest)
    if mistake.item["type"] in _WANTED:
        return not any(m.item["type"] not in _WANTED or m.keys != mistake.keys for m in rest)
    return True


def _words(mistake: _Mistake, mistakes: list[_Mistake]) -> str:
    item, key = mistake.item, mistake.key
    kind, context, given = item["type"], item.get("ctx", {}), item["input"]
    got = f", got {_shown(given)}"
    if kind in ("string_type", "invalid_key") and (kind == "invalid_key" or _is_key(item)):
        above = ".".join(str(key) for key in mistake.keys[:-1])
        name = str(given).lower() if isinstance(given, bool) else given
        return (
            f"{above}: ".removeprefix(": ")
            + f"the name {name} is no text; write '{name}', in quotes"
        )
    if kind == "extra_forbidden":
        return f"{key}: {_unknown(mistake)}"
    if kind == "union_tag_invalid":
        name, valid = context["discriminator"].strip("'"), _quoted(context["expected_tags"])
        return f"{key}.{name}: there is no '{context['tag']}'{nearest(context['tag'], valid)}"
    if kind == "union_tag_not_found":
        return f"{key}.{context['discriminator'].strip(chr(39))}: missing"
    if kind == "literal_error":
        return f"{key}: '{given}' is not valid{nearest(str(given), _quoted(context['expected']))}"
    if kind == "missing":
        return f"{key}: missing"
    if kind in _WANTED:
        same = [m.item["type"] for m in mistakes if m.keys == mistake.keys]
        wanted = dict.fromkeys(_WANTED[k] for k in same if k in _WANTED)
        return f"{key}: wants {' or '.join(wanted)}{got}"
    if kind in _LIMITS:
        limit, word = _LIMITS[kind]
        return f"{key}: must be {word} {_number(context[limit])}{got}"
    if kind == "finite_number":
        return f"{key}: must be finite{got}"
    if kind == "too_long":
        return f"{key}: wants at most {context['max_length']:,} value(s)"
    if kind == "too_short":
        return f"{key}: wants at least {context['min_length']} value(s){got}"
    if kind == "value_error":
        message = item["msg"].removeprefix("Value error, ")
        return f"{key}: {message}" if key else message
    return f"{key}: {item['msg']}{got}"


def _number(limit: float) -> str:
    return f"{limit:,}" if isinstance(limit, int) else f"{limit:g}"


def _is_key(item: dict[str, Any]) -> bool:
    """Whether the error is one of a mapping's key, and not of what stands under it."""
    return item["loc"][-1:] == ("[key]",)


def _unknown(mistake: _Mistake) -> str:
    """A key that is none here; an option of another technique is said to be that."""
    last = str(mistake.keys[-1])
    owners = [f"'{tag(m)}'" for m in mistake.others if last in m.model_fields]
    if owners:
        return f"does nothing with '{tag(mistake.models[0])}'; it belongs to {', '.join(owners)}"
    return f"unknown key{nearest(last, [n for m in mistake.models for n in m.model_fields])}"


def _quoted(listed: str) -> list[str]:
    """The names in pydantic's `'a', 'b' or 'c'`."""
    return [name.strip().strip("'") for name in re.split(r",| or ", listed)]


def _shown(value: Any) -> str:
    """A value of the file, cut short: aliases can make a small file's value endless."""
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = 60
    return short.repr(value)
