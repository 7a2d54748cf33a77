"""A damaged tar is refused, or every image is there under its name and label.

200 damages of headers, cuts and joins of a small tar of each layout that reads tars, from a
seed. Damage inside an image's data is counted apart: its format must show it, or can't.
"""

from __future__ import annotations

import bz2
import gzip
import io
import itertools
import lzma
import random
import shutil
import subprocess
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import images
import lock_dataset
import pytest

from ablation.config.dataset import Source
from ablation.config.load import load_dataset
from ablation.decode import BadImage, decode_rgb
from ablation.errors import DataError
from ablation.sources import open_source

COUNT = 200
BLOCK = 512
TRAIN = "ILSVRC2012_img_train.tar"
VAL = "ILSVRC2012_img_val.tar"
Found = dict[tuple[str, str, str], bytes]


def read(layout: str, path: Path, **keys: object) -> Found:
    """(split, class, name) -> bytes, as a layout reads them."""
    config = Source(layout=layout, path=str(path), **keys)
    with open_source(config, Path("/"), path.parent) as listing:
        return {
            (split, sample.cls, sample.name): sample.read()
            for split, samples in listing.splits.items()
            for sample in samples
        }


def spans(content: bytes, start: int = 0) -> Iterator[tuple[int, int, int, str]]:
    """Yield (first header, data, end, name) of each member, and of the members inside tars."""
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in archive.getmembers():
            end = member.offset_data + -(-member.size // BLOCK) * BLOCK
            yield start + member.offset, start + member.offset_data, start + end, member.name
            if member.name.endswith(".tar"):
                inner = content[member.offset_data : member.offset_data + member.size]
                yield from spans(inner, start + member.offset_data)


# -- damages: (random, content, its members) -> what is wrong, content --------------------------


def overwritten(content: bytes, at: int, part: bytes) -> bytes:
    return content[:at] + part + content[at + len(part) :]


def flipped_bit(rng: random.Random, content: bytes, members: list) -> bytes:
    header, data, _, _ = rng.choice(members)
    at = rng.randrange(max(header, data - BLOCK), data)
    return overwritten(content, at, bytes([content[at] ^ 1 << rng.randrange(8)]))


def zeroed_bytes(rng: random.Random, content: bytes, members: list) -> bytes:
    _, data, _, _ = rng.choice(members)
    at = data - BLOCK + rng.randrange(160)
    return overwritten(content, at, bytes(rng.randint(1, 40)))


def zeroed_blocks(rng: random.Random, content: bytes, members: list) -> bytes:
    header, _, _, _ = rng.choice(members)
    return overwritten(content, header, bytes(BLOCK * rng.randint(1, 4)))


def random_header(rng: random.Random, content: bytes, members: list) -> bytes:
    header, _, _, _ = rng.choice(members)
    return overwritten(content, header, rng.randbytes(rng.randint(1, BLOCK)))


def cut_between_members(rng: random.Random, content: bytes, members: list) -> bytes:
    return content[: rng.choice(members)[0]]


def cut_in_header(rng: random.Random, content: bytes, members: list) -> bytes:
    header, data, _, _ = rng.choice(members)
    return content[: rng.randrange(header + 1, data)]


def cut_anywhere(rng: random.Random, content: bytes, members: list) -> bytes:
    return content[: rng.randrange(len(content))]


def stopped_download(rng: random.Random, content: bytes, members: list) -> bytes:
    kept = content[: rng.choice((rng.randrange(len(content)), rng.choice(members)[0]))]
    return kept + bytes(2 << 20)


def joined_with_itself(rng: random.Random, content: bytes, members: list) -> bytes:
    return content + content


def joined_with_another(rng: random.Random, content: bytes, members: list) -> bytes:
    other = images.tar_of([("train/n01440764/other.JPEG", b"x"), ("n01440764.tar", b"y" * 999)])
    return rng.choice((content + other, other + content))


def joined_after_a_cut(rng: random.Random, content: bytes, members: list) -> bytes:
    """Cut where no header is due: two tars that fit together exactly are one, to anyone."""
    boundaries = {start for start, _, _, _ in members}
    at = next(n for n in iter(lambda: rng.randrange(len(content)), -1) if n not in boundaries)
    return content[:at] + content


def lost_bytes(rng: random.Random, content: bytes, members: list) -> bytes:
    header, data, _, _ = rng.choice(members)
    at = rng.randrange(header, data)
    return content[:at] + content[at + rng.randint(1, BLOCK - 1) :]


def rubbish_at_the_end(rng: random.Random, content: bytes, members: list) -> bytes:
    return content + rng.randbytes(rng.randint(1, 5000))


DAMAGES = (
    flipped_bit,
    zeroed_bytes,
    zeroed_blocks,
    random_header,
    cut_between_members,
    cut_in_header,
    cut_anywhere,
    stopped_download,
    joined_with_itself,
    joined_with_another,
    joined_after_a_cut,
    lost_bytes,
    rubbish_at_the_end,
)


def outcome(layout: str, path: Path, whole: Found, shown: str) -> str:
    """`refused`, `whole` or `data`; fails for an image that is lost, renamed or relabelled."""
    try:
        found = read(layout, path)
    except DataError as error:
        assert "\n" not in str(error)
        return "refused"
    assert found.keys() == whole.keys(), f"{shown}: {len(found)} of {len(whole)} images"
    changed = [content for key, content in found.items() if content != whole[key]]
    return "data" if changed else "whole"


def damage_all(layout: str, path: Path, file: Path, pack: Callable = bytes) -> Counter:
    """Damage one tar in COUNT ways, one after the other; count what came of it."""
    whole, content = read(layout, path), file.read_bytes()
    plain = lzma.decompress(content) if content[:1] == b"\xfd" else content
    members = list(spans(plain))
    rng, counts = random.Random(0), Counter()
    for number, damage in zip(range(COUNT), itertools.cycle(DAMAGES), strict=False):
        damaged = damage(rng, plain, members)
        file.write_bytes(pack(damaged))
        shown = f"{layout}, damage {number}: {damage.__name__}"
        result = outcome(layout, path, whole, shown)
        assert result == "refused" or damage is not cut_between_members, shown
        counts[result] += 1
    file.write_bytes(content)
    assert read(layout, path) == whole
    return counts


def small_tree() -> images.Tree:
    return images.imagenet(False)


def packed_lightly(content: bytes) -> bytes:
    return gzip.compress(content, 1)


def long_names(tree: images.Tree) -> images.Tree:
    """The same with names that do not fit into a tar's header."""
    return {
        split: {
            cls: {f"{'long_' * 30}{name}": data for name, data in files.items()}
            for cls, files in classes.items()
        }
        for split, classes in tree.items()
    }


def write_long_names(path: Path, kind: int) -> None:
    with tarfile.open(path, "w", format=kind) as archive:
        for split, cls, name, content in images.files(long_names(small_tree())):
            member = tarfile.TarInfo(f"{split}/{cls}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def test_a_damaged_tar_of_a_tree(tmp_path):
    path = images.write_tar(small_tree(), tmp_path / "a.tar")
    counts = damage_all("tar", path, path)
    assert counts["refused"] > 0.8 * COUNT and counts["data"] < 0.05 * COUNT, counts


def test_a_damaged_tar_that_is_then_compressed(tmp_path):
    path = images.write_tar(small_tree(), tmp_path / "a.tar.xz", pack=lzma.compress)
    counts = damage_all("tar", path, path, packed_lightly)
    assert counts["refused"] > 0.8 * COUNT, counts


@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT], ids=["gnu", "pax"])
def test_a_damaged_tar_with_long_names(tmp_path, kind):
    path = tmp_path / "a.tar"
    write_long_names(path, kind)
    counts = damage_all("tar", path, path)
    assert counts["refused"] > 0.8 * COUNT, counts


