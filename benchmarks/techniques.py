"""Images per second with each augmentation technique, as a share of those with `standard` alone.

Both reading modes: the embedded images, resident, at 28 px; photographs from a JPEG beton,
streamed, at 128 px. Counted is a batch that is ready for the model: read, cropped, augmented,
normalised, its targets blended. All techniques have their defaults and are measured in turn, round
after round, so that a machine that others use slows them all alike; a ratio is the median of the
rounds' ratios. Bar: half of `standard`'s, but for what BELOW names.

`python benchmarks/techniques.py --table` prints the table of the last `make bench`.

Beside them stand the same techniques as torchvision and timm have them, image by image on PIL
images in the workers of a DataLoader, which reads the same images from files.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any

import numpy as np
from _shared import ROOT, convert, cpu_count, extract, result, rounded

ROUNDS = 7
AT_LEAST_S = 0.3
BATCH = 128
BAR = 0.5
PHOTOGRAPHS = 512
HEIGHT, WIDTH = 256, 341
# Which of the above each of a DataLoader's stands beside.
PEERS = (
    "standard", "policy: randaugment", "policy: autoaugment", "erase: random_erasing",
    "mix: mixup_cutmix",
)  # fmt: skip
# (mode, technique) below the bar; benchmarks/README.md says why.
BELOW = {
    ("resident, 28 px", "policy: autoaugment"),
    ("resident, 28 px", "policy: randaugment"),
    ("resident, 28 px", "erase: random_erasing"),
}


def techniques() -> dict[str, dict[str, Any]]:
    """Name -> what it changes of a cell: every registered technique with its defaults."""
    from ablation.augment import AUGMENTATIONS, ERASURES, MIXES, POLICIES
    from ablation.config.explain import tag

    registries = {
        "augment": AUGMENTATIONS, "policy": POLICIES, "erase": ERASURES, "mix": MIXES,
    }  # fmt: skip
    found: dict[str, dict[str, Any]] = {"standard": {}}
    for field, registry in registries.items():
        names = [tag(technique) for technique in registry]
        found |= {f"{field}: {name}": {field: {"name": name}} for name in names}
    del found["augment: standard"]
    found["erase: random_erasing, zero"] = {"erase": {"name": "random_erasing", "fill": "zero"}}
    found["repeated_augment: 3"] = {"repeated_augment": 3}
    return found


def photograph(number: int) -> np.ndarray:
    """Noise of every scale, the coarse the stronger, as photographs have it: uint8 RGB."""
    from PIL import Image

    rng = np.random.default_rng(number)
    image = np.zeros((HEIGHT, WIDTH, 3))
    for cells in (4, 8, 16, 32, 64, 128):
        noise = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        image += np.asarray(noise.resize((WIDTH, HEIGHT), Image.BICUBIC), float) / cells
    return (image * 255 / image.max()).astype(np.uint8)


class Photographs:
    """A dataset as FFCV's writer reads it; and the same as files for ImageFolder."""

    def __init__(self, folder: Path) -> None:
        from PIL import Image

        self.paths = [folder / f"{n % 10}" / f"{n}.jpg" for n in range(PHOTOGRAPHS)]
        for number, path in enumerate(self.paths):
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(photograph(number)).save(path, quality=90)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> tuple[np.ndarray, int]:
        from PIL import Image

        return np.asarray(Image.open(io.BytesIO(self.paths[number].read_bytes()))), number % 10


def write_beton(photographs: Photographs, folder: Path) -> Path:
    """train.beton and val.beton of the photographs; returns the folder."""
    from ffcv.fields import IntField, RGBImageField
    from ffcv.writer import DatasetWriter

    folder.mkdir()
    fields = {"image": RGBImageField(write_mode="jpg", jpeg_quality=90), "label": IntField()}
    writer = DatasetWriter(str(folder / "train.beton"), fields, num_workers=1)
    writer.from_indexed_dataset(photographs)
    (folder / "val.beton").symlink_to(folder / "train.beton")
    return folder


# -- ours -----------------------------------------------------------------------------------------


def trainer(betons: Path, reading: str, side: int, workers: int) -> Any:
    """A cell's own trainer; the techniques are put into it one after the other."""
    import torch

    from ablation.loop import Trainer

    lock = SimpleNamespace(classes=range(10), mean=3 * (73.0,), std=3 * (90.0,))
    return Trainer(
        config(reading, side, {}), lock, betons, cell_id="", checkpoint_path=betons / "none",
        device=torch.device("cpu"), workers=workers, say=print,
    )  # fmt: skip


def config(reading: str, side: int, technique: dict[str, Any]) -> Any:
    """A cell's configuration."""
    from ablation.config.recipe import CellConfig

    return CellConfig.model_validate(
        {
            "dataset": "any", "model": {"name": "resnet_small"}, "img_size": side, "epochs": 1000,
            "batch_size": BATCH, "lr": 0.1, "optimizer": {"name": "sgd"},
            "schedule": {"name": "constant"}, "loss": {"name": "cross_entropy"},
            "augment": {"name": "standard"}, "reading": reading, "seed": 0,
        }
        | technique
    )  # fmt: skip


def ours(made: Any, settings: Any) -> Callable[[int], Iterator[int]]:
    """Sizes of the batches of an epoch of a cell with these settings."""

    def epoch(number: int) -> Iterator[int]:
        made.config = made.learner.config = settings
        draws, batches = made.epoch_batches(number)
        for step, batch in enumerate(batches):
            yield len(made.learner.inputs(batch, slice(None), draws, step)[0])

    return epoch


