"""Tables: numbers with their uncertainty, honest about scale, and plain text in every format."""

from __future__ import annotations

import csv
import io
import re

import pytest
from study_tables import main
from synthetic import collected, config_dir, study_copy

from ablation.entries import difference_text, epochs_text, mean_text, reached_entry
from ablation.errors import ConfigError
from ablation.grid import Planner
from ablation.markup import latex, markdown, to_csv, to_latex, to_markdown
from ablation.stats import Summary, summarise
from ablation.tables import study_tables

HOSTILE = r"<script>x</script> | $5_a$ & 50% #1 ~^ {b} \input{c} [d](e) *f* `g`"


@pytest.fixture(scope="module")
def fig1(tmp_path_factory):
    """Fig. 1 with learning rate 1 diverged for one seed and 0.01 missing one."""
    plan = Planner(config_dir()).plan("aime_fig1_constant_lr", "demo")
    ids = [c.id for c in plan.cells]
    folder = tmp_path_factory.mktemp("fig1")
    return collected(plan, folder, diverged={ids[0]: 4}, missing=(ids[5],))


def named(tables, name):
    """The table of a name."""
    return next(table for table in tables if table.name == name)


def headings(table):
    return [column.heading for column in table.columns]


def texts(table):
    return [dict(zip(headings(table), (e.text for e in row), strict=True)) for row in table.rows]


def test_a_diverged_run_counts_at_chance_and_a_missing_one_not_at_all(fig1):
    first, best, third = fig1.plan.variants[:3]
    other = float(fig1.of(first, "completed")["val_top1"].iloc[0])
    assert fig1.values(first, "val_top1") == {0: 10.0, 1: other}
    assert fig1.values(first, "val_top5")[0] == 50.0
    assert fig1.values(first, "val_loss").keys() == {1}
    assert fig1.values(third, "val_top1").keys() == {0}
    assert fig1.difference(third, best, "val_top1").n == 1


def test_main_table(fig1):
    main_table = study_tables(fig1, config_dir())[0]
    headings = [c.heading for c in main_table.columns]
    text = [dict(zip(headings, (e.text for e in row), strict=True)) for row in main_table.rows]
    assert [row["lr"] for row in text] == ["1", "0.1", "0.01", "0.001", "0.0001"]
    assert [row["Runs"] for row in text] == ["2 of 2", "2 of 2", "1 of 2", "2 of 2", "2 of 2"]
    assert [row["Diverged"] for row in text] == ["1", "0", "0", "0", "0"]
    assert text[1]["Difference to baseline"] == "baseline" and main_table.marked == (1,)
    assert "±" not in text[2]["Top-1 (%)"] and "[" not in text[2]["Difference to baseline"]
    assert text[4]["Epochs to 70 %"] == "> 18"
    assert "Training time (s)" in headings


def test_thresholds_are_reached_and_held(tmp_path):
    plan = Planner(config_dir()).plan("aime_fig1_constant_lr", "demo")
    diverged = {c.id: 18 for c in plan.cells if c.variant.label == "lr=0.1"}
    data = collected(plan, tmp_path, diverged=diverged)
    table = named(study_tables(data, config_dir()), "thresholds")
    text = texts(table)
    assert headings(table)[1:5] == [
        "Epochs to 70 %", "Epochs to hold 70 %", "Seconds to 70 %", "Seconds to hold 70 %",
    ]  # fmt: skip
    # The diverged runs reached it and held nothing; the slow ones never did.
    assert text[1]["Epochs to 70 %"] != "> 18" and text[1]["Epochs to hold 70 %"] == "> 18"
    assert text[1]["Seconds to hold 70 %"] == "> 29"  # 17 epochs of 1.75 s, rounded down
    assert [text[4][f"Epochs to {word}70 %"] for word in ("", "hold ")] == ["> 18", "> 18"]
    assert text[4]["Seconds to 70 %"] == "> 31"
    pairs = []
    for percent in (70, 75, 80, 82):
        runs = data.runs[data.runs[f"epochs_to_hold_{percent}"].notna()]
        late = runs[f"epochs_to_hold_{percent}"]
        pairs += zip(runs[f"epochs_to_{percent}"], late, strict=True)
        assert list(runs[f"seconds_to_hold_{percent}"]) == [1.75 * e for e in late]
    assert all(early <= late for early, late in pairs)
    assert text[0]["Epochs to hold 82 %"] == "> 18" != text[0]["Epochs to 82 %"]  # and lost again
    shared = collected(plan, tmp_path / "shared", alone=False)
    table = named(study_tables(shared, config_dir()), "thresholds")
    assert not any("econds" in heading for heading in headings(table))


