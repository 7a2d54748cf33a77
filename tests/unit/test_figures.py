"""Figures: variants are told apart, diverged runs show, the same data give the same bytes."""

from __future__ import annotations

import csv
import io
import xml.etree.ElementTree as ElementTree

import pytest
from study_figures import main
from synthetic import collected, config_dir, study_copy

from ablation.captions import caption
from ablation.curves_figure import looks
from ablation.errors import ConfigError
from ablation.figures import draw
from ablation.grid import Planner


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Fig. 3 with a run diverged late, one at once, and one missing."""
    plan = Planner(config_dir()).plan("aime_fig3_without_augmentation", "demo")
    ids = [c.id for c in plan.cells]
    folder = tmp_path_factory.mktemp("fig3")
    return collected(plan, folder, diverged={ids[4]: 7, ids[5]: 1, ids[2]: 3}, missing=(ids[9],))


def texts(svg: str) -> str:
    return " ".join(ElementTree.fromstring(svg).itertext())


def rows(table: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table)))


def test_curves_hold_the_means_and_the_ranges(data):
    drawn = draw(data, "accuracy")
    variant = data.plan.variants[-1]
    found = [r for r in rows(drawn.table) if r["variant"] == variant.label]
    assert [int(r["epoch"]) for r in found] == list(range(1, 19))
    last = [v for _, v in sorted(data.values(variant, "val_top1").items())]
    assert float(found[-1]["mean"]) == pytest.approx(sum(last) / 2)
    assert (float(found[-1]["low"]), float(found[-1]["high"])) == (min(last), max(last))
    assert {"Top-1 (%)", "Epoch"} <= set(
        t.strip() for t in ElementTree.fromstring(drawn.svg).itertext()
    )
    assert "demo scale, Fashion-MNIST (subset)" in texts(drawn.svg)


def test_diverged_runs_are_drawn_apart_and_named(data):
    drawn = draw(data, "accuracy")
    lost = [r for r in rows(drawn.table) if r["status"] == "diverged"]
    assert len(lost) == 6 + 2  # one to epoch 6, one to epoch 2, one without any
    assert "diverged" in texts(drawn.svg)
    text = caption(data, "accuracy")
    assert "batch_size=192, lr=0.2 seed 1 in epoch 1" in text and "Missing: 1 of 18" in text
    assert "mean of the completed runs of 2 seeds; the band" in text


def test_heat_map_marks_diverged_and_missing(data):
    drawn = draw(data, "grid")
    assert len(rows(drawn.table)) == 9
    shown = texts(drawn.svg)
    assert "1 of 2 diverged" in shown and "2 of 2 diverged" in shown and "1 of 2 missing" in shown
    assert "128 (768)" in shown and "±" in shown


@pytest.mark.parametrize("name", ["accuracy", "grid"])
def test_the_same_data_give_the_same_bytes(data, name):
    one, two = draw(data, name), draw(data, name)
    assert one == two
    assert "date" not in one.svg.lower() and one.png.startswith(b"\x89PNG")


def test_no_two_variants_look_alike(data):
    spec = data.plan.config.figures["accuracy"]
    for change in ({}, {"panel": None}, {"colour": None}, {"colour": None, "panel": None}):
        look = looks(data, spec.model_copy(update=change))
        assert len(set(look.values())) == len(data.plan.variants)
    assert looks(data, spec.model_copy(update={"style": "lr", "colour": None}))


def test_named_rows_and_hostile_titles_are_drawn(tmp_path):
    title = r"<script>$\frac$ | & 100% </script>"
    config = study_copy(
        tmp_path,
        "odd",
        rows={title: {"lr": 0.3}},
        published=[],
        figures={"a": {"kind": "curves", "title": title, "colour": "lr"}},
    )
    drawn = draw(collected(Planner(config).plan("odd", "demo"), tmp_path), "a")
    assert title in texts(drawn.svg) and "<script" not in drawn.svg


def test_learning_rate_has_a_logarithmic_axis_and_plain_numbers(tmp_path):
    plan = Planner(config_dir()).plan("aime_fig2_decay_epoch", "demo")
    drawn = draw(collected(plan, tmp_path), "learning_rate")
    assert "mathdefault" not in drawn.svg and "0.1" in texts(drawn.svg)


def test_a_metric_without_a_curve_is_refused(tmp_path):
    figures = {"a": {"kind": "curves", "metric": "peak_mem_gib", "title": "x"}}
    config = study_copy(tmp_path, "odd", figures=figures)
    with pytest.raises(ConfigError, match="peak_mem_gib is not measured each epoch"):
        draw(collected(Planner(config).plan("odd", "demo"), tmp_path), "a")


def test_all_runs_may_be_missing_or_lost(tmp_path):
    plan = Planner(config_dir()).plan("aime_fig3_without_augmentation", "smoke")
    ids = tuple(c.id for c in plan.cells)
    collected(plan, tmp_path, missing=ids[1:], diverged={ids[0]: 1})
    folder = tmp_path / "studies/smoke" / plan.name
    args = ["--study", plan.name, "--scale", "smoke", "--runs", str(folder / "runs.csv")]
    assert main([*args, "--out", str(folder / "figures")]) == 0
    assert len(list((folder / "figures").glob("[!.]*"))) == 3 * 3 + 2 + 1  # and why no importance
