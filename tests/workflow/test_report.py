"""The report: pages that open offline, on a phone too, and show every text as plain text; their
links lead somewhere, and what a curve tells at an epoch is what the CSV behind it holds."""

from __future__ import annotations

import csv
import html
import json
import os
import re
import shutil
import subprocess
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import build_report
import collect_study
import configs
import images
import pytest
import study_figures
from synthetic import collected, study_copy

from ablation import again, sentences
from ablation.errors import DataError, UserError
from ablation.grid import Planner
from ablation.hover import hover
from ablation.render import code_block, inline_svg
from ablation.report_cells import log_text
from ablation.sentences import count, duration, listed

HOSTILE = "<script>document.title='owned'</script> | <img src=x onerror=alert(1)> [x](y) {{ 7*7 }}"
STUDIES = ("odd", "aime_fig3_without_augmentation")
CLAIM = {
    "number": 1,
    "parts": [
        {"kind": "superiority", "measure": {"name": "last"}, "direction": "higher",
         "pairs": [{"variant": {"row": HOSTILE}, "against": {"lr": 0.0001}}]},
    ],
    "scales": ["demo"],
    "seeds": 2,
}  # fmt: skip
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")


def build(config: Path, results: Path, scale: str, *studies: str) -> Path:
    """Draw the figures and build the report of studies that are collected; its folder."""
    for study in studies:
        folder = results / "studies" / scale / study
        args = ["--study", study, "--scale", scale, "--runs", str(folder / "runs.csv")]
        args += ["--out", str(folder / "figures"), "--config-dir", str(config)]
        assert study_figures.main(args) == 0
    out = results / "report"
    args = ["--scale", scale, "--studies", *studies, "--results", str(results), "--out", str(out)]
    assert build_report.main([*args, "--config-dir", str(config)]) == 0
    return out


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    """Two studies: one with hostile texts everywhere, one with diverged and missing runs."""
    base = tmp_path_factory.mktemp("report")
    rows = {HOSTILE: {"lr": 0.3}}
    texts = {k: HOSTILE for k in ("title", "document", "place", "question")}
    published = [{"where": HOSTILE, "value": 1, "measures": "unstated", "note": HOSTILE}]
    figures = {"a": {"kind": "curves", "title": HOSTILE, "colour": "lr"}}
    config = study_copy(
        base,
        "odd",
        **texts,
        rows=rows,
        published=published,
        figures=figures,
        assumed={"loss": HOSTILE},
        claims=[CLAIM],
    )
    register = config / "claims.yaml"
    text = register.read_text()
    sentence = "A learning rate of 1e-4 has not caught up with 0.1 by the last epoch."
    assert sentence in text
    register.write_text(text.replace(sentence, json.dumps(HOSTILE)))
    dataset = config / "datasets/fashion_mnist.yaml"
    dataset.write_text(dataset.read_text().replace("title: Fashion", "title: <b>Fashion"))
    shared = {"in_both_splits": 3, "in_two_classes": 0, "examples": [HOSTILE]}
    images.edit_lock(config, "fashion_mnist", shared=shared)
    results = base / "results"
    odd, fig3 = (Planner(config).plan(study, "demo") for study in STUDIES)
    collected(odd, results)
    ids = [c.id for c in fig3.cells]
    collected(fig3, results, diverged={ids[0]: 5, ids[1]: 1}, missing=(ids[7],), torch="2.16.0")
    (results / "logs/train").mkdir(parents=True)
    (results / f"logs/train/{ids[7]}.log").write_text(f"began\nerror: no memory {HOSTILE}\n\n")
    return build(config, results, "demo", *STUDIES)


class Page(HTMLParser):
    """Collects what could load something, ids, elements and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.ids: Counter[str] = Counter()
        self.tags: Counter[str] = Counter()
        self.handlers: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        for key, value in attrs:
            if key.startswith("on"):
                self.handlers.append(key)
            elif key == "id":
                self.ids[value] += 1
            elif key in ("src", "href", "xlink:href", "data", "poster", "srcset", "action"):
                (self.links if tag == "a" else self.loads).append(value)

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def pages(report) -> dict[str, Page]:
    """All pages, by their path in the report's folder."""
    return parsed(report)


