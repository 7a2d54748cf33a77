"""Draw what techniques do to images: the strips of docs/techniques.md, docs/pictures/*.png.

    python tools/technique_pictures.py    # part of `make schema`

A strip is an image and six draws of a technique from it, by the technique's own code with a fixed
seed. The coloured pictures are made here; the grey ones are of a garment of the embedded dataset.
A picture is written only when its pixels have changed: the bytes of a PNG differ between versions
of its library, the pixels do not.
"""

from __future__ import annotations

import sys
import tarfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "workflow"))

from ablation.augment import (  # noqa: E402
    AUGMENTATIONS,
    ERASURES,
    MIXES,
    POLICIES,
    NoAugmentation,
)
from ablation.augment.base import Augmentation, Erasing, Mixing, Policy  # noqa: E402
from ablation.config.explain import tag  # noqa: E402
from ablation.data import native  # noqa: E402
from ablation.data.draws import Draws  # noqa: E402

FOLDER = Path("docs/pictures")
SIDE, DRAWN = 64, 6
# So that every draw shows something; all other options are at their defaults.
OPTIONS: dict[str, dict[str, Any]] = {
    name: {"prob": 1.0}
    for name in ("randaugment", "random_erasing", "gridmask", "mixup", "cutmix", "mixup_cutmix")
} | {"mixup": {"prob": 1.0, "alpha": 1.0}}
MEAN, SPREAD = np.float32(118), np.float32(60)  # about those of photographs
GARMENT = "val/9_ankle_boot/00023.png"
TOLERANCE = 2  # levels: rounding of floating point differs between processors


# -- images ---------------------------------------------------------------------------------------


def scene(side: int = 2 * SIDE) -> np.ndarray:
    """A house under the sun, no mirror image of itself: (side, side, 3) uint8."""
    y, x = np.mgrid[:side, :side] / side
    image = np.stack([110 + 90 * y, 170 + 50 * y, 240 - 20 * y], -1)  # sky
    image[y > 0.72] = (70, 150, 60)
    image[(x - 0.2) ** 2 + (y - 0.2) ** 2 < 0.012] = (250, 210, 40)
    image[(y > 0.45) & (y < 0.85) & (x > 0.4) & (x < 0.9)] = (220, 180, 140)
    image[(y <= 0.45) & (np.abs(x - 0.65) < (y - 0.2) * 1.2)] = (190, 50, 40)
    image[(y > 0.6) & (y < 0.85) & (x > 0.5) & (x < 0.62)] = (60, 60, 150)
    image[(y > 0.55) & (y < 0.68) & (x > 0.7) & (x < 0.83)] = (240, 240, 245)
    return image.round().astype(np.uint8)


def flower(side: int = 2 * SIDE) -> np.ndarray:
    """A flower, the partner in mixes: (side, side, 3) uint8."""
    y, x = np.mgrid[:side, :side] / side
    image = np.stack([40 + 30 * x, 60 + 50 * y, 50 + 20 * x], -1)
    image[(np.abs(x - 0.5) < 0.025) & (y > 0.4)] = (90, 180, 70)
    angle, radius = np.arctan2(y - 0.4, x - 0.5), np.hypot(y - 0.4, x - 0.5)
    image[radius < 0.2 + 0.1 * np.cos(6 * angle)] = (235, 90, 170)
    image[radius < 0.09] = (250, 220, 60)
    return image.round().astype(np.uint8)


def garment() -> np.ndarray:
    """A boot of the embedded dataset: (28, 28, 3) uint8, grey."""
    with tarfile.open(ROOT / "data/fashion_mnist/fashion_mnist.tar.xz") as archive:
        return np.array(Image.open(archive.extractfile(GARMENT)).convert("RGB"))


def resized(image: np.ndarray, window: np.ndarray, side: int) -> np.ndarray:
    """A window of an image as both reading modes show it."""
    out = np.empty((side, side, 3), np.uint8)
    native.resize_crop(np.ascontiguousarray(image), window, out)
    return out


# -- strips ---------------------------------------------------------------------------------------


def strip(images: list[np.ndarray], times: int = 1) -> np.ndarray:
    """Images of one size side by side on white, each pixel `times` as large."""
    gap = np.full((images[0].shape[0] * times, 4, 3), 255, np.uint8)
    large = [image.repeat(times, 0).repeat(times, 1) for image in images]
    return np.concatenate([part for image in large for part in (image, gap)][:-1], 1)


