"""The convert program: betons that FFCV reads, an exact manifest, and nothing half-written."""

from __future__ import annotations

import json
import lzma
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import convert_dataset
import cv2
import images
import lock_dataset
import numpy as np
import psutil
import pytest

from ablation import convert
from ablation.cli import run
from ablation.config.dataset import Writer
from ablation.decode import decode_rgb

FILES = ["manifest.json", "train.beton", "val.beton"]
DRIVER = """
import sys, time, runpy
sys.path.insert(0, {workflow!r})
import ablation.convert as convert
whole = convert.pixels
convert.pixels = lambda *args: (time.sleep(1), whole(*args))[1]
sys.argv[0] = {workflow!r} + "/convert_dataset.py"
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@contextmanager
def within(seconds: int) -> Iterator[None]:
    """Fail, instead of hanging, when the body takes longer."""

    def late(*_: object) -> None:
        raise AssertionError(f"not done within {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def locked(folder: Path, layout: str, path: Path, **keys: object) -> Path:
    """A configuration folder with the dataset `d` and its lock."""
    config = images.write_config(folder, "d", layout, path, **keys)
    assert run(lock_dataset.main, ["--dataset", "d", "--config-dir", str(config)]) == 0
    return config


def convert_to(out: Path, config: Path, workers: int = 2) -> int:
    args = ["--dataset", "d", "--config-dir", str(config), "--out", str(out)]
    with within(240):
        return run(convert_dataset.main, [*args, "--workers", str(workers)])


def stored(out: Path, split: str) -> list[tuple[int, int, bytes, tuple[int, int]]]:
    """(label, mode, stored bytes, (height, width)) of each sample, by FFCV's own reader."""
    from ffcv.reader import Reader

    reader = Reader(str(out / f"{split}.beton"))
    assert reader.field_names == ["image", "label"]
    sizes = {int(row["ptr"]): int(row["size"]) for row in reader.alloc_table}
    data = np.memmap(out / f"{split}.beton", np.uint8, "r")
    samples = []
    for image, label in reader.metadata:
        start = int(image["data_ptr"])
        content = bytes(data[start : start + sizes[start]])
        shape = (int(image["height"]), int(image["width"]))
        samples.append((int(label), int(image["mode"]), content, shape))
    return samples


def sources(tree: images.Tree, split: str) -> list[tuple[int, np.ndarray]]:
    """(label, pixels) in the order that the beton must have."""
    return [
        (label, decode_rgb(tree[split][cls][name]))
        for label, cls in enumerate(sorted(tree[split]))
        for name in sorted(tree[split][cls])
    ]


@pytest.fixture(scope="module")
def tree() -> images.Tree:
    """ImageNet's names and oddities; one image is larger than FFCV's usual page of 8 MiB."""
    tree = images.imagenet()
    tree["train"]["n01440764"]["n01440764_7.JPEG"] = images.encode(images.photo(0, 1800, 1600))
    return tree


@pytest.fixture(scope="module")
def tars(tree, tmp_path_factory) -> Path:
    """A configuration for the official tars, raw, with its lock."""
    folder = tmp_path_factory.mktemp("tars")
    path = images.write_imagenet_tars(tree, folder / "data")
    return locked(folder, "imagenet_tars", path, licence="none")


@pytest.fixture(scope="module")
def made(tars, tmp_path_factory) -> Path:
    """What convert writes for it."""
    out = tmp_path_factory.mktemp("made") / "deep" / "d"
    assert convert_to(out, tars) == 0
    return out


def test_raw_betons_hold_the_exact_pixels_and_labels(made, tree):
    assert sorted(p.name for p in made.iterdir()) == FILES
    for split in ("train", "val"):
        found = stored(made, split)
        wanted = sources(tree, split)
        assert len(found) == len(wanted) == {"train": 15, "val": 6}[split]
        for (label, mode, content, shape), (wanted_label, pixels) in zip(
            found, wanted, strict=True
        ):
            assert (label, mode, shape) == (wanted_label, 1, pixels.shape[:2])
            assert content == pixels.tobytes()