def parsed(report: Path) -> dict[str, Page]:
    found = sorted(report.rglob("*.html"))
    return {path.relative_to(report).as_posix(): Page(path.read_text()) for path in found}


def text_of(report: Path) -> str:
    """What the first page and the studies' pages say."""
    found = parsed(report)
    return " ".join(page.text for name, page in found.items() if not name.startswith("cells/"))


def test_every_claim_of_every_document_has_a_verdict_on_the_first_page(report, pages):
    text = (report / "index.html").read_text()
    tables = re.findall(r'<table class="sortable verdicts.*?</table>', text, re.S)
    row = r'<th scope="row" class="number" data-sort="(\d+)">'
    numbers = [int(n) for table in tables for n in re.findall(row, table)]
    assert len(tables) == 5 and sorted(numbers) == list(range(1, 84)) and numbers[0] == 1
    assert text.index('id="claims"') < text.index('id="document-1"') < text.index('id="what"')
    verdict = re.search(r'<a href="studies/odd.html#claim-1">(\w+)</a></span>', tables[0])[1]
    assert verdict in ("supported", "contradicted", "inconclusive")
    first = pages["index.html"].text
    assert f"Of 83 claims in 5 documents, 1 was tested at demo scale: 1 {verdict}" in first.replace(
        "none supported, none contradicted and ", ""
    )
    assert "study aime_fig2_decay_epoch is not in this report" in first
    assert "Claims tested here" in pages["studies/odd.html"].text
    assert "## Verdicts" in (report / "report.md").read_text()


def test_nothing_is_loaded_from_elsewhere(report, pages):
    for name, page in pages.items():
        text = (report / name).read_text()
        assert all(url.startswith(("#", "data:")) for url in page.loads), (name, page.loads)
        style = "".join(re.findall(r"<style.*?</style>", text, re.S))
        assert "@import" not in style and "url(" not in re.sub(r"url\(#[\w-]+\)", "", style)
        assert page.tags["link"] == 1 and not page.tags["iframe"] + page.tags["img"]
        assert "default-src 'none'" in text


def test_every_link_of_every_page_leads_into_the_report(report, pages):
    count = 0
    for name, page in pages.items():
        for url in page.links:
            target, _, anchor = url.partition("#")
            path = (report / name).parent / target if target else report / name
            found = path.resolve().relative_to(report.resolve()).as_posix()
            assert found in pages, (name, url)
            assert not anchor or anchor in pages[found].ids, (name, url)
            count += 1
    assert count > 250


def test_every_page_is_linked(pages):
    linked = {url.partition("#")[0].rpartition("/")[2] for p in pages.values() for url in p.links}
    assert {name.rpartition("/")[2] for name in pages} <= linked


def test_ids_are_unique_and_point_somewhere(pages):
    for name, page in pages.items():
        assert [i for i, n in page.ids.items() if n > 1] == [], name
        assert all(url[1:] in page.ids for url in page.loads if url.startswith("#")), name
    assert [pages[f"studies/{study}.html"].tags["svg"] for study in STUDIES] == [1, 3]


def test_hostile_texts_are_shown_as_they_stand(pages):
    shown = " ".join(HOSTILE.split())
    for name, page in pages.items():
        assert page.tags["script"] == 1 and page.handlers == [], name
    assert pages["studies/odd.html"].text.count(shown) >= 8
    assert pages["index.html"].text.count(shown) >= 3
    assert "<b>Fashion-MNIST (subset)" in pages["index.html"].text
    assert pages["index.html"].tags["b"] == 5  # the numbers of verdicts
    assert sum(f"error: no memory {shown}" in page.text for page in pages.values()) == 2


