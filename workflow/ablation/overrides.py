"""Overrides by dotted key, and what a scale makes of a training."""

from __future__ import annotations

import copy
from typing import Any

from pydantic import BaseModel

from .averaging import Checkpoints, Ema
from .config.load import validate
from .config.recipe import Training
from .config.scale import ScaleConfig
from .config.units import InEpochs
from .errors import ConfigError, nearest
from .models.base import CARRIED, Model


def override(content: dict[str, Any], changes: dict[str, Any], where: str) -> dict[str, Any]:
    """A copy of `content` with the dotted keys of `changes` set.

    A mapping replaces the whole object; so does another technique's name (`schedule.name`), so
    that no option of the old technique is left behind. Objects come before names and names before
    options, whatever the order in the file: no change is undone by another.
    """
    result = copy.deepcopy(content)
    for key in sorted(changes, key=_object_name_option):
        *parents, last = str(key).split(".")
        target = result
        for part in parents:
            target = _inside(target, part, f"{where}: {key}")
        if last == "name" and target.get("name") != changes[key]:
            target.clear()
        target[last] = copy.deepcopy(changes[key])
    return result


def _object_name_option(key: str) -> tuple[int, bool]:
    parts = str(key).split(".")
    return len(parts), parts[-1] != "name"


def _inside(content: dict[str, Any], part: str, where: str) -> dict[str, Any]:
    if part not in content:
        hint = nearest(part, [key for key, value in content.items() if isinstance(value, dict)])
        raise ConfigError(f"{where}: there is no '{part}'{hint}")
    if not isinstance(content[part], dict):
        raise ConfigError(f"{where}: '{part}' has no keys of its own")
    return content[part]


def at_scale(training: Training, scale: ScaleConfig, where: str) -> Training:
    """The training as it is run at a scale.

    Dataset, model, image size, epochs and batch size are mapped, and everything counted in epochs
    keeps its share of the training. Learning rate, schedule, augmentation, dropout and stochastic
    depth: as they are.
    """
    shorter = round(training.epochs / scale.epochs_divide_by)
    epochs = scale.epochs.get(training.epochs, max(1, shorter))
    content = _stretch(training, epochs, training.epochs)
    if isinstance(training.averaging, Checkpoints) and round(training.averaging.count) > 1:
        # The fewest that are an average: ten of 610 epochs would be none of twenty.
        content["averaging"]["count"] = max(2.0, content["averaging"]["count"])
    content["epochs"] = epochs
    content["lr"] = training.absolute_lr
    content["batch_size"] = _map_batch(training.batch_size, scale, where)
    content["dataset"] = scale.datasets.get(training.dataset, training.dataset)
    here = scale.train_shares.get(training.train_share, training.train_share * scale.train_share)
    content["train_share"] = here
    content["val_share"] = training.val_share * scale.val_share
    _map_sizes(content, training, scale, where)
    if training.model.label in scale.models:
        content["model"] = _stand_in(training.model, scale.models[training.model.label])
    _map_weights(content, training, scale)
    for key in ("val_crop_ratio", "compute"):
        replacement = getattr(scale, key)
        if replacement is not None:
            content[key] = replacement
    if scale.measure is not None:
        images = round(scale.measure.clean_images * here / scale.train_share)
        content["measure"] = scale.measure.model_dump() | {"clean_images": images}
    _refuse_counted_in_updates(training, content, where)
    return validate(Training, content, where)


def _map_sizes(content: dict[str, Any], training: Training, scale: ScaleConfig, where: str) -> None:
    """Every image size by the scale's table; with another dataset, none is left as it is."""

    def mapped(side: int, key: str) -> int:
        if side not in scale.img_sizes and training.dataset in scale.datasets:
            raise ConfigError(f"{where}: {key} {side} has no place in the scale's img_sizes")
        return scale.img_sizes.get(side, side)

    content["img_size"] = mapped(training.img_size, "img_size")
    if training.val_img_size is not None:
        content["val_img_size"] = mapped(training.val_img_size, "val_img_size")
    growing = training.progressive_resize
    if growing is not None:
        inner = content["progressive_resize"]
        inner["start_size"] = mapped(growing.start_size, "progressive_resize.start_size")
        multiple = growing.multiple * content["img_size"] / training.img_size
        if multiple != round(multiple):
            raise ConfigError(
                f"{where}: progressive_resize.multiple {growing.multiple} becomes {multiple:g} "
                "pixels with the scale's img_sizes"
            )
        inner["multiple"] = round(multiple)


def _map_weights(content: dict[str, Any], training: Training, scale: ScaleConfig) -> None:
    """Given weights by the scale's table: a teacher for another teacher."""
    if training.pretrained is not None:
        weights = training.pretrained.weights
        if weights.label in scale.weights:
            content["pretrained"]["weights"] = scale.weights[weights.label].model_dump()
    if training.distill is not None:
        teacher = training.distill.teacher
        if teacher.label in scale.weights:
            replacement = scale.weights[teacher.label].model_dump()
            content["distill"] |= {"teacher": replacement, "teacher_model": None}


def _refuse_counted_in_updates(training: Training, content: dict[str, Any], where: str) -> None:
    """A decay per update means another half-life where a training has other updates."""
    mapped = ("epochs", "batch_size", "dataset", "train_share")
    ema, key = training.averaging, "averaging"
    if isinstance(ema, Checkpoints):
        ema, key = ema.ema, "averaging.ema"
    if not isinstance(ema, Ema) or ema.decay is None:
        return
    if any(content[name] != getattr(training, name) for name in mapped):
        raise ConfigError(
            f"{where}: {key}.decay counts in updates, which are others at this scale; give "
            f"{key}.half_life_epochs instead (ln 0.5 / ln decay updates)"
        )


def _stand_in(model: Model, other: Model) -> dict[str, Any]:
    """The scale's model with the document's regularization, which is no matter of its size.

    What the scale itself sets stays; a model without such an option is then refused.
    """
    content = other.model_dump()
    for key in CARRIED:
        value = getattr(model, key, None)
        if value is not None and content.get(key) is None:
            content[key] = value
    return content


def _map_batch(batch_size: int, scale: ScaleConfig, where: str) -> int:
    if batch_size in scale.batch_sizes:
        return scale.batch_sizes[batch_size]
    divisor = scale.batch_divide_by
    size = batch_size / divisor
    if abs(size - round(size)) > 1e-9 or round(size) < 1:
        raise ConfigError(
            f"{where}: batch_size {batch_size} divided by batch_divide_by {divisor:g} is not whole"
        )
    return round(size)


def _stretch(model: BaseModel, new: int, old: int) -> dict[str, Any]:
    """The model's content with every field that is counted in epochs in proportion new / old."""
    content: dict[str, Any] = {}
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            value = _stretch(value, new, old)
        elif value is not None and _counted_in_epochs(field):
            many = isinstance(value, tuple)
            value = tuple(v * new / old for v in value) if many else value * new / old
        content[name] = value
    return content


def _counted_in_epochs(field: Any) -> bool:
    marks = list(field.metadata)
    for part in getattr(field.annotation, "__args__", ()):  # `PositiveEpochs | None`
        marks += getattr(part, "__metadata__", ())
    return any(isinstance(mark, InEpochs) for mark in marks)