@pytest.mark.parametrize("name", [TRAIN, VAL])
def test_damaged_official_tars(tmp_path, name):
    path = images.write_imagenet_tars(small_tree(), tmp_path / "tars")
    counts = damage_all("imagenet_tars", path, path / name)
    assert counts["refused"] > 0.8 * COUNT, counts


def test_a_damaged_class_tar_inside_a_whole_tar(tmp_path):
    """The damage was there before the class tars were packed: the outer tar is whole."""
    tree = small_tree()
    path = images.write_imagenet_tars(tree, tmp_path / "tars")
    whole, rng, counts = read("imagenet_tars", path), random.Random(0), Counter()
    inner = {
        f"{cls}.tar": images.tar_of(list(files.items())) for cls, files in tree["train"].items()
    }
    for number, damage in zip(range(COUNT), itertools.cycle(DAMAGES), strict=False):
        name = rng.choice(sorted(inner))
        damaged = damage(rng, inner[name], list(spans(inner[name])))
        (path / TRAIN).write_bytes(images.tar_of(list((inner | {name: damaged}).items())))
        shown = f"damage {number} of {name}: {damage.__name__}"
        counts[outcome("imagenet_tars", path, whole, shown)] += 1
    assert counts["refused"] > 0.8 * COUNT, counts


