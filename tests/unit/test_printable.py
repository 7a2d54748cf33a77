"""Text of others as one line: nothing in it orders a terminal about or passes for another line."""

from __future__ import annotations

import json
from pathlib import Path

import cell_status
import configs
import images
import pytest
import train_cell
from synthetic import old_cell

from ablation import causes, lease
from ablation.config.dataset import Source
from ablation.config.load import load_lock
from ablation.csv_text import guarded, unguarded
from ablation.errors import ConfigError, DataError, StopRequested
from ablation.grid import Planner
from ablation.printable import MOST, escaped, one_line, order_in
from ablation.results import read_cell
from ablation.sources import open_source

EVIL = "a\x1b[2J\x1b]0;t\x07\u202eb\u2066\x9bc\rd\ud800"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("plain, × – ü 漢 \U0001f469\u200d\U0001f4bb", None),
        ("two\nlines\r\n\n three \t four", "two; lines; three four"),
        ("a\u2028b\x85c\x0bd", "a; b; c; d"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\u202eb\u200f\u061c", r"a\u202eb\u200f\u061c"),
        ("\x00\x7f\x9b\ud800", r"\x00\x7f\x9b\ud800"),
        (17, "17"),
    ],
)
def test_one_line(text: object, line: str | None) -> None:
    assert one_line(text) == (text if line is None else line)


def test_a_line_is_bounded() -> None:
    assert len(one_line("x" * 10**7)) == MOST + 4 and one_line("abc", 2) == "ab ..."
    assert order_in("a\tb\n") == r"\t" and order_in("a\tb\n", layout=True) == ""
    assert escaped("  a \x1b") == r"  a \x1b"


# ---- what people watch ---------------------------------------------------------------------------


def watched(tmp_path: Path, capsys: pytest.CaptureFixture) -> str:
    (tmp_path / "config/config.yaml").write_text("scale: z\nstudies: [s]\n")
    options = ["--config-dir", tmp_path / "config", "--results", tmp_path / "results"]
    assert cell_status.main(list(map(str, options))) == 0
    return capsys.readouterr().out


def test_status_shows_what_others_wrote_as_text(tmp_path, capsys) -> None:
    plan = Planner(configs.write(tmp_path / "config")).plan("s", "z")
    first, second, third = (cell.id for cell in plan.cells[:3])
    cells = tmp_path / "results/cells"
    provenance = old_cell(cells, first) / "provenance.json"
    text = json.dumps(json.loads(provenance.read_text()) | {"host": EVIL.replace("\ud800", "")})
    provenance.write_text(text)
    held = tmp_path / "results/checkpoints" / second / "lease.json"
    held.parent.mkdir(parents=True)
    holder = {"token": "t", "pid": 1, "started": 1.0, "host": "x\x1b[2J", "job": "\u202e7\n8"}
    held.write_text(json.dumps(holder))
    log = tmp_path / "results/logs/train" / f"{third}.log"
    log.parent.mkdir(parents=True)
    log.write_text(f"=== cell {third}: s ===\nerror: no\x1b[31m disk\x9b\u202e\n")
    said = watched(tmp_path, capsys)
    assert r"\x1b[2J" in said and r"no\x1b[31m disk\x9b\u202e" in said and r"\u202e7; 8" in said
    assert not order_in(said, layout=True)


def test_who_is_waited_for_is_said_in_one_line(tmp_path) -> None:
    path = tmp_path / "cell/lease.json"
    path.parent.mkdir()
    holder = {"token": "t", "pid": 1, "started": 1.0, "host": "a\nerror: b", "job": "\x1b[2J"}
    path.write_text(json.dumps(holder))
    said: list[str] = []
    asked = iter((False, False, True))
    with pytest.raises(StopRequested):
        lease.Lease(path, said.append, 0.01, lambda: next(asked)).__enter__()
    assert said == [r"waiting: a; error: b process 1 (job \x1b[2J) is training this cell"]


def test_what_a_cell_says_forges_no_cause(tmp_path, capsys, monkeypatch) -> None:
    """Its log is read for lines that begin with `error: `."""
    train_cell.say("=== cell x: s, a\nerror: forged\x1b[2J, seed 0 ===")
    train_cell.say("epoch 1/3")
    log = tmp_path / "x.log"
    log.write_text(capsys.readouterr().err)
    assert "forged" not in causes.of_log(log) and not order_in(log.read_text(), layout=True)


def test_results_are_read_as_lines(tmp_path) -> None:
    """At the door, so that every page, table and line has them so."""
    folder = old_cell(tmp_path, "c3a32ae49246")
    for name, change in (
        ("provenance", {"packages": {"torch\n": "2\x1b[0m"}, "hardware": {"cpu": "a\u202eb"}}),
        ("cell", {"dataset": "d\n", "config": {"a\x1b": [{"b": "c\x07"}]}}),
        ("timing", {"energy_source": "nvml\x1b"}),
    ):
        path = folder / f"{name}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | change))
    found = read_cell(folder, folder.name)
    assert found.provenance["packages"] == {"torch": r"2\x1b[0m"}
    assert found.provenance["hardware"] == {"cpu": r"a\u202eb"}
    assert found.cell == {"dataset": "d", "config": {r"a\x1b": [{"b": r"c\x07"}]}}
    assert found.timing["energy_source"] == r"nvml\x1b"


