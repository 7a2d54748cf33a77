"""A study becomes variants and cells: product, rows, labels, scales, reading, order, sharing."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path

import configs
import pytest

from ablation import grid as grid_module
from ablation.config.resources import Site
from ablation.errors import ConfigError, NotAtScale
from ablation.grid import Planner, StudyPlan, format_value
from ablation.overrides import override

GRID, BASELINE = "grid:\n  lr: [0.1, 0.2]\n", "baseline: {lr: 0.1}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return configs.write(tmp_path / "config")


def study(folder: Path, grid: str, baseline: str, *, more: str = "", name: str = "s") -> None:
    """Write a study with another grid and baseline than the small one's."""
    text = configs.STUDY.replace(GRID, grid).replace(BASELINE, f"baseline: {baseline}")
    (folder / f"studies/{name}.yaml").write_text(text + more)


def recipe(folder: Path, **changes: str) -> None:
    """Rewrite lines of the recipe: key -> its YAML."""
    lines = configs.RECIPE.splitlines()
    for key, value in changes.items():
        lines = [line for line in lines if not line.startswith(f"{key}:")] + [f"{key}: {value}"]
    (folder / "recipes/r.yaml").write_text("\n".join(lines) + "\n")


def plan(folder: Path, name: str = "s") -> StudyPlan:
    return Planner(folder).plan(name, "z")


def labels(planned: StudyPlan) -> list[str]:
    return [variant.label for variant in planned.variants]


# -- points ---------------------------------------------------------------------------------------


def test_a_grid_is_the_product_of_its_axes_the_last_one_fastest(folder):
    study(folder, "grid: {batch_size: [64, 128], lr: [0.1, 0.2, 1.0e-3]}\n",
          "{batch_size: 64, lr: 0.2}")  # fmt: skip
    planned = plan(folder)
    points = list(itertools.product([64, 128], [0.1, 0.2, 0.001]))
    assert [(v.training.batch_size, v.training.lr) for v in planned.variants] == points
    assert labels(planned)[2] == "batch_size=64, lr=0.001"
    assert planned.baseline is planned.variants[1]


def test_rows_stand_beside_the_grid_and_may_be_the_baseline(folder):
    rows = "rows: {flat: {schedule.name: cosine, lr: 0.3}, small: {model.width: 8}}\n"
    study(folder, GRID, "{row: flat}", more=rows)
    planned = plan(folder)
    assert labels(planned) == ["lr=0.1", "lr=0.2", "flat", "small"]
    assert planned.baseline.training.schedule.name == "cosine"
    assert planned.variants[3].training.model.width == 8
    assert planned.variants[3].axes == {"row": "small"}


def test_rows_alone_make_a_study(folder):
    study(folder, "rows: {a: {lr: 0.3}, b: {lr: 0.4}}\n", "{row: a}")
    assert labels(plan(folder)) == ["a", "b"]


def test_values_with_parts_are_named_on_their_axis(folder):
    named = "grid:\n  schedule: {flat: {name: constant}, drop: {name: step, every: 2}}\n"
    study(folder, named, "{schedule: drop}")
    planned = plan(folder)
    assert labels(planned) == ["schedule=flat", "schedule=drop"]
    assert planned.baseline.axes == {"schedule": "drop"}
    assert planned.baseline.training.schedule.every == 2


def test_base_holds_for_every_variant_and_leaves_the_recipe_alone(folder):
    study(folder, GRID, "{lr: 0.1}", more="base: {schedule: {name: step, every: 2}}\n")
    planned = plan(folder)
    assert {v.training.schedule.name for v in planned.variants} == {"step"}
    assert planned.recipe.schedule.name == "constant"


def test_labels_are_short_and_never_the_same(folder):
    study(folder, "grid:\n  optimizer.momentum: [0, 0.9, 0.9000000001]\n",
          "{optimizer.momentum: 0.9}")  # fmt: skip
    assert labels(plan(folder)) == ["momentum=0", "momentum=0.9", "momentum=0.9000000001"]
    assert [format_value(v) for v in (True, False, 768, 1e-4, 1_000_000, "step", 2.0)] == [
        "on", "off", "768", "0.0001", "1000000", "step", "2",
    ]  # fmt: skip


