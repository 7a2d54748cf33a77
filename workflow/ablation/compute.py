"""The device of a cell, its threads, and its number formats."""

from __future__ import annotations

import contextlib
import os
import sys

import torch

from .config.recipe import CellConfig
from .errors import UserError
from .models.base import refuse_unsound


def prepare_torch(config: CellConfig, device: torch.device) -> None:
    """Threads and determinism: the same cell gives the same bits on one kind of hardware."""
    compute = config.compute
    torch.set_num_threads(compute.threads)
    if device.type != "cuda":
        for key, what in (("tf32", "is a number format"), ("sync_bn", "is an operation")):
            if getattr(compute, key):
                raise UserError(
                    f"compute.{key} {what} of GPUs, and this cell runs on a CPU; leave it out at "
                    "this scale"
                )
        refuse_unsound(config.model, config.compute.channels_last)
        return
    torch.backends.cudnn.benchmark = not compute.deterministic
    # fp32 means fp32 unless it is asked for: TF32 keeps 10 bits of the mantissa.
    torch.backends.cuda.matmul.allow_tf32 = compute.tf32
    torch.backends.cudnn.allow_tf32 = compute.tf32
    if compute.deterministic:
        torch.use_deterministic_algorithms(True)


def choose_device(name: str, rank: int = 0) -> torch.device:
    """`auto` is a GPU if there is one: that of the rank. Call before anything else touches it."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("no GPU can be used here; see what nvidia-smi says, or give --device cpu")
    if name == "cpu":
        return torch.device(name)
    if rank >= torch.cuda.device_count():
        raise UserError(
            f"rank {rank} of the cell has no GPU: the job has {torch.cuda.device_count()}; "
            "compute.ranks wants a GPU each (gpus in the scale's resources)"
        )
    if "LOCAL_RANK" not in os.environ:
        return torch.device("cuda")
    torch.cuda.set_device(rank)
    return torch.device("cuda", rank)


def autocast(precision: str, device: torch.device) -> contextlib.AbstractContextManager:
    """The context of a model's passes; none for fp32."""
    if precision == "fp32":
        return contextlib.nullcontext()
    dtype = {"fp16": torch.float16, "bf16": torch.bfloat16}[precision]
    return torch.autocast(device.type, dtype=dtype)


def memory_format(config: CellConfig) -> torch.memory_format:
    """How images and convolutions lie in memory."""
    return torch.channels_last if config.compute.channels_last else torch.contiguous_format


def peak_mem_gib(device: torch.device) -> float:
    """Largest memory so far, GiB: the GPU's if the cell runs on one, else this process's."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
