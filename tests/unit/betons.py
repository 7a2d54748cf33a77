"""Small betons of photographs of several sizes, written with FFCV's own writer."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ablation.data.beton import Beton

CLASSES = 3


def picture(number: int, height: int, width: int) -> np.ndarray:
    """A smooth colour image with an edge, (height, width, 3) uint8."""
    y, x = np.mgrid[:height, :width]
    waves = [np.sin((x * (c + 1) + y * (number % 5)) / 7 + number) for c in range(3)]
    image = 128 + 90 * np.stack(waves, 2)
    image[height // 3 : height // 2, number % 10 :] = 20 * number % 256
    return image.clip(0, 255).astype(np.uint8)


class Pictures:
    """A dataset as FFCV's writer reads it: (image, label)."""

    def __init__(self, count: int, fixed: tuple[int, int] | None = None) -> None:
        self.count, self.fixed = count, fixed

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> tuple[np.ndarray, int]:
        height, width = self.fixed or (24 + 7 * (number % 6), 30 + 5 * (number % 4))
        return picture(number, height, width), number % CLASSES


def write(path: Path, count: int, mode: str, fixed: tuple[int, int] | None = None) -> Path:
    """Write a beton; mode: raw, jpg, or smart (here: some of each)."""
    from ffcv.fields import IntField, RGBImageField
    from ffcv.writer import DatasetWriter

    threshold = {"smart_threshold": 4000} if mode == "smart" else {}
    image = RGBImageField(write_mode=mode, jpeg_quality=90, **threshold)
    writer = DatasetWriter(str(path), {"image": image, "label": IntField()}, num_workers=1)
    writer.from_indexed_dataset(Pictures(count, fixed))
    return path


def damage_jpeg(path: Path, sample: int) -> None:
    """Overwrite the beginning of a sample's stored JPEG."""
    beton = Beton(path)
    assert beton.images[sample]["mode"] == 0
    with open(path, "rb+") as file:
        file.seek(int(beton.images[sample]["data_ptr"]))
        file.write(b"\0" * 64)