# -- overrides ------------------------------------------------------------------------------------

CONTENT = {"lr": 0.1, "schedule": {"name": "step", "every": 30, "decay": 0.1}}


def test_another_name_replaces_the_object_the_same_name_keeps_it():
    assert override(CONTENT, {"schedule.name": "cosine"}, "")["schedule"] == {"name": "cosine"}
    assert override(CONTENT, {"schedule.name": "step"}, "") == CONTENT
    assert override(CONTENT, {"schedule.every": 20}, "")["schedule"]["decay"] == 0.1
    assert CONTENT["schedule"]["every"] == 30


def test_the_order_of_overrides_says_nothing():
    changes = {
        "schedule.final_ratio": 0.1,
        "schedule.name": "cosine",
        "schedule": {"name": "step", "every": 5},
    }
    expected = {"name": "cosine", "final_ratio": 0.1}
    for order in itertools.permutations(changes):
        found = override(CONTENT, {key: changes[key] for key in order}, "")
        assert found["schedule"] == expected


# -- scales ---------------------------------------------------------------------------------------

LONG = {
    "epochs": "90",
    "schedule": "{name: step, milestones: [30, 60, 80], warmup_epochs: 5}",
    "train_share": "0.5",
    "val_share": "0.5",
}


def scaled(folder: Path, text: str) -> StudyPlan:
    (folder / "scales/z.yaml").write_text(f"title: z\n{text}\n")
    return plan(folder)


def test_what_is_counted_in_epochs_keeps_its_share(folder):
    recipe(folder, **LONG)
    variant = scaled(folder, "epochs_divide_by: 5").variants[0]
    assert variant.document.epochs == 90 and variant.training.epochs == 18
    assert variant.training.schedule.milestones == (6, 12, 16)
    assert variant.training.schedule.warmup_epochs == 1
    # 90 / 4 = 22.5 is rounded to 22: the share is that of the epochs that are really run.
    rounded = scaled(folder, "epochs_divide_by: 4").variants[0].training
    assert rounded.epochs == 22
    assert rounded.schedule.milestones == pytest.approx((30 * 22 / 90, 60 * 22 / 90, 80 * 22 / 90))
    recipe(folder, **LONG | {"schedule": "{name: step, every: 30}"})
    assert scaled(folder, "epochs_divide_by: 45").variants[0].training.schedule.every == 2 * 30 / 90


@pytest.mark.parametrize(("rule", "share"), [("linear", 384 / 256), ("sqrt", (384 / 256) ** 0.5)])
def test_a_learning_rate_follows_the_document_s_batch_size(folder, rule, share):
    recipe(folder, lr=f"{{per_256: 0.2, rule: {rule}}}")
    study(folder, "grid:\n  batch_size: [256, 384]\n", "{batch_size: 256}")
    whole, divided = plan(folder), scaled(folder, "batch_divide_by: 2")
    for planned, sizes in ((whole, [256, 384]), (divided, [128, 192])):
        first, second = (v for v in planned.variants)
        assert [v.training.batch_size for v in (first, second)] == sizes
        rates = {c.variant.label: c.config.lr for c in planned.cells}
        assert rates == {first.label: 0.2, second.label: pytest.approx(0.2 * share)}


def test_a_length_in_the_scale_s_table_is_not_divided(folder):
    recipe(folder, **LONG)
    training = scaled(folder, "epochs_divide_by: 5\nepochs: {90: 30}").variants[0].training
    assert training.epochs == 30 and training.schedule.milestones == (10, 20, 80 / 3)
    other = scaled(folder, "epochs_divide_by: 5\nepochs: {16: 6}").variants[0].training
    assert other.epochs == 18


