"""The loader benchmark: its cells and ids, what is read, the medium, the table, the figure."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import configs
import numpy as np
import pytest
import time_loader
from synthetic import config_dir

from ablation import collect, loader, media, record
from ablation.captions import caption
from ablation.errors import ConfigError, DataError, UserError
from ablation.figures import draw
from ablation.frames import load
from ablation.grid import Planner
from ablation.identity import LOADER_KEYS, loader_id
from ablation.loader import Reading
from ablation.sentences import findings, notice
from ablation.settings import settings_table
from ablation.tables import study_tables

STUDY = "loader_storage"
LOADER = """\
title: t
document: d
place: p
question: q
kind: loader
recipe: r
loader: {medium: disk, epochs: 2}
grid:
  loader.medium: [disk, memory]
  loader.workers: [1, 2]
baseline: {loader.medium: disk, loader.workers: 1}
seeds: 2
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = configs.write(tmp_path / "config")
    (made / "studies/s.yaml").write_text(LOADER)
    return made


def plan_of(folder: Path):
    return Planner(folder).plan("s", "z")


# -- the plan -------------------------------------------------------------------------------------


def test_cells_are_media_workers_and_repetitions(folder):
    plan = plan_of(folder)
    assert len({c.id for c in plan.cells}) == len(plan.cells) == 8
    assert all(c.id.startswith("load-") and len(c.id) == 17 for c in plan.cells)
    assert plan.baseline.label == "medium=disk, workers=1"
    first = plan.cells[0]
    assert (first.config.epochs, first.config.reading, first.config.seed) == (2, "resident", 0)


def test_the_id_is_of_what_is_read_and_of_nothing_else(folder):
    def ids() -> list[str]:
        return [c.id for c in plan_of(folder).cells]

    before = ids()
    for old, new in (("lr: 0.1", "lr: 0.2"), ("epochs: 4", "epochs: 5")):
        configs.edit(folder / "recipes/r.yaml", old, new)
    assert ids() == before
    configs.edit(folder / "studies/s.yaml", "epochs: 2}", "epochs: 3}")
    assert not set(ids()) & set(before)
    configs.edit(folder / "studies/s.yaml", "epochs: 3}", "epochs: 2}")
    for old, new in (("img_size: 28", "img_size: 20"), ("name: none", "name: standard")):
        configs.edit(folder / "recipes/r.yaml", old, new)
        changed = ids()
        assert not set(changed) & set(before)
        configs.edit(folder / "recipes/r.yaml", new, old)
    assert ids() == before
    cell = plan_of(folder).cells[0]
    assert loader_id(cell.config, cell.variant.loader, "another") != cell.id


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("kind: loader\n", "", "`loader` belongs to a study of the kind loader"),
        ("loader: {medium: disk, epochs: 2}\n", "", "`loader` belongs to"),
        ("  loader.workers: [1, 2]", "  lr: [1, 2]", "'lr' does nothing in a loader benchmark"),
        ("  loader.workers: [1, 2]", "  loader.threads: [1, 2]", "threads"),
        ("workers: [1, 2]", "workers: [0, 2]", "workers"),
        ("epochs: 2}", "epochs: 1}", "epochs"),
        ("seeds: 2", "seeds: 2\nbase: {loader.epochs: 3}", "belongs to `loader` itself"),
        ("seeds: 2", "seeds: 2\nbase: {loss.label_smoothing: 0.1}", "does nothing"),
        ("seeds: 2", "seeds: 2\nrows: {a: {img_size: 9}}", "no `rows`"),
        ("seeds: 2", "seeds: 2\nfigures: {f: {kind: curves, title: f}}", "figures.f"),
        ("seeds: 2", "seeds: 2\nfigures: {f: {kind: loader, title: f, x: lr}}", "no axis 'lr'"),
    ],
)
def test_wrong_studies_are_refused(folder, old, new, said):
    configs.edit(folder / "studies/s.yaml", old, new)
    with pytest.raises(ConfigError, match=said):
        plan_of(folder)


def test_a_grid_has_no_loader_figure(folder):
    figure = "seeds: 2\nfigures: {f: {kind: loader, title: f, x: lr}}"
    (folder / "studies/s.yaml").write_text(configs.STUDY.replace("seeds: 2", figure))
    with pytest.raises(ConfigError, match="those of studies of this kind"):
        plan_of(folder)


