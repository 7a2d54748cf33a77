"""Data-parallel processes of one cell: what they share, and who does what is done once.

Each process ("rank") trains on its part of every batch. After the gradients are averaged all of
them make the same step, so that weights, optimizer and averages are equal everywhere; the running
statistics of batch norms are the first rank's. What a rank counts alone is summed when it is looked
at, and whatever decides where the training goes (a stop, a loss that is not finite) is decided by
all of them together.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.distributed as dist


class Ranks:
    """The processes of a cell: one alone, or those that torchrun has started."""

    def __init__(self, number: int = 0, count: int = 1) -> None:
        self.number, self.count = number, count

    @classmethod
    def join(cls, device: torch.device) -> Ranks:
        """Meet the other ranks; every rank calls it once, with its own device."""
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        return cls(dist.get_rank(), dist.get_world_size())

    @property
    def first(self) -> bool:
        """Whether this process writes what is written once."""
        return self.number == 0

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """The sum over all ranks, in every one of them."""
        if self.count > 1:
            values = values.clone()
            dist.all_reduce(values)
        return values

    def any(self, flag: bool, device: torch.device) -> bool:
        """Whether it is so in any rank."""
        if self.count == 1:
            return flag
        return bool(self.sum(torch.tensor(float(flag), device=device)) > 0)

    def copy_first(self, values: Iterable[torch.Tensor]) -> None:
        """Give every rank the first one's values, in place."""
        if self.count > 1:
            for value in values:
                dist.broadcast(value, 0)

    def wait(self) -> None:
        """Until all ranks are here."""
        if self.count > 1:
            dist.barrier()

    def leave(self) -> None:
        """Part from the others, at the end."""
        if self.count > 1:
            dist.destroy_process_group()