def test_a_damaged_devkit_gives_no_wrong_label(tmp_path):
    path = images.write_imagenet_tars(small_tree(), tmp_path / "tars")
    whole, file = read("imagenet_tars", path), path / "ILSVRC2012_devkit_t12.tar.gz"
    content, rng = file.read_bytes(), random.Random(0)
    for number in range(COUNT):
        at = rng.randrange(len(content))
        damaged = content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1 :]
        file.write_bytes(content[:at] if number % 4 == 0 else damaged)
        outcome("imagenet_tars", path, whole, f"damage {number}")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_damaged_compressed_stream(tmp_path, pack):
    path = images.write_tar(small_tree(), tmp_path / "a.tar", pack=pack)
    whole, content, rng = read("tar", path), path.read_bytes(), random.Random(0)
    for number in range(40):
        at = rng.randrange(len(content))
        flipped = content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1 :]
        cases = (flipped, content[:at], content + content, content + rng.randbytes(99))
        path.write_bytes(cases[number % 4])
        assert outcome("tar", path, whole, f"damage {number}") != "data"


def test_damage_inside_images_is_counted_apart(tmp_path):
    """Names and labels hold. JPEG has no checksum, so it shows few of the flipped bits."""
    path = images.write_tar(small_tree(), tmp_path / "a.tar")
    whole, content, rng = read("tar", path), path.read_bytes(), random.Random(0)
    members, counts = list(spans(content)), Counter()
    for _ in range(COUNT):
        _, data, end, _ = rng.choice(members)
        at = rng.randrange(data, end)
        path.write_bytes(overwritten(content, at, bytes([content[at] ^ 1 << rng.randrange(8)])))
        found = read("tar", path)
        assert found.keys() == whole.keys()
        changed = [data for key, data in found.items() if data != whole[key]]
        counts[shown_by_the_format(changed)] += 1
    assert counts.total() == COUNT and counts["not shown"] < COUNT, counts


def shown_by_the_format(changed: list[bytes]) -> str:
    if not changed:
        return "between images"
    try:
        decode_rgb(changed[0])
    except BadImage:
        return "shown"
    return "not shown"


# -- single faults, and what is said of them ------------------------------------------------------


@pytest.fixture
def tar(tmp_path) -> Path:
    return images.write_tar(small_tree(), tmp_path / "a.tar")


def refused(path: Path, layout: str = "tar", **keys: object) -> str:
    with pytest.raises(DataError) as caught:
        read(layout, path, **keys)
    return str(caught.value)