def test_quality_and_resolution_are_datasets_on_an_axis(folder):
    small = folder / "datasets/small.yaml"
    text = (folder / "datasets/fashion_mnist.yaml").read_text()
    jpg = text.replace("write_mode: raw ", "write_mode: jpg\n  jpeg_quality: 50 ")
    small.write_text(jpg.replace("max_resolution: null", "max_resolution: 20"))
    lock = "datasets/fashion_mnist.lock.json"
    shutil.copy(folder / lock, folder / "datasets/small.lock.json")
    grid = "  dataset: [fashion_mnist, small]"
    configs.edit(folder / "studies/s.yaml", "  loader.workers: [1, 2]", grid)
    configs.edit(folder / "studies/s.yaml", "loader.workers: 1}", "dataset: fashion_mnist}")
    plan = plan_of(folder)
    assert len({c.id for c in plan.cells}) == 8
    assert len({c.dataset.directory for c in plan.cells}) == 2
    scale = "title: z\ndatasets: {small: fashion_mnist}\nimg_sizes: {28: 28}\n"
    (folder / "scales/z.yaml").write_text(scale)
    with pytest.raises(ConfigError, match="become equal"):
        plan_of(folder)


def test_a_medium_that_the_site_lacks_is_named(folder):
    plan = plan_of(folder)
    plan.check_media({"disk": "a", "memory": "b"})
    with pytest.raises(ConfigError, match=r"has no 'memory'; did you mean 'memry'"):
        plan.check_media({"disk": "a", "memry": "b"})


def test_a_loader_asks_for_no_gpu(folder):
    from ablation.config.resources import Site

    resources = "title: z\nresources: {gpus: 4, gpu_model: a100, cpus: 3}\n"
    (folder / "scales/z.yaml").write_text(resources)
    found = plan_of(folder).resources(Site())
    assert (found.gpus, found.gpu_model, found.cpus) == (0, None, 3)


# -- the medium -----------------------------------------------------------------------------------


def beton_file(folder: Path, content: bytes = bytes(1 << 20)) -> Path:
    path = folder / "data/set-0123/train.beton"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return path


def test_a_beton_is_copied_once_and_not_onto_itself(tmp_path):
    beton = beton_file(tmp_path)
    assert media.place(beton, tmp_path / "data") == (beton, False)
    target, copied = media.place(beton, tmp_path / "ssd")
    mine = f"ablation-{os.geteuid()}"
    assert copied and target == tmp_path / "ssd" / mine / "set-0123/train.beton"
    assert target.read_bytes() == beton.read_bytes()
    assert media.place(beton, tmp_path / "ssd") == (target, False)
    target.write_bytes(b"short")  # another conversion's, or damaged
    assert media.place(beton, tmp_path / "ssd") == (target, True)
    assert [p.name for p in target.parent.iterdir()] == ["train.beton"]


