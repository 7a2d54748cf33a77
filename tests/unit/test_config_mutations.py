"""Any value in any place of any file is planned or refused in short lines: no traceback."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import configs
import pytest
import yaml

from ablation.config.resources import Site
from ablation.errors import UserError
from ablation.grid import Planner

STUDY = """\
figures: {f: {kind: curves, title: x, colour: lr}, h: {kind: heatmap, title: x, x: lr, y: lr}}
published: [{where: w, variant: {lr: 0.1}, value: 70, to: 80, measures: last}]
claims:
  - number: 1
    scales: [z]
    seeds: 2
    parts:
      - {kind: superiority, measure: {name: at, epochs: [1, 2]}, direction: higher,
         pairs: [{variant: {lr: 0.1}, against: {lr: 0.2}}], margin: 1, why: w}
      - {kind: threshold, measure: {name: reached, threshold: {z: 70}}, variants: [{lr: 0.1}],
         relation: above, value: 0.5}
columns: [fit]
assumed: {lr: guessed}
not_at: {other: why}
resources: {z: {gpus: 1, gpu_model: a100, runtime: 10, extra: --nice=5}}
base: {augment: {name: standard}, schedule.name: cosine}
rows: {a: {lr: 0.3}}
"""
RECIPE = """\
policy: {name: randaugment, n: 2}
erase: {name: random_erasing}
mix: {name: mixup}
averaging: {name: ema, half_life_epochs: 1}
compute: {threads: 2}
"""
SCALE = """\
epochs: {4: 2}
batch_sizes: {128: 64}
img_sizes: {28: 28}
thresholds: [60, 70]
train_shares: {1.0: 0.5}
resources: {mem_mb: 1000}
"""
CLAIMS = "documents: [{title: d, claims: {1: {place: p, says: s}}}]\n"
EVIL = (
    *(None, True, -1, 0, 0.5, 10**9, 1e308, float("inf"), 10**50, "x", "", "x" * 100_000, "a\nb"),
    *("../x", "0.1", "é\u202e", [], {}, [[1]], {"a": 1}, {"name": "x"}, {"name": None}, [None]),
    *(["a", "a"], {1: 2}, {True: 1}, {"kind": []}),
)
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
FILES = ("studies/s.yaml", "recipes/r.yaml", "scales/z.yaml", "datasets/fashion_mnist.yaml",
         "claims.yaml")  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = configs.write(tmp_path / "config")
    (made / "scales/other.yaml").write_text("title: o\n")
    for name, text in zip(FILES[:3], (STUDY, RECIPE, SCALE), strict=True):
        (made / name).write_text((made / name).read_text() + text)
    (made / "claims.yaml").write_text(CLAIMS)
    return made


def places(content: Any, above: tuple = ()) -> Iterator[tuple]:
    items = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in items:
        yield (*above, key)
        if isinstance(value, (dict, list)):
            yield from places(value, (*above, key))


@pytest.mark.parametrize("file", FILES)
def test_any_value_in_any_place(folder: Path, file: str) -> None:
    path = folder / file
    text = path.read_text()
    assert Planner(folder).plan("s", "z").resources(Site()).gpus == 1
    refused = 0
    original = yaml.safe_load(text)
    for place in places(original):
        for value in EVIL:
            content = inner = copy.deepcopy(original)
            for key in place[:-1]:
                inner = inner[key]
            inner[place[-1]] = value
            path.write_text(yaml.dump(content, Dumper=DUMPER, sort_keys=False, allow_unicode=True))
            try:
                Planner(folder).plan("s", "z").resources(Site())
            except UserError as error:
                refused += 1
                assert str(error) and len(str(error)) < 10_000, (place, value)
    assert refused > 50
