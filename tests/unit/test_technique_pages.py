"""docs/techniques.md: each technique with its source, its draws, a proof that exists, a picture."""

from __future__ import annotations

import inspect
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from configs import ROOT
from PIL import Image

from ablation.config.base import Technique
from ablation.config.explain import tag

sys.path.insert(0, str(ROOT / "tools"))
import generate_docs
import technique_curves
import technique_facts
import technique_pages
import technique_pictures

PAGE = (ROOT / technique_pages.PAGE).read_text()
TECHNIQUES = [(family, one) for family, many in generate_docs.FAMILIES.items() for one in many]
every_technique = pytest.mark.parametrize(
    ("family", "technique"), TECHNIQUES, ids=lambda v: getattr(v, "__name__", v)
)


@every_technique
def test_each_has_one_row_with_its_source(family: str, technique: type[Technique]) -> None:
    link = f"[`{tag(technique)}`](configuration.md#{family}-{tag(technique)})"
    rows = [line for line in PAGE.splitlines() if line.startswith(f"| {link} |")]
    assert len(rows) == 1
    if family != "weights":  # places, whose papers are those of what they are for
        assert technique_pages.source(technique_pages.doc(technique)), "name its paper or source"


@every_technique
def test_the_draws_that_are_named_are_those_of_the_code(
    family: str, technique: type[Technique]
) -> None:
    call = r'(?:draws\.(?:of|at|kept|uniform)|mixing_draws)\((?:self\.per, )?"(\w+)"'
    code = inspect.getsource(technique)
    used = set(re.findall(call, code)) | ({"mix_partner"} if "partners(" in code else set())
    said = technique_pages.draws(technique_pages.doc(technique))
    assert set(re.findall(r"`(\w+)`", said)) >= used
    if family in ("augment", "policy", "erase", "mix"):
        assert used == set(re.findall(r"`(\w+)`", said)), said


def test_proofs_are_tests() -> None:
    facts = [
        *technique_facts.PROOFS.values(),
        *(s.proofs for s in technique_facts.SETTINGS.values()),
    ]
    for proof in (proof for proofs in facts for proof in proofs):
        words, test = proof.split(": ")
        file, name = test.split("::")
        assert words and f"\ndef {name}(" in (ROOT / "tests" / file).read_text(), proof
    assert all(facts)
    registered = {f"{family}.{tag(technique)}" for family, technique in TECHNIQUES}
    assert set(technique_facts.PROOFS) == registered


def test_links_to_options_lead_to_a_section() -> None:
    sections = re.findall(r"^##+ (.*)$", (ROOT / "docs/configuration.md").read_text(), re.M)
    anchors = {heading.lower().replace(" ", "-") for heading in sections}
    assert set(re.findall(r"configuration\.md#([^)]+)\)", PAGE)) <= anchors


def test_pictures_are_those_of_the_page_and_small() -> None:
    shown = set(re.findall(r"\]\((pictures/[^)]+)\)", PAGE))
    files = list((ROOT / "docs/pictures").iterdir())
    assert shown == {f"pictures/{file.name}" for file in files}
    assert {f"docs/{name}" for name in shown} == {
        str(path) for path in (*technique_curves.outputs(), *technique_pictures.pictures())
    }
    assert sum(file.stat().st_size for file in files) < 600_000


# -- strips: decoded pixels are compared, since the bytes of a PNG are its library's --------------


def test_strips_show_what_the_techniques_do() -> None:
    assert technique_pictures.stale(ROOT) == [], "run `make schema`"


def test_another_picture_is_noticed_and_drawn_anew(tmp_path: Path) -> None:
    folder = tmp_path / "docs/pictures"
    shutil.copytree(ROOT / "docs/pictures", folder)
    shifted = np.array(Image.open(folder / "shift.png"))
    shifted[3, 3] += np.uint8(technique_pictures.TOLERANCE + 1)
    Image.fromarray(shifted).save(folder / "shift.png")
    (folder / "mixup.png").unlink()
    shutil.copy(folder / "cutmix.png", folder / "cutmix_of_old.png")
    wrong = [f"docs/pictures/{name}.png" for name in ("shift", "mixup", "cutmix_of_old")]
    assert technique_pictures.stale(tmp_path) == wrong
    before = {file: file.stat().st_mtime_ns for file in folder.iterdir()}
    technique_pictures.write(tmp_path)
    assert technique_pictures.stale(tmp_path) == wrong[2:]
    changed = {
        file.stem for file in folder.iterdir() if before.get(file) != file.stat().st_mtime_ns
    }
    assert changed == {"shift", "mixup"}


def test_shares_of_an_average_are_shares() -> None:
    for technique in technique_curves.AVERAGES:
        shares = technique_curves.shares(technique_curves.made(technique))
        assert len(shares) == 30 and sum(shares) == pytest.approx(1, abs=0.01)


# -- sentences -------------------------------------------------------------------------------------


class Example(Technique):
    """Does a thing (see Fig. 3). It has no e.g. here.

    Nobody 1999. torch's own form is another one. Somebody et al. 2018 (arXiv 1234.56789, section
    2). Departs from Anybody 2001 in all. Draws: `stream`, two a sample. Grey images stay.
    """


def test_sentences_are_told_apart() -> None:
    text = technique_pages.doc(Example)
    assert technique_pages.source(text) == "Nobody 1999."
    assert technique_pages.source(text[3:]).startswith("Somebody et al. 2018 (arXiv 1234.56789,")
    assert technique_pages.source(text[3:4]) == "torch's own form is another one."
    assert technique_pages.draws(text) == "`stream`, two a sample."