def test_energy_stands_where_it_was_measured_and_may_be_compared(tmp_path):
    plan = Planner(config_dir()).plan("aime_fig1_constant_lr", "demo")
    energies = ("Energy (J)", "GPU load (%)", "GPU power (W)")
    table = study_tables(collected(plan, tmp_path / "none"), config_dir())[0]
    assert not set(energies) & set(headings(table)) and "nergy" not in " ".join(table.notes)
    data = collected(plan, tmp_path / "all", metered=True)
    table = study_tables(data, config_dir())[0]
    assert [texts(table)[0][e] for e in energies] == ["3780 ± 0", "71 ± 0", "100.0 ± 0.0"]
    assert "Energy: the run's GPUs and all CPU packages of its machine." in table.notes
    assert float(table.records[0]["energy_j_mean"]) == 18 * 210
    assert list(data.epochs["gpu_power_w"].unique()) == [100.0]
    data.runs.loc[0, "energy_source"] = "nvml"
    table = study_tables(data, config_dir())[0]
    assert "Training time (s)" in headings(table) and not set(energies) & set(headings(table))
    assert any("their meters differ (nvml and nvml+rapl)" in note for note in table.notes)
    shared = collected(plan, tmp_path / "shared", metered=True, alone=False)
    table = study_tables(shared, config_dir())[0]
    assert not set(energies) & set(headings(table))


def test_columns_that_a_study_asks_for(tmp_path):
    columns = ["fit", "noise_scale", "val_loss_spikes", "epoch_time_s"]
    config = study_copy(tmp_path, "more", columns=columns)
    plan = Planner(config).plan("more", "demo")
    table = study_tables(collected(plan, tmp_path), config)[0]
    row = texts(table)[1]
    assert (row["Fit"], row["Noise scale"]) == ("overfitting", "18.53")
    assert (row["Spikes of the validation loss"], row["Time per epoch (s)"]) == (
        "0.0 ± 0.0", "1.75 ± 0.00",
    )  # fmt: skip
    assert any(note.startswith("Fit: clean train against validation") for note in table.notes)
    assert table.records[1]["fit"] == "overfitting" and table.records[1]["noise_scale_mean"] > 18
    shared = study_tables(collected(plan, tmp_path / "shared", alone=False), config)[0]
    assert "Time per epoch (s)" not in headings(shared) and "Fit" in headings(shared)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["noise_scal"], "noise_scal is no metric; did you mean 'noise_scale'"),
        (["val_top1"], "val_top1 stands in the main table anyway"),
        (["fit", "fit"], "fit stands there twice"),
    ],
)
def test_a_column_that_says_nothing_new_is_refused(tmp_path, columns, message):
    config = study_copy(tmp_path, "more", columns=columns)
    with pytest.raises(ConfigError, match=message):
        Planner(config).plan("more", "demo")


def test_a_published_time_stands_beside_times_that_may_be_compared(tmp_path):
    published = [{"where": "Table 1", "value": 27, "measures": "last", "metric": "epoch_time_s"}]
    config = study_copy(tmp_path, "more", published=published)
    plan = Planner(config).plan("more", "demo")
    for alone, text in ((True, "1.75 ± 0.00"), (False, "–")):
        data = collected(plan, tmp_path / str(alone), alone=alone)
        assert named(study_tables(data, config), "published").rows[0][5].text == text