def moved(technique: Augmentation | Policy, image: np.ndarray, side: int) -> list[np.ndarray]:
    """The image, then draws of an augmentation or policy, at `side` pixels."""
    import torch

    draws, index = Draws(0, 0, DRAWN), np.arange(DRAWN)
    framing = technique if isinstance(technique, Augmentation) else NoAugmentation()
    sizes = np.full((DRAWN, 2), len(image))
    windows = framing.windows(sizes, draws, crop_ratio=1.0)
    batch = torch.from_numpy(np.stack([resized(image, window, side) for window in windows]))
    whole = resized(image, np.array([0, 0, len(image), len(image)]), side)
    return [whole, *technique.batch(batch, index, draws).numpy()]


def model_input(images: list[np.ndarray]) -> Any:
    """(b, 3, h, w) float32 tensor of uint8 images, normalised."""
    import torch

    batch = (np.stack(images).astype(np.float32) - MEAN) / SPREAD
    return torch.from_numpy(batch).permute(0, 3, 1, 2)


def seen(batch: Any) -> list[np.ndarray]:
    """The way back, cut to what a picture can show."""
    levels = batch.permute(0, 2, 3, 1).numpy() * SPREAD + MEAN
    return list(levels.round().clip(0, 255).astype(np.uint8))


def erased(technique: Erasing) -> list[np.ndarray]:
    """The scene, then draws of an erasure."""
    image, draws = scene(SIDE), Draws(0, 0, DRAWN)
    batch = model_input([image] * DRAWN)
    return [image, *seen(technique.batch(batch, np.arange(DRAWN), draws))]


def mixed(technique: Mixing) -> list[np.ndarray]:
    """The two images, then draws of a mix of them, of epochs in which they are partners."""
    import torch

    pair, found, epoch = [scene(SIDE), flower(SIDE)], [], 0
    while len(found) < DRAWN - 1:
        draws = Draws(0, epoch, 2)
        batch, targets = technique.batch(model_input(pair), torch.eye(2), np.arange(2), draws, 0)
        if 0 < targets[0, 1] < 1:
            found.append(seen(batch)[0])
        epoch += 1
    return [*pair, *found]


def pictures() -> dict[Path, Callable[[], np.ndarray]]:
    """Path below the repository's root -> what draws it, (h, w, 3) uint8."""
    made: dict[Path, Callable[[], np.ndarray]] = {}
    for technique in (*AUGMENTATIONS, *POLICIES, *ERASURES, *MIXES):
        options = technique(**OPTIONS.get(tag(technique), {}))
        if not isinstance(options, NoAugmentation):
            made[FOLDER / f"{options.name}.png"] = partial(_coloured, options)
        if isinstance(options, Policy):
            made[FOLDER / f"{options.name}_grey.png"] = partial(_grey, options)
    return made


def _coloured(technique: Any) -> np.ndarray:
    if isinstance(technique, Erasing):
        return strip(erased(technique))
    if isinstance(technique, Mixing):
        return strip(mixed(technique))
    return strip(moved(technique, scene(), SIDE))


def _grey(technique: Policy) -> np.ndarray:
    return strip(moved(technique, garment(), 28), times=2)


# -- files ----------------------------------------------------------------------------------------


def same(file: Path, pixels: np.ndarray) -> bool:
    """Whether a file shows these pixels, up to rounding."""
    if not file.is_file():
        return False
    found = np.array(Image.open(file).convert("RGB")).astype(int)
    return found.shape == pixels.shape and int(np.abs(found - pixels).max()) <= TOLERANCE


def stale(root: Path) -> list[str]:
    """The pictures that do not show what their techniques do, and those that nothing draws."""
    drawn = pictures()
    wrong = [str(path) for path, draw in drawn.items() if not same(root / path, draw())]
    left = {path.relative_to(root) for path in (root / FOLDER).glob("*.png")} - set(drawn)
    return wrong + sorted(map(str, left))


def write(root: Path) -> None:
    """Draw what has changed."""
    for path, draw in pictures().items():
        pixels = draw()
        if not same(root / path, pixels):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(root / path, optimize=True)
            print(f"written: {path}")


if __name__ == "__main__":
    write(ROOT)