def test_a_full_medium_is_said_and_nothing_is_left(tmp_path, monkeypatch):
    beton = beton_file(tmp_path)
    usage = shutil._ntuple_diskusage(10, 5, 5)
    monkeypatch.setattr(media.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(DataError, match="the copy needs"):
        media.place(beton, tmp_path / "ssd")
    assert not list((tmp_path / "ssd").rglob("*.beton*"))


def test_folders_of_media_take_environment_variables(monkeypatch):
    monkeypatch.setenv("SCRATCH_OF_JOB", "/scratch/7")
    assert media.folder_on("ssd", "$SCRATCH_OF_JOB/b") == Path("/scratch/7/b")
    with pytest.raises(ConfigError, match="no such environment variable"):
        media.folder_on("ssd", "$NOT_SET_ANYWHERE/b")


def test_what_lies_below_a_path(tmp_path):
    for name, rotational in (("8:1", "1"), ("9:1", "0")):
        (tmp_path / name / "queue").mkdir(parents=True)
        (tmp_path / name / "queue/rotational").write_text(f"{rotational}\n")
    mounts = """\
1 0 8:1 / / rw - ext4 /dev/sda rw
2 1 9:1 / /fast rw - xfs /dev/nvme rw
3 1 0:5 / /fast/shm rw - tmpfs tmpfs rw
4 1 0:6 / /home rw - nfs4 server:/home rw
5 1 0:7 / /odd rw - overlay overlay rw
"""

    def found(path: str) -> tuple:
        return tuple(media.below(Path(path), mounts, tmp_path).values())

    assert found("/a/b") == ("ext4", "HDD") and found("/fastest") == ("ext4", "HDD")
    assert found("/fast/x") == ("xfs", "SSD") and found("/fast/shm/x") == ("tmpfs", "memory")
    assert found("/home/x") == ("nfs4", "network") and found("/odd/x") == ("overlay", None)


def test_a_file_is_forgotten_also_where_it_is_mapped(tmp_path):
    beton = beton_file(tmp_path, os.urandom(1 << 22))
    mapped = np.memmap(beton, mode="r")
    total = int(mapped.sum(dtype=np.int64))
    before = media.cached_share(beton)
    if media.below(beton)["disk"] in ("memory", None) or before is None:
        pytest.skip("this folder's file system keeps its files in memory, or does not say")
    assert before == 1.0
    media.forget(beton)
    assert media.cached_share(beton) < 0.5
    assert int(mapped.sum(dtype=np.int64)) == total  # what was mapped is read again


# -- measuring ------------------------------------------------------------------------------------


def test_a_cell_reads_every_image_each_epoch(folder, fashion_data, tmp_path):
    cell, said = plan_of(folder).cells[0], []
    found = loader.measure(
        fashion_data / "train.beton", cell.config, cell.variant.loader, said.append
    )
    assert found.images == 5000 and len(found.epochs_s) == 2 and found.compile_time_s == 0
    assert found.load_time_s > 0 and min(found.epochs_s) > 0
    metrics = loader.metrics(cell.id, cell.config, found)
    assert metrics["epochs"] == [{"epoch": e, "images": 5000} for e in (1, 2)]
    assert metrics["batches"] == 40  # the last one is smaller
    assert "time" not in json.dumps(metrics)
    assert len(said) == 3


def test_more_workers_than_cores_are_refused(folder, fashion_data, monkeypatch):
    cell = plan_of(folder).cells[2]
    assert cell.variant.loader.workers == 2
    monkeypatch.setattr(loader, "cpu_count", lambda: 1)
    with pytest.raises(UserError, match="this job has 1 CPUs"):
        loader.measure(fashion_data / "train.beton", cell.config, cell.variant.loader, print)


def test_rates_leave_the_first_epoch_apart_with_its_load():
    found = Reading(100, 5_000_000, 0.0, 9.0, 1.0, (1.0, 0.5, 0.25, 0.25))
    assert found.images_per_s == 300 and found.first_images_per_s == 50
    config = type("Config", (), {"train_share": 0.5})
    timing = loader.timing(found, config)
    assert timing["first_mb_per_s"] == pytest.approx(1.25)  # half of 5 MB in two seconds
    assert timing["train_time_s"] == 3.0


def test_the_program_writes_a_cell_that_is_collected(folder, fashion_data, tmp_path):
    plan, cells = plan_of(folder), tmp_path / "cells"
    args = ["--study", "s", "--scale", "z", "--data", fashion_data, "--config-dir", folder]
    args += ["--medium", tmp_path / "disk", "--checkpoints", tmp_path / "checkpoints"]
    cell = plan.cells[0]
    args += ["--cell", cell.id, "--out", cells / cell.id]
    assert time_loader.main(list(map(str, args))) == 0
    assert not list((tmp_path / "checkpoints").iterdir())
    names = {p.name for p in (cells / cell.id).iterdir()}
    assert names - {".kept"} == set(record.RESULTS) - {"weights.pt"}  # .kept: the log, if a file
    content = json.loads((cells / cell.id / "cell.json").read_text())
    used = {key.split(".")[0] for key in content["identity"]}
    assert used <= {*LOADER_KEYS, "loader", "seed"} and {"loader", "dataset", "augment"} <= used
    records, absent = collect.collect(plan, cells, partial=True)
    assert set(records) == {cell.id} and len(absent) == 7
    row = next(csv.DictReader(io.StringIO(collect.runs_table(plan, records))))
    assert row["status"] == "completed" and float(row["images_per_s"]) > 0
    assert float(row["epochs"]) == 2 and float(row["copy_time_s"]) > 0
    assert len(collect.epochs_table(plan, records).splitlines()) == 1 + 2


def test_a_training_cell_is_not_timed(folder, tmp_path):
    (folder / "studies/s.yaml").write_text(configs.STUDY)
    cell = plan_of(folder).cells[0]
    args = ["--study", "s", "--scale", "z", "--cell", cell.id, "--data", tmp_path, "--medium", "x"]
    args += ["--out", tmp_path, "--checkpoints", tmp_path, "--config-dir", folder]
    with pytest.raises(ConfigError, match="is no loader benchmark"):
        time_loader.main(list(map(str, args)))


# -- what is shown --------------------------------------------------------------------------------


def planted(plan, results: Path, *, alone: bool = True, missing: tuple[str, ...] = ()):
    """Memory is twice as fast as the disk, and ten times in the first epoch; two workers too."""
    for cell in plan.cells:
        if cell.id in missing:
            continue
        options, noise = cell.variant.loader, 1 + 0.01 * cell.config.seed
        fast, memory = options.workers * noise, options.medium == "memory"
        warm = 100 / (1000 * fast * (2 if memory else 1))
        first = 100 / (100 * fast * (10 if memory else 1))
        found = Reading(100, 10**6, 1.0 if memory else 0.0, 0.0, 0.0, (first, warm, warm))
        times = {"startup_time_s": 1.0, "wall_time_s": 9.0, "peak_mem_gib": 0.5, "attempts": 1}
        disk = {"file_system": "tmpfs", "disk": "memory"} if memory else {"disk": "HDD"}
        where = {"file_system": "ext4", "copy_time_s": None, "alone": alone, **disk}
        record.write_results(
            results / "cells" / cell.id,
            cell={"dataset": cell.dataset.name, "config": cell.config.model_dump(mode="json")},
            metrics=loader.metrics(cell.id, cell.config, found),
            times=loader.times(found),
            timing={**loader.timing(found, cell.config), **times, **where},
            provenance={"hardware_id": "one", "packages": {"torch": "2"}, "code_version": "c"},
        )
    records, _ = collect.collect(plan, results / "cells", partial=True)
    (results / "runs.csv").write_text(collect.runs_table(plan, records))
    (results / "epochs.csv").write_text(collect.epochs_table(plan, records))
    return load(plan, results / "runs.csv", results / "epochs.csv")


@pytest.fixture(scope="module")
def plan():
    return Planner(config_dir()).plan(STUDY, "demo")


def test_rates_and_ratios_are_those_that_were_planted(plan, tmp_path):
    data = planted(plan, tmp_path)
    (table,) = study_tables(data, config_dir())
    assert table.name == "main"
    rows = {r["variant"]: r for r in table.records}
    fast = rows["medium=memory, reading=streaming, workers=2"]
    assert fast["images_per_s_ratio_mean"] == pytest.approx(4)
    assert fast["first_images_per_s_ratio_mean"] == pytest.approx(20)
    assert fast["images_per_s_n"] == 2 and fast["on"] == "memory, tmpfs"
    base = rows["medium=shared, reading=streaming, workers=1"]
    assert base["baseline"] and base["images_per_s_mean"] == pytest.approx(1005)
    assert base["first_mb_per_s_mean"] == pytest.approx(0.5 * 1.005)
    texts = [[entry.text for entry in row] for row in table.rows]
    assert any("HDD, ext4" in row for row in texts)
    said = " ".join(findings(data))
    assert "4.00 times the baseline" in said and "20.00 times the baseline" in said
    assert "was none from the medium" in " ".join(table.notes)  # memory's


def test_cells_that_were_not_alone_are_not_compared(plan, tmp_path):
    data = planted(plan, tmp_path, alone=False)
    (table,) = study_tables(data, config_dir())
    assert all(r["images_per_s_ratio_n"] == 0 and r["images_per_s_n"] for r in table.records)
    assert "Rates are not compared: " in " ".join(table.notes)
    assert findings(data)[0].startswith("Rates are not compared")
    assert "Not to be compared" in caption(data, "rates")


def test_missing_runs_and_an_empty_study_are_said(plan, tmp_path):
    data = planted(plan, tmp_path / "a", missing=(plan.cells[0].id,))
    (table,) = study_tables(data, config_dir())
    assert table.rows[0][3].text == "1 of 2" and "Missing runs (1)" in " ".join(table.notes)
    empty = planted_nothing(plan, tmp_path / "b")
    (table,) = study_tables(empty, config_dir())
    assert findings(empty) == ["No run of this study has finished."]
    draw(empty, "rates")


def test_the_notice_speaks_of_the_data_alone(plan, tmp_path):
    titles = {"imagenet": "ImageNet", "fashion_mnist": "Fashion"}
    (first, _) = notice([planted(plan, tmp_path)], "demo", titles)
    assert first == "These are demo-scale numbers: Fashion instead of ImageNet."


def planted_nothing(plan, results: Path):
    results.mkdir()
    return planted(plan, results, missing=tuple(c.id for c in plan.cells))


def test_the_figure_has_a_point_for_each_variant_and_rate(plan, tmp_path):
    drawn = draw(planted(plan, tmp_path), "rates")
    rows = list(csv.DictReader(io.StringIO(drawn.table)))
    assert len(rows) == 2 * len(plan.variants)
    assert {r["colour"] for r in rows} == {"shared", "memory"}
    assert {r["panel"] for r in rows} == {"resident", "streaming"}
    assert ElementTree.fromstring(drawn.svg).tag.endswith("svg")


def test_settings_are_those_that_bear_on_reading(plan):
    names = {row[0].text.split(" ")[0] for row in settings_table(plan).rows}
    assert {"img_size", "reading", "loader.medium", "loader.workers", "augment"} <= names
    assert not {"lr", "epochs", "model", "optimizer"} & names
