"""Readers of betons: against FFCV's own, against each other, and on damaged files."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from ablation.augment import NoAugmentation, Standard
from ablation.data.beton import Beton
from ablation.data.draws import Draws
from ablation.data.source import Source, open_source, stratified_subset
from ablation.errors import DataError, UserError

from . import betons

# Numba's own finalizers, of pipelines that earlier tests compiled.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
COUNT, SIDE = 46, 20
MODES = ("raw", "jpg", "smart")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`{mode}.beton` of many sizes, `fixed_{mode}.beton` of one."""
    made = tmp_path_factory.mktemp("betons")
    for mode in MODES:
        betons.write(made / f"{mode}.beton", COUNT, mode)
        betons.write(made / f"fixed_{mode}.beton", 9, mode, (40, 36))
    return made


# -- the format ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_reads_what_ffcvs_reader_reads(folder: Path, mode: str) -> None:
    from ffcv.reader import Reader

    ours, theirs = Beton(folder / f"{mode}.beton"), Reader(str(folder / f"{mode}.beton"))
    assert len(ours) == theirs.num_samples == COUNT
    for name in ("mode", "width", "height", "data_ptr"):
        assert np.array_equal(ours.images[name], theirs.metadata["f0"][name])
    assert np.array_equal(ours.labels, theirs.metadata["f1"].ravel())
    assert ours.labels.tolist() == [n % betons.CLASSES for n in range(COUNT)]
    modes = set(ours.images["mode"].tolist())
    assert modes == {"raw": {1}, "jpg": {0}, "smart": {0, 1}}[mode]


def ffcvs_pixels(path: Path, decoder) -> np.ndarray:
    """All images through a decoder of FFCV's own."""
    from ffcv.fields.basics import IntDecoder
    from ffcv.loader import Loader

    threads = torch.get_num_threads()
    pipelines = {"image": [decoder], "label": [IntDecoder()]}
    loader = Loader(
        str(path), 64, num_workers=1, os_cache=True, drop_last=False, pipelines=pipelines
    )
    found = [np.array(images) for images, _ in loader]
    torch.set_num_threads(threads)
    return np.concatenate(found)


@pytest.mark.parametrize("mode", MODES)
def test_pixels_are_those_of_ffcvs_decoder(folder: Path, mode: str) -> None:
    from ffcv.fields.rgb_image import SimpleRGBImageDecoder

    path = folder / f"fixed_{mode}.beton"
    expected = ffcvs_pixels(path, SimpleRGBImageDecoder())
    assert expected.std() > 20
    assert np.array_equal(np.stack([Beton(path).image(i) for i in range(9)]), expected)


@pytest.mark.parametrize("mode", MODES)
def test_centre_crop_has_the_pixels_of_ffcvs(folder: Path, mode: str) -> None:
    from ffcv.fields.rgb_image import CenterCropRGBImageDecoder

    path = folder / f"{mode}.beton"
    expected = ffcvs_pixels(path, CenterCropRGBImageDecoder((SIDE, SIDE), 0.875))
    source = opened("resident", path)
    windows = NoAugmentation().windows(source.sizes, Draws(0, 0, COUNT), crop_ratio=0.875)
    (batch,) = source.batches(np.arange(COUNT), windows, COUNT, SIDE)
    assert np.array_equal(batch.images, expected)


def test_raw_pixels_are_the_images(folder: Path) -> None:
    beton, pictures = Beton(folder / "raw.beton"), betons.Pictures(COUNT)
    for number in range(COUNT):
        assert np.array_equal(beton.image(number), pictures[number][0])


# -- resident and streaming ------------------------------------------------------------------------


def opened(reading: str, path: Path, workers: int = 0, share: float = 1.0):
    return open_source(reading, path, split="train", share=share, workers=workers)


def two_epochs(
    source: Source, batch_size: int = 8, side: int = SIDE, repeats: int = 1
) -> list[tuple]:
    """Every batch of two epochs with the standard augmentation's windows, the last one partial."""
    seen = []
    for epoch in (0, 1):
        draws = Draws(3, epoch, len(source), repeats)
        sizes = np.tile(source.sizes, (repeats, 1))
        windows = Standard().windows(sizes, draws, crop_ratio=0.875)
        for batch in source.batches(draws.order(), windows, batch_size, side):
            seen.append(tuple(np.array(part) for part in batch))
    return seen


