"""Small trees and tars of exactly ImageNet's layouts, from real images, oddities included.

The images are made from the embedded Fashion-MNIST images: three of them, enlarged, are the
channels of a "photograph".
"""

from __future__ import annotations

import gzip
import io
import json
import lzma
import tarfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
EMBEDDED = ROOT / "data/fashion_mnist/fashion_mnist.tar.xz"
# split -> class -> file name -> bytes
Tree = dict[str, dict[str, dict[str, bytes]]]

WNIDS = ("n01440764", "n02105855", "n03995372")


@cache
def embedded(count: int = 63) -> list[np.ndarray]:
    """The first images of the embedded dataset, uint8 (28, 28)."""
    images = []
    with lzma.open(EMBEDDED) as packed, tarfile.open(fileobj=packed, mode="r|") as archive:
        for member in archive:
            if member.isreg():
                with Image.open(io.BytesIO(archive.extractfile(member).read())) as image:
                    images.append(np.asarray(image))
            if len(images) == count:
                break
    return images


def photo(number: int, height: int = 48, width: int = 64) -> np.ndarray:
    """A colour image, uint8 (height, width, 3), different for each number below 21."""
    channels = [
        np.asarray(Image.fromarray(embedded()[3 * number + c]).resize((width, height)))
        for c in range(3)
    ]
    return np.ascontiguousarray(np.stack(channels, axis=2))


def encode(pixels: np.ndarray | Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    """An image file with these pixels."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, kind, **({"quality": 92} if kind == "JPEG" else {}) | options)
    return buffer.getvalue()


def with_exif(jpeg: bytes, block: bytes) -> bytes:
    """The JPEG with an EXIF segment right after its start, as cameras write it."""
    body = b"Exif\0\0" + block
    return jpeg[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + jpeg[2:]


CORRUPT_EXIF = b"II*\0\xff\xff\xff\xff" + bytes(range(200, 250))


def cmyk_jpeg(number: int) -> bytes:
    """A CMYK JPEG with Adobe's marker (inverted inks), like ImageNet's 22."""
    return encode(Image.fromarray(photo(number)).convert("CMYK"))


def imagenet(oddities: bool = True) -> Tree:
    """Three classes with ImageNet's file names; 5 training and 2 validation images each."""
    tree: Tree = {"train": {}, "val": {}}
    for c, wnid in enumerate(WNIDS):
        names = [f"{wnid}_{n}.JPEG" for n in (10026, 2, 293, 2933, 7)]
        sizes = [(48 + 7 * i, 64 + 3 * c) for i in range(5)]
        tree["train"][wnid] = {
            name: encode(photo(5 * c + i, *size))
            for i, (name, size) in enumerate(zip(names, sizes, strict=True))
        }
        tree["val"][wnid] = {
            f"ILSVRC2012_val_{1 + c + 3 * i:08d}.JPEG": encode(photo(15 + c + 3 * i))
            for i in range(2)
        }
    if oddities:
        tree["train"][WNIDS[0]]["n01440764_2.JPEG"] = cmyk_jpeg(1)
        tree["train"][WNIDS[1]]["n02105855_2933.JPEG"] = encode(photo(2), "PNG")
        tree["train"][WNIDS[2]]["n03995372_7.JPEG"] = with_exif(encode(photo(3)), CORRUPT_EXIF)
        tree["val"][WNIDS[0]]["ILSVRC2012_val_00000001.JPEG"] = encode(photo(4)[:, :, 0])
    return tree


def files(tree: Tree) -> Iterator[tuple[str, str, str, bytes]]:
    """Yield (split, class, name, bytes) in an order that is not the sorted one."""
    for split in ("val", "train"):
        for cls in reversed(tree[split]):
            for name, content in tree[split][cls].items():
                yield split, cls, name, content


def write_folder(tree: Tree, root: Path) -> Path:
    """Layout `folder`."""
    for split, cls, name, content in files(tree):
        path = root / split / cls / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def tar_of(entries: list[tuple[str, bytes | tarfile.TarInfo]]) -> bytes:
    """A tar of (name, content); a TarInfo instead of content is added as it is."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in entries:
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
                continue
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def write_tar(tree: Tree, path: Path, top: str = "", pack=lambda data: data) -> Path:
    """Layout `tar`; `top` is put before each name, `pack` compresses."""
    entries = [(f"{top}{s}/{c}/{n}", content) for s, c, n, content in files(tree)]
    path.write_bytes(pack(tar_of(entries)))
    return path


def write_imagenet_tars(tree: Tree, root: Path) -> Path:
    """Layout `imagenet_tars`: train tar of class tars, flat validation tar, devkit."""
    from scipy.io import savemat

    root.mkdir(parents=True)
    inner = [(f"{cls}.tar", tar_of(list(images.items()))) for cls, images in tree["train"].items()]
    (root / "ILSVRC2012_img_train.tar").write_bytes(tar_of(inner))
    labels = {name: cls for cls, images in tree["val"].items() for name in images}
    contents = {name: data for images in tree["val"].values() for name, data in images.items()}
    flat = [(name, contents[name]) for name in sorted(contents, reverse=True)]
    (root / "ILSVRC2012_img_val.tar").write_bytes(tar_of(flat))
    # The devkit's numbers are not in the order of the wnids, and inner nodes follow the leaves.
    wnids = [*reversed(tree["train"]), "n00001740", "n00001930"]
    kind = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("num_children", "O")]
    synsets = np.array([[(float(i), w, "", 0.0)] for i, w in enumerate(wnids, 1)], dtype=kind)
    meta = io.BytesIO()
    savemat(meta, {"synsets": synsets})
    truth = "".join(f"{wnids.index(labels[name]) + 1}\n" for name in sorted(contents)).encode()
    top = "ILSVRC2012_devkit_t12"
    devkit = [
        (f"{top}/readme.txt", b"..."),
        (f"{top}/data/meta.mat", meta.getvalue()),
        (f"{top}/data/ILSVRC2012_validation_ground_truth.txt", truth),
    ]
    (root / f"{top}.tar.gz").write_bytes(gzip.compress(tar_of(devkit)))
    return root


def write_kaggle(tree: Tree, root: Path) -> Path:
    """Layout `kaggle_imagenet`."""
    images = root / "ILSVRC/Data/CLS-LOC"
    (images / "val").mkdir(parents=True)
    (images / "test").mkdir()
    solution = ["ImageId,PredictionString"]
    for split, cls, name, content in files(tree):
        folder = images / "train" / cls if split == "train" else images / "val"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        if split == "val":
            solution.append(f"{Path(name).stem},{cls} 85 1 499 272 {cls} 3 4 5 6 ")
    (root / "LOC_val_solution.csv").write_text("\n".join(solution) + "\n")
    mapping = "".join(f"{cls} a name, another name\n" for cls in tree["train"])
    (root / "LOC_synset_mapping.txt").write_text(mapping)
    return root


def write_config(config_dir: Path, name: str, layout: str, path: Path, **keys: object) -> Path:
    """A dataset's YAML in a configuration folder of its own; returns the folder."""
    folder = config_dir / "datasets"
    folder.mkdir(parents=True, exist_ok=True)
    content = {"title": name, "source": {"layout": layout, "path": str(path)}, **keys}
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
    return config_dir


def edit_lock(config_dir: Path, name: str, **changes: object) -> None:
    """Change keys of a lock file."""
    path = config_dir / "datasets" / f"{name}.lock.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