def test_the_pages_say_what_was_run_and_how_far_it_reaches(report):
    text = text_of(report)
    for part in (
        "These are demo-scale numbers: <b>Fashion-MNIST (subset) instead of ImageNet-1k",
        "18 instead of 90 epochs",
        "30 cells planned: 27 completed, 2 diverged, 1 missing",
        "MIT, (c) 2017 Zalando SE",
        "3 of 5,000 validation images are training images too (equal files)",
        "78,234 parameters",
        "128 (768 in the document)",
        "With 2 seeds an interval is wide, 8.98 standard deviations",
        "diverged in epoch 5, step 7",
        "error: no memory",
        "stated: section Momentum: 0.9 in all processes",
        "→ resnet_small (width 16, blocks 1, stem_stride 2)",
        "assumed: 224, the usual one",
        "A CPU, 2 CPUs, AVX2",
        "2.15.0",
    ):
        assert part in text, part
    assert "significan" not in text.lower()


def test_a_study_that_mixes_versions_says_so(tmp_path):
    config = study_copy(tmp_path, "odd")
    plan, results = Planner(config).plan("odd", "demo"), tmp_path / "results"
    collected(plan, results)
    first = results / "cells" / plan.cells[0].id / "provenance.json"
    content = json.loads(first.read_text())
    content |= {"packages": {"torch": "9.9"}, "hardware_id": "other", "code_version": None}
    first.write_text(json.dumps(content))
    folder = results / "studies/demo/odd"
    args = ["--study", "odd", "--scale", "demo", "--cells", str(results / "cells")]
    assert collect_study.main([*args, "--out", str(folder), "--config-dir", str(config)]) == 0
    text = text_of(build(config, results, "demo", "odd"))
    assert "mixes torch versions: 2.15.0 (9 cells) and 9.9 (1 cell)" in text
    assert "mixes versions of the code" in text and "mixes kinds of hardware" in text
    assert "Training times are not compared: the cells ran on 2 kinds of hardware" in text


def test_a_report_with_a_range_test_and_with_energy(tmp_path):
    config = study_copy(tmp_path, "odd", columns=["fit", "noise_scale"])
    results, studies = tmp_path / "results", ("odd", "lr_range_test")
    for study in studies:
        collected(Planner(config).plan(study, "demo"), results, metered=True)
    folder = build(config, results, "demo", *studies)
    text = text_of(folder)
    for part in (
        "batch_size=768: the loss falls fastest at a learning rate of 0",
        "suggestions to begin with: no accuracy is measured at them",
        "points above its validation top-1: overfitting by PaddleClas' rule",
        "When an accuracy was reached, and from when on it was held",
        "the run's GPUs and all CPU packages of its machine",
        "Energy (J)",
        "Noise scale",
    ):
        assert part in text, part
    assert "Loss over a rising learning rate" in (folder / "report.md").read_text()


def test_a_study_that_the_scale_cannot_carry_is_listed_with_its_reason(tmp_path):
    config = study_copy(tmp_path, "short", not_at={"demo": f"too short {HOSTILE}"}, title="Short")
    collected(Planner(config).plan("aime_fig1_constant_lr", "demo"), tmp_path)
    out = build(config, tmp_path, "demo", "aime_fig1_constant_lr")
    args = ["--scale", "demo", "--results", str(tmp_path), "--out", str(out)]
    args += ["--config-dir", str(config), "--studies"]
    assert build_report.main([*args, "short", "aime_fig1_constant_lr"]) == 0
    page = Page((out / "index.html").read_text())
    assert "Not run at scale demo Study From Why Short AIME: Efficient" in page.text
    assert f"too short {HOSTILE}" in page.text and not (out / "studies/short.html").exists()
    assert "### Not run at scale demo" in (out / "report.md").read_text()
    with pytest.raises(UserError, match="none of these studies is run at scale demo"):
        build_report.main([*args, "short"])


