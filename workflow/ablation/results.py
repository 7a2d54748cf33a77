"""A cell's results, read as what others may have written: each file typed, bounded and whole, or
the cell is damaged and says which file and why.

Cells of every age are read. What a cell has had from the first is required; a metric or a time that
came later is optional, and empty in older cells; what this version does not know is left out.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from .errors import DataError
from .foreign import LARGE, SMALL, Unreadable, read_json, read_text
from .meters import READINGS  # empty where there is no meter, and in cells trained before meters
from .printable import one_line

# Measured each epoch; the last epoch's values stand in runs.csv under the same names. A metric that
# is added here is empty in cells that were trained before (test_results.py).
EPOCH_METRICS = (
    "lr",
    "train_loss",
    "train_top1",
    "train_top5",
    "val_loss",
    "val_top1",
    "val_top5",
    "clean_loss",
    "clean_top1",
    "clean_top5",
)
# Of the trained weights at the last epoch, in cells that evaluate an average of weights.
RAW_METRICS = ("raw_val_loss", "raw_val_top1", "raw_val_top5")
EPOCH_TIMES = ("train_time_s", "eval_time_s", "images_per_s")
# As with the metrics, what is added is empty in older cells.
TIMING = (
    "train_time_s",
    "eval_time_s",
    "startup_time_s",
    "wall_time_s",
    "images_per_s",
    "peak_mem_gib",
    "alone",
    "attempts",
)
# Of cells that only read, of a loader benchmark.
LOADER_TIMES = ("read_time_s", "images_per_s")
LOADER_TIMING = (
    *("first_images_per_s", "first_mb_per_s", "cached_before"),
    *("load_time_s", "compile_time_s", "copy_time_s", "file_system", "disk"),
)
# What a cell has always; its weights may be deleted.
FILES = ("cell.json", "epochs.csv", "timing.json", "provenance.json", "metrics.json")


class MissingCell(DataError):
    """A cell without results."""


class DamagedCell(DataError):
    """A cell whose results cannot be read, or are another cell's."""


# ---- what the files hold -------------------------------------------------------------------------

Text = Annotated[str, AfterValidator(lambda text: one_line(text, 500))]
Count = Annotated[int, Field(ge=0, le=2**53)]
# float32 ends at 3e38: a loss beyond that is no finite one.
Number = Annotated[float, Field(ge=-1e39, le=1e39)]
Time = Annotated[float, Field(ge=0, le=1e12)]
Speed = Annotated[float, Field(ge=0, le=1e15)]
# By the machine's clock, which may be set back in between: no reason to call a cell damaged.
Clock = Annotated[float, Field(ge=-1e12, le=1e12)]
# An accuracy is a sum of shares: rounding may lift it a little above 100.
Percent = Annotated[float, Field(ge=0, le=100 + 1e-6)]