def test_the_manifest_says_what_was_written(made, tars, tree):
    manifest = json.loads((made / "manifest.json").read_text())
    lock = json.loads((tars / "datasets/d.lock.json").read_text())
    assert manifest["classes"] == list(images.WNIDS)
    assert manifest["source_digest"] == lock["digest"]
    assert manifest["train"]["per_class"] == [5, 5, 5] and manifest["val"]["images"] == 6
    assert manifest["train"]["max_size"] == [1800, 1600]
    pixels = np.concatenate([p.reshape(-1, 3) for _, p in sources(tree, "train")]).astype(float)
    assert np.allclose(manifest["mean"], pixels.mean(0), rtol=1e-9)
    assert np.allclose(manifest["std"], pixels.std(0), rtol=1e-9)
    assert manifest["writer"] == {"write_mode": "raw"} and manifest["licence"] == "none"
    assert set(manifest["versions"]) == {"ffcv", "numpy", "opencv", "pillow"}


def test_rebuilt_from_another_layout_with_other_workers_the_manifest_is_identical(
    made, tars, tree, tmp_path
):
    path = images.write_kaggle(tree, tmp_path / "kaggle")
    config = images.write_config(tmp_path, "d", "kaggle_imagenet", path, licence="none")
    shutil.copy(tars / "datasets/d.lock.json", config / "datasets")
    assert convert_to(tmp_path / "out", config, workers=1) == 0
    for name in FILES[:1]:
        assert (tmp_path / "out" / name).read_bytes() == (made / name).read_bytes()
    assert stored(tmp_path / "out", "train") == stored(made, "train")


def test_jpg_mode_shrinks_and_compresses(tree, tmp_path):
    writer = {"write_mode": "jpg", "max_resolution": 60, "jpeg_quality": 95}
    path = images.write_folder(tree, tmp_path / "t")
    config = locked(tmp_path, "folder", path, writer=writer)
    assert convert_to(tmp_path / "out", config) == 0
    found = stored(tmp_path / "out", "train")
    for (_, mode, content, shape), (_, pixels) in zip(found, sources(tree, "train"), strict=True):
        assert mode == 0 and max(shape) == 60
        decoded = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
        wanted = cv2.resize(pixels, shape[::-1], interpolation=cv2.INTER_AREA)
        assert np.abs(decoded.astype(int) - wanted).mean() < 6
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["writer"] == writer and manifest["train"]["as_jpeg"] == 15
    assert manifest["train"]["max_size"][0] <= 60


def test_proportion_mode_is_the_same_for_any_number_of_workers(tree, tmp_path):
    writer = {"write_mode": "proportion", "compress_probability": 0.5}
    config = locked(tmp_path, "folder", images.write_folder(tree, tmp_path / "t"), writer=writer)
    for name, workers in (("one", 1), ("two", 2), ("again", 2)):
        assert convert_to(tmp_path / name, config, workers) == 0
    one = [stored(tmp_path / "one", split) for split in ("train", "val")]
    assert {mode for _, mode, _, _ in one[0]} == {0, 1}
    for name in ("two", "again"):
        assert [stored(tmp_path / name, split) for split in ("train", "val")] == one
        manifests = [(tmp_path / n / "manifest.json").read_bytes() for n in ("one", name)]
        assert manifests[0] == manifests[1]


def test_bad_images_are_left_out_when_skipped(tmp_path):
    tree = images.imagenet()
    expected = sources(tree, "train")
    tree["train"]["n02105855"]["n02105855_1.JPEG"] = images.encode(images.photo(0))[:500]
    path = images.write_folder(tree, tmp_path / "t")
    config = locked(tmp_path, "folder", path, on_bad_image="skip")
    assert convert_to(tmp_path / "out", config) == 0
    found = stored(tmp_path / "out", "train")
    assert [(label, content) for label, _, content, _ in found] == [
        (label, pixels.tobytes()) for label, pixels in expected
    ]
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert list(manifest["rejected"]) == ["train/n02105855/n02105855_1.JPEG"]
    assert "Truncated" in manifest["rejected"]["train/n02105855/n02105855_1.JPEG"]


def _replace(path: Path, content: bytes) -> None:
    path.write_bytes(content)


