"""Results that others may have written: cells of every age are read, and a damaged one is named
while the rest goes on."""

from __future__ import annotations

import copy
import csv
import io
import json
import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cell_status
import configs
import pytest
from synthetic import old_cell, write_cells

from ablation import collect, estimate, lease, progress, record, report_machines, results, status
from ablation.foreign import Unreadable
from ablation.frames import StudyData
from ablation.grid import Planner
from ablation.place import Place
from ablation.plan import StudyPlan
from ablation.report_cells import cell_pages

OLD = "c3a32ae49246"


@pytest.fixture
def plan(tmp_path: Path) -> StudyPlan:
    return Planner(configs.write(tmp_path / "config")).plan("s", "z")


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    return tmp_path / "results/cells"


def alone(plan: StudyPlan, cell_id: str = OLD) -> StudyPlan:
    """The plan with one cell, under an id."""
    return replace(plan, cells=(replace(plan.cells[0], id=cell_id),))


def edit(path: Path, change: Any) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content).replace("Infinity", "1e400"))


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


# ---- cells of every age --------------------------------------------------------------------------


def collected(plan: StudyPlan, cells: Path) -> tuple[dict[str, str], dict[str, str]]:
    """The row of runs.csv and the last of epochs.csv of a plan's one cell."""
    records, absent = collect.collect(plan, cells)
    assert absent == [] and len(records) == 1
    (run,) = table(collect.runs_table(plan, records))
    return run, table(collect.epochs_table(plan, records))[-1]


def test_an_old_cell_is_read(plan: StudyPlan, cells: Path) -> None:
    """One that was trained before meters, diagnosis and much else; tests/old_cell."""
    old_cell(cells, OLD)
    run, epoch = collected(alone(plan), cells)
    assert (run["status"], run["val_top1"], run["epochs"]) == ("completed", "20.0", "3")
    assert epoch["val_loss"] == "2.233105255126953" and float(epoch["train_time_s"]) > 0
    unknown = ("gpu_energy_j", "cpu_energy_j", "gpu_load_percent", "noise_scale", "raw_val_top1")
    assert {run[key] for key in unknown} == {""}
    row = status.of_plans([alone(plan)], cells.parent, cells)[0]
    assert (row.state, row.top1, row.node) == ("done", 20.0, "node")


@pytest.mark.parametrize(
    ("names", "where", "column"),
    [
        ("EPOCH_METRICS", ("metrics.json", "epochs"), "grad_norm"),
        ("TIMING", ("timing.json",), "swap_gib"),
    ],
)
def test_a_new_column_is_empty_in_old_cells_and_whole_in_new_ones(
    plan, cells, monkeypatch, names, where, column
) -> None:
    grown = (*getattr(results, names), column)
    monkeypatch.setattr(results, names, grown)
    monkeypatch.setattr(collect, names, grown)
    folder = old_cell(cells, OLD)
    rows = collected(alone(plan), cells)
    assert rows[0][column] == "" and rows[1].get(column, "") == ""

    def add(content: dict[str, Any]) -> None:
        for part in [*content["epochs"], content["last"]] if len(where) > 1 else [content]:
            part[column] = 2.5

    edit(folder / where[0], add)
    rows = collected(alone(plan), cells)
    assert rows[0][column] == "2.5" and rows[1].get(column, "2.5") == "2.5"


@pytest.mark.parametrize("value", [1.5, None, "text", [1], {"a": {"b": 1}}])
def test_what_a_later_version_records_is_left_out(plan, cells, value) -> None:
    """In every file, and in the epochs too: neither a traceback nor a damaged cell."""
    folder = old_cell(cells, OLD)
    before = collected(alone(plan), cells)

    def add(content: dict[str, Any]) -> None:
        for part in (content, *content.get("epochs", ()), content.get("last", {})):
            part["of_a_later_version"] = value

    for name in ("metrics", "timing", "provenance", "cell"):
        edit(folder / f"{name}.json", add)
    assert collected(alone(plan), cells) == before


def test_a_clock_that_was_set_back_damages_no_cell(plan, cells) -> None:
    folder = old_cell(cells, OLD)
    change = {"startup_time_s": -3.0, "wall_time_s": -1.5}
    edit(folder / "timing.json", lambda content: content.update(change))
    assert collected(alone(plan), cells)[0]["wall_time_s"] == "-1.5"
    assert estimate.of_cell(cells.parent, OLD).start_s == 0.0


# ---- a damaged cell ------------------------------------------------------------------------------

