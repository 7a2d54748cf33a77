"""Which convolutions cells ask of a machine: all cells of a plan, or one that is to start."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .config.recipe import AnyModel, CellConfig
from .plan import StudyPlan

if TYPE_CHECKING:
    from .kernels import Convolution


@dataclass(frozen=True)
class Case:
    """A model as cells run it."""

    model: AnyModel
    classes: int
    sizes: tuple[int, ...]
    """Sides of the images, pixels, in training and validation."""
    batch: int
    """Images that go through the model at once."""
    channels_last: bool
    precision: str
    threads: int
    tf32: bool

    @property
    def how(self) -> dict[str, bool | int | str]:
        """What bears on the choice of a kernel beside the shapes."""
        keys = ("channels_last", "precision", "threads", "tf32")
        return {key: getattr(self, key) for key in keys}


def case_of(config: CellConfig, classes: int) -> Case:
    """The case of one cell."""
    sizes = {config.img_size, config.val_img_size or config.img_size}
    growing, compute = config.progressive_resize, config.compute
    if growing is not None:
        sizes |= {growing.size(epoch, config.img_size) for epoch in range(config.epochs)}
    return Case(
        config.model, classes, tuple(sorted(sizes)),
        config.batch_size // (config.accumulate * compute.ranks),
        compute.channels_last, config.precision, compute.threads, compute.tf32,
    )  # fmt: skip


def cases(plans: Iterable[StudyPlan]) -> list[Case]:
    """The different cases of all cells that studies train or need."""
    found: dict[Case, None] = {}
    for plan in plans:
        if plan.config.kind != "loader":  # which runs no model
            for cell in (*plan.cells, *plan.parents):
                found[case_of(cell.config, len(cell.dataset.lock.classes))] = None
    return list(found)


def convolutions(cases: Iterable[Case], most: int = 2**22) -> list[Convolution]:
    """The different convolutions of all cases, each with the largest batch that is tried.

    most: numbers in a convolution's input; with 2^22 a ResNet-50 at 224 pixels takes a minute.
    """
    from . import kernels

    largest: dict[Convolution, int] = {}
    for case in cases:
        for size in case.sizes:
            images = (case.batch, most)
            for found in kernels.convolutions(case.model, case.classes, size, images, case.how):
                key = replace(found, batch=0)
                largest[key] = max(largest.get(key, 0), found.batch)
    return [replace(key, batch=batch) for key, batch in largest.items()]