def test_a_damaged_cell_is_told_and_the_rest_reported_on(tmp_path, capsys):
    """Damaged since it was collected, in files that the report alone shows."""
    config = study_copy(tmp_path, "odd")
    plan, results = Planner(config).plan("odd", "demo"), tmp_path / "results"
    collected(plan, results)
    first, second = (results / "cells" / cell.id for cell in plan.cells[:2])
    (first / "provenance.json").write_text("[" * 100_000)
    (second / "cell.json").unlink()
    os.mkfifo(second / "cell.json")
    folder = build(config, results, "demo", "odd")
    said = capsys.readouterr().err
    for cell, name in ((first, "provenance.json"), (second, "cell.json")):
        assert f"damaged: cell {cell.name}: {cell / name} cannot be read" in said
    study = Page((folder / "studies/odd.html").read_text()).text
    assert f"damaged: {first}/provenance.json cannot be read" in study
    assert "8 completed, 0 diverged, 2 missing" in text_of(folder)
    assert (folder / f"cells/{plan.cells[2].id}.html").is_file()


def test_a_report_of_nothing_yet(tmp_path):
    config = study_copy(tmp_path, "odd")
    plan, results = Planner(config).plan("odd", "smoke"), tmp_path / "results"
    collected(plan, results, missing=tuple(c.id for c in plan.cells))
    text = text_of(build(config, results, "smoke", "odd"))
    assert "No run of this study has finished." in text
    assert "5 cells planned: 0 completed, 0 diverged, 5 missing" in text


def test_the_same_results_give_the_same_report(report):
    config, results = report.parent.parent / "config", report.parent
    before = {path: path.read_bytes() for path in report.rglob("*.*") if path.is_file()}
    left = report / "cells/000000000000.html"  # of an earlier choice of studies
    left.write_text("")
    assert build(config, results, "demo", *STUDIES) == report
    assert {path: path.read_bytes() for path in report.rglob("*.*") if path.is_file()} == before


def test_markdown_links_its_figures_and_holds_no_markup(report):
    text = (report / "report.md").read_text()
    figures = re.findall(r"^!\[.*\]\(([^()]+)\)$", text, re.M)
    assert len(figures) == 1 + 3
    assert all((report / figure).resolve().is_file() for figure in figures)
    outside = re.sub(r"^(`{3,})\n.*?\n\1$", "", text, flags=re.S | re.M)
    assert "<" not in outside
    assert r"\[x\](y)" in outside and "{{ 7*7 }}" not in outside.replace(r"{{ 7\*7 }}", "")


def test_missing_figures_are_named(report, tmp_path):
    results = tmp_path / "results"
    shutil.copytree(report.parent, results)
    figures = results / "studies/demo/odd/figures"
    args = ["--scale", "demo", "--studies", "odd", "--results", str(results)]
    args += ["--out", str(tmp_path), "--config-dir", str(report.parent.parent / "config")]
    for name in ("a.layout.json", "a.svg"):
        (figures / name).unlink()
        with pytest.raises(DataError, match=r"figures/a.* cannot be read .*study_figures.py"):
            build_report.main(args)


def test_small_words():
    assert [duration(s) for s in (1.234, 45, 720, 5520, 7200)] == [
        "1.2 s",
        "45 s",
        "12 min",
        "92 min",
        "2 h 0 min",
    ]
    assert [count(n, "class") for n in (1, 2, 1000)] == ["1 class", "2 classes", "1,000 classes"]
    assert [listed("abc"[:n]) for n in (1, 2, 3)] == ["a", "a and b", "a, b and c"]
    assert code_block("a ``` b").startswith("````\n")
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="10pt"><g id="a" clip-path="url(#a)"/></svg>'
    )
    assert 'id="p-a"' in inline_svg(svg, "p", "x") and "url(#p-a)" in inline_svg(svg, "p", "x")


# ---- the page of a cell --------------------------------------------------------------------------


def page_of(pages: dict[str, Page], cell: str) -> str:
    return pages[f"cells/{cell}.html"].text