DEEP = "[" * 100_000 + "]" * 100_000
DAMAGES = {
    "metrics.json": [
        ("", "no JSON"), ("[]", "holds no mapping"), (DEEP, "recursion limit"),
        ('{"a":' * 3000 + "1" + "}" * 3000, "recursion limit"), ("\xff", "no JSON"),
        (("parameters", "5214"), "parameters: input should be a valid integer"),
        (("epochs", 0, "val_top1", "8.8"), "epochs.0.val_top1: input should be a valid number"),
        (("epochs", 1, "val_loss", 1e400), "finite"), (("epochs", 1, "val_top1", 1e9), "less"),
        (("epochs", 2, "val_top1", None), "valid number"), (("epochs", {}), "valid list"),
        (("epochs", 0, "epoch", 7), "not numbered"), (("status", "done"), "status: input"),
        (("last", None), "`last` is not"), (("best", "epoch", 9), "`best` is epoch 9 of 3"),
        (("train_images", 10**400), "train_images"), ('{"last": NaN}', "no JSON"),
        (("steps", {"lr": [1.0], "loss": []}), "losses"),
    ],
    "timing.json": [
        (DEEP, "recursion limit"), (("train_time_s", "1"), "valid number"), ("{}", "lacks"),
        (("attempts", 1.5), "attempts"), (("alone", 1), "boolean"), (("train_time_s", -1), "than"),
        (("wall_time_s", 1e300), "less than"), (("images_per_s", [1]), "images_per_s"),
        (("energy_j", "much"), "energy_j"), (("energy_source", 3), "energy_source"),
    ],
    "provenance.json": [
        (DEEP, "recursion limit"), (("packages", ["torch"]), "packages"), (("host", 5), "host"),
        (("packages", "torch", 2), "packages.torch"), (("hardware", "gpu"), "hardware"),
        (("hardware", "cpu", {"a": 1}), "hardware.cpu"), (("started", 0), "started"),
        ("3", "mapping"),
    ],
    "cell.json": [
        (DEEP, "recursion limit"), (("config", []), "config"), (("dataset", None), "dataset"),
        (("config", "lr", 1e400), "config"), ("null", "holds no mapping"),
        (("config", "a", json.loads("[" * 30 + "]" * 30)), "nested more than 20 deep"),
    ],
    "epochs.csv": [
        ("", "0 epochs"), ("epoch\n1\n2\n3\n", "no column"), ("\x00\n", "0 epochs"),
        ("train_time_s,eval_time_s,images_per_s\n1,2\n1,2\n1,2\n", "cannot be read"),
        ("train_time_s,eval_time_s,images_per_s\n" + "1,inf,3\n" * 3, "inf is no time"),
        ("train_time_s,eval_time_s,images_per_s\n" + "1,2,nan\n" * 3, "nan is no time"),
        ("train_time_s,eval_time_s,images_per_s\n" + "1,2,\x1b[31m3\n" * 3, r"\\x1b"),
        ("train_time_s,eval_time_s," + "x" * 200_000 + "\n1,2,3\n", "cannot be read"),
    ],
}  # fmt: skip


def damage(path: Path, what: Any) -> None:
    """Write a text into a file, or change one place of it: (keys ..., value)."""
    if isinstance(what, str):
        path.write_bytes(what.encode("latin-1"))
        return

    def change(content: Any) -> None:
        *keys, last = what[:-1]
        for key in keys:
            content = content[key]
        content[last] = what[-1]

    edit(path, change)


CASES = [(name, *case) for name, cases in DAMAGES.items() for case in cases]


@pytest.mark.parametrize(("name", "what", "said"), CASES, ids=lambda case: str(case)[:40])
def test_a_damaged_cell_is_named_and_the_rest_goes_on(plan, cells, name, what, said) -> None:
    write_cells(plan, cells)
    first = plan.cells[0]
    shutil.rmtree(cells / first.id)
    damage(old_cell(cells, first.id) / name, what)
    with pytest.raises(results.DamagedCell, match=said) as caught:
        collect.collect(plan, cells)
    message = str(caught.value)
    assert first.id in message and name in message and "delete the folder" in message
    assert message.isprintable() and len(message) < 1000
    assert_rest_goes_on(plan, cells, message)


@pytest.mark.parametrize("name", results.FILES)
@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "broken link", "huge"])
def test_what_is_no_ordinary_file_is_damage(plan, cells, name, kind) -> None:
    """A pipe would be waited for without end."""
    write_cells(plan, cells)
    path = cells / plan.cells[0].id / name
    path.unlink()
    made = {
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
        "device": lambda: path.symlink_to("/dev/zero"),
        "broken link": lambda: path.symlink_to("nowhere"),
        "huge": lambda: (path.touch(), os.truncate(path, 1 << 40)),
    }
    made[kind]()
    with pytest.raises(results.DamagedCell, match=f"{path}.* delete the folder") as caught:
        collect.collect(plan, cells)
    assert_rest_goes_on(plan, cells, str(caught.value))


