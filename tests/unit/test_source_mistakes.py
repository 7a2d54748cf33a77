"""Labels and images match one to one; the commonest mistakes get a line with what to do."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import images
import pytest

from ablation.config.dataset import Source
from ablation.errors import DataError
from ablation.scan import scan
from ablation.sources import open_source

KAGGLE = "ILSVRC/Data/CLS-LOC"
FIRST, FOURTH = (f"ILSVRC2012_val_0000000{n}.JPEG" for n in (1, 4))
WNID, OTHER = images.WNIDS[:2]


def opened(layout: str, path: Path, **keys: object):
    return open_source(Source(layout=layout, path=str(path), **keys), Path("/"), path.parent)


def refused(layout: str, path: Path, **keys: object) -> str:
    with pytest.raises(DataError) as caught, opened(layout, path, **keys) as listing:
        scan(listing, progress=False)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# -- labels and images ----------------------------------------------------------------------------


def flat(tree: images.Tree) -> dict[str, bytes]:
    return {name: data for files in tree["val"].values() for name, data in files.items()}


@pytest.fixture
def tree() -> images.Tree:
    return images.imagenet(False)


@pytest.fixture
def tars(tree, tmp_path) -> Path:
    return images.write_imagenet_tars(tree, tmp_path / "tars")


@pytest.fixture
def kaggle(tree, tmp_path) -> Path:
    return images.write_kaggle(tree, tmp_path / "kaggle")


@pytest.mark.parametrize("double", ["copy_00000001.JPEG", "ILSVRC2012_val_1.JPEG", f"more/{FIRST}"])
def test_a_validation_number_twice_and_another_absent(tree, tars, double):
    contents = flat(tree)
    contents[double] = contents.pop(FOURTH)
    (tars / "ILSVRC2012_img_val.tar").write_bytes(images.tar_of(list(contents.items())))
    message = refused("imagenet_tars", tars)
    assert f"'{FIRST}' and '{double}' have the same label" in message
    assert "; 4 of the devkit have no image" in message


def test_two_validation_images_of_one_label_under_kaggle(kaggle):
    val = kaggle / KAGGLE / "val"
    (val / FOURTH).rename(val / FIRST.replace("JPEG", "png"))
    message = refused("kaggle_imagenet", kaggle)
    assert f"'{FIRST}' and '{FIRST.replace('JPEG', 'png')}' have the same label" in message
    assert "ILSVRC2012_val_00000004 of LOC_val_solution.csv have no image" in message


def test_a_label_twice_under_kaggle(kaggle):
    for name, line, said in (
        ("LOC_val_solution.csv", f"ILSVRC2012_val_00000001,{OTHER} 1 2 3 4", "has two lines"),
        ("LOC_synset_mapping.txt", f"{WNID} tench", f"class '{WNID}' twice"),
    ):
        whole = (kaggle / name).read_text()
        (kaggle / name).write_text(f"{whole}{line}\n")
        message = refused("kaggle_imagenet", kaggle)
        assert name in message and said in message
        (kaggle / name).write_text(whole)
    with opened("kaggle_imagenet", kaggle) as listing:
        assert len(listing.splits["val"]) == 6


def test_one_name_in_two_class_folders(tree, tars, kaggle):
    """ImageNet's names begin with the class, so the folder or the name is wrong."""
    name = f"{WNID}_2.JPEG"
    train = kaggle / KAGGLE / "train"
    shutil.copy(train / WNID / name, train / OTHER / name)
    assert f"'{name}' lies in {OTHER}" in refused("kaggle_imagenet", kaggle)
    tree["train"][OTHER][name] = tree["train"][WNID][name]
    inner = [(f"{cls}.tar", images.tar_of(list(f.items()))) for cls, f in tree["train"].items()]
    (tars / "ILSVRC2012_img_train.tar").write_bytes(images.tar_of(inner))
    assert f"'{name}' lies in {OTHER}" in refused("imagenet_tars", tars)


def test_one_name_in_two_folders_of_a_class_tar_and_a_class_tar_twice(tree, tars):
    packed = {f"{cls}.tar": list(files.items()) for cls, files in tree["train"].items()}
    name, content = packed[f"{WNID}.tar"][0]
    for said, entries in {
        f"train/{WNID}/{name} is there twice": packed
        | {f"{WNID}.tar": [*packed[f"{WNID}.tar"], (f"more/{name}", content)]},
        f"the tar of class '{WNID}' is there twice": packed
        | {f"more/{WNID}.tar": [("other.JPEG", content)]},
    }.items():
        outer = images.tar_of([(tar, images.tar_of(files)) for tar, files in entries.items()])
        (tars / "ILSVRC2012_img_train.tar").write_bytes(outer)
        assert said in refused("imagenet_tars", tars)


