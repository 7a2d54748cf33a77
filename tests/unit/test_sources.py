"""Readers: the same images in any layout are the same listing; unsafe sources are refused."""

from __future__ import annotations

import bz2
import copy
import gzip
import lzma
import os
import pickle
import tarfile
from pathlib import Path

import images
import pytest

from ablation.config.dataset import Source
from ablation.errors import DataError
from ablation.scan import Reading, scan, source_digest
from ablation.sources import open_source


def opened(layout: str, path: Path, **keys):
    return open_source(Source(layout=layout, path=str(path), **keys), Path("/"), path.parent)


def digest(listing) -> str:
    with listing:
        return source_digest(scan(listing, progress=False, reading=Reading(decode=False)), ())


def refused(layout: str, path: Path, **keys) -> str:
    with pytest.raises(DataError) as caught:
        opened(layout, path, **keys).close()
    assert not list(path.parent.glob(".source-*")), "a temporary file is left"
    return str(caught.value)


WRITERS = {
    "folder": images.write_folder,
    "tar": images.write_tar,
    "imagenet_tars": images.write_imagenet_tars,
    "kaggle_imagenet": images.write_kaggle,
}


def test_same_images_in_four_layouts_are_the_same_listing(tmp_path):
    tree = images.imagenet()
    found = {}
    for layout, write in WRITERS.items():
        path = write(tree, tmp_path / layout)
        with opened(layout, path) as listing:
            assert listing.classes == images.WNIDS, layout
            for split in ("train", "val"):
                names = [(s.cls, s.name) for s in listing.splits[split]]
                assert names == sorted(names), layout
                for sample in pickle.loads(pickle.dumps(listing.splits[split])):
                    assert sample.read() == tree[split][sample.cls][sample.name], layout
        found[layout] = digest(opened(layout, path))
    assert len(set(found.values())) == 1, found

    tree["val"][images.WNIDS[0]]["ILSVRC2012_val_00000001.JPEG"] += b"\0"
    assert digest(opened("folder", images.write_folder(tree, tmp_path / "other"))) not in (
        found.values()
    )


@pytest.mark.parametrize(
    ("top", "pack"),
    [
        ("", gzip.compress),
        ("./", bz2.compress),
        ("imagenet/", lzma.compress),
        ("./a/", lambda data: data),
    ],
)
def test_tar_may_be_compressed_and_have_a_top_folder(tmp_path, top, pack):
    tree = images.imagenet()
    plain = digest(opened("folder", images.write_folder(tree, tmp_path / "tree")))
    path = images.write_tar(tree, tmp_path / "a.tar", top, pack)
    assert digest(opened("tar", path)) == plain
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tar", "tree"], "temporary file left"


def test_split_folders_can_have_other_names_and_other_folders_are_ignored(tmp_path):
    tree = images.imagenet()
    images.write_folder(tree, tmp_path / "t")
    expected = digest(opened("folder", tmp_path / "t"))
    (tmp_path / "t/val").rename(tmp_path / "t/test")
    (tmp_path / "t/unlabelled").mkdir()
    assert digest(opened("folder", tmp_path / "t", val="test")) == expected


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.mark.parametrize(
    ("info", "said"),
    [
        (member("train/../../x.png"), "leaves its folder"),
        (member("../train/a/x.png"), "leaves its folder"),
        (member("/train/a/x.png"), "absolute path"),
        (member("train/a/x.png", tarfile.SYMTYPE, "../../passwd"), "is a link"),
        (member("train/a", tarfile.SYMTYPE, "/tmp"), "is a link"),
        (member("train/a/x.png", tarfile.LNKTYPE, "/etc/passwd"), "is a hard link"),
        (member("train/a/x.png", tarfile.CHRTYPE), "device"),
        (member("train/a/x.png", tarfile.BLKTYPE), "device"),
        (member("train/a/x.png", tarfile.FIFOTYPE), "pipe"),
        (member("train/a/x.png", tarfile.GNUTYPE_SPARSE), "is stored sparse"),
        (member("train/a\nb/x.png"), "control characters"),
        (member("train/a/\x1b[31mx.png"), "control characters"),
        (member("train/a\\b/x.png"), "path separator"),
        (member("train/a/\udcff.png"), "not valid UTF-8"),
        (member("notes/a", tarfile.SYMTYPE, "b"), "is a link"),
    ],
    ids=lambda value: (
        value.name.encode("unicode_escape").decode() if hasattr(value, "name") else ""
    ),
)
def test_hostile_tar_members_are_refused(tmp_path, info, said):
    good = [(f"{s}/a/{n}.png", b"x") for s in ("train", "val") for n in "12"]
    path = tmp_path / "evil.tar"
    for pack in (lambda data: data, gzip.compress):
        path.write_bytes(pack(images.tar_of([*good, ("", info)])))
        message = refused("tar", path)
        assert said in message, message
        assert ascii(info.name)[1:-1].rstrip("/") in message
    nested = tmp_path / "tars"
    images.write_imagenet_tars(images.imagenet(False), nested)
    inner = images.tar_of([("n01440764_1.JPEG", b"x"), ("", info)])
    (nested / "ILSVRC2012_img_train.tar").write_bytes(images.tar_of([("n01440764.tar", inner)]))
    assert "n01440764.tar" in refused("imagenet_tars", nested)