def test_two_checkpoints_are_averaged_at_the_least(folder):
    ema = "{half_life_epochs: 9, ramp_beta: 15}"
    text = "{name: checkpoints, count: 10, ema: %s}"
    recipe(folder, **LONG | {"averaging": text % ema})
    for divide, count in ((2, 5.0), (10, 2.0), (30, 2.0)):
        found = scaled(folder, f"epochs_divide_by: {divide}").variants[0].training.averaging
        assert found.count == pytest.approx(count)
        assert found.ema.half_life_epochs == pytest.approx(9 / divide) and found.ema.ramp_beta == 15
    recipe(folder, averaging="{name: checkpoints, count: 1}")
    with pytest.raises(ConfigError, match="no two checkpoints"):
        scaled(folder, "epochs_divide_by: 2")
    recipe(folder, **LONG | {"averaging": text % "{decay: 0.999}"})
    with pytest.raises(ConfigError, match="averaging.ema.half_life_epochs instead"):
        scaled(folder, "epochs_divide_by: 2")


def test_a_scale_leaves_the_comparison_alone(folder):
    recipe(folder, **LONG)
    scale = "epochs_divide_by: 5\nbatch_divide_by: 2\nimg_sizes: {28: 14}\ntrain_share: 0.4\n"
    scale += "models: {resnet_small: {name: resnet_small, width: 4}}"
    for variant in scaled(folder, scale).variants:
        document, training = variant.document, variant.training
        assert (training.lr, training.optimizer) == (document.lr, document.optimizer)
        assert (training.augment, training.loss) == (document.augment, document.loss)
        assert training.schedule.decay == document.schedule.decay
        assert (training.batch_size, training.img_size) == (64, 14)
        assert (training.model.width, document.model.width) == (4, 16)
        assert (training.train_share, training.val_share) == (0.2, 0.5)  # shares multiply


def test_a_scale_s_model_keeps_the_document_s_regularization(folder):
    recipe(folder, model="{name: timm, arch: resnet50, dropout: 0.2, stochastic_depth: 0.1}")
    scale = "models: {resnet50: {name: resnet_small, width: 4%s}}"
    model = scaled(folder, scale % "").variants[0].training.model
    assert (model.width, model.dropout, model.stochastic_depth) == (4, 0.2, 0.1)
    model = scaled(folder, scale % ", dropout: 0.5").variants[0].training.model
    assert (model.dropout, model.stochastic_depth) == (0.5, 0.1)
    with pytest.raises(ConfigError, match="dropout"):
        scaled(folder, "models: {resnet50: {name: resnet56_v2}}")


def test_a_table_of_batch_sizes_comes_before_the_divisor(folder):
    study(folder, "grid: {batch_size: [64, 128, 252]}\n", "{batch_size: 64}")
    planned = scaled(folder, "batch_sizes: {64: 8, 128: 16}\nbatch_divide_by: 6")
    assert [v.training.batch_size for v in planned.variants] == [8, 16, 42]
    assert [v.document.batch_size for v in planned.variants] == [64, 128, 252]


def test_a_rate_that_follows_the_batch_is_that_of_the_document(folder):
    study(folder, "grid: {batch_size: [64, 128]}\n", "{batch_size: 64}",
          more="base: {lr: {per_256: 0.4}}\n")  # fmt: skip
    planned = scaled(folder, "batch_sizes: {64: 8, 128: 16}")
    assert [v.training.lr for v in planned.variants] == [0.1, 0.2]


def test_a_table_of_shares_replaces_the_product(folder):
    study(folder, "grid: {train_share: [1.0, 0.5, 0.018]}\n", "{train_share: 1.0}")
    planned = scaled(folder, "train_shares: {0.018: 0.18}\ntrain_share: 0.4")
    assert [v.training.train_share for v in planned.variants] == [0.4, 0.2, 0.18]