# -- the commonest mistakes -----------------------------------------------------------------------


def packed(tree: images.Tree, path: Path, name: Callable[[str, str, str], str]) -> Path:
    entries = [(name(*parts), content) for *parts, content in images.files(tree)]
    path.write_bytes(images.tar_of(entries))
    return path


def test_a_flat_split(tree, tmp_path):
    path = images.write_folder(tree, tmp_path / "t")
    for cls in images.WNIDS:
        for file in (path / "val" / cls).iterdir():
            file.rename(path / "val" / file.name)
        (path / "val" / cls).rmdir()
    remedy = re.escape("move each into a folder with the name of its class (ImageNet's flat")
    said = rf"val split: 6 files lie there directly, as 'val/ILSVRC2012_val_\d+.JPEG'; {remedy}"
    assert re.search(said, refused("folder", path))
    tar = packed(
        tree, tmp_path / "a.tar", lambda *p: "/".join(p if p[0] == "train" else (p[0], p[2]))
    )
    assert re.search(said, refused("tar", tar))


def test_images_one_folder_too_deep(tree, tmp_path):
    """Tiny ImageNet's way: `train/{class}/images/{image}`."""
    path = images.write_folder(tree, tmp_path / "t")
    (path / "train" / WNID).rename(tmp_path / "images")
    (path / "train" / WNID).mkdir()
    (tmp_path / "images").rename(path / "train" / WNID / "images")
    message = refused("folder", path)
    assert f"'{WNID}' without an image in the train split" in message
    assert f"1 set aside there, as 'train/{WNID}/images', which is a folder inside a" in message


def test_broken_links(tree, tmp_path):
    path = images.write_folder(tree, tmp_path / "t")
    file = path / "train" / WNID / f"{WNID}_2.JPEG"
    file.unlink()
    os.symlink("/nowhere/2.JPEG", file)
    message = refused("folder", path)
    assert f"train/{WNID}/{WNID}_2.JPEG (is a broken link to '/nowhere/2.JPEG')" in message
    assert "make the place that they lead to reachable, or copy with `cp -rL`" in message
    shutil.rmtree(path / "train" / OTHER)
    os.symlink("/nowhere/class", path / "train" / OTHER)
    message = refused("folder", path)
    assert f"2 set aside there, as 'train/{OTHER}', which is a broken link to" in message
    shutil.rmtree(path / "val")
    os.symlink("/nowhere/val", path / "val")
    assert "val: is a broken link to '/nowhere/val'; make that place reachable" in refused(
        "folder", path
    )


def test_splits_that_lie_deeper(tree, tmp_path):
    images.write_folder(tree, tmp_path / "t/one/two")
    message = refused("folder", tmp_path / "t")
    assert f"they lie in {tmp_path / 't/one/two'}: set `source.path` to it" in message
    tar = packed(tree, tmp_path / "a.tar", lambda *parts: "/".join(("one", "two", *parts)))
    assert "lie too deep, in 'one/two'" in refused("tar", tar)
    assert "pack with `tar -C one/two -cf NEW.tar train val`" in refused("tar", tar)


def test_splits_of_other_names(tree, tmp_path):
    path = images.write_folder(tree, tmp_path / "t")
    (path / "val").rename(path / "Validation")
    said = "folders there: 'Validation', 'train'; name the splits' own in `source.train` and"
    assert said in refused("folder", path)
    tar = packed(tree, tmp_path / "a.tar", lambda *p: "/".join((p[0].title(), *p[1:])))
    assert "at its top lie 'Train', 'Val'; name the splits' folders" in refused("tar", tar)