def test_damaged_tars_are_refused(tmp_path):
    tree = images.imagenet(False)
    whole = images.write_tar(tree, tmp_path / "a.tar").read_bytes()
    cases = {
        "cut.tar": whole[: len(whole) // 2],
        "cut.tar.gz": gzip.compress(whole)[:-5000],
        "cut.tar.xz": lzma.compress(whole)[:-5000],
        "cut.tar.bz2": bz2.compress(whole)[:-5000],
        "text.tar": b"this is not a tar" * 100,
        "empty.tar": b"",
    }
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
        message = refused("tar", tmp_path / name)
        assert name in message and "damaged" in message, message
    loop = member("train/a/2.png")
    loop.size = -512  # so that the header after it is its own, again and again
    (tmp_path / "loop.tar").write_bytes(images.tar_of([("train/a/1.png", b"x"), ("", loop)]))
    assert "absurd size" in refused("tar", tmp_path / "loop.tar")


def test_a_tar_member_twice_and_two_top_folders_are_refused(tmp_path):
    twice = [("train/a/1.png", b"x"), ("./train/a/1.png", b"y"), ("val/a/1.png", b"z")]
    (tmp_path / "a.tar").write_bytes(images.tar_of(twice))
    assert "train/a/1.png is there twice" in refused("tar", tmp_path / "a.tar")
    tops = [("one/train/a/1.png", b"x"), ("two/val/a/1.png", b"y")]
    (tmp_path / "a.tar").write_bytes(images.tar_of(tops))
    assert "more than one folder" in refused("tar", tmp_path / "a.tar")


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("layout", sorted(WRITERS))
def test_a_class_missing_in_one_split_is_an_error(tmp_path, layout, split):
    tree = images.imagenet(False)
    gone = copy.deepcopy(tree)
    lost = gone[split].pop("n02105855")
    if split == "val":  # the flat layouts would miss the images themselves
        gone["val"]["n01440764"].update(lost)
    if layout in ("imagenet_tars", "kaggle_imagenet") and split == "train":
        path = WRITERS[layout](gone | {"train": gone["train"] | {"n02105855": {}}}, tmp_path / "x")
    else:
        path = WRITERS[layout](gone, tmp_path / "x")
    message = refused(layout, path)
    assert "n02105855" in message, message
    if layout != "kaggle_imagenet":
        assert f"without an image in the {split} split" in message


def test_an_empty_class_folder_is_an_error_and_not_dropped(tmp_path):
    images.write_folder(images.imagenet(False), tmp_path / "t")
    for split in ("train", "val"):
        (tmp_path / "t" / split / "empty").mkdir()
    assert "'empty' without an image" in refused("folder", tmp_path / "t")


def test_missing_sources_are_named(tmp_path):
    assert "no such file or folder" in refused("folder", tmp_path / "nothing")
    (tmp_path / "t").mkdir()
    assert "t/train: no such folder" in refused("folder", tmp_path / "t")
    assert "ILSVRC2012_img_train.tar is not there" in refused("imagenet_tars", tmp_path / "t")
    assert "LOC_synset_mapping.txt is not there" in refused("kaggle_imagenet", tmp_path / "t")


def test_imagenet_labels_that_do_not_fit_are_refused(tmp_path):
    tree = images.imagenet(False)
    del tree["val"]["n01440764"]["ILSVRC2012_val_00000004.JPEG"]
    path = images.write_imagenet_tars(tree, tmp_path / "a")
    assert "has no number between 1 and 5" in refused("imagenet_tars", path)
    tars = images.write_imagenet_tars(images.imagenet(False), tmp_path / "b")
    (tars / "ILSVRC2012_devkit_t12.tar.gz").write_bytes(gzip.compress(images.tar_of([])))
    assert "meta.mat is not in it" in refused("imagenet_tars", tars)
    few = [("ILSVRC2012_val_00000001.JPEG", b"x")]
    images.write_imagenet_tars(images.imagenet(False), tmp_path / "c")
    (tmp_path / "c/ILSVRC2012_img_val.tar").write_bytes(images.tar_of(few))
    message = refused("imagenet_tars", tmp_path / "c")
    assert "2; 3; 4 and 2 more of the devkit have no image" in message
    kaggle = images.write_kaggle(images.imagenet(False), tmp_path / "d")
    next((kaggle / "ILSVRC/Data/CLS-LOC/val").iterdir()).unlink()
    assert " of LOC_val_solution.csv have no image" in refused("kaggle_imagenet", kaggle)


def test_names_with_markup_are_plain_text(tmp_path):
    tree = images.imagenet(False)
    evil = "<img src=x onerror=alert(1)>&amp; ünï 'q' \"d\""
    for split in ("train", "val"):
        tree[split][evil] = {"<b>.png": images.encode(images.photo(0), "PNG")}
    plain = digest(opened("folder", images.write_folder(tree, tmp_path / "t")))
    with opened("tar", images.write_tar(tree, tmp_path / "t.tar")) as listing:
        assert evil in listing.classes
        assert digest(listing) == plain


def test_links_to_files_are_followed_and_loops_refused(tmp_path):
    tree = images.imagenet(False)
    plain = images.write_folder(tree, tmp_path / "plain")
    linked = tmp_path / "linked"
    for split, cls, name, _ in images.files(tree):
        (linked / split / cls).mkdir(parents=True, exist_ok=True)
        os.symlink(plain / split / cls / name, linked / split / cls / name)
    assert digest(opened("folder", linked)) == digest(opened("folder", plain))
    os.symlink(plain / "train", plain / "train/loop")
    assert "leads back" in refused("folder", plain)
    (plain / "train/loop").unlink()
    os.symlink("itself", plain / "train/itself")
    assert "itself" in refused("folder", plain)


def test_hidden_files_are_ignored_and_strange_ones_listed(tmp_path):
    tree = images.imagenet(False)
    path = images.write_folder(tree, tmp_path / "t")
    expected = digest(opened("folder", path))
    for name in (".DS_Store", "train/.DS_Store", "train/n01440764/.x.png"):
        (path / name).write_bytes(b"x")
    (path / "val/n01440764/Thumbs.db").write_bytes(b"x")
    (path / "val/.cache").mkdir()
    (path / "train/labels.csv").write_text("a,b")
    (path / "train/n01440764/more").mkdir()
    os.mkfifo(path / "train/n01440764/pipe.png")
    os.symlink("nowhere", path / "train/n01440764/broken.png")
    listing = opened("folder", path)
    assert listing.stray == {
        "train/labels.csv": "lies outside of a class folder",
        "train/n01440764/broken.png": "is a broken link to 'nowhere'",
        "train/n01440764/more": "is a folder inside a class folder",
        "train/n01440764/pipe.png": "is not a plain file",
    }
    assert digest(listing) == expected
    entries = [(f"{s}/{c}/{n}", data) for s, c, n, data in images.files(tree)]
    extra = ["train/labels.csv", "train/n01440764/more/x.png", "train/n01440764/.x", "README"]
    (tmp_path / "t.tar").write_bytes(images.tar_of([*entries, *((n, b"x") for n in extra)]))
    listing = opened("tar", tmp_path / "t.tar")
    assert sorted(listing.stray) == ["train/labels.csv", "train/n01440764/more"]
    assert digest(listing) == expected


def test_a_folder_name_that_is_not_text_is_refused(tmp_path):
    path = images.write_folder(images.imagenet(False), tmp_path / "t")
    os.rename(os.fsencode(path) + b"/train/n01440764", os.fsencode(path) + b"/train/\xff\xfe")
    assert "not valid UTF-8" in refused("folder", path)


def test_split_names_are_one_folder_each():
    for keys in ({"train": "a/b"}, {"val": ".."}, {"train": "x", "val": "x"}):
        with pytest.raises(ValueError):
            Source(layout="folder", path="x", **keys)
    with pytest.raises(ValueError, match="does nothing"):
        Source(layout="imagenet_tars", path="x", val="test")


def test_a_file_that_shrank_is_an_error(tmp_path):
    path = images.write_tar(images.imagenet(False), tmp_path / "a.tar")
    with opened("tar", path) as listing:
        last = max(listing.splits["train"], key=lambda sample: sample.offset)
        os.truncate(path, last.offset + 10)
        with pytest.raises(OSError, match="early"):
            last.read()