def test_clean_images_follow_the_share_that_a_study_takes(folder):
    study(folder, "grid: {train_share: [1.0, 0.1]}\n", "{train_share: 1.0}")
    scale = "train_share: 0.5\nmeasure: {clean_images: 1000, clean_every: 3}"
    measures = [v.training.measure for v in scaled(folder, scale).variants]
    assert [(m.clean_images, m.clean_every) for m in measures] == [(1000, 3), (100, 3)]
    # Without a replacement the study's own number holds, and is checked against its images.
    recipe(folder, measure="{clean_images: 600}")
    with pytest.raises(ConfigError, match="clean_images 600 is larger than the training set"):
        scaled(folder, "")


def test_a_study_is_not_planned_at_a_scale_that_cannot_carry_it(folder):
    study(folder, GRID, "{lr: 0.1}", more="not_at: {z: too short}\n")
    with pytest.raises(NotAtScale, match="s.yaml: not run at scale z: too short"):
        plan(folder)
    (folder / "scales/y.yaml").write_text("title: y\n")
    assert len(Planner(folder).plan("s", "y").cells) == 4
    # Its cells can be trained for their weights all the same.
    start = "{weights: {name: cell, study: s, variant: {lr: 0.1}}, head: keep}"
    study(folder, GRID, "{lr: 0.1}", more=f"base: {{pretrained: {start}}}\n", name="other")
    assert len(plan(folder, "other").parents) == 2


def test_a_misspelt_scale_in_not_at_is_refused(folder):
    study(folder, GRID, "{lr: 0.1}", more="not_at: {zz: too short}\n")
    with pytest.raises(ConfigError, match=r"s.yaml: not_at: there is no 'zz' in .*scales"):
        plan(folder)


def test_at_least_one_epoch_is_left(folder):
    assert scaled(folder, "epochs_divide_by: 100").variants[0].training.epochs == 1


def test_a_scale_replaces_what_it_names_whole(folder):
    scale = "measure: {clean_images: 50}\ncompute: {threads: 2}\nval_crop_ratio: 1.0"
    training = scaled(folder, scale).variants[0].training
    assert (training.measure.clean_images, training.compute.threads) == (50, 2)
    assert training.val_crop_ratio == 1.0


def test_a_scale_takes_the_first_seeds(folder):
    configs.edit(folder / "studies/s.yaml", "seeds: 2", "seeds: [7, 3, 5]")
    assert [c.config.seed for c in plan(folder).cells] == [7, 3, 5, 7, 3, 5]
    assert [c.config.seed for c in scaled(folder, "max_seeds: 2").cells] == [7, 3, 7, 3]


def test_a_scale_has_seeds_of_its_own(folder):
    here = {c.config.seed: c.id for c in plan(folder).cells}
    name = next((folder / "scales").glob("*.yaml")).stem
    configs.edit(folder / "studies/s.yaml", "seeds: 2", f"seeds: 2\nseeds_at: {{{name}: 4}}")
    more = plan(folder).cells
    assert [c.config.seed for c in more] == [0, 1, 2, 3, 0, 1, 2, 3]
    assert {c.config.seed: c.id for c in more if c.config.seed < 2} == here


def test_the_size_of_a_share_is_that_of_the_readers():
    from numpy import repeat

    from ablation.data.source import stratified_subset

    dataset = Planner(configs.ROOT / "config").dataset("fashion_mnist")
    labels = repeat(range(10), dataset.lock.train.per_class)
    for share in (1.0, 0.5, 0.08, 0.0333, 0.001):
        assert dataset.images("train", share) == len(stratified_subset(labels, share, "train"))


# -- reading --------------------------------------------------------------------------------------


def test_auto_reading_is_resolved_by_size(folder, monkeypatch):
    dataset = Planner(folder).dataset("fashion_mnist")
    assert dataset.resident_bytes == 3 * 2 * 3_920_000
    assert {c.config.reading for c in plan(folder).cells} == {"resident"}
    monkeypatch.setattr(grid_module, "RESIDENT_BYTES", dataset.resident_bytes - 1)
    assert {c.config.reading for c in plan(folder).cells} == {"streaming"}
    recipe(folder, reading="resident")
    assert {c.config.reading for c in plan(folder).cells} == {"resident"}