def test_a_published_gain_and_ratio_stand_beside_measured_ones(fig1, tmp_path):
    one = {"where": "here", "variant": {"lr": 0.01}, "measures": "unstated"}
    published = [
        one | {"value": 14, "of": "gain"},
        one | {"value": 0, "of": "gain", "relation": "about"},
        one | {"value": 0.25, "of": "ratio", "metric": "train_time_s"},
        one | {"value": 0.5, "of": "ratio"},
    ]
    config = study_copy(tmp_path, "more", published=published)
    plan = Planner(config).plan("more", "demo")
    data = collected(plan, tmp_path)
    rows = named(study_tables(data, config), "published").rows
    texts = [row[3].text for row in rows]
    assert texts[:2] == ["+14 points to the baseline", "about +0 points to the baseline"]
    assert texts[2:] == ["0.25 × the baseline's", "0.5 × the baseline's"]
    variant = next(v for v in plan.variants if v.label == "lr=0.01")
    mine, base = (data.values(v, "val_top1") for v in (variant, plan.baseline))
    gain = sum(mine[s] - base[s] for s in mine) / 2
    assert rows[0][5].sort == pytest.approx(gain)
    assert rows[0][5].text.startswith(f"−{-gain:.2f} [")
    assert rows[2][5].text == "1 ± 0 ×" and rows[2][6].text == "–"  # no best-epoch time
    assert rows[3][5].sort == pytest.approx(sum(mine[s] / base[s] for s in mine) / 2)
    best, other = (data.values(v, "best_val_top1") for v in (variant, plan.baseline))
    assert rows[0][6].sort == pytest.approx(sum(best[s] - other[s] for s in best) / 2)


def test_a_gain_of_no_variant_is_refused(tmp_path):
    published = [{"where": "here", "value": 2, "of": "gain", "measures": "last"}]
    config = study_copy(tmp_path, "more", published=published)
    with pytest.raises(ConfigError, match="a gain is of one variant against the baseline: name"):
        Planner(config).plan("more", "demo")


def test_published_ranges_epochs_and_quantities(tmp_path):
    """Epochs to an accuracy of the scale are measured, to another one not; a number that nothing
    here measures stands by itself; parameters are a run's."""
    where = {"where": "Table 1", "measures": "run"}
    reached = {"metric": "epochs_to", "variant": {"lr": 0.1}, "relation": ">", "value": 3}
    published = [
        where | reached | {"threshold": 70},
        where | reached | {"threshold": 71},
        where | {"metric": None, "quantity": "CPU load (%)", "value": 30, "relation": "about"},
        where | {"value": 80, "to": 82.5},
        where | {"metric": "parameters", "value": 1663338},
    ]
    config = study_copy(tmp_path, "more", published=published)
    data = collected(Planner(config).plan("more", "demo"), tmp_path)
    table = named(study_tables(data, config), "published")
    variant = next(v for v in data.plan.variants if v.axes == {"lr": 0.1})
    expected = reached_entry(data, variant, 70, "epochs_to").text
    texts = [[entry.text for entry in row] for row in table.rows]
    assert (
        texts[0][2:7] == ["Epochs to 70 %", "> 3", "whole run", expected, "–"] and expected != "–"
    )
    assert texts[1][2:7] == ["Epochs to 71 %", "> 3", "whole run", "–", "–"]
    assert texts[2][1:7] == ["–", "CPU load (%)", "about 30", "whole run", "–", "–"]
    assert texts[3][3] == "80 to 82.5 %" and texts[3][6] == "–" != texts[3][5]
    assert texts[4][2:4] == ["Trainable parameters", "1663338"]
    assert len({tuple(record) for record in table.records}) == 1  # one CSV holds them all


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"threshold": 70}, "belongs to the metric epochs_to"),
        ({"metric": "epochs_to", "threshold": 70}, "is of a variant"),
        ({"metric": None}, "`quantity` belongs to"),
        ({"quantity": "x"}, "`quantity` belongs to"),
        ({"to": 1}, "a range goes from"),
        ({"to": 90, "relation": "<"}, "a range goes from"),
        ({"metric": None, "quantity": "x", "variant": {"lr": 0.1}, "of": "gain"}, "of a metric"),
    ],
)
def test_a_published_number_that_contradicts_itself_is_refused(tmp_path, change, message):
    entry = {"where": "here", "value": 80, "measures": "last"} | change
    with pytest.raises(ConfigError, match=message):
        Planner(study_copy(tmp_path, "more", published=[entry])).plan("more", "demo")


