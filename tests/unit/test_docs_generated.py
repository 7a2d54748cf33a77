"""The reference page and the JSON schemas are what the models say; the guides' examples work.

The lists of architectures are held to the installed torchvision and timm in test_models.py.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import configs
import jsonschema
import pytest
from configs import ROOT

from ablation.config.load import read_yaml
from ablation.grid import Planner

sys.path.insert(0, str(ROOT / "tools"))
import generate_docs
import technique_pages

FOLDERS = {f"{kind}s": kind for kind in ("dataset", "recipe", "scale", "study")} | {
    "studies": "study"
}
YAMLS = sorted((ROOT / "config").glob("**/*.yaml"))


def kind_of(path: Path) -> str:
    return path.stem if path.parent.name == "config" else FOLDERS[path.parent.name]


def mistakes(kind: str, content: object) -> list[str]:
    """What the schema on the disk says of a file's content, as an editor would."""
    schema = json.loads((ROOT / f"config/schema/{kind}.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    plain = json.loads(json.dumps(content))  # keys become text, as in an editor
    return [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(plain)]


def test_nothing_is_stale():
    assert generate_docs.stale(ROOT) == [], "run `make schema`"


def test_the_program_names_what_is_stale(tmp_path):
    tool = [sys.executable, str(ROOT / "tools/generate_docs.py"), "--root", str(tmp_path)]
    for path, make in generate_docs.outputs(archs=False).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(make())
    assert subprocess.run([*tool, "--check"]).returncode == 0
    (tmp_path / "docs/configuration.md").write_text("old")
    done = subprocess.run([*tool, "--check"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (
        1,
        "stale: docs/configuration.md; run `make schema`\n",
    )
    assert (tmp_path / "docs/configuration.md").read_text() == "old"


@pytest.mark.parametrize("path", YAMLS, ids=lambda p: str(p.relative_to(ROOT / "config")))
def test_our_files_fit_their_schema_and_say_which_it_is(path):
    assert mistakes(kind_of(path), read_yaml(path)) == []
    first = path.read_text().splitlines()[0]
    named = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
    assert named, first
    expected = ROOT / f"config/schema/{kind_of(path)}.json"
    assert (path.parent / named[1]).resolve() == expected


WRONG = {
    "unknown key": ("recipe", {"epoch": 3}),
    "misspelt technique": ("recipe", {"schedule": {"name": "cosin"}}),
    "technique without a name": ("recipe", {"schedule": {"warmup_epochs": 1}}),
    "option of another technique": ("recipe", {"schedule": {"name": "constant", "every": 3}}),
    "negative lr": ("recipe", {"lr": -0.1}),
    "lr of zero": ("recipe", {"lr": 0}),
    "true for a number": ("recipe", {"lr": True}),
    "momentum of one": ("recipe", {"optimizer": {"name": "sgd", "momentum": 1}}),
    "share above one": ("recipe", {"train_share": 1.1}),
    "unknown metric": (
        "study",
        {"figures": {"f": {"kind": "curves", "title": "t", "metric": "x"}}},
    ),
    "a value alone on an axis": ("study", {"grid": {"lr": 0.1}}),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_editor_sees_the_mistake(case):
    kind, change = WRONG[case]
    example = {"recipe": "recipes/aime_resnet50", "study": "studies/aime_fig1_constant_lr"}[kind]
    content = read_yaml(ROOT / f"config/{example}.yaml")
    assert mistakes(kind, content) == []
    assert mistakes(kind, content | change) != []


def test_every_key_and_technique_is_on_the_page_with_a_meaning():
    page = generate_docs.reference()
    rows = [re.split(r"(?<!\\)\|", line) for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) > 80
    assert all(len(row) == 6 and row[4].strip() for row in rows)
    anchors = {
        line.lstrip("# ").lower().replace(" ", "-")
        for line in page.splitlines()
        if line[:2] == "##"
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", page)) <= anchors
    for techniques in generate_docs.FAMILIES.values():
        assert all(technique_pages.summary(technique) in page for technique in techniques)


# -- the guides' examples -------------------------------------------------------------------------


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a page in one language, without their indent."""
    text = (ROOT / "docs" / page).read_text()
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in found]


def test_the_study_of_the_guide_can_be_planned(config_dir):
    (config_dir / "studies/guide.yaml").write_text(blocks("add_a_study.md", "yaml")[0])
    assert mistakes("study", read_yaml(config_dir / "studies/guide.yaml")) == []
    plan = Planner(config_dir).plan("guide", "demo")
    assert [v.label for v in plan.variants] == [
        "label_smoothing=0, schedule=step",
        "label_smoothing=0, schedule=cosine",
        "label_smoothing=0.1, schedule=step",
        "label_smoothing=0.1, schedule=cosine",
        "constant",
    ]


def test_the_technique_of_the_guide_works(tmp_path):
    module, registry = blocks("add_a_technique.md", "python")
    shutil.copytree(ROOT / "workflow/ablation", tmp_path / "ablation")
    folder = tmp_path / "ablation/schedules"
    (folder / "inverse_time.py").write_text(module)
    with open(folder / "__init__.py", "a") as file:
        file.write(registry)
    config = configs.write(tmp_path / "config")
    configs.edit(config / "recipes/r.yaml", "{name: constant}", "{name: inverse_time, half_at: 2}")
    code = (
        "from ablation.grid import Planner; c = Planner('config').plan('s', 'z').cells[0].config;"
        "print([c.schedule.lr(1.0, e, c.epochs) for e in (0, 2, 3)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )  # fmt: skip
    assert (done.stdout.strip(), done.stderr) == ("[1.0, 0.5, 0.4]", "")


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("**/*.md")), ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^#):]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target
    for program in re.findall(r"python ((?:workflow|tools|benchmarks)/\w+\.py)", page.read_text()):
        assert (ROOT / program).exists(), program