def test_other_layouts_are_named(tars, kaggle, tree, tmp_path):
    assert "set `layout: imagenet_tars`" in refused("folder", tars)
    assert "set `layout: kaggle_imagenet`" in refused("folder", kaggle)
    tar = images.write_tar(tree, tmp_path / "a.tar")
    assert "is a file: for a tar set `layout: tar`" in refused("folder", tar)
    assert "is a folder; layout `tar` reads one tar, `folder` a tree" in refused("tar", tars)
    assert "it holds tars ('n" in refused("tar", tars / "ILSVRC2012_img_train.tar")
    folder = tmp_path / "shards"
    folder.mkdir()
    tar.rename(folder / "00000.tar")
    assert "tars lie there ('00000.tar')" in refused("folder", folder)
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04 and more")
    assert "is a zip, which is not read; unpack it" in refused("tar", tmp_path / "a.zip")
    val = kaggle / KAGGLE / "val"
    (val / WNID).mkdir()
    assert "in class folders it is layout `folder`" in refused("kaggle_imagenet", kaggle)


@pytest.mark.parametrize("top", ["", "shard/"])
def test_a_webdataset_tar(tmp_path, top):
    entries = [(f"{top}{n:06d}.{e}", b"x") for n in range(3) for e in ("cls", "jpg")]
    (tmp_path / "a.tar").write_bytes(images.tar_of(entries))
    message = refused("tar", tmp_path / "a.tar")
    assert f"it is a WebDataset tar ('{top}000000.jpg' beside '{top}000000.cls')" in message
    assert "write its images to {split}/{class}/{key}.jpg and use layout `folder`" in message


def test_links_in_a_tar(tree, tmp_path):
    """GNU tar packs a file that has two names once, and the second name as a hard link."""
    path = images.write_folder(tree, tmp_path / "t")
    names = sorted(p for p in (path / "train" / WNID).iterdir())
    for link, remedy in ((os.link, "--hard-dereference"), (os.symlink, "--dereference")):
        link(names[0], path / "train" / WNID / "more.JPEG")
        with tarfile.open(tmp_path / "a.tar", "w") as archive:
            archive.add(path, "t")
        message = refused("tar", tmp_path / "a.tar")
        assert f"pack with `tar {remedy}`" in message
        (path / "train" / WNID / "more.JPEG").unlink()


LEFT = ("._n.tar", ".DS_Store", "desktop.ini", "Thumbs.db", "Icon\r", "__MACOSX", "@eaDir")


def test_what_file_managers_leave_is_no_image(tree, tars, kaggle, tmp_path):
    """`._n01440764.tar` is what macOS packs beside each file; it was taken for a class."""
    path = images.write_folder(tree, tmp_path / "t")
    wanted = {split: len(found) for split, found in opened("folder", path).splits.items()}
    folders = [path, path / "train", path / "train" / WNID, kaggle / KAGGLE / "val"]
    for folder in [*folders, kaggle / KAGGLE / "train" / WNID]:
        for name in LEFT:
            (folder / name).write_bytes(b"x")
    entries = [(f"{s}/{c}/{n}", data) for s, c, n, data in images.files(tree)]
    beside = [
        (f"{folder}{name}", b"x") for folder in ("", "train/", f"val/{WNID}/") for name in LEFT
    ]
    (tmp_path / "a.tar").write_bytes(images.tar_of([*beside, *entries]))
    for name in ("ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"):
        with tarfile.open(tars / name) as archive:
            whole = [(m.name, archive.extractfile(m).read()) for m in archive]
        names = [f"{folder}{left}" for folder in ("", "__MACOSX/") for left in LEFT]
        (tars / name).write_bytes(images.tar_of([*((n, b"x") for n in names), *whole]))
    for layout, place in (
        ("folder", path),
        ("tar", tmp_path / "a.tar"),
        ("imagenet_tars", tars),
        ("kaggle_imagenet", kaggle),
    ):
        with opened(layout, place) as listing:
            found = {split: len(samples) for split, samples in listing.splits.items()}
            assert (found, listing.stray) == (wanted, {}), layout


def test_a_devkit_with_a_number_for_two_classes(tars, monkeypatch):
    import io

    import numpy as np
    from scipy.io import savemat

    kind = [("ILSVRC2012_ID", "O"), ("WNID", "O")]
    meta = io.BytesIO()
    savemat(meta, {"synsets": np.array([[(1.0, w)] for w in images.WNIDS], dtype=kind)})
    top = "ILSVRC2012_devkit_t12/data"
    files = [
        (f"{top}/meta.mat", meta.getvalue()),
        (f"{top}/ILSVRC2012_validation_ground_truth.txt", b"1\n" * 6),
    ]
    (tars / "ILSVRC2012_devkit_t12.tar.gz").write_bytes(gzip.compress(images.tar_of(files)))
    assert "two classes have number 1" in refused("imagenet_tars", tars)
