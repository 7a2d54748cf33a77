"""Make `data/fashion_mnist/fashion_mnist.tar.xz` from the IDX files of Fashion-MNIST.

    python tools/make_fashion_subset.py [--source /usr/share/datasets/fashion-mnist]

The IDX files are those of Debian's package `dataset-fashion-mnist` (or of the original
distribution). The subset is fixed: of each class the 500 training images (and, from the t10k
files, the 500 validation images) whose SHA-256 of `fashion-mnist-subset:{split}:{index}` is
smallest, where index is the image's place in its IDX file and also its file name.

Needs the standard library only. The same IDX files give the same images, byte by byte, with any
version of any library: the PNGs are written here, with stored (not compressed) pixels. That
also makes the archive smaller, because xz then sees the pixels of all images together.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import lzma
import math
import struct
import sys
import tarfile
import zlib
from collections.abc import Sequence
from pathlib import Path

CLASSES = (
    "0_tshirt_top",
    "1_trouser",
    "2_pullover",
    "3_dress",
    "4_coat",
    "5_sandal",
    "6_shirt",
    "7_sneaker",
    "8_bag",
    "9_ankle_boot",
)
PER_CLASS = 500
SPLITS = (("train", "train"), ("val", "t10k"))
SOURCE = Path("/usr/share/datasets/fashion-mnist")
TARGET = Path(__file__).resolve().parent.parent / "data/fashion_mnist/fashion_mnist.tar.xz"
MTIME = 1503619200  # 2017-08-25; any constant would do


def read_idx(path: Path) -> tuple[bytes, tuple[int, ...]]:
    """Return the bytes and the shape of a gzipped IDX file of unsigned bytes."""
    with gzip.open(path) as file:
        start = file.read(4)
        if len(start) < 4 or start[:3] != b"\0\0\x08":
            raise SystemExit(f"error: {path} is no IDX file of unsigned bytes")
        shape = struct.unpack(f">{start[3]}I", file.read(4 * start[3]))
        # No more than the header says and one byte: a gzip file can unpack to 1,000 times its size.
        content = file.read(math.prod(shape) + 1)
    if len(content) != math.prod(shape):
        raise SystemExit(f"error: {path} does not hold the {shape} bytes that it says")
    return content, shape


def chosen(split: str, labels: bytes) -> list[list[int]]:
    """Return for each class the sorted indices of its images in the subset."""
    picked: list[list[int]] = []
    for label in range(len(CLASSES)):
        indices = [index for index, found in enumerate(labels) if found == label]
        indices.sort(
            key=lambda i: hashlib.sha256(f"fashion-mnist-subset:{split}:{i}".encode()).digest()
        )
        picked.append(sorted(indices[:PER_CLASS]))
    return picked


def grey_png(pixels: bytes, height: int, width: int) -> bytes:
    """Return an 8-bit grey PNG whose pixels are stored in one uncompressed deflate block."""
    rows = b"".join(b"\0" + pixels[y * width : (y + 1) * width] for y in range(height))
    size = len(rows)  # of at most 65,535 bytes, the limit of a stored block
    block = b"\x01" + struct.pack("<HH", size, size ^ 0xFFFF) + rows
    stored = b"\x78\x01" + block + struct.pack(">I", zlib.adler32(rows))
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)),
        (b"IDAT", stored),
        (b"IEND", b""),
    )
    png = b"\x89PNG\r\n\x1a\n"
    for kind, body in chunks:
        png += struct.pack(">I", len(body)) + kind + body
        png += struct.pack(">I", zlib.crc32(kind + body))
    return png


def add(archive: tarfile.TarFile, name: str, content: bytes | None) -> None:
    """Add a file, or a folder when there is no content, with nothing of this machine in it."""
    member = tarfile.TarInfo(name)
    member.mtime = MTIME
    if content is None:
        member.type, member.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(member)
    else:
        member.size, member.mode = len(content), 0o644
        archive.addfile(member, io.BytesIO(content))


def build(source: Path) -> bytes:
    """Return the tar, not yet compressed."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for split, prefix in SPLITS:
            images, (_, height, width) = read_idx(source / f"{prefix}-images-idx3-ubyte.gz")
            labels, _ = read_idx(source / f"{prefix}-labels-idx1-ubyte.gz")
            add(archive, split, None)
            for cls, indices in zip(CLASSES, chosen(split, labels), strict=True):
                add(archive, f"{split}/{cls}", None)
                for i in indices:
                    pixels = images[i * height * width : (i + 1) * height * width]
                    add(archive, f"{split}/{cls}/{i:05d}.png", grey_png(pixels, height, width))
    return buffer.getvalue()


def main(argv: Sequence[str] | None = None) -> int:
    """Write the archive; return 0."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--source", type=Path, default=SOURCE, help="folder of the IDX files")
    parser.add_argument("--out", type=Path, default=TARGET)
    args = parser.parse_args(argv)
    if not args.source.is_dir():
        print(
            f"error: {args.source}: no such folder; install dataset-fashion-mnist", file=sys.stderr
        )
        return 2
    tar = build(args.source)
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "pb": 0}]
    packed = lzma.compress(tar, format=lzma.FORMAT_XZ, check=lzma.CHECK_SHA256, filters=filters)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_bytes(packed)
    print(
        f"{args.out}: {len(packed):,} bytes, SHA-256 of the tar {hashlib.sha256(tar).hexdigest()}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
