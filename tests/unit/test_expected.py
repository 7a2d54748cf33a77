"""Known counts hold a lock to what a dataset is; equal images in two places are told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import convert_dataset
import images
import lock_dataset
import pytest
import yaml

from ablation.cli import run
from ablation.config.dataset import DatasetConfig, Source
from ablation.config.expected import check_lock, differences, differences_of_lock, notes
from ablation.config.load import load_dataset, load_lock
from ablation.dataset_id import beton_digest
from ablation.duplicates import find_shared
from ablation.errors import ConfigError
from ablation.grid import Planner
from ablation.scan import scan
from ablation.sources import open_source

EXPECT = {
    "classes": 3,
    "train": {"images": 15, "per_class": [4, 6]},
    "val": {"images": 6, "per_class": 2},
}
LOST = "n02105855"


def make_lock(config: Path, *options: str) -> int:
    return run(
        lock_dataset.main,
        ["--dataset", "d", "--config-dir", str(config), "--workers", "1", *options],
    )


def lock_text(config: Path) -> dict:
    return json.loads((config / "datasets/d.lock.json").read_text())


@pytest.fixture
def tree(tmp_path) -> Path:
    return images.write_folder(images.imagenet(False), tmp_path / "t")


@pytest.fixture
def config(tree, tmp_path) -> Path:
    return images.write_config(tmp_path / "config", "d", "folder", tree, expect=EXPECT)


def lose(tree: Path, count: int = 2) -> None:
    for file in sorted((tree / "train" / LOST).iterdir())[:count]:
        file.unlink()


def test_a_lock_with_the_known_counts_is_the_same_with_and_without_them(config, tree, tmp_path):
    assert make_lock(config) == 0
    plain = images.write_config(tmp_path / "plain", "d", "folder", tree)
    assert make_lock(plain) == 0
    assert lock_text(config) == lock_text(plain)
    assert not {"accepted", "shared"} & set(lock_text(config))


def test_other_counts_are_refused_before_the_images_are_read(config, tree, capsys):
    lose(tree)
    (tree / "val" / LOST / "bad.JPEG").write_bytes(b"x")  # reading would stop here
    assert make_lock(config) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    for said in (
        "13 train images, expected 15",
        f"train/{LOST} has 3 images, expected 4 to 6",
        "7 val images, expected 6",
        f"val/{LOST} has 3 images, expected 2",
        "--accept-counts",
    ):
        assert said in error
    assert not (config / "datasets/d.lock.json").exists()


def test_images_that_are_left_out_count_as_missing(config, tree, tmp_path, capsys):
    skips = images.write_config(
        tmp_path / "skips", "d", "folder", tree, expect=EXPECT, on_bad_image="skip"
    )
    sorted((tree / "val" / LOST).iterdir())[0].write_bytes(b"x")
    assert make_lock(skips) == 2
    assert "5 val images, expected 6" in capsys.readouterr().err


def test_accepted_counts_stand_in_the_lock_and_no_others_pass(config, tree, tmp_path, capsys):
    lose(tree)
    assert make_lock(config, "--accept-counts") == 0
    said = ["13 train images, expected 15", f"train/{LOST} has 3 images, expected 4 to 6"]
    assert lock_text(config)["accepted"] == said
    assert [f"warning: accepted: {text}" for text in said] == capsys.readouterr().err.splitlines()[
        -2:
    ]
    check_lock("d", load_dataset(config, "d"), load_lock(config, "d"))
    file = config / "datasets/d.yaml"
    content = yaml.safe_load(file.read_text())
    content["expect"]["train"]["images"] = 1000
    del content["expect"]["train"]["per_class"]
    file.write_text(yaml.safe_dump(content))
    out = ["--out", str(tmp_path / "out")]
    assert run(convert_dataset.main, ["--dataset", "d", "--config-dir", str(config), *out]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "the lock of 'd' does not hold what `expect` in its YAML says: 13 train images" in error
    assert "expected 1,000; complete the images and make the lock with" in error
    with pytest.raises(ConfigError, match="expected 1,000"):
        Planner(config).dataset("d")


def test_no_identity_follows_from_known_counts(config, tree):
    assert make_lock(config) == 0
    before, lock = load_dataset(config, "d"), load_lock(config, "d")
    assert Planner(config).dataset("d").digest == beton_digest(lock, before.writer)
    images.write_config(config, "d", "folder", tree)
    assert Planner(config).dataset("d").digest == beton_digest(lock, before.writer)
    accepted = lock.model_copy(update={"accepted": ("x",)})
    assert beton_digest(accepted, before.writer) == beton_digest(lock, before.writer)


def test_the_known_counts_of_our_datasets():
    """ImageNet's as its authors print them; the others' from their descriptions."""
    known = {name: load_dataset(images.ROOT / "config", name).expect for name in
             ("imagenet", "cifar10", "fashion_mnist")}  # fmt: skip
    imagenet = known["imagenet"]
    assert (imagenet.classes, imagenet.train.images, imagenet.val.images) == (1000, 1281167, 50000)
    assert imagenet.train.bounds == (732, 1300) and imagenet.val.bounds == (50, 50)
    per_class = {"train": [1300] * 895 + [732] + [1124] * 103 + [1163]}
    per_class["val"] = [50] * 1000
    classes = [f"n{n:08d}" for n in range(1000)]
    assert differences(imagenet, classes, per_class) == []
    per_class["train"][0] -= 1
    assert differences(imagenet, classes, per_class) == [
        "1,281,166 train images, expected 1,281,167"
    ]
    assert known["cifar10"].train.bounds == (5000, 5000) and known["cifar10"].val.images == 10000
    lock = load_lock(images.ROOT / "config", "fashion_mnist")
    assert differences_of_lock(known["fashion_mnist"], lock) == []


def test_at_most_five_classes_are_named():
    expect = DatasetConfig(
        title="x", source=Source(layout="folder", path="x"), expect={"val": {"per_class": 2}}
    ).expect
    said = differences(expect, [f"c{n}" for n in range(9)], {"val": [1] * 9})
    assert said[0] == "val/c0 has 1 images, expected 2"
    assert said[-1] == "and 4 more such classes of val" and len(said) == 6


@pytest.mark.parametrize(
    ("expect", "said"),
    [
        ({"train": {"per_class": [9, 8]}}, "train.per_class begins with the lowest"),
        (
            {"classes": 3, "val": {"images": 10, "per_class": 3}},
            "3 classes of 3 images cannot make 10",
        ),
        ({"classes": 0}, "classes"),
        ({"trian": {}}, "trian: unknown key; did you mean 'train'?"),
        ({"train": {"per_class": [1, 2, 3]}}, "expect.train.per_class"),
        ({"train": {"per_class": "many"}}, "expect.train.per_class"),
    ],
)  # fmt: skip
def test_wrong_known_counts_are_refused(tree, tmp_path, expect, said):
    config = images.write_config(tmp_path / "c", "d", "folder", tree, expect=expect)
    with pytest.raises(ConfigError) as caught:
        load_dataset(config, "d")
    assert said in str(caught.value) and "expect" in str(caught.value)


# -- equal images ---------------------------------------------------------------------------------


def shared_in(tree: Path, workers: int = 1, on_bad_image: str = "fail"):
    with open_source(Source(layout="folder", path=str(tree)), Path("/")) as listing:
        return find_shared(scan(listing, workers, on_bad_image, progress=False))


def first(tree: Path, split: str, cls: str) -> Path:
    return sorted((tree / split / cls).iterdir())[0]


def test_equal_images_are_counted_with_examples(tree):
    assert shared_in(tree) is None
    one, two, three = images.WNIDS
    image = first(tree, "train", one)
    shutil.copy(image, tree / "train" / one / "again.JPEG")  # in one class and split: harmless
    assert shared_in(tree) is None
    for n in range(3):
        shutil.copy(image, tree / "val" / one / f"leak_{n}.JPEG")
    found = shared_in(tree)
    assert (found.in_both_splits, found.in_two_classes) == (3, 0)
    assert found.examples == (f"train/{one}/again.JPEG = val/{one}/leak_0.JPEG",)
    shutil.copy(first(tree, "val", two), tree / "val" / three / "odd.JPEG")
    found = shared_in(tree, workers=2)
    assert (found.in_both_splits, found.in_two_classes) == (3, 2)
    assert found.examples[1] == f"val/{two}/{first(tree, 'val', two).name} = val/{three}/odd.JPEG"
    shutil.copy(image, tree / "train" / three / "other.JPEG")
    found = shared_in(tree)
    assert (found.in_both_splits, found.in_two_classes) == (3, 8)


def test_equal_bad_files_are_no_equal_images(tree):
    for split in ("train", "val"):
        (tree / split / LOST / "empty.JPEG").write_bytes(b"")
    assert shared_in(tree, on_bad_image="skip") is None


def test_equal_images_are_told_and_stand_in_the_lock(config, tree, tmp_path, capsys):
    one, two, _ = images.WNIDS
    shutil.copy(first(tree, "train", one), first(tree, "val", two))
    assert make_lock(config) == 0
    assert capsys.readouterr().err.splitlines()[-3:] == [
        "warning: 1 of 6 validation images are training images too (equal files): accuracy on them"
        " is no test",
        "warning: 2 images lie in more than one class (equal files): no model can tell which label"
        " is meant",
        f"warning: equal files: train/{one}/{one}_10026.JPEG ="
        f" val/{two}/{first(tree, 'val', two).name}",
    ]
    lock = load_lock(config, "d")
    assert lock.shared.in_both_splits == 1 and len(notes(lock)) == 3
    assert lock_text(config)["shared"]["in_two_classes"] == 2
    out = ["--out", str(tmp_path / "out"), "--workers", "1"]
    assert run(convert_dataset.main, ["--dataset", "d", "--config-dir", str(config), *out]) == 0


def test_a_search_for_equal_images_takes_little_memory(tmp_path):
    """Peak of the search itself, without the scan: far below what a dictionary of digests takes."""
    import tracemalloc

    from ablation.scan import Finding, ScanResult
    from ablation.sources.listing import Sample, SourceListing

    count = 100_000
    samples = [Sample(f"c{n % 10}", f"{n}.png", "x") for n in range(count)]
    findings = [Finding(f"{n % (count - 9):016x}{0:048x}", 1, 1) for n in range(count)]
    classes = tuple(f"c{n}" for n in range(10))
    listing = SourceListing(classes, {"train": samples, "val": samples[:0]})
    result = ScanResult(listing, {"train": findings, "val": []})
    tracemalloc.start()
    found = find_shared(result)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.in_two_classes == 18 and len(found.examples) == 3
    assert peak < 100 * count
