"""The report: one file that opens offline, on a phone too, and shows every text as plain text."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import build_report
import collect_study
import pytest
import study_figures
from synthetic import collected, study_copy

from ablation.errors import DataError, UserError
from ablation.grid import Planner
from ablation.render import code_block, inline_svg
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
def page(report) -> Page:
    return Page((report / "index.html").read_text())


def test_every_claim_of_every_document_has_a_verdict_on_the_first_page(report, page):
    text = (report / "index.html").read_text()
    section = re.search(r'<section id="claims">.*?</section>', text, re.S)[0]
    numbers = re.findall(r'<th scope="row" class="number" data-sort="(\d+)">', section)
    assert sorted(map(int, numbers)) == list(range(1, 84))
    assert section.index('data-sort="1"') < section.index('data-sort="20"')
    assert text.index('id="claims"') < text.index('id="what"')
    verdict = re.search(r'<a href="#odd">([^<]*)</a>', section)[1]
    assert verdict.partition(":")[0] in ("supported", "contradicted", "inconclusive")
    assert "study aime_fig2_decay_epoch is not in this report" in page.text
    assert "Claims tested here" in page.text
    assert "## Claims and verdicts" in (report / "report.md").read_text()


def test_nothing_is_loaded_from_elsewhere(report, page):
    assert all(url.startswith(("#", "data:")) for url in page.loads), page.loads
    assert all(url.startswith("#") and url[1:] in page.ids for url in page.links)
    style = "".join(re.findall(r"<style.*?</style>", (report / "index.html").read_text(), re.S))
    assert "@import" not in style and "url(" not in re.sub(r"url\(#[\w-]+\)", "", style)
    assert page.tags["link"] == 1 and not page.tags["iframe"] + page.tags["img"]


def test_ids_are_unique_and_point_somewhere(page):
    assert [i for i, n in page.ids.items() if n > 1] == []
    assert page.tags["svg"] == 1 + 3
    assert all(url[1:] in page.ids for url in page.loads if url.startswith("#"))


def test_hostile_texts_are_shown_as_they_stand(page):
    assert page.tags["script"] == 1 and page.handlers == []
    shown = " ".join(HOSTILE.split())
    assert page.text.count(shown) >= 8
    assert "<b>Fashion-MNIST (subset)" in page.text and not page.tags["b"]


def test_the_page_says_what_was_run_and_how_far_it_reaches(page):
    for part in (
        "These are demo-scale numbers: <b>Fashion-MNIST (subset) instead of ImageNet-1k",
        "18 instead of 90 epochs",
        "30 cells planned: 27 completed, 2 diverged, 1 missing",
        "MIT, (c) 2017 Zalando SE",
        "78,234 parameters",
        "128 (768 in the document)",
        "With 2 seeds an interval is wide, 8.98 standard deviations",
        "diverged in epoch 5, step 7",
        "error: no memory",
        "stated: section Momentum: 0.9 in all processes",
        "→ resnet_small (width 16, blocks 1, stem_stride 2)",
        "assumed: 224, the usual one",
        "python workflow/train_cell.py --study",
        "A CPU, 2 CPUs, AVX2",
        "2.15.0",
    ):
        assert part in page.text, part
    assert "significan" not in page.text.lower()


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
    text = Page((build(config, results, "demo", "odd") / "index.html").read_text()).text
    assert "mixes torch versions: 2.15.0 (9 cells) and 9.9 (1 cell)" in text
    assert "mixes versions of the code" in text and "mixes kinds of hardware" in text
    assert "Training times are not compared: the cells ran on 2 kinds of hardware" in text


def test_a_report_with_a_range_test_and_with_energy(tmp_path):
    config = study_copy(tmp_path, "odd", columns=["fit", "noise_scale"])
    results, studies = tmp_path / "results", ("odd", "lr_range_test")
    for study in studies:
        collected(Planner(config).plan(study, "demo"), results, metered=True)
    folder = build(config, results, "demo", *studies)
    text = Page((folder / "index.html").read_text()).text
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
    assert f"too short {HOSTILE}" in page.text and "short" not in page.ids
    assert "### Not run at scale demo" in (out / "report.md").read_text()
    with pytest.raises(UserError, match="none of these studies is run at scale demo"):
        build_report.main([*args, "short"])


def test_a_report_of_nothing_yet(tmp_path):
    config = study_copy(tmp_path, "odd")
    plan, results = Planner(config).plan("odd", "smoke"), tmp_path / "results"
    collected(plan, results, missing=tuple(c.id for c in plan.cells))
    text = Page((build(config, results, "smoke", "odd") / "index.html").read_text()).text
    assert "No run of this study has finished." in text
    assert "5 cells planned: 0 completed, 0 diverged, 5 missing" in text


def test_the_same_results_give_the_same_report(report):
    config, results = report.parent.parent / "config", report.parent
    before = (report / "index.html").read_bytes()
    assert build(config, results, "demo", *STUDIES) == report
    assert (report / "index.html").read_bytes() == before


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
    (results / "studies/demo/odd/figures/a.svg").unlink()
    args = ["--scale", "demo", "--studies", "odd", "--results", str(results)]
    args += ["--out", str(tmp_path), "--config-dir", str(report.parent.parent / "config")]
    with pytest.raises(DataError, match=r"a\.svg cannot be read"):
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


# ---- in a browser -------------------------------------------------------------------------------

PROBE = """<script>
const first = (table) => table.tBodies[0].rows[0].cells[0].textContent;
const table = document.querySelector("table.main");
const button = [...table.tHead.rows[0].cells].find((h) => h.textContent === "Top-1 (%)").firstChild;
const order = [first(table)];
for (let i = 0; i < 3; i++) { button.click(); order.push(first(table)); }
document.body.dataset.probe = JSON.stringify({
  page: document.documentElement.scrollWidth, window: window.innerWidth, title: document.title,
  order, folded: !document.querySelector(".contents details").open,
  figures: [...document.querySelectorAll(".plate svg")].map((s) => s.getBoundingClientRect().width),
});
</script>"""


def browse(page: Path, folder: Path, width: int) -> tuple[dict, str]:
    """What the probe finds in the page at a width, and what the console said. The page stands in a
    frame: a headless window is at least 500 pixels wide."""
    content = html.escape(page.read_text().replace("</body>", f"{PROBE}</body>"))
    probed = folder / "probed.html"
    probed.write_text(
        f'<!doctype html><iframe width="{width}" height="900" style="border:0" srcdoc="{content}"'
        ' onload="document.body.dataset.probe = this.contentDocument.body.dataset.probe"></iframe>'
    )
    options = "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking"
    options += " --disable-component-update --disable-sync --disable-dev-shm-usage"
    options += " --enable-logging=stderr --window-size=1400,1000 --dump-dom"
    command = [CHROMIUM, *options.split(), f"--user-data-dir={folder / 'profile'}"]
    done = subprocess.run(
        [*command, probed.as_uri()], capture_output=True, text=True, timeout=60, check=True
    )
    found = re.search(r'<body data-probe="([^"]*)"', done.stdout)
    assert found, done.stderr
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return json.loads(html.unescape(found[1])), "\n".join(console)


@needs_browser
@pytest.mark.parametrize("width", [390, 1280])
def test_in_a_browser(report, tmp_path, width):
    found, console = browse(report / "index.html", tmp_path, width)
    assert console == ""
    assert found["title"] == "Ablation report, demo scale"
    assert found["window"] == width and found["page"] <= width
    assert found["folded"] == (width == 390)
    assert min(found["figures"]) >= 300
    # as it stands, ascending, descending, as it stands
    lowest, highest = found["order"][1:3]
    assert found["order"] == ["1", lowest, highest, "1"] and lowest == "0.0001"