# -- cells ----------------------------------------------------------------------------------------


def test_cells_come_variant_by_variant_and_seed_by_seed(folder):
    planned = plan(folder)
    order = [(c.variant.label, c.config.seed) for c in planned.cells]
    assert order == [("lr=0.1", 0), ("lr=0.1", 1), ("lr=0.2", 0), ("lr=0.2", 1)]
    assert len({c.id for c in planned.cells}) == 4
    assert planned.cell(planned.cells[2].id) is planned.cells[2]
    with pytest.raises(ConfigError, match="study s at scale z has no cell 000000000000"):
        planned.cell("000000000000")


def test_a_cell_holds_the_training_as_it_is_run(folder):
    cell = plan(folder).cells[3]
    shared = set(type(cell.variant.training).model_fields) - {"reading", "compute"}
    assert all(getattr(cell.config, f) == getattr(cell.variant.training, f) for f in shared)
    assert cell.config.compute == cell.variant.training.compute.of_model(cell.config.model)
    assert type(cell.config).model_validate(cell.config.model_dump()) == cell.config


def test_two_variants_of_one_cell_are_refused(folder):
    """`auto` and what it is: two rows of a table that would hold the same numbers."""
    configs.edit(folder / "studies/s.yaml", "lr: [0.1, 0.2]", "compute.channels_last: [auto, true]")
    configs.edit(folder / "studies/s.yaml", "{lr: 0.1}", "{compute.channels_last: auto}")
    with pytest.raises(
        ConfigError, match="'channels_last=auto' and 'channels_last=on' are trained"
    ):
        plan(folder)


def test_a_layout_that_a_cpu_computes_wrongly_is_refused_before_any_job(folder):
    configs.edit(
        folder / "recipes/r.yaml", "{name: resnet_small}", "{name: resnet_small, width: 8}"
    )
    assert not plan(folder).cells[0].config.compute.channels_last
    configs.edit(
        folder / "studies/s.yaml", "seeds: 2", "seeds: 2\nbase: {compute.channels_last: true}"
    )
    with pytest.raises(ConfigError, match="lr=0.1: .* 8 input channels.*oneDNN#6035"):
        plan(folder).resources(Site())
    configs.edit(folder / "scales/z.yaml", "title: z", "title: z\nresources: {gpus: 1}")
    assert plan(folder).resources(Site()).gpus == 1


def test_studies_that_share_variants_share_cells(folder):
    study(folder, "grid: {lr: [0.2, 0.4]}\n", "{lr: 0.4}", name="other")
    planner = Planner(folder)
    first = {c.id: c.config for c in planner.plan("s", "z").cells}
    second = {c.id: c.config for c in planner.plan("other", "z").cells}
    shared = first.keys() & second.keys()
    assert {(first[c].lr, first[c].seed) for c in shared} == {(0.2, 0), (0.2, 1)}


def test_added_and_removed_values_leave_the_other_cells_alone(folder):
    before = {c.id for c in plan(folder).cells}
    study(folder, "grid: {lr: [0.1, 0.2, 0.4]}\n", "{lr: 0.1}")
    added = {c.id for c in plan(folder).cells}
    study(folder, "grid: {lr: [0.1]}\n", "{lr: 0.1}")
    removed = {c.id for c in plan(folder).cells}
    assert removed < before < added
    assert (len(removed), len(before), len(added)) == (2, 4, 6)


@pytest.mark.parametrize("scale", ["smoke", "demo"])
def test_our_studies_can_be_planned(scale):
    planner = Planner(configs.ROOT / "config")
    planned = 0
    for path in (configs.ROOT / "config/studies").glob("*.yaml"):
        with contextlib.suppress(NotAtScale):  # the study itself says so, with a reason
            planned += bool(planner.plan(path.stem, scale).cells)
    assert planned > (40 if scale == "smoke" else 35)