def assert_rest_goes_on(plan: StudyPlan, cells: Path, message: str) -> None:
    """With the first cell damaged, for which `message` is the error of a whole collection."""
    records, absent = collect.collect(plan, cells, partial=True)
    assert list(records) == [cell.id for cell in plan.cells[1:]]
    assert absent == [message.replace("s at scale z: ", "damaged: ")]
    assert table(collect.runs_table(plan, records))[0]["status"] == "missing"
    first, *rest = status.of_plans([plan], cells.parent, cells)
    assert (first.state, {row.state for row in rest}) == ("damaged", {"done"})
    assert first.note and first.note in message
    estimate.of_cell(cells.parent, first.cell)
    record.complete(cells / first.cell, first.cell)


def test_links_to_results_elsewhere_are_read(plan, cells, tmp_path) -> None:
    """People keep `results`, its cells, one cell or its files on another disk."""
    folder = old_cell(tmp_path / "disk/cells", OLD)
    cells.parent.mkdir()
    cells.symlink_to(folder.parent)
    assert collected(alone(plan), cells)[0]["status"] == "completed"
    cells.unlink()
    (cells / OLD).mkdir(parents=True)
    for name in results.FILES:
        (cells / OLD / name).symlink_to(folder / name)
    assert collected(alone(plan), cells)[0]["status"] == "completed"


def test_a_damaged_cell_is_listed_by_the_status_program(plan, cells, tmp_path, capsys) -> None:
    write_cells(plan, cells)
    (cells / plan.cells[1].id / "metrics.json").write_text("{")
    (tmp_path / "config/config.yaml").write_text("scale: z\nstudies: [s]\n")
    options = ["--config-dir", tmp_path / "config", "--results", cells.parent]
    assert cell_status.main(list(map(str, options))) == 0
    said = capsys.readouterr().out
    assert f"{plan.cells[1].id} damaged: " in said and "metrics.json cannot be read" in said
    assert "4 cells: 1 damaged, 3 done" in said


# ---- of a cell in training -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", ["", "[]", DEEP, '{"epoch": "2"}', '{"epoch": 1e400}', '{"epoch": -1}',
                '{"epoch": 2, "val_top1": {}}', '{"epoch": 1, "left_s": "soon"}'],
    ids=lambda text: text[:30],
)  # fmt: skip
def test_odd_progress_is_as_good_as_none(plan, cells, content) -> None:
    folder = cells.parent / "checkpoints" / plan.cells[0].id
    folder.mkdir(parents=True)
    (folder / progress.NAME).write_text(content)
    with lease.Lease(folder / "lease.json"):
        row = status.of_plans([plan], cells.parent, cells)[0]
    assert (row.state, row.epoch, row.top1, row.left_s) == ("running", 0, None, None)


@pytest.mark.parametrize("name", ["lease.json", progress.NAME])
def test_a_neighbours_pipe_stops_nobody(plan, cells, tmp_path, name) -> None:
    """Every training looks at the leases of all; status at the progress of all."""
    checkpoints = cells.parent / "checkpoints"
    for cell in plan.cells[:2]:
        (checkpoints / cell.id).mkdir(parents=True)
        os.mkfifo(checkpoints / cell.id / name)
    assert not lease.others_here(checkpoints, tmp_path / "mine")
    assert {row.state for row in status.of_plans([plan], cells.parent, cells)} == {"planned"}
    with lease.Lease(checkpoints / plan.cells[0].id / "lease.json") as mine:
        assert mine.held()


# ---- any damage at all ---------------------------------------------------------------------------

MUTATIONS = 10_000
NASTY = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 10**400, 0.5, -0.0, 1e-320, 1e39, 1e308),
    *(float("inf"), float("-inf"), float("nan"), "", "5", "nan", "x" * 5000, "\u202ea", "\n"),
    *("\x1b[2J\x1b]0;a\x07", "error: it broke\nerror: b", "load-0", [], {}, [[]], {"": {}}),
    *({"epoch": 1}, [1, "a", None]),
)  # fmt: skip


def places(content: Any) -> Iterator[tuple[Any, Any]]:
    """(container, key) of every value."""
    items = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in list(items):
        yield content, key
        if isinstance(value, (dict, list)):
            yield from places(value)