def test_csv_has_full_precision(fig1):
    table = study_tables(fig1, config_dir())[0]
    rows = list(csv.DictReader(io.StringIO(to_csv(table))))
    expected = fig1.summary(fig1.plan.variants[1], "val_top1")
    assert float(rows[1]["val_top1_mean"]) == expected.mean
    assert float(rows[1]["val_top1_high"]) == expected.high
    assert rows[2]["val_top1_low"] == "" and rows[2]["n_missing"] == "1"
    assert rows[4]["epochs_to_70_min"] == "" and rows[4]["epochs_to_70_censored"] == "2"


def test_the_documents_value_stands_in_parentheses(tmp_path):
    plan = Planner(config_dir()).plan("aime_fig3_without_augmentation", "demo")
    table = study_tables(collected(plan, tmp_path), config_dir())[0]
    assert table.rows[-1][0].text == "128 (768 in the document)"
    assert table.rows[-1][0].sort == 128


def test_times_of_cells_that_shared_a_machine_are_not_compared(tmp_path):
    plan = Planner(config_dir()).plan("aime_fig1_constant_lr", "demo")
    table = study_tables(collected(plan, tmp_path, alone=False), config_dir())[0]
    assert "Training time (s)" not in [c.heading for c in table.columns]
    assert any("not compared: 10 of 10 cells shared" in note for note in table.notes)
    assert table.records[0]["train_time_s_n"] == 0 and table.records[0]["train_time_not_compared"]


def test_every_published_row_says_what_was_measured(fig1):
    published = named(study_tables(fig1, config_dir()), "published")
    where = [c.heading for c in published.columns].index("Measured on")
    expected = "Fashion-MNIST (subset), demo scale; not comparable with the published ImageNet-1k"
    assert all(row[where].text.startswith(expected) for row in published.rows)
    assert [row[3].text for row in published.rows] == ["about 30 %", "< 60 %"]


@pytest.mark.parametrize(
    ("measures", "dashes"), [("last", [False, True]), ("best", [True, False]), ("unstated", [0, 0])]
)
def test_an_unstated_value_stands_beside_both(tmp_path, measures, dashes):
    published = [{"where": "here", "value": 70, "relation": "up to", "measures": measures}]
    config = study_copy(tmp_path, "one", published=published)
    data = collected(Planner(config).plan("one", "demo"), tmp_path)
    row = named(study_tables(data, config), "published").rows[0]
    assert [row[i].text == "–" for i in (5, 6)] == [bool(d) for d in dashes]
    assert row[3].text == "up to 70 %" and row[1].text == "lr=0.1 (best of 5)"


def test_a_comparable_scale_says_only_where(tmp_path):
    config = study_copy(tmp_path, "own", base={"dataset": "fashion_mnist"})
    (config / "scales/own.yaml").write_text(
        "title: as it is\nmeasure: {clean_images: 100, clean_every: 1}\n"
    )
    data = collected(Planner(config).plan("own", "own"), tmp_path)
    row = named(study_tables(data, config), "published").rows[0]
    assert row[7].text == "Fashion-MNIST (subset), own scale"


