"""What a cell asks of the cluster: who may say so, who wins, and that no result follows from it."""

from __future__ import annotations

from pathlib import Path

import configs
import pytest

from ablation.config.resources import Resources, Site
from ablation.errors import ConfigError
from ablation.grid import Planner

STUDY, RECIPE, SCALE = "studies/s.yaml", "recipes/r.yaml", "scales/z.yaml"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return configs.write(tmp_path)


def asked(folder: Path, site: Site | None = None) -> Resources:
    return Planner(folder).plan("s", "z").resources(site or Site())


def add(folder: Path, path: str, text: str) -> None:
    with open(folder / path, "a") as file:
        file.write(text)


def test_the_later_of_site_scale_recipe_study_wins(folder: Path) -> None:
    site = Site(partition="site", account="site", qos="site", constraint="site")
    add(folder, SCALE, "resources: {mem_mb: 1000, runtime: 10, gpus: 1, account: scale, "
        "qos: scale, constraint: scale}\n")  # fmt: skip
    add(folder, RECIPE, "resources: {z: {mem_mb: 2000, qos: recipe, constraint: recipe}}\n")
    add(folder, STUDY, "resources: {z: {gpu_model: a100, constraint: study}}\n")
    found = asked(folder, site)
    assert (found.partition, found.account, found.qos) == ("site", "scale", "recipe")
    assert (found.constraint, found.mem_mb, found.runtime) == ("study", 2000, 10)
    assert (found.gpus, found.gpu_model, found.cpus) == (1, "a100", 1)


def test_another_scale_s_settings_are_not_taken(folder: Path) -> None:
    (folder / "scales/other.yaml").write_text("title: o\n")
    add(folder, STUDY, "resources: {other: {mem_mb: 9999}}\n")
    assert asked(folder).mem_mb == Resources().mem_mb


def test_resources_are_no_part_of_cells_nor_of_the_plan_s_digest(folder: Path) -> None:
    before = Planner(folder).plan("s", "z")
    add(folder, STUDY, "resources: {z: {mem_mb: 9999}}\n")
    add(folder, RECIPE, "resources: {z: {gpus: 4}}\n")
    after = Planner(folder).plan("s", "z")
    assert [c.id for c in after.cells] == [c.id for c in before.cells]
    assert after.digest == before.digest


def test_memory_and_time_are_raised_at_each_attempt_up_to_their_maximum() -> None:
    found = Resources(mem_mb=1000, max_mem_mb=2500, runtime=60, cpus=3)
    assert [found.asked("mem_mb", n) for n in (1, 2, 3)] == [1000, 2000, 2500]
    assert [found.asked("runtime", n) for n in (1, 2, 3)] == [60, 120, 180]
    assert found.asked("cpus", 3) == 3 and found.asked("partition") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("resources: {y: {mem_mb: 1}}\n", "there is no 'y'"),
        ("resources: {z: {mem: 1}}\n", "mem_mb"),
        ("resources: {z: {gpu_model: a100}}\n", "gpus is 0"),
        ("resources: {z: {mem_mb: 900, max_mem_mb: 800}}\n", "max_mem_mb 800 is less"),
    ],
)
def test_impossible_requests_are_refused(folder: Path, text: str, said: str) -> None:
    add(folder, STUDY, text)
    with pytest.raises(ConfigError, match=said):
        asked(folder)
