"""Streaming's buffers: what they are, and a plan whose jobs cannot hold them is refused."""

from __future__ import annotations

import json
from pathlib import Path

import configs
import numpy as np
import pytest

from ablation.config.dataset import SplitLock, Writer
from ablation.config.resources import Site
from ablation.data.beton import Beton
from ablation.data.streaming import Streaming
from ablation.errors import ConfigError
from ablation.grid import Planner
from ablation.memory import largest_jpeg, streaming_mb

from . import betons

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


class Odd(betons.Pictures):
    """Two images that are long in one direction or the other among small ones."""

    def __getitem__(self, number: int) -> tuple[np.ndarray, int]:
        size = {1: (5000, 8), 2: (8, 5000)}.get(number, (24, 30))
        return betons.picture(number, *size), number % betons.CLASSES


@pytest.fixture(scope="module", params=["jpg", "raw"])
def odd(request, tmp_path_factory) -> Path:
    from ffcv.fields import IntField, RGBImageField
    from ffcv.writer import DatasetWriter

    path = tmp_path_factory.mktemp("odd") / f"{request.param}.beton"
    fields = {"image": RGBImageField(write_mode=request.param), "label": IntField()}
    DatasetWriter(str(path), fields, num_workers=1).from_indexed_dataset(Odd(6))
    return path


def allocated(parts: object) -> int:
    """Bytes of what FFCV has allocated for a pipeline."""
    if isinstance(parts, dict):
        return sum(map(allocated, parts.values()))
    if isinstance(parts, (tuple, list)):
        return sum(map(allocated, parts))
    return 0 if parts is None else parts.nbytes


def test_a_few_odd_images_do_not_ask_for_the_product_of_their_sides(odd: Path) -> None:
    """5000 x 5000 pixels for each of five batches would be 24 GB at this batch size."""
    source = Streaming(odd, split="train", share=1.0, workers=1)
    largest = 3 * 5000 * 8 if odd.stem == "jpg" else 0
    assert source._scratch.nbytes == largest
    batch_size, side = 64, 16
    loader = source._loader(batch_size, side)
    found = allocated(loader.graph.allocate_memory(batch_size, loader.batches_ahead + 2))
    assert found <= 2 * 5 * batch_size * side**2 * 3
    beton = Beton(odd)
    windows = np.array([[0, 0, *size] for size in beton.sizes], np.int32)
    (batch,) = source.batches(np.arange(6), windows, batch_size, side)
    from ablation.data import native

    for image, number in zip(batch.images, batch.index, strict=True):
        wanted = np.empty((side, side, 3), np.uint8)
        native.resize_crop(np.ascontiguousarray(beton.image(number)), windows[number], wanted)
        assert np.array_equal(image, wanted)


def split(**changes: object) -> SplitLock:
    content = {"images": 10, "per_class": (10,), "pixels": 1000}
    return SplitLock(**{**content, "min_size": (1, 1), "max_size": (100, 100), **changes})


def test_the_largest_jpeg_is_known_or_at_least_the_average() -> None:
    jpg = Writer(write_mode="jpg")
    assert largest_jpeg(split(max_pixels=640), jpg) == 640
    assert largest_jpeg(split(), jpg) == 100
    assert largest_jpeg(split(max_pixels=640), Writer(max_resolution=20)) == 0, "raw needs none"
    assert largest_jpeg(split(max_pixels=640), Writer(write_mode="jpg", max_resolution=20)) == 400


@pytest.fixture
def streamed(tmp_path: Path) -> Path:
    """A plan whose dataset has one image of 80 million pixels, and jobs of 1,000 MB."""
    folder = configs.write(tmp_path)
    configs.edit(folder / "recipes/r.yaml", "img_size: 28", "img_size: 28\nreading: streaming")
    configs.edit(folder / "scales/z.yaml", "title: z", "title: z\nresources: {mem_mb: 1000}")
    path = folder / "datasets/fashion_mnist.yaml"
    configs.edit(path, "write_mode: raw ", "write_mode: jpg ")
    path = folder / "datasets/fashion_mnist.lock.json"
    lock = json.loads(path.read_text())
    lock["train"]["max_pixels"] = 80_000_000
    path.write_text(json.dumps(lock))
    return folder


def test_a_plan_that_does_not_fit_into_the_jobs_memory_is_refused(streamed: Path) -> None:
    plan = Planner(streamed).plan("s", "z")
    needed = -(-3 * (6 * 128 * 28**2 + 80_000_000) // 10**6)
    assert {streaming_mb(cell, 1) for cell in plan.cells} == {needed}
    assert plan.resources(Site()).mem_mb == 1000
    configs.edit(streamed / "scales/z.yaml", "mem_mb: 1000", "mem_mb: 1000, cpus: 8")
    said = r"mem_mb is 1000, and the buffers of streaming take 1922 MB alone \(lr=0.1: batch_size"
    with pytest.raises(ConfigError, match=said):
        Planner(streamed).plan("s", "z").resources(Site())
    path = streamed / "datasets/fashion_mnist.yaml"
    configs.edit(path, "max_resolution: null", "max_resolution: 500")
    assert Planner(streamed).plan("s", "z").resources(Site()).cpus == 8


def test_a_resident_cell_has_no_such_buffers(tmp_path: Path) -> None:
    plan = Planner(configs.write(tmp_path)).plan("s", "z")
    assert {streaming_mb(cell, 8) for cell in plan.cells} == {0}
