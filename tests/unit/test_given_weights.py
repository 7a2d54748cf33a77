"""Weights from elsewhere: other cells, files and names in timm, in the plan and in a training."""

from __future__ import annotations

import hashlib
from pathlib import Path

import configs
import pytest
import torch
from safetensors.torch import save_file
from training import PLAIN

from ablation import trained
from ablation.errors import ConfigError, UserError
from ablation.grid import Planner
from ablation.teacher import _read, diverged_parent, starting_weights, teacher_of
from ablation.weights import TimmWeights

STUDY, RECIPE, SCALE = "studies/s.yaml", "recipes/r.yaml", "scales/z.yaml"
TEACHER = """\
title: t
document: d
place: p
question: q
recipe: plain
rows:
  wide: {model.width: 32}
  again: {pretrained: {weights: {name: cell, study: teachers, variant: {row: wide}}}, lr: 0.3,
          model.width: 32}
baseline: {row: wide}
seeds: 1
"""
FROM_WIDE = "{name: cell, study: teachers, variant: {row: wide}}"
TAUGHT = f"distill: {{alpha: 0.5, teacher: {FROM_WIDE}}}\n"
STARTED = f"pretrained: {{weights: {FROM_WIDE}}}\nmodel: {{name: resnet_small, width: 32}}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = configs.write(tmp_path / "config")
    (made / "studies/teachers.yaml").write_text(TEACHER)
    (made / "recipes/plain.yaml").write_text(configs.RECIPE)
    return made


def add(folder: Path, text: str) -> None:
    recipe = (folder / RECIPE).read_text()
    if "model:" in text:
        recipe = recipe.replace("model: {name: resnet_small}\n", "")
    (folder / RECIPE).write_text(recipe + text)


def plan(folder: Path):
    return Planner(folder).plan("s", "z")


def refused(folder: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        plan(folder)
    return str(caught.value)


# -- the plan -------------------------------------------------------------------------------------


def test_a_teacher_is_a_cell_of_its_study_with_the_same_seed(folder: Path) -> None:
    add(folder, TAUGHT)
    found = plan(folder)
    assert [cell.config.seed for cell in found.cells] == [0, 1, 0, 1]
    for cell in found.cells:
        (parent,) = cell.parents
        assert parent.config.seed == cell.config.seed and parent.config.model.width == 32
        assert cell.config.distill.teacher.cell_id == parent.id and parent.needed
    # The study of the teacher has one seed: the other's teacher is trained all the same.
    assert len(found.parents) == 2
    assert {p.id for p in found.parents} >= {Planner(folder).plan("teachers", "z").cells[0].id}
    assert found.cell(found.parents[0].id) == found.parents[0]


def test_one_teacher_for_every_seed(folder: Path) -> None:
    add(folder, TAUGHT.replace("variant:", "seed: 5, variant:"))
    assert [parent.config.seed for parent in plan(folder).parents] == [5]


def test_a_parent_has_parents(folder: Path) -> None:
    add(folder, TAUGHT.replace("row: wide", "row: again"))
    found = plan(folder)
    assert len(found.parents) == 4
    assert all(parent.parents or parent.config.lr == 0.1 for parent in found.parents)


def test_identity_is_of_the_parent_and_not_of_its_name(folder: Path) -> None:
    add(folder, TAUGHT)
    before = [cell.id for cell in plan(folder).cells]
    (folder / "studies/renamed.yaml").write_text(TEACHER.replace("study: teachers", "study: x"))
    configs.edit(folder / RECIPE, "study: teachers", "study: renamed")
    (folder / "studies/x.yaml").write_text(TEACHER.replace("study: teachers", "study: x"))
    text = (folder / "studies/x.yaml").read_text().split("  again")[0]
    (folder / "studies/x.yaml").write_text(text + "baseline: {row: wide}\nseeds: 1\n")
    assert [cell.id for cell in plan(folder).cells] == before
    configs.edit(folder / "studies/renamed.yaml", "wide: {model.width: 32}", "wide: {lr: 0.7}")
    after = [cell.id for cell in plan(folder).cells]
    assert not set(before) & set(after)


def test_a_circle_is_refused(folder: Path) -> None:
    add(folder, TAUGHT.replace("teachers", "s").replace("{row: wide}", "{lr: 0.1}"))
    assert "in a circle: s, lr=0.1 -> s, lr=0.1" in refused(folder)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("study: teachers", "study: teacher", "there is no 'teacher' in"),
        ("row: wide", "row: wid", "no variant is 'wid'; did you mean 'wide'"),
        ("variant:", "cell_id: abc, variant:", "cell_id is filled in by the plan"),
    ],
)
def test_a_teacher_that_is_none_is_refused(folder: Path, old: str, new: str, said: str) -> None:
    add(folder, TAUGHT.replace(old, new))
    assert said in refused(folder)