def test_numbers():
    assert mean_text("val_top1", summarise([80.0])) == "80.00"
    assert mean_text("val_top1", Summary(0)) == "–"
    assert mean_text("val_top1", summarise([80, 80])) == "80.00 ± 0.00"
    assert difference_text("val_top1", Summary(2, -1, 1, -10, 8)) == "−1.00 [−10.00, +8.00]"
    assert epochs_text([4, 4], 18) == "4"
    assert epochs_text([4, None], 18) == "4 to > 18"
    assert epochs_text([3, None, 4, 4, 6], 18) == "4 (3 to > 18)"
    assert epochs_text([None, None], 18) == "> 18"
    assert epochs_text([], 18) == "–"


def test_hostile_texts_stay_texts(tmp_path):
    rows = {HOSTILE: {"lr": 0.1}, "plain": {"lr": 0.2}}
    config = study_copy(
        tmp_path,
        "bad",
        title=HOSTILE,
        grid={},
        rows=rows,
        baseline={"row": HOSTILE},
        figures={},
        published=[{"where": HOSTILE, "value": 1, "measures": "last", "note": HOSTILE}],
    )
    plan = Planner(config).plan("bad", "demo")
    data = collected(plan, tmp_path)
    out, folder = tmp_path / "tables", tmp_path / "studies/demo/bad"
    args = ["--study", "bad", "--scale", "demo", "--runs", str(folder / "runs.csv")]
    assert main([*args, "--out", str(out), "--config-dir", str(config)]) == 0
    assert sorted(p.name for p in out.glob("[!.]*")) == sorted(
        f"{name}.{kind}"
        for name in ("comparisons", "main", "published", "thresholds")
        for kind in ("csv", "md", "tex")
    )
    for table in study_tables(data, config):
        check_latex(to_latex(table), len(table.columns))
        check_markdown(to_markdown(table), len(table.columns))


def check_latex(text: str, columns: int) -> None:
    """Balanced, no bare special characters, the same number of columns in every row."""
    unescaped = re.sub(r"\\\\$|\\[%#&_${}]", "", text, flags=re.MULTILINE)
    body = "\n".join(unescaped.split("\n")[1:])  # the first line is a comment
    assert not re.search(r"[%#_~^<>|`\"]", body), body
    assert body.count("{") == body.count("}")
    assert body.count("$") % 2 == 0
    assert re.findall(r"\\(begin|end)\{(\w+)\}", body) == [
        ("begin", "table"),
        ("begin", "tabular"),
        ("end", "tabular"),
        ("end", "table"),
    ]
    known = {"textbackslash", "textasciitilde", "textasciicircum", "textless", "textgreater"}
    known |= {"textbar", "textasciigrave", "textendash", "pm", "begin", "end", "centering"}
    known |= {"caption", "toprule", "midrule", "bottomrule", "par", "footnotesize"}
    assert set(re.findall(r"\\([A-Za-z]+)", body)) <= known
    rows = [line for line in text.split("\n") if line.endswith(r" \\")]
    assert rows and all(len(re.findall(r"(?<!\\)&", row)) == columns - 1 for row in rows)


def check_markdown(text: str, columns: int) -> None:
    rows = [line for line in text.split("\n") if line.startswith("| ")]
    assert rows and all(len(re.findall(r"(?<!\\)\|", row)) == columns + 1 for row in rows)
    assert "<" not in text


def test_escapes():
    assert latex("a--b [x] 5–6") == r"a{-}-b {[}x{]} 5\textendash{}6"
    assert markdown("batch_size=1 _x_ <b>&lt;") == r"batch_size=1 \_x\_ &lt;b>&amp;lt;"
    assert "\n" not in markdown("a\n# b") + latex("a\nb")


def test_no_interval_between_runs_that_all_diverged(tmp_path):
    """Chance has no spread: ± 0 would look like certainty."""
    plan = Planner(config_dir()).plan("aime_fig1_constant_lr", "demo")
    lost = {c.id: 1 for c in plan.cells if c.variant.label in ("lr=1", "lr=0.1")}
    data = collected(plan, tmp_path, diverged=lost)
    found = data.difference(plan.variants[0], plan.variants[1], "val_top1")
    assert (found.n, found.mean, found.has_interval) == (2, 0.0, False)