def test_a_cell_has_a_page_with_all_that_is_known_of_it(report, pages):
    config, results = report.parent.parent / "config", report.parent
    plan = Planner(config).plan("aime_fig3_without_augmentation", "demo")
    assert sum(name.startswith("cells/") for name in pages) == 12 + 18
    text, cell = page_of(pages, plan.cells[3].id), plan.cells[3]
    last = json.loads((results / "cells" / cell.id / "metrics.json").read_text())["last"]
    for part in (
        f"{cell.variant.label}, seed {cell.config.seed}",
        f"Top-1 (%), last epoch {last['val_top1']:.2f}",
        f"validation {last['val_top1']:.2f} train, clean {last['clean_top1']:.2f}",
        f"optimizer.weight_decay {cell.config.optimizer.weight_decay:g}",
        f"seed {cell.config.seed}",
        again.in_results("aime_fig3_without_augmentation", "demo", cell, results, {}),
        "torch 2.16.0, numpy 2.4.6",
        f"{cell.dataset.name}, digest {cell.dataset.digest}",
        "Host node",
        "There is no log of it.",
    ):
        assert part in text, part
    drawing = (report / f"cells/{cell.id}.html").read_text()
    (path,) = re.findall(r'<path class="line-1" d="(M[^"]*)"/>\s*<text[^>]*>\d+\.\d\d<', drawing)
    assert path.count("L") == 17


def test_diverged_and_missing_cells_have_a_page(report, pages):
    plan = Planner(report.parent.parent / "config").plan(STUDIES[1], "demo")
    assert "Status diverged in epoch 5, step 7" in page_of(pages, plan.cells[0].id)
    at_once = page_of(pages, plan.cells[1].id)
    assert "diverged in epoch 1, step 7" in at_once and "Every epoch" not in at_once
    missing = page_of(pages, plan.cells[7].id)
    assert "Status missing: no result" in missing and "began error: no memory" in missing
    assert "Make it again" not in missing and "optimizer.momentum 0.9" in missing


def test_a_long_log_is_shortened_and_says_so(tmp_path):
    log = tmp_path / "x.log"
    log.write_text("".join(f"line {i}\x1b[0m\n" for i in range(1, 251)))
    text, left_out, path = log_text(log)
    assert (left_out, path) == (50, log.as_posix())
    assert text.splitlines()[0] == r"line 51\x1b[0m" and text.splitlines()[-1] == r"line 250\x1b[0m"
    assert log_text(tmp_path / "none.log") == ("", 0, "")


def test_a_cell_of_two_studies_names_both(tmp_path):
    config, results = study_copy(tmp_path, "again", title="Again"), tmp_path / "results"
    studies = ("aime_fig1_constant_lr", "again")
    plans = [Planner(config).plan(study, "demo") for study in studies]
    for plan in plans:
        collected(plan, results)
    found = parsed(build(config, results, "demo", *studies))
    cells = [name for name in found if name.startswith("cells/")]
    assert len(cells) == len(plans[0].cells) == len(plans[1].cells)
    links = found[cells[0]].links
    for study in studies:
        assert f"../studies/{study}.html#run-{Path(cells[0]).stem}" in links


# ---- curves that are read off --------------------------------------------------------------------


