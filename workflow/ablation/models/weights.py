"""Weights from a file, and a model that starts from them: for fine-tuning and for teachers."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..errors import UserError

if TYPE_CHECKING:
    import torch

# Where training programs put a model's state beside other things: ours and torchvision's `model`,
# timm's and Lightning's `state_dict`.
_NESTED = ("model", "state_dict")
_PLAIN = "write the state_dict() of a plain model in float32, float16 or bfloat16"


def read_weights(path: Path, *, sha256: str | None = None) -> dict[str, torch.Tensor]:
    """The tensors of a model, by name, on the CPU.

    path: `weights.pt` of a cell, a file of torch.save with a state dict (or one under `model` or
    `state_dict`), or `.safetensors`. sha256: hexadecimal digest that the file must have. Only
    tensors and plain values are read, nothing in the file is executed; anything else is a
    UserError.
    """
    _check_file(path, sha256)
    content = _read(path)
    for key in _NESTED:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
            break
    import torch

    if not isinstance(content, dict) or not content:
        raise UserError(f"{path}: holds no weights; write a model's state_dict() with torch.save")
    wrong = [key for key, value in content.items() if not isinstance(value, torch.Tensor)]
    if wrong:
        raise UserError(
            f"{path}: '{wrong[0]}' is no tensor, so this is no model's state; write its "
            "state_dict() alone with torch.save"
        )
    for key, value in content.items():
        if (kind := _unusual(value)) is not None:
            raise UserError(f"{path}: '{key}' is {kind}; {_PLAIN}")
    if all(str(key).startswith("module.") for key in content):  # from data-parallel training
        content = {key.removeprefix("module."): value for key, value in content.items()}
    return content


def _unusual(tensor: torch.Tensor) -> str | None:
    """What a tensor is other than numbers in memory that a model here can have; None if nothing."""
    import torch

    if tensor.is_meta:
        return "a meta tensor, a shape without numbers"
    if tensor.is_quantized:
        return "a quantized tensor"
    if tensor.is_nested or tensor.layout != torch.strided:
        return "a sparse or nested tensor"
    plain = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
    whole = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
    if tensor.dtype not in (*plain, *whole):
        return f"of the type {_type(tensor)}"
    return None


def _type(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _check_file(path: Path, sha256: str | None) -> None:
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name the file in it, such as weights.pt")
    if not path.is_file():
        raise UserError(f"{path}: no such file of weights; train the cell or fetch the file first")
    try:
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest() if sha256 else None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from None
    if sha256 and found != sha256.lower():
        raise UserError(
            f"{path}: its sha256 is {found}, not {sha256} as configured; fetch it again, or "
            "correct the configuration if another file is meant"
        )


def _read(path: Path) -> Any:
    import torch

    try:
        if path.suffix == ".safetensors":
            from ..weights._header import refuse_long_header

            refuse_long_header(path)
            from safetensors.torch import load_file

            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except (MemoryError, UserError):
        raise
    except Exception as error:  # damaged bytes end in any of a dozen kinds, OSError among them
        reason = str(error).split("\n", 1)[0][:120]
        raise UserError(
            f"{path}: no file of weights, or a damaged one ({reason}); fetch it again, or write a "
            "model's state_dict() with torch.save"
        ) from None


def head_name(model: torch.nn.Module, classes: int) -> str:
    """Name of the layer that makes the logits: the last torch.nn.Linear, in the order of modules,
    with `classes` outputs; UserError when there is none."""
    import torch

    found = [
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module.out_features == classes
    ]
    if not found:
        raise UserError(
            f"the model has no linear layer with {classes} outputs, so `head: new` has no head"
        )
    return found[-1]


def load_start(
    model: torch.nn.Module,
    state: dict[str, torch.Tensor],
    *,
    head: Literal["keep", "new"],
    classes: int,
    where: str,
) -> dict[str, Any]:
    """Load a state into a model, in place; names and shapes must be the same.

    head: `new` leaves the layer that makes the logits (head_name) as it is, and the state's own is
    passed over; classes: outputs of the model; where: the file, for errors. Batch norm's counts of
    batches may be missing, as they are in files of torch before 0.4.1: no result depends on them
    under a fixed momentum. Returns what the record says: how many tensors and scalars were loaded,
    and the names of those that were not.
    """
    import torch

    mine = model.state_dict()
    fresh: list[str] = []
    if head == "new":
        name = head_name(model, classes)
        fresh = [key for key in mine if key.rpartition(".")[0] == name]
    wanted = {key: value for key, value in mine.items() if key not in fresh}
    given = {key: value for key, value in state.items() if key not in fresh}
    counts = {key for key in wanted if key.endswith("num_batches_tracked")}
    _refuse_differences(wanted, given, counts, head, where)
    broken = [k for k, v in given.items() if v.is_floating_point() and not v.isfinite().all()]
    if broken:
        raise UserError(
            f"{where}: '{broken[0]}' holds numbers that are not finite, as after a training that "
            "diverged; start from another file"
        )
    with torch.no_grad():
        for key, value in given.items():
            mine[key].copy_(value)  # shares its memory with the model's
    return {
        "loaded_tensors": len(given),
        "loaded_scalars": sum(value.numel() for value in given.values()),
        "fresh": fresh,
    }


def _refuse_differences(
    wanted: dict[str, torch.Tensor],
    given: dict[str, torch.Tensor],
    optional: set[str],
    head: str,
    where: str,
) -> None:
    shapes = [
        f"'{key}' is {_shape(given[key])} there and {_shape(value)} in the model"
        for key, value in wanted.items()
        if key in given and given[key].shape != value.shape
    ]
    kinds = [
        f"'{key}' is of {_type(given[key])} there and of {_type(value)} in the model"
        for key, value in wanted.items()
        if key in given
        and key not in optional
        and given[key].is_floating_point() != value.is_floating_point()
    ]
    missing = [f"'{key}' is missing" for key in wanted if key not in given and key not in optional]
    unknown = [f"'{key}' is not in the model" for key in given if key not in wanted]
    found = [*shapes, *kinds, *missing, *unknown]
    if not found:
        return
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    hint = "is it the same architecture"
    if head == "keep":
        hint += " with the same classes (`head: new` for others)"
    raise UserError(f"{where}: does not fit the model: {'; '.join(found[:3])}{more}; {hint}?")


def _shape(tensor: torch.Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "a single number"
