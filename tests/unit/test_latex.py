"""LaTeX tables: one document with all tables of a study compiles, also with hostile texts."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from synthetic import collected, config_dir, study_copy

from ablation.grid import Planner
from ablation.markup import Column, Entry, Table, latex, to_latex
from ablation.tables import study_tables

ENGINE = next(filter(None, map(shutil.which, ("pdflatex", "lualatex"))), None)
HOSTILE = (
    r"<script>x</script> | $5_a$ & 50% #1 ~^ {b} \input{c} [d](e) *f* `g` \\ -- --- '' ?` !` ,, <<",
    "\\end{tabular} \\def\\x{ %",
    "Müller, Łódź, 5 µm, ½ €, “quoted” … ≤ ≥ ≈ → × ∞ – — −1 ± 2",
    "测试 🎉 e\u0301 \u200b \u202e x² Ω",
    "[1] and * and & at the start",
)


def hostile_table(text: str) -> Table:
    """The text wherever a table has one, also first in a row and last before its end."""
    columns = (Column(text), Column("n", True), Column(text))
    rows = tuple((Entry(text), Entry(str(n)), Entry(text)) for n in range(2))
    return Table("hostile", text, columns, rows, (text, text))


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> list[Table]:
    """Every kind of table: of studies with diverged and missing runs, of a range test, of a loader
    benchmark; and hostile texts."""
    found = [hostile_table(text) for text in HOSTILE]
    for name in ("aime_fig3_without_augmentation", "jeong_batch_lr", "lr_range_test"):
        folder = tmp_path_factory.mktemp(name)
        plan = Planner(config_dir()).plan(name, "demo")
        ids = [c.id for c in plan.cells]
        diverged = {} if name == "lr_range_test" else {ids[0]: 3}
        found += study_tables(collected(plan, folder, diverged=diverged), config_dir())
    folder = tmp_path_factory.mktemp("odd")
    config = study_copy(folder, "odd", title=HOSTILE[0], rows={HOSTILE[1]: {"lr": 0.3}})
    plan = Planner(config).plan("odd", "demo")
    return found + study_tables(collected(plan, folder, missing=(plan.cells[1].id,)), config)


@pytest.mark.skipif(ENGINE is None, reason="there is neither pdflatex nor lualatex here")
def test_all_tables_compile_in_one_document(tables, tmp_path):
    packages = re.findall(r"\\usepackage(?:\[\w+\])?\{\w+\}", to_latex(tables[0]))
    assert len(packages) == 3
    text = "\n".join([r"\documentclass{article}", *packages, r"\begin{document}"])
    text += "\n" + "\n\\clearpage\n".join(map(to_latex, tables)) + "\n\\end{document}\n"
    (tmp_path / "all.tex").write_text(text, encoding="utf-8")
    command = [ENGINE, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120, check=False)
    said = done.stdout.decode(errors="replace")
    assert done.returncode == 0, said[-1500:]
    log = (tmp_path / "all.log").read_text(errors="replace")
    assert "Missing character" not in log and "undefined" not in log
    assert f"({len(tables)} pages" in " ".join(log.split())


def test_rows_have_their_columns_and_braces_are_balanced(tables):
    for table in tables:
        text = to_latex(table)
        rows = [line for line in text.split("\n") if line.endswith(r" \\")]
        assert len(rows) == 1 + len(table.rows)
        for row in rows:
            assert len(re.findall(r"(?<!\\)&", row)) == len(table.columns) - 1, row
        plain = re.sub(r"\\[{}]", "", text)
        depth = 0
        for character in plain:
            depth += {"{": 1, "}": -1}.get(character, 0)
            assert depth >= 0, text
        assert depth == 0 and text.isascii()


def test_what_the_font_does_not_have_is_named_and_not_dropped():
    assert latex("测") == "[U+6D4B]".replace("[", "{[}").replace("]", "{]}")
    assert latex("é e\u0301") == r"\'{e} \'{e}"
    assert "−" not in latex("−1") and latex("≤") == r"$\leq$"