class _Written(BaseModel):
    """Part of a file: strictly typed, with what it does not know left out."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False)


class _Growing(_Written):
    """Part of a file to which columns were added and will be: those that are listed are kept."""

    model_config = ConfigDict(extra="allow")
    later: ClassVar[tuple[str, ...]] = ()
    """Names of lists in this module, read when a file is: a list that grew needs nothing else."""

    @model_validator(mode="before")
    @classmethod
    def _known(cls, content: Any) -> Any:
        if not isinstance(content, dict):
            return content
        listed = {*cls.model_fields, *(key for name in cls.later for key in globals()[name])}
        return {key: value for key, value in content.items() if key in listed}


class Epoch(_Growing):
    """An epoch of a training. Never add a required field: older cells would be damaged."""

    later = ("EPOCH_METRICS", "RAW_METRICS")
    __pydantic_extra__: dict[str, Number | None]
    epoch: Count
    lr: Number
    train_loss: Number
    train_top1: Percent
    train_top5: Percent
    val_loss: Number
    val_top1: Percent
    val_top5: Percent
    clean_loss: Number | None
    clean_top1: Percent | None
    clean_top5: Percent | None


class _Best(_Written):
    epoch: Count
    val_top1: Percent
    val_top5: Percent


class _Place(_Written):
    epoch: Count | None = None
    step: Count | None = None


class _Steps(_Written):
    lr: list[Number]
    loss: list[Number]


class Metrics(_Written):
    """metrics.json of a training."""

    cell_id: Text
    status: Literal["completed", "diverged"]
    last: Epoch | None
    best: _Best | None = None
    diverged_at: _Place | None = None
    epochs: list[Epoch]
    train_images: Count
    val_images: Count
    parameters: Count
    clean_images: Count | None = None
    steps_per_epoch: Count | None = None
    noise_scale: Number | None = None
    steps: _Steps | None = None


class _Reading(_Written):
    epoch: Count
    images: Count


class LoaderMetrics(_Written):
    """metrics.json of a cell that only reads."""

    cell_id: Text
    status: Literal["completed"]
    last: _Reading
    epochs: list[_Reading]
    train_images: Count


class Timing(_Growing):
    """timing.json. Never add a required field."""

    later = ("TIMING", "READINGS")
    __pydantic_extra__: dict[str, Number | bool | Text | None]
    train_time_s: Time
    eval_time_s: Time
    startup_time_s: Clock
    wall_time_s: Clock
    images_per_s: Speed
    peak_mem_gib: Time
    alone: bool
    attempts: Count
    energy_j: Number | None = None
    gpu_energy_j: Number | None = None
    cpu_energy_j: Number | None = None
    gpu_load_percent: Number | None = None
    gpu_power_w: Number | None = None
    energy_source: Text | None = None


class LoaderTiming(Timing):
    """timing.json of a cell that only reads."""

    later = ("TIMING", "READINGS", "LOADER_TIMING")
    first_images_per_s: Speed
    first_mb_per_s: Speed
    cached_before: Number | None
    load_time_s: Time
    compile_time_s: Time
    copy_time_s: Time | None
    file_system: Text | None
    disk: Text | None


class Provenance(_Written):
    """provenance.json: only shown, so nothing in it is needed."""

    code_version: Text | None = None
    packages: dict[Text, Text] | None = None
    python: Text | None = None
    hardware: dict[Text, Text | Count | None] | None = None
    hardware_id: Text | None = None
    host: Text | None = None
    threads: Count | None = None
    device: Text | None = None
    dataset_digest: Text | None = None
    job: Text | None = None
    started: Text | None = None
    finished: Text | None = None


def _shown(value: Any, depth: int = 0) -> Any:
    """A setting's value with its texts as lines."""
    if depth > 20:
        raise ValueError("nested more than 20 deep")
    if isinstance(value, dict):
        return {one_line(key, 500): _shown(v, depth + 1) for key, v in value.items()}
    if isinstance(value, list):
        return [_shown(v, depth + 1) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number is beyond a float's range")
    return one_line(value, 500) if isinstance(value, str) else value


class About(_Written):
    """cell.json."""

    dataset: Text
    config: Annotated[dict[str, Any], AfterValidator(_shown)]


class Spent(_Written):
    """Of timing.json, what tells how long a cell like it will take."""

    train_time_s: Time
    eval_time_s: Time
    startup_time_s: Clock | None


class Progress(_Written):
    """progress.json of a cell in training."""

    epoch: Count
    val_top1: Percent | None = None
    images_per_s: Speed | None = None
    left_s: Time | None = None


class Holder(_Written):
    """lease.json."""

    token: Text
    host: Text
    pid: Annotated[int, Field(gt=0, lt=2**31)]
    started: Number
    job: Text | None = None
    node: Text | None = None


class Manifest(_Written):
    """manifest.json, of a dataset's betons: what is compared with the plan."""

    beton_id: Text
    mean: list[Number]
    std: list[Number]


class Named(_Written):
    """Of metrics.json, whose it is and how it ended."""

    cell_id: Text
    status: Literal["completed", "diverged"]


# ---- reading -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CellRecord:
    """What a finished cell has written."""

    metrics: dict[str, Any]
    times: list[dict[str, float | None]]
    """Seconds, images per second and meter readings of each epoch."""
    timing: dict[str, Any]
    provenance: dict[str, Any]
    cell: dict[str, Any]


def reads_only(cell_id: str) -> bool:
    """Whether a cell is one of a loader benchmark: it reads, and trains nothing."""
    return cell_id.startswith("load-")


def read_cell(folder: Path, cell_id: str) -> CellRecord:
    """The results of one cell; raises MissingCell, or DamagedCell, which names file and reason and
    says what to do."""
    if not _is_there(folder / "metrics.json"):
        raise MissingCell("it has no results")
    try:
        return _read(folder, cell_id)
    except Unreadable as error:
        raise DamagedCell(
            f"{one_line(error)}; delete the folder {folder} to train the cell again"
        ) from None


def _read(folder: Path, cell_id: str) -> CellRecord:
    absent = [name for name in FILES if not _is_there(folder / name)]
    if absent:
        raise Unreadable(f"{folder / absent[0]} is missing")
    reads = reads_only(cell_id)
    metrics = _checked(folder / "metrics.json", LoaderMetrics if reads else Metrics, LARGE)
    if metrics["cell_id"] != cell_id:
        raise Unreadable(
            f"{folder / 'metrics.json'} holds cell {metrics['cell_id']}, not {cell_id}: was the "
            "folder copied or renamed?"
        )
    if problem := _problem(metrics):
        raise Unreadable(f"{folder / 'metrics.json'}: {problem}")
    times = _times(folder / "epochs.csv", LOADER_TIMES if reads else EPOCH_TIMES)
    if len(times) != len(metrics["epochs"]):
        raise Unreadable(
            f"{folder / 'epochs.csv'} has {len(times)} epochs, metrics.json "
            f"{len(metrics['epochs'])}"
        )
    return CellRecord(
        metrics,
        times,
        _checked(folder / "timing.json", LoaderTiming if reads else Timing),
        _checked(folder / "provenance.json", Provenance),
        _checked(folder / "cell.json", About),
    )


M = TypeVar("M", bound=BaseModel)


def typed(path: Path, model: type[M], most: int = SMALL) -> M:
    """A JSON file as a model; Unreadable, with the file's name, for whatever is wrong with it."""
    try:
        return model.model_validate(read_json(path, most))
    except ValidationError as error:
        raise Unreadable(f"{path}{_first(error)}") from None
    except Unreadable as error:
        raise Unreadable(f"{path} cannot be read ({error})") from None
    except OSError as error:
        raise Unreadable(f"{path} cannot be read ({error.strerror or error})") from None


def _checked(path: Path, model: type[BaseModel], most: int = SMALL) -> dict[str, Any]:
    return typed(path, model, most).model_dump(exclude_unset=True)


def _first(error: ValidationError) -> str:
    """The first of the mistakes, as it follows the name of the file."""
    item = error.errors(include_url=False, include_context=False, include_input=False)[0]
    # A key may be foreign text, and a name of a type in a union says nothing to a reader.
    key = one_line(".".join(str(part) for part in item["loc"]), 100)
    if item["type"] == "missing":
        return f" lacks {key}"
    if not key:
        return " holds no mapping"
    return f": {key}: {item['msg'][:1].lower()}{item['msg'][1:]}"


def _problem(metrics: Mapping[str, Any]) -> str:
    """What does not fit together in a record whose parts are sound; empty when nothing."""
    epochs, last = metrics["epochs"], metrics["last"]
    if [epoch["epoch"] for epoch in epochs] != list(range(1, len(epochs) + 1)):
        return "its epochs are not numbered 1, 2, ..."
    if metrics["status"] == "completed" and (not epochs or last != epochs[-1]):
        return "`last` is not the last epoch"
    if metrics["status"] == "diverged" and last is not None:
        return "`last` is there, and the cell diverged"
    best = metrics.get("best")
    if best is not None and not 1 <= best["epoch"] <= len(epochs):
        return f"`best` is epoch {best['epoch']} of {len(epochs)}"
    steps = metrics.get("steps")
    if steps and len(steps["lr"]) != len(steps["loss"]):
        return "`steps` has more learning rates than losses, or fewer"
    return ""


def _times(path: Path, needed: tuple[str, ...]) -> list[dict[str, float | None]]:
    """The times of each epoch, of epochs.csv."""
    try:
        rows = csv.DictReader(read_text(path, LARGE).splitlines())
        return [
            {key: _time(row[key]) for key in needed}
            | {key: _time(row[key]) if row.get(key) else None for key in READINGS}
            for row in rows
        ]
    except KeyError as error:
        raise Unreadable(f"{path} cannot be read (it has no column {error})") from None
    except OSError as error:
        raise Unreadable(f"{path} cannot be read ({error.strerror or error})") from None
    except (ValueError, TypeError, csv.Error) as error:
        raise Unreadable(f"{path} cannot be read ({one_line(error, 200)})") from None


def _time(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1e15:
        raise ValueError(f"{one_line(text, 50)} is no time, speed or energy")
    return value


def _is_there(path: Path) -> bool:
    """Whether anything has this name, a broken link too."""
    try:
        path.lstat()
    except OSError:
        return False
    return True