def test_a_start_of_another_model_is_refused(folder: Path) -> None:
    add(folder, STARTED.replace("name: resnet_small, width: 32", "name: resnet_small, width: 16"))
    assert "a start has the cell's own model" in refused(folder)


def test_a_start_may_have_other_regularization(folder: Path) -> None:
    """Dropout and stochastic depth hold no weights."""
    add(folder, STARTED.replace("width: 32", "width: 32, dropout: 0.1, stochastic_depth: 0.05"))
    assert all(cell.parents[0].config.model.dropout is None for cell in plan(folder).cells)


def test_a_missing_file_is_named_with_its_place_until_the_cell_is_trained(
    folder: Path, tmp_path: Path
) -> None:
    add(folder, "distill: {alpha: 1, teacher: {name: timm, arch: beit_base_patch16_224.some}}\n")
    found = plan(folder)
    lines = found.missing_files(tmp_path)
    assert len(lines) == 2  # a variant each, not a seed each
    assert "put the file model.safetensors of timm's 'beit_base_patch16_224.some'" in lines[0]
    assert "weights/beit_base_patch16_224.some.safetensors" in lines[0]
    for cell in found.cells:
        (tmp_path / cell.id).mkdir()
        (tmp_path / cell.id / "metrics.json").write_text("{}")
    assert found.missing_files(tmp_path) == []


