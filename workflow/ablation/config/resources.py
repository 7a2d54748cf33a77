"""What jobs ask of a cluster: a site's own settings, a cell's needs. Changes no result."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from .base import Config, NoBool, Processes
from .sbatch import Account, Constraint, GpuModel, Options, Partition, Qos

Gpus = Annotated[int, NoBool, Field(ge=0, le=1024)]
Megabytes = Annotated[int, NoBool, Field(ge=1, le=100_000_000)]
Minutes = Annotated[int, NoBool, Field(ge=1, le=525_600)]  # a year


class Site(Config):
    """Where jobs go. What is not set is left to the cluster's own default."""

    partition: Partition | None = None
    """Slurm's partition."""
    account: Account | None = None
    """Slurm's account."""
    qos: Qos | None = None
    """Slurm's quality of service."""
    constraint: Constraint | None = None
    """Features that a node must have, such as `a100&nvlink`."""
    extra: Options | None = None
    """Further options of sbatch, such as `--reservation=course`; no shell reads them."""


class Resources(Site):
    """What one cell asks of the cluster. Changes no result, so no cell's identity."""

    cpus: Processes = 1
    """CPU cores, for loader workers and compute threads."""
    gpus: Gpus = 0
    """GPUs of one cell."""
    gpu_model: GpuModel | None = None
    """Type of the GPU as the cluster names it, such as `a100`."""
    mem_mb: Megabytes = 2000
    """Memory, MB. A cell that failed is tried again with twice as much, then three times."""
    max_mem_mb: Megabytes | None = None
    """Not raised above this."""
    runtime: Minutes = 60
    """Time limit, minutes. Raised like the memory; a cell that reaches it goes on in a new job."""
    max_runtime: Minutes | None = None
    """Not raised above this: the partition's own limit."""
    estimate: bool = True
    """Once cells of the same work an epoch are finished, ask for one and a half times the memory
    and time that they took, in place of `mem_mb` and `runtime`; `false`: for these always."""

    @model_validator(mode="after")
    def _fits(self) -> Resources:
        for key in ("mem_mb", "runtime"):
            most = getattr(self, f"max_{key}")
            if most is not None and most < getattr(self, key):
                raise ValueError(f"max_{key} {most} is less than {key} {getattr(self, key)}")
        if self.gpu_model is not None and not self.gpus:
            raise ValueError("gpu_model is set, and gpus is 0")
        return self

    def asked(self, key: str, attempt: int = 1) -> int | str | None:
        """A value at an attempt (from 1): memory and time grow with it, up to their maximum."""
        value = getattr(self, key)
        if key not in ("mem_mb", "runtime"):
            return value
        most = getattr(self, f"max_{key}")
        return value * attempt if most is None else min(value * attempt, most)


class Otherwise(Site):
    """What cells ask for otherwise than their scale says; keys that are not set stay."""

    cpus: Processes | None = None
    """As in a scale's resources."""
    gpus: Gpus | None = None
    """As in a scale's resources."""
    gpu_model: GpuModel | None = None
    """As in a scale's resources."""
    mem_mb: Megabytes | None = None
    """As in a scale's resources."""
    max_mem_mb: Megabytes | None = None
    """As in a scale's resources."""
    runtime: Minutes | None = None
    """As in a scale's resources."""
    max_runtime: Minutes | None = None
    """As in a scale's resources."""
    estimate: bool | None = None
    """As in a scale's resources."""


def combined(site: Site, scale: Resources, *otherwise: Otherwise) -> dict[str, object]:
    """The settings of one cell: what is set later wins, site < scale < recipe < study."""
    found: dict[str, object] = {}
    for part in (site, scale, *otherwise):
        found |= {key: getattr(part, key) for key in part.model_fields_set}
    return found
