"""Collect: one row a cell, exact numbers, and nothing missing without a word."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from collect_study import main
from synthetic import collected, config_dir, study_copy, write_cells

from ablation.collect import run_columns
from ablation.errors import DataError, UserError
from ablation.frames import load
from ablation.grid import Planner
from ablation.main_table import main_table
from ablation.meters import READINGS

STUDY = "aime_fig1_constant_lr"


@pytest.fixture
def plan():
    return Planner(config_dir()).plan(STUDY, "demo")


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def run_collect(results: Path, *more: str, study: str = STUDY) -> Path:
    out = results / "studies/demo" / study
    cells = str(results / "cells")
    args = ["--study", study, "--scale", "demo", "--cells", cells, "--out", str(out)]
    args += [] if "--config-dir" in more else ["--config-dir", str(config_dir())]
    args += more
    assert main(args) == 0
    return out


def test_every_number_survives_exactly(plan, tmp_path):
    write_cells(plan, tmp_path / "cells")
    out = run_collect(tmp_path)
    found = rows(out / "runs.csv")
    assert [r["cell_id"] for r in found] == [c.id for c in plan.cells]
    assert list(found[0]) == run_columns(plan)
    for row, cell in zip(found, plan.cells, strict=True):
        metrics = json.loads((tmp_path / "cells" / cell.id / "metrics.json").read_text())
        assert all(float(row[k]) == v for k, v in metrics["last"].items() if k != "epoch")
        assert float(row["best_val_top1"]) == metrics["best"]["val_top1"]
        assert float(row["axis.lr"]) == cell.config.lr
        assert (row["status"], row["alone"], row["torch"]) == ("completed", "True", "2.15.0")
    epochs = rows(out / "epochs.csv")
    assert len(epochs) == 18 * len(plan.cells)
    assert float(epochs[0]["train_time_s"]) == 1.5


def test_a_time_not_reached_is_censored(plan, tmp_path):
    data = collected(plan, tmp_path)
    low, high = plan.variants[-1], plan.variants[1]
    assert data.of(low)["censored_70"].all() and data.of(low)["epochs_to_70"].isna().all()
    reached = data.of(high).iloc[0]
    assert not reached["censored_82"]
    assert reached["seconds_to_82"] == reached["epochs_to_82"] * 1.75


def test_the_value_at_this_scale_has_its_own_column(tmp_path):
    plan = Planner(config_dir()).plan("aime_fig2_decay_epoch", "demo")
    data = collected(plan, tmp_path)
    assert list(data.runs["axis.schedule.every"][:1]) == ["20"]
    assert list(data.runs["at_scale.schedule.every"][:1]) == ["4.0"]


def test_a_diverged_cell_keeps_its_curve_and_has_no_last_value(plan, tmp_path):
    first, second = plan.cells[0].id, plan.cells[1].id
    data = collected(plan, tmp_path, diverged={first: 4, second: 1})
    run = data.runs.iloc[0]
    assert (run["status"], run["diverged_epoch"], run["diverged_step"]) == ("diverged", 4, 7)
    assert run.isna()["val_top1"] and run["epochs"] == 3
    assert len(data.epochs[data.epochs["cell_id"] == first]) == 3
    assert data.runs.iloc[1]["epochs"] == 0


def test_a_missing_cell_is_named_with_its_log(plan, tmp_path, capsys):
    gone = plan.cells[3]
    write_cells(plan, tmp_path / "cells", missing=(gone.id,))
    with pytest.raises(DataError) as error:
        run_collect(tmp_path)
    log = tmp_path / "logs/train" / f"{gone.id}.log"
    for part in (gone.id, "lr=0.1, seed 1", str(log)):
        assert part in str(error.value)
    out = run_collect(tmp_path, "--partial")
    assert gone.id in capsys.readouterr().err
    assert [r["status"] for r in rows(out / "runs.csv")].count("missing") == 1


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("metrics.json", '{"cell_id": ', "cannot be read"),
        ("metrics.json", "[1]", "no mapping"),
        ("timing.json", "{}", "timing.json lacks"),
        ("epochs.csv", "epoch,train_time_s\n1,x\n", "epochs.csv cannot be read"),
        ("epochs.csv", "train_time_s,eval_time_s,images_per_s\n", "epochs.csv has 0 epochs"),
        ("provenance.json", None, "is missing"),
    ],
)
def test_a_damaged_cell_is_named(plan, tmp_path, file, content, message):
    write_cells(plan, tmp_path / "cells")
    path = tmp_path / "cells" / plan.cells[0].id / file
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(DataError, match=message):
        run_collect(tmp_path)
    out = run_collect(tmp_path, "--partial")
    assert rows(out / "runs.csv")[0]["status"] == "missing"


def test_another_cells_results_are_never_counted(plan, tmp_path, capsys):
    write_cells(plan, tmp_path / "cells")
    first, second = (tmp_path / "cells" / c.id for c in plan.cells[:2])
    (first / "metrics.json").write_text((second / "metrics.json").read_text())
    with pytest.raises(DataError, match="was the folder copied"):
        run_collect(tmp_path)
    out = run_collect(tmp_path, "--partial")
    assert f"damaged: cell {first.name}" in capsys.readouterr().err
    assert rows(out / "runs.csv")[0]["status"] == "missing"


def test_a_table_of_another_plan_is_refused(plan, tmp_path):
    data = collected(plan, tmp_path)
    assert len(data.runs) == 10
    config = study_copy(tmp_path, "other", grid={"lr": [1.0, 0.1]})
    other = Planner(config).plan("other", "demo")
    with pytest.raises(DataError, match="was not collected from study other"):
        load(other, tmp_path / "studies/demo" / STUDY / "runs.csv")


def test_names_that_look_like_numbers_stay_names(tmp_path):
    rows_ = {"None": {"lr": 0.1}, "1e5": {"lr": 0.2}, 'a "quoted", name': {"lr": 0.3}}
    config = study_copy(
        tmp_path, "odd", grid={}, rows=rows_, baseline={"row": "None"}, figures={}, published=[]
    )
    plan = Planner(config).plan("odd", "demo")
    data = collected(plan, tmp_path)
    assert list(dict.fromkeys(data.runs["variant"])) == list(rows_)
    assert len(data.values(plan.variants[0], "val_top1")) == 2


def as_before_the_meters(cell: Path) -> None:
    """Take away what cells of an earlier program lack."""
    metrics, timing = (json.loads((cell / f"{n}.json").read_text()) for n in ("metrics", "timing"))
    new = ("epochs_to_hold_top1", "val_loss_spikes", "val_loss_spike_height", "fit_clean")
    for key in (*new, "fit_running", "clean_images", "noise_scale"):
        del metrics[key]
    for key in ("gpu_energy_j", "cpu_energy_j", "gpu_load_percent", "gpu_power_w"):
        del timing[key]
    del timing["seconds_to_hold_top1"]
    (cell / "metrics.json").write_text(json.dumps(metrics))
    (cell / "timing.json").write_text(json.dumps(timing))
    lines = rows(cell / "epochs.csv")
    kept = [k for k in lines[0] if k not in (*READINGS, "energy_source")]
    with open(cell / "epochs.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, kept, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(lines)


def test_cells_of_an_earlier_program_are_read(plan, tmp_path):
    """What follows from their epochs is there; what was not recorded is empty."""
    write_cells(plan, tmp_path / "new/cells", metered=True)
    write_cells(plan, tmp_path / "old/cells", metered=True)
    for cell in plan.cells:
        as_before_the_meters(tmp_path / "old/cells" / cell.id)
    new, old = (rows(run_collect(tmp_path / age) / "runs.csv") for age in ("new", "old"))
    unknown = {"noise_scale", "gpu_energy_j", "cpu_energy_j", "gpu_load_percent", "gpu_power_w"}
    for before, after in zip(old, new, strict=True):
        assert {key for key in after if before[key] != after[key]} == unknown
        assert all(before[key] == "" for key in unknown)
        assert after["fit"] and after["val_loss_spikes"] and after["epochs_to_hold_70"] != "x"
    epochs = rows(tmp_path / "old/studies/demo" / STUDY / "epochs.csv")
    assert all(epoch[key] == "" for epoch in epochs for key in READINGS)


def test_energy_and_diagnosis_reach_the_tables(plan, tmp_path):
    data = collected(plan, tmp_path, metered=True, diverged={plan.cells[0].id: 4})
    run = data.runs.iloc[5]
    assert (run["energy_j"], run["energy_source"]) == (18 * 210, "nvml+rapl")
    assert run["epoch_time_s"] == 1.75 and run["gpu_load_percent"] == pytest.approx(71)
    assert run["clean_gap"] == run["clean_top1"] - run["val_top1"] and run["fit"] == "overfitting"
    assert run["noise_scale"] == pytest.approx(0.01 * (2500 / 128 - 1) / 0.1)
    lost = data.runs.iloc[0]
    assert lost["fit"] == "" and lost.isna()["clean_gap"] and lost["censored_hold_70"]


def test_trained_weights_stand_beside_their_average(tmp_path):
    """Collected where an average is evaluated; a run without one has none, even if it diverged."""
    averaged, key = {"name": "ema", "half_life_epochs": 1}, "raw_val_top1"
    config = study_copy(
        tmp_path, "averages", grid={}, rows={"plain": {}, "ema": {"averaging": averaged}},
        baseline={"row": "plain"}, figures={}, published=[], columns=[key],
    )  # fmt: skip
    plan = Planner(config).plan("averages", "demo")
    plain, ema = plan.variants
    lost = {next(c.id for c in plan.cells if c.variant is variant): 4 for variant in (plain, ema)}
    data = collected(plan, tmp_path, diverged=lost)
    assert data.values(plain, key) == {}
    assert data.values(ema, key) == {0: 10.0, 1: data.values(ema, "val_top1")[1] - 3}
    run = data.of(ema, "completed").iloc[0]
    assert run["raw_val_loss"] == 2.5 * run["val_loss"]
    of_run = data.epochs[data.epochs["cell_id"] == run["cell_id"]]
    assert list(of_run[key].notna()) == [False] * (len(of_run) - 1) + [True]
    table = main_table(data)
    column = [c.heading for c in table.columns].index("Top-1 of the trained weights (%)")
    assert table.rows[0][column].text == "–" and table.rows[1][column].sort > 10


def test_trained_weights_have_no_curve(tmp_path):
    drawn = {"a": {"kind": "curves", "title": "t", "metric": "raw_val_top1"}}
    config = study_copy(tmp_path, "drawn", figures=drawn)
    with pytest.raises(UserError, match="raw_val_top1 is not measured each epoch"):
        Planner(config).plan("drawn", "demo")