@pytest.mark.parametrize("head", ["head", "fc", "head.fc"])
def test_a_teacher_of_other_classes_is_found_before_any_job(
    head: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the header of its file, without torch."""
    arch = "beit_base_patch16_224.some"
    add(folder, f"distill: {{alpha: 1, teacher: {{name: timm, arch: {arch}}}}}\n")
    found = plan(folder)
    monkeypatch.chdir(tmp_path)
    file = tmp_path / f"weights/{arch}.safetensors"
    file.parent.mkdir()
    save_file({"norm.weight": torch.zeros(4), f"{head}.weight": torch.zeros(1000, 4)}, file)
    lines = found.missing_files(tmp_path)
    assert len(lines) == 2
    assert f"distill.teacher: {arch} knows 1000 classes, fashion_mnist has 10" in lines[0]
    save_file({f"{head}.weight": torch.zeros(10, 4)}, file)
    assert found.missing_files(tmp_path) == []
    # What the header does not tell is found when the weights are loaded.
    for content in ({"other.weight": torch.zeros(1000, 4)}, None):
        file.write_bytes(b"damaged") if content is None else save_file(content, file)
        assert found.missing_files(tmp_path) == []


HEADERS = {
    "long": (5 * 1024**2, b"{}", "the list of its tensors has 5,242,880 bytes, more than the 4,19"),
    "nested": (4 * 1024**2, b"[" * 1024**2, None),  # told when it is loaded
    "a list": (100, b"[]", None),
    "a text in place of a tensor": (100, b'{"head.weight": "x"}', None),
}


@pytest.mark.parametrize("case", HEADERS)
@pytest.mark.parametrize("head", ["keep", "new"])
def test_a_hostile_header_takes_no_memory_and_is_no_traceback(
    folder: Path, tmp_path: Path, monkeypatch, case: str, head: str
) -> None:
    monkeypatch.chdir(tmp_path)
    length, start, said = HEADERS[case]
    content = length.to_bytes(8, "little") + start + b" " * (length - len(start)) + b"0"
    (tmp_path / "a.safetensors").write_bytes(content)
    weights = f"{{name: file, path: a.safetensors, sha256: {'a' * 64}}}"
    add(folder, f"pretrained: {{weights: {weights}, head: {head}}}\n")
    lines = plan(folder).missing_files(tmp_path)
    assert len(lines) == (2 if said else 0)
    assert all(f"pretrained.weights: a.safetensors: {said}" in line for line in lines)


def test_a_start_of_other_classes_wants_a_new_head(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save_file({"fc.weight": torch.zeros(1000, 4)}, tmp_path / "a.safetensors")
    weights = f"{{name: file, path: a.safetensors, sha256: {'a' * 64}}}"
    add(folder, f"pretrained: {{weights: {weights}, head: keep}}\n")
    assert "`head: new` gives" in plan(folder).missing_files(tmp_path)[0]
    configs.edit(folder / RECIPE, "head: keep", "head: new")
    assert plan(folder).missing_files(tmp_path) == []


def test_a_file_counts_by_its_content(folder: Path) -> None:
    digest = "a" * 64
    weights = f"{{name: file, path: a.pt, sha256: {digest}}}"
    add(folder, f"pretrained: {{weights: {weights}}}\n")
    before = [cell.id for cell in plan(folder).cells]
    configs.edit(folder / RECIPE, "path: a.pt", "path: elsewhere/b.pt")
    assert [cell.id for cell in plan(folder).cells] == before
    configs.edit(folder / RECIPE, digest, "b" * 64)
    assert [cell.id for cell in plan(folder).cells] != before


def test_a_scale_maps_a_teacher(folder: Path) -> None:
    add(folder, "distill: {alpha: 1, teacher: {name: timm, arch: beit_base_patch16_224.some}}\n")
    (folder / SCALE).write_text(f"title: z\nweights: {{beit_base_patch16_224.some: {FROM_WIDE}}}\n")
    found = plan(folder)
    assert found.missing_files(Path()) == [] and len(found.parents) == 2


def test_a_misspelt_label_in_a_scale_is_refused(folder: Path) -> None:
    (folder / SCALE).write_text(f"title: z\nweights: {{beit_base_patch16_22.some: {FROM_WIDE}}}\n")
    assert "'beit_base_patch16_22.some' is no model of timm and no file; did you" in refused(folder)


# -- in a training --------------------------------------------------------------------------------


def saved(cell, cells: Path) -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    state = cell.config.model.build(len(cell.dataset.lock.classes)).state_dict()
    (cells / cell.id).mkdir(parents=True)
    torch.save({"cell_id": cell.id, "model": state}, cells / cell.id / "weights.pt")
    return state


def test_a_start_is_the_other_cells_weights(folder: Path, tmp_path: Path) -> None:
    add(folder, STARTED)
    cell = plan(folder).cells[0]
    state = saved(cell.parents[0], tmp_path)
    found = starting_weights(cell, tmp_path)
    assert all(torch.equal(value, state[key]) for key, value in found.items())


def test_a_teacher_has_the_other_cells_weights_and_model(folder: Path, tmp_path: Path) -> None:
    add(folder, TAUGHT)
    cell = plan(folder).cells[0]
    state = saved(cell.parents[0], tmp_path)
    found = teacher_of(cell, tmp_path, torch.device("cpu"))
    assert found.same
    assert all(torch.equal(value, state[key]) for key, value in found.model.state_dict().items())


def test_a_file_of_other_content_is_refused(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "teacher.pt"
    path.write_bytes(b"other")
    digest = hashlib.sha256(b"meant").hexdigest()
    weights = f"{{name: file, path: {path}, sha256: {digest}}}"
    add(folder, f"pretrained: {{weights: {weights}}}\n")
    with pytest.raises(UserError, match="sha256"):
        starting_weights(plan(folder).cells[0], tmp_path)


def test_a_file_of_timm_is_read_as_timm_reads_it(tmp_path: Path, monkeypatch) -> None:
    """Files are older than the models: what these have no more is passed over by timm alone."""
    import timm
    from safetensors.torch import save_file

    weights = TimmWeights(arch="test_vit.r160_in1k")
    monkeypatch.chdir(tmp_path)
    Path("weights").mkdir()
    state = timm.create_model("test_vit").state_dict()
    save_file(state | {"pre_logits.fc.weight": torch.zeros(3)}, weights.file(Path()))
    found = _read(weights, tmp_path)
    assert found.keys() == state.keys()
    assert all(torch.equal(value, found[key]) for key, value in state.items())
    save_file({"other": torch.zeros(3)}, weights.file(Path()))
    with pytest.raises(UserError, match="test_vit.*timm cannot load it"):
        _read(weights, tmp_path)


def test_without_given_weights_there_are_none(folder: Path, tmp_path: Path) -> None:
    cell = plan(folder).cells[0]
    assert starting_weights(cell, tmp_path) is None
    assert teacher_of(cell, tmp_path, torch.device("cpu")) is None
    assert "distill" not in PLAIN


def test_a_cell_says_its_learning_rate_and_the_rule_it_comes_from(folder: Path) -> None:
    import train_cell

    argv = ["--study", "s", "--scale", "z", "--data", "d", "--out", "o", "--checkpoints", "c"]
    configs.edit(folder / STUDY, "lr: [0.1, 0.2]", "lr.per_256: [0.1, 0.2]")
    configs.edit(folder / STUDY, "{lr: 0.1}", "{lr.per_256: 0.1}")
    configs.edit(folder / RECIPE, "lr: 0.1", "lr: {per_256: 0.1}")
    told = trained.describe(train_cell.parse(argv), plan(folder).cells[0])
    assert told["config"]["lr"] == 0.05 and told["lr_rule"] == {"per_256": 0.1, "rule": "linear"}


@pytest.mark.parametrize("content", [None, "", "[]", "{}"])
def test_a_needed_cell_that_is_not_there_is_said_in_one_line(
    content: str | None, folder: Path, tmp_path: Path
) -> None:
    """Of a cell trained by hand: Snakemake trains what it needs first."""
    add(folder, TAUGHT)
    cell = plan(folder).cells[0]
    results = tmp_path / "cells" / cell.parents[0].id
    results.mkdir(parents=True)
    if content is not None:
        (results / "metrics.json").write_text(content)
    said = "not trained yet" if content is None else "cannot be read"
    with pytest.raises(UserError, match=f"{cell.parents[0].id}.*{said}.*train it"):
        diverged_parent(cell, tmp_path / "cells")
