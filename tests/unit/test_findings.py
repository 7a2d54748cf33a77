"""What a scan keeps of each file: everything that is asked for, in a few dozen bytes."""

from __future__ import annotations

import hashlib
import tracemalloc

import images
import pytest

from ablation.config.dataset import Source
from ablation.findings import UNREADABLE, Finding, Findings
from ablation.sources import open_source


def sha(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def test_findings_come_back_as_they_were_put() -> None:
    put = [
        Finding(sha(0), 65_535, 1, None, (1, 2, 3, 4, 5, 6)),
        Finding(sha(1), bad="not an image"),
        Finding(UNREADABLE, bad="cannot be read"),
        Finding(sha(3), 2, 3, None, (10, 20, 30, 40, 50, 60), turned=True),
    ]
    found = Findings(4)
    found.put(2, put[2:])
    found.put(0, put[:2])
    assert found.totals == [11, 22, 33, 44, 55, 66] and found.turned == 1
    assert list(found) == [finding._replace(sums=(0,) * 6) for finding in put]
    assert found.digest(3).hex() == sha(3)
    with pytest.raises(IndexError):
        found[4]


def test_a_finding_takes_less_than_fifty_bytes() -> None:
    """As objects with their sums they were 550: of ImageNet 700 MB."""
    count, chunk = 20_000, 32
    tracemalloc.start()
    try:
        found = Findings(count)
        for start in range(0, count, chunk):
            sums = tuple(10**9 + start + n for n in range(6))
            found.put(start, [Finding(sha(start + n), 400, 500, None, sums) for n in range(chunk)])
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held / count < 50
    assert found[777] == Finding(sha(777), 400, 500)


def test_the_images_of_a_class_share_its_name(tmp_path) -> None:
    path = images.write_tar(images.imagenet(False), tmp_path / "t.tar")
    with open_source(Source(layout="tar", path=str(path)), tmp_path) as listing:
        names = {id(s.cls) for split in listing.splits.values() for s in split}
        assert len(names) == len(listing.classes) == 3