def test_each_damage_names_its_byte(tar):
    content = tar.read_bytes()
    members = list(spans(content))
    third, end = members[2][0], members[-1][2]
    cases = {
        f"{third:,}: no readable header|{third:,}: neither": overwritten(content, third, b"?"),
        f"{third:,}: neither a member's header nor": overwritten(content, third, bytes(BLOCK)),
        f"{third:,}: the end mark is missing": content[:third],
        f"{third + 99:,}: |{third:,}: ": content[: third + 99],
        f"{len(content):,}: members follow the end mark at byte {end:,}": content + content,
        f"{end:,}: neither": content + b"rubbish",
        "zeros in place of members": content[:third] + bytes(3 << 20),
        "cut off inside member": content[: third - 600],
    }
    for said, damaged in cases.items():
        tar.write_bytes(damaged)
        message = refused(tar)
        assert any(
            f"{tar}: damaged at byte" in message and s in message for s in said.split("|")
        ), message


def test_a_missing_end_mark_is_accepted_when_told_and_nothing_else(tar):
    content, whole = tar.read_bytes(), read("tar", tar)
    members = list(spans(content))
    tar.write_bytes(content[: members[-1][2]])
    assert "set `source.end_mark: optional`" in refused(tar)
    assert read("tar", tar, end_mark="optional") == whole
    tar.write_bytes(content[: members[-1][2] + BLOCK])
    assert "end mark is missing" in refused(tar)
    assert read("tar", tar, end_mark="optional") == whole
    for damaged in (content + content, overwritten(content, members[2][0], bytes(BLOCK))):
        tar.write_bytes(damaged)
        assert "damaged at byte" in refused(tar, end_mark="optional")


def test_end_mark_belongs_to_layouts_of_tars():
    with pytest.raises(ValueError, match="end_mark does nothing when layout is folder"):
        Source(layout="folder", path="x", end_mark="optional")


def test_a_damaged_class_tar_is_named(tmp_path):
    path = images.write_imagenet_tars(small_tree(), tmp_path / "tars")
    content = (path / TRAIN).read_bytes()
    header = next(start for start, _, _, name in spans(content) if name == "n02105855_2.JPEG")
    (path / TRAIN).write_bytes(overwritten(content, header, bytes(BLOCK)))
    message = refused(path, "imagenet_tars")
    assert f"{TRAIN}: n02105855.tar: damaged at byte {header:,}" in message


