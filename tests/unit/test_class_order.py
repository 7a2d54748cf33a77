"""The order of classes: a label is a place among sorted names, an output what timm means by it."""

from __future__ import annotations

import json
from pathlib import Path

import configs
import images
import lock_dataset
import plan_study
import pytest
import yaml

from ablation.class_order import numbers_as_text, other_order, timm_synsets, unchecked_order
from ablation.cli import run
from ablation.grid import Planner
from ablation.weights import OtherCell, TimmWeights, WeightsFile

TIMM = TimmWeights(arch="beit_base_patch16_224.in22k_ft_in22k_in1k")
FILE = WeightsFile(path="a.pt", sha256="a" * 64)
NUMBERS = sorted(str(n) for n in range(1000))
ENOUGH = [f"{n:03d}" for n in range(1000)]


def test_the_synsets_are_those_that_timm_uses() -> None:
    from timm.data import ImageNetInfo

    assert list(timm_synsets()) == ImageNetInfo().label_names() == sorted(timm_synsets())
    assert len(timm_synsets()) == 1000


def test_numbers_that_sort_as_text_are_told() -> None:
    assert NUMBERS[:3] == ["0", "1", "10"]
    assert numbers_as_text(NUMBERS).endswith("label 2 is class '10'")
    for fine in (ENOUGH, [str(n) for n in range(10)], ["a", "b"], timm_synsets()):
        assert numbers_as_text(fine) is None


def test_timms_order_is_compared_where_it_is_known() -> None:
    assert other_order(TIMM, timm_synsets()) is None
    assert unchecked_order(TIMM, "d", timm_synsets()) is None
    assert "label 2 is class '10'" in other_order(TIMM, NUMBERS)
    strange = ["n00000001", *timm_synsets()[1:]]
    assert "'n00000001' is none of them" in other_order(TIMM, strange)
    for names in (ENOUGH, ["cat", "dog"]):
        assert other_order(TIMM, names) is None
        assert f"0 = '{names[0]}', 1 = '{names[1]}'" in unchecked_order(TIMM, "d", names)


def test_a_file_is_taken_on_trust_and_told() -> None:
    """It may be of this very dataset, so numbers are no mistake."""
    assert other_order(FILE, NUMBERS) is None
    assert "label 2 is class '10'" in unchecked_order(FILE, "d", NUMBERS)
    assert "a.pt" in unchecked_order(FILE, "d", timm_synsets())
    assert unchecked_order(OtherCell(study="s", variant={}), "d", NUMBERS) is None


@pytest.fixture
def numbered(tmp_path: Path) -> Path:
    """A plan with a timm teacher over a dataset of 11 numbered classes."""
    folder = configs.write(tmp_path / "config")
    path = folder / "datasets/fashion_mnist.lock.json"
    lock = json.loads(path.read_text())
    lock["classes"] = sorted(map(str, range(11)))
    for split in ("train", "val"):
        lock[split]["per_class"] += [0]
    path.write_text(json.dumps(lock))
    path = folder / "datasets/fashion_mnist.yaml"
    content = yaml.safe_load(path.read_text())
    del content["expect"]
    path.write_text(yaml.safe_dump(content))
    with open(folder / "recipes/r.yaml", "a") as file:
        file.write(f"distill: {{alpha: 1, teacher: {{name: timm, arch: {TIMM.arch}}}}}\n")
    return folder


def test_a_plan_with_a_teacher_of_another_order_is_refused(numbered, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / TIMM.file(Path()).parent).mkdir()
    TIMM.file(Path()).write_bytes(b"")
    lines = Planner(numbered).plan("s", "z").missing_files(tmp_path)
    assert len(lines) == 2 and "distill.teacher: beit" in lines[0]
    assert "label 2 is class '10'" in lines[0] and "make the lock again" in lines[0]


def test_the_plan_says_what_it_takes_on_trust(tmp_path, capsys) -> None:
    folder = configs.write(tmp_path / "config")
    args = ["--study", "s", "--scale", "z", "--config-dir", str(folder)]
    assert run(plan_study.main, args) == 0
    assert "note:" not in capsys.readouterr().out
    with open(folder / "recipes/r.yaml", "a") as file:
        file.write(f"distill: {{alpha: 1, teacher: {{name: timm, arch: {TIMM.arch}}}}}\n")
    assert run(plan_study.main, args) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "note: distill.teacher: the classes of beit" in said and "0 = '0_tshirt_top'" in said
    plan = Planner(folder).plan("s", "z")
    assert len(plan.notes) == 1, "a line, not one a cell"


def test_a_start_with_a_head_of_its_own_has_no_order(tmp_path) -> None:
    folder = configs.write(tmp_path / "config")
    weights = f"{{name: file, path: a.pt, sha256: {'a' * 64}}}"
    with open(folder / "recipes/r.yaml", "a") as file:
        file.write(f"pretrained: {{weights: {weights}, head: keep}}\n")
    assert len(Planner(folder).plan("s", "z").notes) == 1
    configs.edit(folder / "recipes/r.yaml", "head: keep", "head: new")
    assert Planner(folder).plan("s", "z").notes == ()


def test_the_lock_of_numbered_folders_says_how_they_sort(tmp_path, capsys) -> None:
    one = {"a.png": images.encode(images.photo(0), "PNG")}
    tree = {split: {str(n): one for n in range(11)} for split in ("train", "val")}
    config = images.write_config(tmp_path, "d", "folder", images.write_folder(tree, tmp_path / "t"))
    assert run(lock_dataset.main, ["--dataset", "d", "--config-dir", str(config)]) == 0
    assert "label 2 is class '10'" in capsys.readouterr().out