def curves_of(report: Path, study: str, name: str) -> tuple[dict, list[dict[str, str]], str]:
    """What a figure tells at an epoch, the CSV behind it, and its SVG."""
    folder = report.parent / f"studies/demo/{study}/figures"
    with open(folder / f"{name}.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return hover(folder, name, "val_top1"), rows, (folder / f"{name}.svg").read_text()


def test_a_curve_tells_the_numbers_of_its_csv(report):
    told, rows, _ = curves_of(report, STUDIES[1], "accuracy")
    points = {(line["name"], e): p for line in told["lines"] for e, p in line["points"].items()}
    assert len(points) == len(rows) > 100
    for row in rows:
        lost = row["status"] == "diverged"
        name = f"{row['variant']}, seed {row['seed']}, diverges" if lost else row["variant"]
        whole = not lost and int(row["n"]) > 1
        keys = ("mean", "low", "high") if whole else ("mean",)
        expected = [f"{float(row[key]):.2f}" for key in keys] + ([row["n"]] if whole else [])
        assert points[name, row["epoch"]] == expected


def test_a_curve_knows_where_its_panels_stand(report):
    told, _, svg = curves_of(report, STUDIES[1], "accuracy")
    assert [panel["panel"] for panel in told["panels"]] == ["32 (192)", "64 (384)", "128 (768)"]
    for panel, box in zip(told["panels"], axes_boxes(svg), strict=True):
        x, y = panel["x"], panel["y"]
        expected = (x, y, x + panel["width"], y + panel["height"])
        assert box == pytest.approx(expected, abs=0.02)
    line = next(line for line in told["lines"] if line["name"] == "batch_size=192, lr=0.2")
    assert (line["panel"], line["dashes"]) == ("32 (192)", [])
    assert f"stroke: {line['colour']}" in svg


def axes_boxes(svg: str) -> list[tuple[float, ...]]:
    """Left, top, right, bottom of the axes' backgrounds, as the SVG draws them."""
    paths = re.findall(r'<g id="axes_\d+">\s*<g id="patch_\d+">\s*<path d="([^"]*)"', svg)
    found = []
    for path in paths:
        numbers = [float(n) for n in re.findall(r"[\d.]+", path)]
        xs, ys = numbers[::2], numbers[1::2]
        found.append((min(xs), min(ys), max(xs), max(ys)))
    return found


# ---- in a browser -------------------------------------------------------------------------------

PROBE = """<script>
const column = (table, index) =>
  [...table.tBodies[0].rows].map((row) => Number(row.cells[index].dataset.sort));
const found = {
  page: document.documentElement.scrollWidth, window: window.innerWidth, title: document.title,
  folded: !document.querySelector(".contents details")?.open,
  figures: [...document.querySelectorAll(".plate svg")].map((s) => s.getBoundingClientRect().width),
};
for (const [name, heading] of [["main", "Top-1 (%)"], ["tally", "Claims"]]) {
  const table = document.querySelector(`table.${name}`);
  if (!table) continue;
  const head = [...table.tHead.rows[0].cells].find((h) => h.textContent === heading);
  const read = () => [...column(table, head.cellIndex)];
  found[name] = [read()];
  for (let i = 0; i < 3; i++) { head.firstChild.click(); found[name].push(read()); }
}
const figure = document.querySelector("figure.curves");
if (figure) {
  const { panels } = JSON.parse(figure.dataset.curves), panel = panels[1];
  const plate = figure.querySelector(".plate"), svg = plate.querySelector("svg");
  const [low, high] = panel.epochs, scale = svg.getScreenCTM();
  const x = panel.x + panel.width * (7.3 - low) / (high - low);
  const at = { clientX: scale.e + x * scale.a, clientY: scale.f + (panel.y + 20) * scale.d };
  const tip = () => {
    const box = document.querySelector(".tip");
    if (box.hidden) return null;
    const rows = [...box.querySelectorAll("tr")].slice(1);
    const inside = box.getBoundingClientRect();
    return { head: box.querySelector("p").textContent, left: inside.left, right: inside.right,
      rows: rows.map((row) => [...row.cells].slice(1).map((cell) => cell.textContent)) };
  };
  const press = (key) => plate.dispatchEvent(new KeyboardEvent("keydown", { key }));
  found.before = tip();
  plate.dispatchEvent(new PointerEvent("pointermove", { ...at, pointerType: "mouse" }));
  found.mouse = tip();
  plate.dispatchEvent(new PointerEvent("pointerleave", { pointerType: "mouse" }));
  found.left = tip();
  plate.dispatchEvent(new PointerEvent("pointerdown", { ...at, pointerType: "touch" }));
  found.touch = tip();
  press("ArrowRight");
  found.right = tip();
  press("Escape");
  found.escaped = tip();
}
window.dispatchEvent(new Event("beforeprint"));
found.open = [...document.querySelectorAll("details.fold")].every((fold) => fold.open);
document.body.dataset.probe = JSON.stringify(found);
</script>"""
FRAME = """<iframe width="{width}" height="900" style="border:0" srcdoc="{content}"
 onload="this.dataset.probe = this.contentDocument.body.dataset.probe"></iframe>"""


def browse(views: list[tuple[Path, int]], folder: Path) -> tuple[list[dict], str]:
    """What the probe finds in pages, each at a width, and what the console said. The pages stand in
    frames: a headless window is at least 500 pixels wide."""
    frames = []
    for page, width in views:
        content = html.escape(page.read_text().replace("</body>", f"{PROBE}</body>"))
        frames.append(FRAME.format(width=width, content=content))
    probed = folder / "probed.html"
    probed.write_text(f"<!doctype html>{''.join(frames)}")
    options = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking"
    options += " --disable-component-update --disable-sync --disable-dev-shm-usage"
    options += " --enable-logging=stderr --window-size=1400,1000 --dump-dom"
    command = [CHROMIUM, *options.split(), f"--user-data-dir={folder / 'profile'}"]
    done = subprocess.run(
        [*command, probed.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    found = re.findall(r' data-probe="([^"]*)"></iframe>', done.stdout)
    assert len(found) == len(views), done.stderr
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return [json.loads(html.unescape(text)) for text in found], "\n".join(console)


@pytest.fixture(scope="module")
def browsed(report, tmp_path_factory) -> dict[tuple[str, int], dict]:
    """The first page, a study's and a cell's, on a phone and on a screen."""
    cell = min(p for p in (report / "cells").iterdir() if "M0.0" in p.read_text())
    names = {
        "index": "index.html",
        "study": f"studies/{STUDIES[1]}.html",
        "cell": f"cells/{cell.name}",
    }
    keys = [(name, width) for name in names for width in (390, 1280)]
    views = [(report / names[name], width) for name, width in keys]
    found, console = browse(views, tmp_path_factory.mktemp("browser"))
    assert console == ""
    return dict(zip(keys, found, strict=True))


@needs_browser
def test_pages_fit_their_window_and_say_nothing_to_the_console(browsed):
    for (name, width), found in browsed.items():
        assert found["window"] == width and found["page"] <= width, name
        assert found["open"], name
        assert name == "cell" or found["folded"] == (width == 390)
        assert name != "study" or min(found["figures"]) >= 300
    assert browsed["index", 390]["title"] == "Ablation report, demo scale"


@needs_browser
def test_tables_sort_by_a_click(browsed):
    for (name, _), found in browsed.items():
        for table in {"study": ["main"], "index": ["tally"], "cell": []}[name]:
            as_it_stands, ascending, descending, again = found[table]
            assert len(set(as_it_stands)) > 3 and again == as_it_stands
            assert ascending == sorted(as_it_stands) and ascending != as_it_stands
            assert descending == ascending[::-1]


@needs_browser
def test_a_pointer_on_a_curve_tells_its_epoch(report, browsed):
    _, rows, _ = curves_of(report, STUDIES[1], "accuracy")
    mine = [r for r in rows if r["epoch"] == "7" and r["variant"].startswith("batch_size=384")]
    mine.sort(key=lambda r: -float(r["mean"]))
    for width in (390, 1280):
        found = browsed["study", width]
        assert found["before"] is None and found["left"] is None and found["escaped"] is None
        told = found["mouse"]
        assert told["head"].split() == ["Epoch", "7,", "64", "(384)", "Top-1", "(%)"]
        assert [row[:2] for row in told["rows"]] == [
            [r["variant"], f"{float(r['mean']):.2f}"] for r in mine
        ]
        whole = next(r for r in mine if r["n"] == "2")
        span = f"{float(whole['low']):.2f} to {float(whole['high']):.2f}"
        assert [whole["variant"], f"{float(whole['mean']):.2f}", span, "2"] in told["rows"]
        assert told["left"] >= 0 and told["right"] <= width
        assert found["touch"] == told
        assert found["right"]["head"].startswith("Epoch 8")


def test_the_notice_of_many_studies_counts_what_it_does_not_name():
    planner = Planner(configs.ROOT / "config")
    names = ("aime_fig2_decay_epoch", "paddle_label_smoothing", "paddle_crop_scale")
    names += ("ffcv_imagenet_rn18",)
    plans = [SimpleNamespace(plan=planner.plan(name, "demo")) for name in names]
    said = sentences.notice(plans, "demo", {"imagenet": "ImageNet", "fashion_mnist": "Fashion"})[0]
    assert said.startswith("These are demo-scale numbers: Fashion instead of ImageNet; ")
    assert "4 models instead of 4 models; 6 to 48 instead of 16 to 240 epochs" in said, said