CHANGES = {
    "another content": (
        lambda t: _replace(t / "val/n02105855/ILSVRC2012_val_00000002.JPEG", b""),
        "val/n02105855: file names or contents differ; digest",
    ),
    "a truncated file": (
        lambda t: os.truncate(t / "train/n02105855/n02105855_2933.JPEG", 900),
        "1 file is no readable image: train/n02105855/n02105855_2933.JPEG (cannot be decoded",
    ),
    "a file more": (
        lambda t: shutil.copy(
            t / "train/n01440764/n01440764_2.JPEG", t / "train/n01440764/more.JPEG"
        ),
        "train/n01440764 has 6 images, in the lock 5; digest",
    ),
    "a file renamed": (
        lambda t: (t / "train/n03995372/n03995372_2.JPEG").rename(
            t / "train/n03995372/n03995372_3.JPEG"
        ),
        "train/n03995372: file names or contents differ; digest",
    ),
    "a class more": (
        lambda t: [shutil.copytree(t / s / "n01440764", t / s / "n9") for s in ("train", "val")],
        "class 'n9' new",
    ),
    "a class renamed": (
        lambda t: [(t / s / "n01440764").rename(t / s / "n0") for s in ("train", "val")],
        "class 'n0' new; class 'n01440764' missing",
    ),
    "a stray file": (
        lambda t: _replace(t / "train/labels.csv", b"x"),
        "1 file is no readable image: train/labels.csv (lies outside of a class folder)",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_images_that_are_not_the_locks_are_refused_by_name(tmp_path, capsys, change):
    path = images.write_folder(images.imagenet(), tmp_path / "t")
    config = locked(tmp_path, "folder", path)
    edit, said = CHANGES[change]
    edit(path)
    assert convert_to(tmp_path / "out", config) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: the images of 'd'") and said in error, error
    assert "lock_dataset.py --dataset d" in error
    assert list((tmp_path / "out").iterdir()) == []


def test_a_lock_of_another_policy_and_a_missing_lock_are_refused(tmp_path, capsys):
    config = locked(tmp_path, "folder", images.write_folder(images.imagenet(), tmp_path / "t"))
    images.edit_lock(config, "d", on_bad_image="skip")
    assert convert_to(tmp_path / "out", config) == 2
    assert "on_bad_image is fail, in the lock skip" in capsys.readouterr().err
    (config / "datasets/d.lock.json").unlink()
    assert convert_to(tmp_path / "out", config) == 2
    assert "lock_dataset.py --dataset d" in capsys.readouterr().err


def in_workers(monkeypatch, action) -> None:
    """Make a worker do `action` when it comes to the fourth training image of n02105855."""
    whole = convert.pixels

    def pixels(sample, *how):
        if sample.name == "n02105855_2933.JPEG":
            action()
        return whole(sample, *how)

    monkeypatch.setattr(convert, "pixels", pixels)


def _raise() -> None:
    raise RuntimeError("a\nbug")


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("action", "said"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "was killed (signal 9)"),
        (lambda: os._exit(3), "was killed (exit code 3)"),
        (_raise, "RuntimeError: a bug"),
    ],
    ids=["killed", "ended", "raised"],
)
def test_a_dead_worker_is_an_error_and_not_a_hang(
    made, tars, tmp_path, monkeypatch, capsys, workers, action, said
):
    in_workers(monkeypatch, action)
    with within(120):
        assert convert_to(tmp_path / "out", tars, workers) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: train/n02105855/n02105855_2933.JPEG: ") and said in error
    assert list((tmp_path / "out").iterdir()) == []
    assert not workers_of(psutil.Process()), "a worker is left"


def test_a_file_that_changes_meanwhile_is_an_error(made, tmp_path, monkeypatch, capsys):
    path = images.write_folder(images.imagenet(), tmp_path / "t")
    config = locked(tmp_path, "folder", path)
    victim = path / "train/n02105855/n02105855_2933.JPEG"
    in_workers(monkeypatch, lambda: victim.write_bytes(images.encode(images.photo(0))))
    assert convert_to(tmp_path / "out", config) == 2
    assert "n02105855_2933.JPEG: cannot be written" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("limit", [1 << 16, 9 << 20])