# -- theirs ---------------------------------------------------------------------------------------


def theirs(folder: Path, side: int, name: str, workers: int) -> Callable[[int], Iterator[int]]:
    """Sizes of the batches of an epoch of torchvision's ImageFolder and torch's DataLoader."""
    import torch
    from timm.data import Mixup
    from timm.data.auto_augment import rand_augment_transform
    from timm.data.random_erasing import RandomErasing
    from torchvision import datasets, transforms

    policy = {
        # At magnitude 10, which m9 reaches, timm's posterize asks for 0 bits, and Pillow refuses.
        "policy: randaugment": lambda: rand_augment_transform("rand-m7-n2-mstd0.3-inc1", {}),
        "policy: autoaugment": transforms.AutoAugment,
    }
    erase = {"erase: random_erasing": lambda: RandomErasing(0.5, mode="pixel", device="cpu")}
    steps = [transforms.RandomResizedCrop(side), transforms.RandomHorizontalFlip()]
    steps += [policy[name]()] if name in policy else []
    steps += [transforms.ToTensor(), transforms.Normalize(3 * [0.29], 3 * [0.35])]
    steps += [erase[name]()] if name in erase else []
    mix = Mixup(0.8, 1.0, mode="elem", num_classes=10) if name.startswith("mix") else None
    loader = torch.utils.data.DataLoader(
        datasets.ImageFolder(str(folder), transforms.Compose(steps)),
        batch_size=BATCH, shuffle=True, drop_last=True, num_workers=workers,
        persistent_workers=True,
    )  # fmt: skip

    def epoch(_number: int) -> Iterator[int]:
        for images, labels in loader:
            yield len(images if mix is None else mix(images, labels)[0])

    return epoch


# -- measuring ------------------------------------------------------------------------------------


def rate(epoch: Callable[[int], Iterator[int]], number: int, at_least_s: float) -> float:
    """Images per second over whole epochs."""
    images, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < at_least_s or not images:
        images += sum(epoch(number))
    return images / spent


def in_turn(epochs: dict[str, Callable[[int], Iterator[int]]], at_least_s: float) -> dict:
    """Name -> images per second in each round; what is compiled or started comes first."""
    samples: dict[str, list[float]] = {name: [] for name in epochs}
    for epoch in epochs.values():
        sum(epoch(0))
    for number in range(1, ROUNDS + 1):
        for name, epoch in epochs.items():
            samples[name].append(rate(epoch, number, at_least_s))
    return {name: rounded(values) for name, values in samples.items()}


def ratios(samples: dict[str, list[float]]) -> dict[str, float]:
    """Of each technique to `standard`: the median of the rounds' ratios."""
    base = samples["standard"]
    return {
        name: round(median(a / b for a, b in zip(values, base, strict=True)), 2)
        for name, values in samples.items()
    }


def measure(betons: Path, files: Path, reading: str, side: int) -> tuple[dict, dict]:
    """Samples of ours and theirs. A resident cell reads ahead in one thread, a streaming one in as
    many as there are CPUs, and the DataLoader in as many processes."""
    workers = 1 if reading == "resident" else cpu_count()
    made = trainer(betons, reading, side, workers)
    mine = in_turn(
        {name: ours(made, config(reading, side, t)) for name, t in techniques().items()}, AT_LEAST_S
    )
    peers = {name: theirs(files, side, name, cpu_count()) for name in PEERS}
    return mine, in_turn(peers, 0.0)


def table(line: dict[str, Any]) -> str:
    """The benchmark's line as a table in Markdown: ratio (images/s)."""
    shares = line["ratio_to_standard"]
    rows = [["technique", *shares], ["---"] * (1 + len(shares))]
    for name in next(iter(shares.values())):
        cells = [
            f"{found[name]:.2f} ({line['median'][f'{mode}: {name}']:.0f})" if name in found else "–"
            for mode, found in shares.items()
        ]
        rows.append([name, *cells])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> int:
    """Measure and print; return 0, or 1 below the bar."""
    if sys.argv[1:] == ["--table"]:
        lines = json.loads((ROOT / "results/bench.json").read_text())["benchmarks"]
        print(table(next(line for line in lines if line["benchmark"] == "techniques")))
        return 0
    import torch

    torch.set_num_threads(1)
    samples, shares, missed = {}, {}, []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        pictures = folder / "photographs"
        beton = write_beton(Photographs(pictures), folder / "streamed")
        modes = {
            "resident, 28 px": (convert(folder / "data"), extract(folder / "files")),
            "streaming, 128 px": (beton, pictures),
        }
        for mode, (betons, files) in modes.items():
            reading, side = mode.split(", ")
            mine, peers = measure(betons, files, reading, int(side.split()[0]))
            shares[mode], shares[f"DataLoader, {side}"] = ratios(mine), ratios(peers)
            samples |= {f"{mode}: {name}": values for name, values in mine.items()}
            samples |= {f"DataLoader, {side}: {name}": values for name, values in peers.items()}
            low = {name for name, ratio in shares[mode].items() if ratio < BAR}
            missed += [f"{mode}: {name}" for name in low if (mode, name) not in BELOW]
    more = {"ratio_to_standard": shares, "bar": {"ratio": BAR, "but_for": sorted(map(list, BELOW))}}
    result("techniques", samples, "images/s", **more, missed=missed, ok=not missed)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
