"""Images per second of both reading modes, against torchvision's ImageFolder and DataLoader.

The embedded training images (28 x 28), with and without augmentation, at 1 and 2 workers; the
DataLoader reads the same images from PNG files. A batch is counted when it is augmented uint8 of
the final size. At this size the cost per image is mostly Python and decoding; for photographs the
ratio is another one.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from _shared import convert, cpu_count, extract, result, rounded

SAMPLES = 5  # after one epoch in which pipelines are compiled and workers started
AT_LEAST_S = 0.3  # an epoch of the fastest takes 3 ms
BATCH = 128
SIDE = 28


def ours(source: Any, augment: Any, epoch: int) -> Iterator[int]:
    """Sizes of the batches of one epoch of a cell."""
    import torch

    from ablation.data.draws import Draws

    draws = Draws(0, epoch, len(source))
    windows = augment.windows(source.sizes, draws, crop_ratio=1.0)
    for batch in source.batches(draws.order(), windows, BATCH, SIDE):
        yield len(augment.batch(torch.from_numpy(batch.images), batch.index, draws))


def theirs(loader: Any, _epoch: int) -> Iterator[int]:
    """Sizes of the batches of one epoch of a DataLoader."""
    for images, _labels in loader:
        yield len(images)


def data_loader(folder: Path, name: str, workers: int) -> Any:
    """torchvision's, as its reference scripts set it up, up to uint8 tensors."""
    import torch
    from torchvision import datasets, transforms

    crop = [transforms.RandomResizedCrop(SIDE), transforms.RandomHorizontalFlip()]
    whole = [transforms.Resize(SIDE), transforms.CenterCrop(SIDE)]
    steps = [*(crop if name == "standard" else whole), transforms.PILToTensor()]
    return torch.utils.data.DataLoader(
        datasets.ImageFolder(str(folder), transforms.Compose(steps)),
        batch_size=BATCH,
        shuffle=True,
        num_workers=workers,
        persistent_workers=True,
    )


def rates(epoch: Callable[[int], Iterator[int]]) -> list[float]:
    """Images per second, some epochs at a time; the first epoch is not counted."""
    sum(epoch(0))
    found = []
    for number in range(1, SAMPLES + 1):
        images, began = 0, time.perf_counter()
        while (spent := time.perf_counter() - began) < AT_LEAST_S:
            images += sum(epoch(number))
        found.append(images / spent)
    return rounded(found)


def measure(data: Path, files: Path) -> dict[str, list[float]]:
    """Name -> samples of images per second."""
    from ablation.augment import NoAugmentation, Standard
    from ablation.data.source import open_source

    augmentations = {"none": NoAugmentation(), "standard": Standard()}
    samples = {}
    for workers in (1, 2) if cpu_count() > 1 else (1,):
        for reading in ("resident", "streaming"):
            source = open_source(
                reading, data / "train.beton", split="train", share=1.0, workers=workers
            )
            for name, augment in augmentations.items():
                key = f"{reading}, {name}, {workers} workers"
                samples[key] = rates(partial(ours, source, augment))
        for name in augmentations:
            key = f"ImageFolder, {name}, {workers} workers"
            samples[key] = rates(partial(theirs, data_loader(files, name, workers)))
    return samples


def main() -> int:
    """Measure and print; return 0."""
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        samples = measure(convert(folder / "data"), extract(folder / "files"))
    middle = {key: median(values) for key, values in samples.items()}
    ratios = {
        key: round(rate / middle[f"ImageFolder,{key.split(',', 1)[1]}"], 2)
        for key, rate in middle.items()
        if not key.startswith("ImageFolder")
    }
    result("loader", samples, "images/s", ratio_to_ImageFolder=ratios)
    return 0


if __name__ == "__main__":
    sys.exit(main())