def test_a_full_disk_is_one_line_and_leaves_nothing(made, tars, tmp_path, capsys, limit):
    """A limit on the size of files fails like a full disk: a short write, then an error."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        assert convert_to(tmp_path / "out", tars) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ") and "no space left on the disk" in error
    assert list((tmp_path / "out").iterdir()) == []


def test_a_write_that_was_cut_short_in_silence_is_noticed(
    made, tars, tmp_path, monkeypatch, capsys
):
    from ablation.beton import BetonWriter

    run_workers = BetonWriter._run_workers

    def cut(self, *args):
        allocations = run_workers(self, *args)
        os.truncate(self.fname, os.stat(self.fname).st_size - 4096)
        return allocations

    monkeypatch.setattr(BetonWriter, "_run_workers", cut)
    assert convert_to(tmp_path / "out", tars) == 2
    assert "no space left on the disk" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []


def test_two_converts_do_not_write_to_one_place(made, tars, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    with convert.alone(tmp_path / "out"):
        assert convert_to(tmp_path / "out", tars) == 2
    assert "another convert is writing here" in capsys.readouterr().err


def test_page_size_is_enough_for_the_largest_image():
    from ablation.beton import page_size_for

    raw, jpg = Writer(write_mode="raw"), Writer(write_mode="jpg", max_resolution=500)
    assert page_size_for(raw, (28, 28)) == 8 << 20
    assert page_size_for(raw, (1800, 1600)) == 16 << 20
    assert page_size_for(raw, (9_000, 9_000)) == 256 << 20
    assert page_size_for(raw, (65_535, 65_535)) == 256 << 20
    assert page_size_for(jpg, (9_000, 9_000)) == 8 << 20


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_killed_in_the_middle_nothing_looks_whole_and_no_process_is_left(made, tree, tmp_path, how):
    path = images.write_tar(tree, tmp_path / "t.tar.xz", pack=lzma.compress)
    config = locked(tmp_path, "tar", path)
    out = tmp_path / "out"
    driver = DRIVER.format(workflow=str(images.ROOT / "workflow"))
    args = ["--dataset", "d", "--config-dir", config, "--out", out, "--workers", "2"]
    process = subprocess.Popen([sys.executable, "-c", driver, *args], stderr=subprocess.DEVNULL)
    main = psutil.Process(process.pid)
    try:
        with within(240):
            while not (out / "train.beton.tmp").exists() or len(workers_of(main)) < 2:
                assert process.poll() is None
                time.sleep(0.05)
        workers = workers_of(main)
    finally:
        process.send_signal(how)
        process.wait(20)
    gone, alive = psutil.wait_procs(workers, timeout=10)
    assert not alive
    left = {p.name for p in out.iterdir()}
    assert not left & set(FILES), left
    if how == signal.SIGTERM:
        assert not left
    else:
        assert "train.beton.tmp" in left and any(name.startswith(".source-") for name in left)
    assert convert_to(out, config) == 0
    assert sorted(p.name for p in out.iterdir()) == FILES
    assert stored(out, "train") == stored(made, "train")


def workers_of(process: psutil.Process) -> list[psutil.Process]:
    """Its forked children, which have its command line; what it has started has one of its own."""
    children = psutil.Process(process.pid).children()
    return [c for c in children if c.is_running() and command(c) == command(process)]


def command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:  # it has just ended
        return []


def test_an_interrupted_rewrite_does_not_keep_the_old_manifest(made, tars, tmp_path, monkeypatch):
    out = tmp_path / "out"
    shutil.copytree(made, out)

    def publish(temporary: Path, final: Path) -> None:
        assert not (out / "manifest.json").exists()
        raise KeyboardInterrupt

    monkeypatch.setattr(convert, "publish", publish)
    assert convert_to(out, tars) == 130
    assert sorted(p.name for p in out.iterdir()) == FILES[1:]


def test_planning_and_locking_import_neither_torch_nor_ffcv():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import lock_dataset, ablation.dataset_id, ablation.convert, convert_dataset\n"
        "print(sorted({'torch', 'ffcv', 'cv2', 'scipy', 'pandas'} & set(sys.modules)))"
    )
    workflow = str(images.ROOT / "workflow")
    found = subprocess.run(
        [sys.executable, "-c", code, workflow], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"