def mutated(content: Any, draw: random.Random) -> bytes:
    """A file's content with one to three changes of its structure or its bytes."""
    content = copy.deepcopy(content)
    for _ in range(draw.choice((1, 1, 2, 3))):
        holder, key = draw.choice(list(places(content)) or [([None], 0)])
        kind = draw.randrange(5)
        if kind < 3:
            holder[key] = copy.deepcopy(draw.choice(NASTY))
        elif kind == 3:
            del holder[key]
        elif isinstance(holder, dict):
            holder[draw.choice(("", "\x1b", "epoch", "val_top1", "a" * 300))] = holder[key]
        else:
            holder.insert(key, copy.deepcopy(holder[key]))
    text = json.dumps(content)
    data = bytearray((text.replace("Infinity", "1e400") if draw.random() < 0.5 else text).encode())
    if draw.random() < 0.3 and data:
        at, kind = draw.randrange(len(data)), draw.randrange(4)
        if kind == 0:
            data[at] = draw.randrange(256)
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            del data[at : at + draw.randrange(40)]
        else:
            more = (b"[" * 5000, rb"\ud800", b"\x00", b'"', b"{}", b"1e999", b"-", b"\\")
            data[at:at] = draw.choice(more)
    return bytes(data)


def put(path: Path, content: bytes) -> None:
    """A new file each time: to shorten an old one takes some file systems milliseconds."""
    path.unlink(missing_ok=True)
    path.write_bytes(content)


def test_no_damage_of_results_is_a_traceback_or_a_hang(plan, cells, tmp_path) -> None:
    """10,000 seeded mutations of a real cell's files: read as it should be, or named as damaged."""
    folder, one = old_cell(cells, OLD), alone(plan)
    waiting = cells.parent / "checkpoints" / OLD
    waiting.mkdir(parents=True)
    draw = random.Random(10)
    files = [folder / f"{name}.json" for name in ("metrics", "timing", "provenance", "cell")]
    whole = {path: path.read_bytes() for path in files}
    contents = {path: json.loads(text) for path, text in whole.items()}
    progress_json, lease_json = waiting / progress.NAME, waiting / "lease.json"
    contents[progress_json] = {"epoch": 2, "val_top1": 33.0, "images_per_s": 9.0, "left_s": 7.0}
    contents[lease_json] = {"token": "t", "host": "h", "pid": 9, "started": 1.0, "job": "3"}
    place = Place("z", ("s",), cells.parent, tmp_path, tmp_path / "config")
    counts = {"damaged": 0, "read": 0}
    for number in range(MUTATIONS):
        path = files[0] if number % 3 == 0 else draw.choice(list(contents))
        put(path, mutated(contents[path], draw))
        if path.parent == waiting:
            progress.read(progress_json)
            lease.alive(lease_json)
            lease.others_here(waiting.parent, tmp_path)
            continue
        records, absent = collect.collect(one, cells, partial=True)
        for make in (collect.runs_table, collect.epochs_table, collect.steps_table):
            make(one, records)
        if absent:
            counts["damaged"] += 1
            assert len(absent) == 1 and OLD in absent[0], absent
            assert path.name in absent[0] and absent[0].isprintable(), absent
            estimate.of_cell(cells.parent, OLD)
        else:
            counts["read"] += 1
            shown(one, records, place)
        if number % 20 == 0:
            (row,) = status.of_plans([one], cells.parent, cells)
            assert row.state == "damaged" if absent else row.state in ("done", "diverged")
        put(path, whole[path])
    assert min(counts.values()) > MUTATIONS / 10, counts


def shown(plan: StudyPlan, records: dict[str, results.CellRecord], place: Place) -> None:
    """What the report says of a cell, but for its pages."""
    data = StudyData(plan, None)
    for page in cell_pages([data], records, {}, {OLD}, place):
        assert all(text.isprintable() for _, text in (*page["results"], *page["provenance"]))
        assert all(entry.text.isprintable() for row in page["settings"].rows for entry in row)
    for made in (report_machines.hardware(records), report_machines.versions(records)):
        assert all(entry.text.isprintable() for row in made.rows for entry in row)
    report_machines.time_table([data], records)
    report_machines.dates(records)


def test_a_typed_file_says_its_name(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    with pytest.raises(Unreadable, match=f"{path} cannot be read"):
        results.typed(path, results.Manifest)
    path.write_text('{"beton_id": "x", "mean": [1], "std": "y"}')
    with pytest.raises(Unreadable, match=f"{path}: std: input should be a valid list"):
        results.typed(path, results.Manifest)
