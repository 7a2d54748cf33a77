"""The cell id: a short digest of everything that can change a cell's result, and nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from .config.base import Config, Technique
from .config.recipe import CellConfig
from .config.study import LOADER_KEYS, LoaderTest

# Values that are left out of the digest. A new field enters the configuration together with a line
# here that holds the value under which the program behaves as it did before, so that it renames no
# cell. A line is never changed or removed: the list of golden ids in tests/golden holds this table.
IDENTITY_DEFAULTS: dict[str, Any] = {
    "schedule.cooldown_epochs": 0.0,
    "clip_grad_norm": None,
    "val_img_size": None,
    "flip_tta": False,
    "progressive_resize": None,
    "accumulate": 1,
    "policy": None,
    "erase": None,
    "mix": None,
    "repeated_augment": 1,
    "averaging": None,
    "averaging.ema": None,
    "pretrained": None,
    "distill": None,
    "compute.sync_bn": False,
    "compute.channels_last": True,
    "compute.compile": False,
    "compute.tf32": False,
    "model.dropout": None,
    "model.stochastic_depth": None,
    "model.width_mult": None,
    "optimizer.decay_linear": True,
    "optimizer.head_lr_factor": None,
    "optimizer.layer_lr_decay": None,
}

# What only says where something is found: its content counts, by a digest or a cell's id beside it.
_PLACES = tuple(
    f"{origin}.{key}"
    for origin in ("pretrained.weights", "distill.teacher")
    for key in ("study", "variant", "seed", "path")
)

# Raised by hand when a change of the training loop, the evaluation, the draws or the readers can
# change results: every cell is then a new one.
LOOP_VERSION = 1

_DIGITS = 12  # 48 bits: among 100,000 cells two collide with probability 2e-5


def cell_id(config: CellConfig, dataset: str) -> str:
    """Identity of a cell, 12 hexadecimal digits.

    config: the resolved configuration; dataset: digest of the lock and the writer's options.
    Numbers count by value (0.1 is 1e-1), keys in any order.
    """
    return digest(identity(config, dataset))


def loader_id(config: CellConfig, loader: LoaderTest, dataset: str) -> str:
    """Identity of a cell that only reads: `load-` and 12 hexadecimal digits."""
    return f"load-{digest(loader_identity(config, loader, dataset))}"


def loader_identity(config: CellConfig, loader: LoaderTest, dataset: str) -> dict[str, Any]:
    """What a reading cell's id is a digest of: what is read, how, and the medium by its name.

    Workers count, as times are the result. The folder behind the medium's name does not, as no
    machine does: the record says which it was.
    """
    whole = identity(config, dataset)
    used = {key: v for key, v in whole.items() if key.split(".")[0].split("@")[0] in LOADER_KEYS}
    parts = {f"loader.{key}": value for key, value in loader.model_dump(mode="json").items()}
    return {**used, **parts, "seed": config.seed}


def identity(config: CellConfig, dataset: str) -> dict[str, Any]:
    """What the id is a digest of: flat, dotted keys to plain values."""
    flat = dict(_flatten(config.model_dump(mode="json"), ""))
    kept = {
        key: value
        for key, value in flat.items()
        if (key not in IDENTITY_DEFAULTS or IDENTITY_DEFAULTS[key] != value)
        and not any(key == place or key.startswith(f"{place}.") for place in _PLACES)
    }
    for field, technique in _techniques(config, ""):
        # A version of 1 is left out, so that a technique may become versioned later.
        if technique.version > 1:
            kept[f"{field}@version"] = technique.version
    if LOOP_VERSION > 1:
        kept["loop@version"] = LOOP_VERSION
    # The dataset's name is a label: its content is what counts.
    kept["dataset"] = dataset
    return kept


def _techniques(config: Config, above: str) -> Iterator[tuple[str, Technique]]:
    for field in type(config).model_fields:
        value = getattr(config, field)
        if isinstance(value, Technique):
            yield f"{above}{field}", value
        if isinstance(value, Config):
            yield from _techniques(value, f"{above}{field}.")


def digest(content: Any) -> str:
    """12 hexadecimal digits of SHA-256 over canonical JSON."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def _flatten(value: Any, key: str):
    if isinstance(value, dict):
        for part, inner in value.items():
            yield from _flatten(inner, f"{key}.{part}" if key else part)
    else:
        yield key, value
