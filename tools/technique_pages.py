"""The text of docs/techniques.md: every technique with what it does, its source and its proof.

Effect, source and draws are sentences of the techniques' docstrings; which tests hold a technique
to what is in `technique_facts.py`.
"""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path

import technique_curves
from pydantic import BaseModel
from technique_facts import CANNOT, FAMILY, PROOFS, SETTINGS, Setting

from ablation.config.explain import tag

PAGE = Path("docs/techniques.md")
# A year, an arXiv number, a document that the project follows, or a library whose function it is.
_DATED = re.compile(r"\b(19|20)\d\d\b|arXiv|AIME|CIFAR document")
_LIBRARY = re.compile(r"\b(torch|timm|torchvision|ffcv-imagenet|Keras)('s|\.\w)")
_NO_SOURCE = ("Draws", "Departs", "Uses no", "Grey images", "Left out")
_ARXIV = re.compile(r"arXiv\s(\d{4}\.\d{4,5})")
# A sentence ends before a capital letter or the name of a library.
_END = re.compile(r"(?<=[.])\s+(?=[A-Z]|torch\b|timm\b)")


def summary(model: type[BaseModel]) -> str:
    """The first paragraph of a model's docstring."""
    return " ".join((inspect.getdoc(model) or "").split("\n\n")[0].split())


def doc(model: type[BaseModel]) -> list[str]:
    """The sentences of a model's docstring, the first paragraph's and the others'."""
    return _END.split(" ".join((inspect.getdoc(model) or "").split()))


def source(text: list[str]) -> str:
    """The first sentence with a year or a document, else with a library; empty without one."""
    fit = [s for s in text if not s.startswith(_NO_SOURCE)]
    named = [s for pattern in (_DATED, _LIBRARY) for s in fit if pattern.search(s)]
    return named[0] if named else ""


def draws(text: list[str]) -> str:
    """The sentence on random draws, empty without one."""
    found = [s for s in text if s.startswith(("Draws", "Uses no random draws"))]
    return found[0].removeprefix("Draws: ").removeprefix("Draws ") if found else ""


def page(families: dict[str, tuple[type[BaseModel], ...]]) -> str:
    """docs/techniques.md. families: key of a recipe -> its techniques."""
    lines = [_INTRO]
    for family, techniques in families.items():
        lines += ["", f"## {FAMILY[family].title}", "", FAMILY[family].text, ""]
        lines += _table(family, techniques)
    lines += ["", "## Settings", "", "Techniques that are a key of the recipe itself.", ""]
    lines += [*_settings(), "", CANNOT]
    return "\n".join(lines) + "\n"


_INTRO = """\
# Techniques

<!-- made by `make schema` from the docstrings in workflow/ablation and tools/technique_facts.py -->

Everything that a recipe can switch on, with what it does, where it comes from, the random draws it
uses, and the test that holds it to something else than itself. A name leads to its options in
[configuration.md](configuration.md). Where a technique departs from its source, the docstring of
its code says so.

Besides the tests that are named here, [test_techniques.py](../tests/unit/test_techniques.py) runs
over all of them (nothing at strength zero, shape, type and range kept, the same draws again,
others with another seed, no image's result a matter of its batch), and
[test_resume.py](../tests/unit/test_resume.py) cuts and resumes trainings in which any two settings
meet.

A draw is named by its stream, and is a function of seed, stream, epoch and image (or step):
[0008](decisions/0008-randomness.md). What names no stream draws nothing.

Strips show an image and six draws from it (a mix: two images and five blends of them), with the
options' defaults, save that what has a `prob` is always applied, and that mixup's `alpha` is 1.
Curves span 30 epochs. What an augmentation costs the loader stands in a table of
[the benchmarks](../benchmarks/README.md#what-a-technique-costs)."""


def _table(family: str, techniques: tuple[type[BaseModel], ...]) -> list[str]:
    drawn = any(_drawn(technique) for technique in techniques)
    pictured = any(_picture(family, technique) for technique in techniques)
    heads = ["name", "effect", "source", *(["draws"] if drawn else []), "held to"]
    heads += ["picture"] if pictured else []
    lines = [_row(heads), _row(["---"] * len(heads))]
    for technique in techniques:
        name = tag(technique)
        if f"{family}.{name}" not in PROOFS:
            raise SystemExit(f"error: PROOFS in tools/technique_facts.py has no {family}.{name}")
        effect, said = _effect_and_source(technique)
        cells = [f"[`{name}`](configuration.md#{family}-{name})", effect, said or "–"]
        cells += [_drawn(technique) or "–"] if drawn else []
        cells += [_proofs(PROOFS[f"{family}.{name}"])]
        cells += [_picture(family, technique) or "–"] if pictured else []
        lines.append(_row(cells))
    return lines


def _effect_and_source(technique: type[BaseModel]) -> tuple[str, str]:
    """The first paragraph with what is said of grey images, and the source, each said once."""
    text, effect = doc(technique), summary(technique)
    said = source(text)
    if said and said in effect:  # in parentheses
        (where,) = re.findall(r" \(([^()]*)\)", said)
        effect, said = effect.replace(f" ({where})", ""), where
    grey = [s for s in text if s.startswith("Grey images")]
    return " ".join([effect, *grey]), said


def _drawn(technique: type[BaseModel]) -> str:
    found = draws(doc(technique))
    return "" if found.startswith(("nothing", "Uses no random draws")) else found


def _picture(family: str, technique: type[BaseModel]) -> str:
    name = tag(technique)
    if family in ("schedule", "averaging"):
        options = technique_curves.OPTIONS.get(name, {})
        said = f"`{json.dumps(options)}` " if options else ""
        said += "(logarithmic) " if name == "lr_range" else ""
        shown = "learning rate" if family == "schedule" else "share of each epoch"
        return f"{said}![{shown}](pictures/{name}.svg)"
    if family == "policy":
        return f"![draws](pictures/{name}.png) ![draws, grey](pictures/{name}_grey.png)"
    drawn = family in ("augment", "erase", "mix") and name != "none"
    return f"![draws](pictures/{name}.png)" if drawn else ""


def _settings() -> list[str]:
    lines = [_row(["key", "effect and source", "draws", "held to"]), _row(["---"] * 4)]
    for key, fact in SETTINGS.items():
        link = f"[`{key}`](configuration.md#{fact.section})"
        lines.append(_row([link, setting_text(fact), fact.draws or "–", _proofs(fact.proofs)]))
    return lines


def setting_text(fact: Setting) -> str:
    """What the code says of a setting: its key's docstring, or that of the options behind it."""
    model, field = fact.where
    if field is None:
        return " ".join((inspect.getdoc(model) or "").split())
    return " ".join((model.model_fields[field].description or "").split())


def _proofs(proofs: tuple[str, ...]) -> str:
    """`what it is held to: file::test` as the words and links to the files."""
    parts = []
    for proof in proofs:
        words, _, test = proof.partition(": ")
        file, _, name = test.partition("::")
        parts.append(f"{words} ([`{name}`](../tests/{file}))")
    return "; ".join(parts)


def _row(cells: list[str]) -> str:
    text = (
        _ARXIV.sub(r"[arXiv \1](https://arxiv.org/abs/\1)", c).replace("|", "\\|") for c in cells
    )
    return f"| {' | '.join(text)} |"