def test_a_huge_header_takes_no_memory(tmp_path):
    """A damaged long name may claim the rest of the tar, which tarfile would read at once."""
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 1 << 40
    (tmp_path / "a.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(4096))
    assert "a header of 1,099,511,627,776 bytes" in refused(tmp_path / "a.tar")


def test_the_content_of_a_long_names_header_is_checked(tmp_path):
    info = tarfile.TarInfo(f"train/a/{'x' * 120}.png")
    for kind, old, new in (
        (tarfile.PAX_FORMAT, b"path=", b"qath="),
        (tarfile.PAX_FORMAT, b"142 path", b"14  path"),
        (tarfile.PAX_FORMAT, b"142 path", b"\x0042 path"),
        (tarfile.GNU_FORMAT, b"train/a/", b"train/b/"),
    ):
        content = info.tobuf(kind) + bytes(10240)
        assert old in content
        (tmp_path / "a.tar").write_bytes(content.replace(old, new, 1))
        assert "long name of a member is not sound" in refused(tmp_path / "a.tar"), (old, new)


def test_a_bomb_is_bounded(tmp_path, monkeypatch):
    from ablation.sources import unpack

    monkeypatch.setattr(unpack, "ALWAYS_UNPACKED", 1 << 20)
    for pack in (gzip.compress, bz2.compress, lzma.compress):
        (tmp_path / "a.tar").write_bytes(pack(bytes(4 << 20)))
        message = refused(tmp_path / "a.tar")
        assert "100 times its size" in message and "name the plain tar" in message
        assert [p.name for p in tmp_path.iterdir()] == ["a.tar"]


def test_a_bomb_of_a_devkit_is_bounded(tmp_path, monkeypatch):
    from ablation.sources import imagenet_tars

    monkeypatch.setattr(imagenet_tars, "MAX_DEVKIT", 1 << 20)
    path = images.write_imagenet_tars(small_tree(), tmp_path / "tars")
    (path / "ILSVRC2012_devkit_t12.tar.gz").write_bytes(gzip.compress(bytes(4 << 20)))
    assert "holds more than 1,048,576 bytes" in refused(path, "imagenet_tars")


def test_an_idx_file_is_read_no_further_than_its_header_says(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(images.ROOT / "tools")
    from make_fashion_subset import read_idx

    head = b"\0\0\x08\x02" + (2).to_bytes(4, "big") + (3).to_bytes(4, "big")
    (tmp_path / "a.gz").write_bytes(gzip.compress(head + b"abcdef"))
    assert read_idx(tmp_path / "a.gz") == (b"abcdef", (2, 3))
    (tmp_path / "a.gz").write_bytes(gzip.compress(head + bytes(16 << 20)))
    with pytest.raises(SystemExit, match="does not hold the"):
        read_idx(tmp_path / "a.gz")


@pytest.mark.skipif(shutil.which("tar") is None, reason="there is no tar here")
@pytest.mark.parametrize("options", ["", "-b 1", "-b 2048", "-z", "-J"])
@pytest.mark.parametrize("kind", ["gnu", "oldgnu", "pax", "ustar"])
def test_what_gnu_tar_writes_is_whole(tmp_path, kind, options):
    tree = small_tree() if kind == "ustar" else long_names(small_tree())
    images.write_folder(tree, tmp_path / "t")
    if kind == "pax":
        (tmp_path / "t/train/n01440764").rename(tmp_path / "t/train/ä n")
        (tmp_path / "t/val/n01440764").rename(tmp_path / "t/val/ä n")
    command = ["tar", f"--format={kind}", *options.split(), "-C", tmp_path, "-cf"]
    subprocess.run([*command, tmp_path / "a.tar", "t"], check=True)
    assert read("tar", tmp_path / "a.tar") == read("folder", tmp_path / "t")


def test_what_no_tar_shows_known_counts_do(tmp_path):
    """Cut between two images and closed with an end mark: a whole tar of fewer images."""
    config = images.write_config(
        tmp_path,
        "d",
        "tar",
        images.write_tar(small_tree(), tmp_path / "a.tar"),
        expect={"train": {"images": 15}, "val": {"images": 6}},
    )
    content = (tmp_path / "a.tar").read_bytes()
    at = list(spans(content))[-1][0]
    (tmp_path / "a.tar").write_bytes(content[:at] + bytes(10240))
    assert len(read("tar", tmp_path / "a.tar")) == 20
    with pytest.raises(DataError, match="14 train images, expected 15"):
        lock_dataset.lock_dataset(load_dataset(config, "d"), 1, progress=False)


@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT], ids=["gnu", "pax"])
def test_damage_inside_a_long_name_is_counted_apart(tmp_path, kind):
    """A long name has no checksum, but its beginning stands in the tar twice: the label holds."""
    path = tmp_path / "a.tar"
    write_long_names(path, kind)
    whole, content, rng = read("tar", path), path.read_bytes(), random.Random(0)
    members, counts = list(spans(content)), Counter()
    labels = Counter((split, cls, data) for (split, cls, _), data in whole.items())
    for _ in range(COUNT):
        header, data, _, _ = rng.choice(members)
        at = rng.randrange(header + BLOCK, data - BLOCK)
        path.write_bytes(overwritten(content, at, bytes([content[at] ^ 1 << rng.randrange(8)])))
        try:
            listing = open_source(Source(layout="tar", path=str(path)), Path("/"))
        except DataError:
            counts["refused"] += 1
            continue
        samples = [(split, i) for split, there in listing.splits.items() for i in there]
        found = Counter((split, i.cls, i.read()) for split, i in samples)
        assert found <= labels and (labels - found).total() == len(listing.stray)
        names = {(split, i.cls, i.name) for split, i in samples}
        counts["whole" if names == whole.keys() else "renamed"] += 1
    assert counts["refused"] > 0.3 * COUNT, counts