# ---- labels and classes --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (r'"a\nerror: b": {lr: 1}', r"a; error: b.*\\n in its label"),
        (r'"a\tb": {lr: 1}', r"\\t in its label"),
        (r'"a\e[2J": {lr: 1}', r"control or direction character \\x1b"),
        (r'"a\u202eb": {lr: 1}', r"control or direction character \\u202e"),
        (r'"a\u0085b": {lr: 1}', r"\\x85"),
    ],
)
def test_a_label_is_one_line_of_text(tmp_path, rows, said) -> None:
    config = configs.write(tmp_path / "config")
    study = config / "studies/s.yaml"
    study.write_text(configs.STUDY + f"rows: {{{rows}}}\n")
    with pytest.raises(ConfigError, match=said) as caught:
        Planner(config).plan("s", "z")
    assert not order_in(str(caught.value)) and str(study) in str(caught.value)


@pytest.mark.parametrize("part", ["title", "question"])
def test_no_text_of_a_study_orders_a_terminal_about(tmp_path, part) -> None:
    config = configs.write(tmp_path / "config")
    configs.edit(config / "studies/s.yaml", f"{part}: {part[0]}", f'{part}: "t\\e]0;x"')
    with pytest.raises(ConfigError, match=rf"s.yaml: {part}: holds .*\\x1b; write it without"):
        Planner(config).plan("s", "z")


def test_classes_are_lines_of_text(tmp_path) -> None:
    config = configs.write(tmp_path / "config")
    path = config / "datasets/fashion_mnist.lock.json"
    for name in ("a\x1b[2J", "a\u202eb", "a\nb"):
        lock = json.loads(path.read_text())
        lock["classes"][0] = name
        path.write_text(json.dumps(lock))
        with pytest.raises(ConfigError, match="holds the control or direction") as caught:
            load_lock(config, "fashion_mnist")
        assert not order_in(str(caught.value))


@pytest.mark.parametrize("name", ["a\u202eb", "a\x1b[2J"])
def test_a_class_folder_is_a_line_of_text(tmp_path, name) -> None:
    path = images.write_folder(images.imagenet(False), tmp_path / "t")
    for split in ("train", "val"):
        (path / split / "n01440764").rename(path / split / name)
    with pytest.raises(DataError, match="rename") as caught:
        open_source(Source(layout="folder", path=str(path)), Path("/"), tmp_path)
    assert not order_in(str(caught.value))


# ---- texts in a CSV ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("=1+1", "'=1+1"), ("+ mixup", "'+ mixup"), ("-x", "'-x"), ("@a", "'@a"), ("\ta", "'\ta"),
        ("'a", "''a"), ("lr=0.1", "lr=0.1"), ("-0.5", "-0.5"), ("+1e-3", "+1e-3"), ("", ""),
        (-0.5, -0.5), (None, None), (True, True), ("-1+cmd", "'-1+cmd"),
    ],
)  # fmt: skip
def test_no_text_is_a_formula_and_numbers_stay_numbers(value, written) -> None:
    assert guarded(value) == written
    if isinstance(value, str):
        assert unguarded(written) == value


def test_labels_like_formulas_survive_the_tables(tmp_path) -> None:
    import csv

    from synthetic import collected, study_copy

    from ablation.figures import draw
    from ablation.hover import hover
    from ablation.main_table import main_table
    from ablation.markup import to_csv

    rows = {"= all": {"lr": 0.1}, "+ mixup": {"lr": 0.2}, "-0.1": {"lr": 0.3}, "'q": {"lr": 0.4}}
    figures = {"a": {"kind": "curves", "title": "t", "metric": "val_top1"}}
    config = study_copy(tmp_path, "odd", grid={}, rows=rows, baseline={"row": "= all"},
                        figures=figures, published=[])  # fmt: skip
    plan = Planner(config).plan("odd", "demo")
    data = collected(plan, tmp_path)
    assert list(dict.fromkeys(data.runs["variant"])) == list(rows)
    assert list(dict.fromkeys(data.runs["axis.row"])) == list(rows)
    assert all(len(data.values(v, "val_top1")) == 2 for v in plan.variants)
    drawn = draw(data, "a")
    (tmp_path / "a.csv").write_text(drawn.table)
    (tmp_path / "a.layout.json").write_text(drawn.layout)
    shown = hover(tmp_path, "a", "val_top1")["lines"]
    assert [line["name"].split("  ")[-1] for line in shown] == list(rows)
    runs = (tmp_path / "studies/demo/odd/runs.csv").read_text()
    for text in (runs, drawn.table, to_csv(main_table(data))):
        fields = [field for row in csv.reader(text.splitlines()) for field in row]
        assert "'= all" in fields and "'+ mixup" in fields and "-0.1" in fields
        assert not any(field.startswith(("=", "@", "+ ")) for field in fields)