def same(one: list[tuple], other: list[tuple]) -> bool:
    pairs = zip(one, other, strict=True)
    return all(
        np.array_equal(a, b) for left, right in pairs for a, b in zip(left, right, strict=True)
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("share", [1.0, 0.5])
def test_both_readings_give_the_same_batches_with_any_workers(
    folder: Path, mode: str, share: float
) -> None:
    path = folder / f"{mode}.beton"
    expected = two_epochs(opened("resident", path, share=share))
    seen = sorted(int(i) for index, _, _ in expected for i in index)
    used = COUNT if share == 1 else 22  # half of 16, 15 and 15, rounded down
    assert seen == sorted(2 * list(range(used)))
    for workers in (1, 2):
        assert same(two_epochs(opened("resident", path, workers, share)), expected)
    for workers in (1, 2) if mode == "jpg" else (2,):
        assert same(two_epochs(opened("streaming", path, workers, share)), expected)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_batch_is_the_samples_that_it_names(folder: Path, workers: int) -> None:
    source, beton = (
        opened("resident", folder / "raw.beton", workers, 0.5),
        Beton(folder / "raw.beton"),
    )
    rows = stratified_subset(beton.labels, 0.5, "train")
    for index, images, labels in two_epochs(source):
        assert np.array_equal(labels, beton.labels[rows[index]])
        assert images.shape == (len(index), SIDE, SIDE, 3) and images.dtype == np.uint8


def test_images_of_the_target_size_are_taken_as_they_are(folder: Path) -> None:
    path = folder / "square.beton"
    betons.write(path, 9, "raw", (SIDE, SIDE))
    draws = Draws(0, 0, 9)
    windows = NoAugmentation().windows(Beton(path).sizes, draws, crop_ratio=1.0)
    for reading in ("resident", "streaming"):
        (batch,) = opened(reading, path, 1).batches(draws.order(), windows, 9, SIDE)
        expected = np.stack([Beton(path).image(i) for i in draws.order()])
        assert np.array_equal(batch.images, expected)
    assert same(two_epochs(opened("resident", path)), two_epochs(opened("streaming", path, 1)))


def test_streaming_leaves_torchs_threads_alone(folder: Path) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        source = opened("streaming", folder / "raw.beton", 2)
        windows = NoAugmentation().windows(source.sizes, Draws(0, 0, COUNT), crop_ratio=1.0)
        for _ in source.batches(np.arange(COUNT), windows, 8, SIDE):
            assert torch.get_num_threads() == 1
            assert "mkl_get_max_threads() : 1" in torch.__config__.parallel_info()
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_more_streaming_workers_than_cpus_is_said_in_a_line(folder: Path) -> None:
    with pytest.raises(UserError, match="10000 loader workers, but this job has"):
        opened("streaming", folder / "raw.beton", 10000)


# -- damaged files ---------------------------------------------------------------------------------


def refused(path: Path) -> str:
    """What both ways of reading say of a file; one line that names it."""
    said = set()
    for reading in ("resident", "streaming"):
        with pytest.raises(DataError) as caught:
            opened(reading, path)
        said.add(str(caught.value))
    (text,) = said
    assert "\n" not in text and str(path) in text
    return text


@pytest.mark.parametrize("kept", [0.999, 0.5, 0.02])
@pytest.mark.parametrize("mode", ["raw", "jpg"])
def test_truncated_beton_is_refused(folder: Path, tmp_path: Path, mode: str, kept: float) -> None:
    whole = (folder / f"{mode}.beton").read_bytes()
    path = tmp_path / "cut.beton"
    path.write_bytes(whole[: int(len(whole) * kept)])
    assert "truncated" in refused(path)


def test_cut_in_the_last_entry_of_the_table_is_refused(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.beton"
    path.write_bytes((folder / "raw.beton").read_bytes()[:-1])
    assert "truncated" in refused(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\3\4", b"not a beton" * 1000, bytes(5000)],
    ids=["empty", "zip", "text", "0"],
)
def test_no_beton_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "wrong.beton"
    path.write_bytes(content)
    assert "beton" in refused(path)


def test_missing_beton_and_folder_are_refused(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "none.beton")
    assert "directory" in refused(tmp_path)


def test_a_pointer_out_of_the_file_is_refused(folder: Path, tmp_path: Path) -> None:
    """FFCV's compiled reader would read whatever lies there."""
    path = Path(shutil.copy(folder / "raw.beton", tmp_path / "wild.beton"))
    data = bytearray(path.read_bytes())
    pointer = Beton(path).images[5]["data_ptr"].astype("<u8").tobytes()
    start = data.index(pointer)
    data[start : start + 8] = (2**40).to_bytes(8, "little")
    path.write_bytes(data)
    assert "sample 5 cannot be decoded" in refused(path)


def test_damaged_jpeg_is_named_in_resident_reading(folder: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(folder / "jpg.beton", tmp_path / "bad.beton"))
    betons.damage_jpeg(path, 7)
    with pytest.raises(DataError, match=r"bad\.beton: sample 7 cannot be decoded"):
        opened("resident", path)


STREAMING_FAILURES = """
import json, sys, threading
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import numpy as np
from ablation.data import streaming
from ablation.data.windows import centre_windows

def batches(path):
    source = streaming.Streaming(Path(path), split="train", share=1, workers=1)
    windows = centre_windows(source.sizes, crop_ratio=1.0)
    return source.batches(np.arange(len(source)), windows, 4, 20)

def ending(path):
    try:
        return [sum(len(batch.labels) for batch in batches(path)), ""]
    except Exception as error:
        return [type(error).__name__, str(error)]

def left_after(count):
    reading = batches(sys.argv[2])
    for _ in range(count):
        next(reading)
    reading.close()
    return sum(isinstance(t, streaming._Iterator) for t in threading.enumerate())

found = {"whole": ending(sys.argv[2]), "damaged": ending(sys.argv[3])}
found["left"] = [left_after(count) for count in (1, 9, 10, 11)]
run_pipeline = streaming.EpochIterator.run_pipeline
def failing(self, batch, *rest):
    if batch == 2:
        raise MemoryError("no memory in the loader's thread")
    return run_pipeline(self, batch, *rest)
streaming.EpochIterator.run_pipeline = failing
found["failing"] = ending(sys.argv[2])
print(json.dumps(found))
"""


def test_failures_in_ffcvs_thread_end_the_reading_and_the_exit_is_quiet(
    folder: Path, tmp_path: Path
) -> None:
    path = Path(shutil.copy(folder / "jpg.beton", tmp_path / "bad.beton"))
    betons.damage_jpeg(path, 7)
    workflow = Path(__file__).resolve().parents[2] / "workflow"
    command = [sys.executable, "-c", STREAMING_FAILURES, workflow, folder / "jpg.beton", path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["whole"] == [COUNT, ""]
    assert found["damaged"][0] == "DataError" and "bad.beton: sample 7" in found["damaged"][1]
    assert found["failing"] == ["MemoryError", "no memory in the loader's thread"]
    # Left in the middle of an epoch (a stop), also where the thread has its last batches ready.
    assert found["left"] == [0, 0, 0, 0]
    assert done.stderr == ""


# -- subsets ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.5, 0.1, 0.37, 0.001])
def test_subset_takes_the_share_of_each_class(share: float) -> None:
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [100, 50, 7]))
    chosen = stratified_subset(labels, share, "train")
    assert np.array_equal(chosen, np.unique(chosen))
    expected = [max(1, int(n * share + 1e-9)) for n in (100, 50, 7)]
    assert np.bincount(labels[chosen], minlength=3).tolist() == expected


def test_subsets_are_nested_fixed_and_of_the_split() -> None:
    labels = np.repeat(np.arange(10), 500)
    shares = [0.04, 0.1, 0.5, 0.9, 1.0]
    subsets = [set(stratified_subset(labels, s, "train").tolist()) for s in shares]
    assert all(small < large for small, large in pairwise(subsets))
    np.random.seed(3)
    assert subsets[1] == set(stratified_subset(labels, 0.1, "train").tolist())
    assert subsets[1] != set(stratified_subset(labels, 0.1, "val").tolist())
    # Not simply the first of each class.
    assert len({n % 500 for n in subsets[1]} - set(range(50))) > 50
