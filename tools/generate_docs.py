"""Write what follows from the configuration's models: two pages, JSON schemas, model lists.

    python tools/generate_docs.py            # write (make schema)
    python tools/generate_docs.py --check    # write nothing; exit 1 naming the stale files

Writes: docs/configuration.md, docs/techniques.md with its curves (the strips of images beside them
are drawn by technique_pictures.py), config/schema/*.json and workflow/ablation/models/*_archs.txt.
The lists take minutes where torchvision or timm has another version than theirs (arch_lists.py):
--check leaves them out without --archs.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "workflow"))

import arch_lists  # noqa: E402
import technique_curves  # noqa: E402
import technique_pages  # noqa: E402

from ablation.augment import AUGMENTATIONS, ERASURES, MIXES, POLICIES  # noqa: E402
from ablation.averaging import AVERAGES  # noqa: E402
from ablation.config.claim import (  # noqa: E402
    CLAIM_PARTS,
    MEASURES,
    Claim,
    Document,
    Entry,
    Group,
    Pair,
    Register,
)
from ablation.config.dataset import DatasetConfig, Expect, Source, SplitExpect, Writer  # noqa: E402
from ablation.config.explain import tag  # noqa: E402
from ablation.config.recipe import (  # noqa: E402
    Compute,
    Distillation,
    Measure,
    Pretrained,
    ProgressiveResize,
    RecipeConfig,
    ScaledLR,
)
from ablation.config.resources import Otherwise, Resources, Site  # noqa: E402
from ablation.config.scale import ScaleConfig  # noqa: E402
from ablation.config.study import (  # noqa: E402
    Curves,
    Heatmap,
    Importance,
    LoaderRates,
    LoaderTest,
    Pareto,
    Published,
    RangeCurves,
    RangeTest,
    StudyConfig,
    WorkflowConfig,
)
from ablation.losses import LOSSES  # noqa: E402
from ablation.metrics import METRICS  # noqa: E402
from ablation.models import MODELS  # noqa: E402
from ablation.optim import OPTIMIZERS  # noqa: E402
from ablation.schedules import SCHEDULES  # noqa: E402
from ablation.weights import WEIGHTS  # noqa: E402

FILES: dict[str, type[BaseModel]] = {
    "config": WorkflowConfig,
    "dataset": DatasetConfig,
    "recipe": RecipeConfig,
    "scale": ScaleConfig,
    "study": StudyConfig,
    "claims": Register,
}
FAMILIES = {
    "model": MODELS,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "loss": LOSSES,
    "augment": AUGMENTATIONS,
    "policy": POLICIES,
    "erase": ERASURES,
    "mix": MIXES,
    "averaging": AVERAGES,
    "weights": WEIGHTS,
}
CLAIM_FAMILIES = {"part": CLAIM_PARTS, "measure": MEASURES}
# Heading -> model, below the heading of the file in which it stands.
PARTS: dict[str, dict[str, type[BaseModel]]] = {
    "config": {"cluster": Site},
    "dataset": {
        "source": Source,
        "writer": Writer,
        "expect": Expect,
        "expect split": SplitExpect,
    },
    "recipe": {
        "lr": ScaledLR,
        "progressive_resize": ProgressiveResize,
        "pretrained": Pretrained,
        "distill": Distillation,
        "compute": Compute,
        "measure": Measure,
    },
    "scale": {"resources": Resources},
    "study": {
        "range": RangeTest,
        "loader": LoaderTest,
        "figure curves": Curves,
        "figure heatmap": Heatmap,
        "figure importance": Importance,
        "figure pareto": Pareto,
        "figure lr_range": RangeCurves,
        "figure loader": LoaderRates,
        "published": Published,
        "claim": Claim,
        "pair": Pair,
        "group": Group,
        "otherwise": Otherwise,
    },
    "claims": {"document": Document, "entry": Entry},
}
INTRO = {
    "config": (
        "`config/config.yaml` says what a plain `snakemake` runs. "
        "`snakemake --config scale=smoke studies=a,b` overrides it for one call "
        "(no space after the comma)."
    ),
    "dataset": (
        "`config/datasets/NAME.yaml`; the complete commented example is "
        "[fashion_mnist.yaml](../config/datasets/fashion_mnist.yaml). Its lock, "
        "`NAME.lock.json`, is made by a command: [add_a_dataset.md](add_a_dataset.md)."
    ),
    "recipe": (
        "`config/recipes/NAME.yaml`, one complete training configuration; the commented example "
        "is [aime_resnet50.yaml](../config/recipes/aime_resnet50.yaml). A study changes its keys "
        "by their dotted names, such as `optimizer.momentum`."
    ),
    "scale": (
        "`config/scales/NAME.yaml` says where a study is run; the commented example is "
        "[demo.yaml](../config/scales/demo.yaml). What it does not name stays as the recipe has it."
    ),
    "study": (
        "`config/studies/NAME.yaml`, one ablation; the commented example is "
        "[aime_fig1_constant_lr.yaml](../config/studies/aime_fig1_constant_lr.yaml), and "
        "[add_a_study.md](add_a_study.md) is a tour."
    ),
    "claims": (
        "`config/claims.yaml`, the register: every claim of the source documents in our own words. "
        "A study says under `claims` how it tests one."
    ),
}
# What the models leave unsaid, because the name says it in the code; every other key has a
# docstring there.
UNSAID = {
    "name": "Chooses this technique.",
    "kind": "Chooses this kind.",
    "model": "What is trained.",
    "epochs": "Passes over the training set.",
    "optimizer": "How weights follow gradients.",
    "schedule": "How the learning rate changes during the training.",
    "loss": "What is minimised.",
    "augment": "How training images are varied.",
    "compute": "What changes sums, and so bits.",
    "measure": "What is measured besides validation.",
    "source": "Where the images are.",
    "writer": "How images are stored in the beton.",
    "resources": "What one cell asks of the cluster. Changes no result.",
    "title": "Heading, for readers.",
    "metric": "What is shown: " + ", ".join(f"`{name}`" for name in METRICS) + ".",
    "x": "Axis from left to right.",
    "y": "Axis from bottom to top.",
    "value": "The number.",
    "note": "A remark for readers.",
}
_LIMITS = {
    "gt": "exclusiveMinimum",
    "ge": "minimum",
    "lt": "exclusiveMaximum",
    "le": "maximum",
}
_SIGNS = {"exclusiveMinimum": ">", "minimum": "≥", "exclusiveMaximum": "<", "maximum": "≤"}
_NOTE = "made by `make schema` from the models in workflow/ablation; edit those, not this file"


# -- JSON schemas ---------------------------------------------------------------------------------


def schema(kind: str) -> dict[str, Any]:
    """The JSON schema of one kind of file."""
    found = FILES[kind].model_json_schema()
    for part in _parts(found):
        _mend(part)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": _NOTE,
        **found,
        "title": f"{kind} of an ablation study" if kind != "config" else "settings of the workflow",
    }


def _parts(value: Any) -> Iterator[dict[str, Any]]:
    """Every mapping inside a schema, itself included."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, (dict, list)):
            yield from _parts(inner)


def _mend(part: dict[str, Any]) -> None:
    """What pydantic leaves out of a schema, or says in words of its own."""
    for ours, theirs in _LIMITS.items():  # limits behind a validator of ours
        if ours in part and not isinstance(part[ours], dict):
            part[theirs] = part.pop(ours)
    if part.get("minimum") == part.get("exclusiveMinimum") == 0:
        del part["minimum"]
    part.pop("discriminator", None)  # not JSON schema; the names below do the same
    properties = part.get("properties", {})
    for key in ("name", "kind"):  # a technique is told by its name, so the name is not optional
        if isinstance(properties.get(key), dict) and "const" in properties[key]:
            part["required"] = [key, *(k for k in part.get("required", []) if k != key)]
    metric = properties.get("metric")
    if isinstance(metric, dict) and metric.get("type") == "string":
        metric["enum"] = list(METRICS)


# -- the reference page ---------------------------------------------------------------------------


def reference() -> str:
    """docs/configuration.md."""
    lines = [
        "# Configuration",
        "",
        f"<!-- {_NOTE} -->",
        "",
        "Every file is checked before any job starts: an unknown key, a misspelt name or an option",
        "that the chosen technique does not use is an error that names the file, the key and the",
        "nearest valid name. Numbers may be written `0.1`, `1e-1` or `1.0e-1`.",
        "",
        "An editor that knows YAML schemas (the YAML language server: VS Code's YAML extension,",
        "Neovim, Emacs ...) completes and checks keys when a file begins with this line:",
        "",
        "```yaml",
        "# yaml-language-server: $schema=../schema/study.json",
        "```",
        "",
        "`dataset.json`, `recipe.json` and `scale.json` lie beside it; in `config/config.yaml` it",
        "is `$schema=schema/config.json`. A schema knows keys, types and ranges; what depends on",
        "other files (names, axes, a warmup that must fit) is checked by the plan:",
        "",
        "```sh",
        ".venv/bin/python workflow/plan_study.py --study aime_fig1_constant_lr --scale demo",
        "```",
        "",
        "In the tables, *required* stands for a key without a default.",
    ]
    for kind, model in FILES.items():
        lines += ["", f"## {kind.capitalize()}", "", INTRO[kind], "", *_table(model)]
        for heading, part in PARTS.get(kind, {}).items():
            lines += [
                "",
                f"### {heading.capitalize()}",
                "",
                technique_pages.summary(part),
                "",
                *_table(part),
            ]
        if kind == "recipe":
            lines += _techniques(FAMILIES)
        if kind == "study":
            lines += _techniques(CLAIM_FAMILIES)
    return "\n".join(lines) + "\n"


def _techniques(families: dict[str, tuple[type[BaseModel], ...]]) -> list[str]:
    lines = []
    for family, techniques in families.items():
        for technique in techniques:
            lines += ["", f"### {family.capitalize()} {tag(technique)}", ""]
            lines += [technique_pages.summary(technique), "", *_table(technique)]
    return lines


def _table(model: type[BaseModel]) -> list[str]:
    lines = ["| key | type | default | meaning |", "|---|---|---|---|"]
    found = model.model_json_schema()
    for part in _parts(found):
        _mend(part)
    properties = found["properties"]
    # The key that chooses comes first, then what is required, then the rest, each as in the code.
    order = sorted(
        properties, key=lambda k: (k not in ("name", "kind"), k not in found.get("required", []))
    )
    for key in order:
        prop = properties[key]
        meaning = prop.get("description") or UNSAID[key]
        required = key in found.get("required", [])
        default = "*required*" if required else _default(prop.get("default"))
        meaning = " ".join(meaning.split()).replace("|", "\\|")
        lines.append(f"| `{key}` | {_type(prop)} | {default} | {meaning} |")
    return lines


def _default(value: Any) -> str:
    if isinstance(value, dict) and value:
        return "see there"
    return f"`{json.dumps(_short(value), ensure_ascii=False)}`"


def _short(value: Any) -> Any:
    if isinstance(value, float):
        return int(value) if value.is_integer() else float(f"{value:.5g}")
    return [_short(item) for item in value] if isinstance(value, list) else value


def _type(prop: dict[str, Any]) -> str:
    """A property's type and range, for readers."""
    if "$ref" in prop:
        return _links([prop["$ref"]])
    if "oneOf" in prop:
        return _links([part["$ref"] for part in prop["oneOf"]])
    if "anyOf" in prop:
        return " or ".join(_type(part) for part in prop["anyOf"])
    if "const" in prop:
        return f"`{prop['const']}`"
    if "enum" in prop:
        named = prop["enum"] == list(METRICS)
        return "metric" if named else ", ".join(f"`{value}`" for value in prop["enum"])
    if prop.get("type") == "array":
        if "prefixItems" in prop:
            return f"[{', '.join(_type(part) for part in prop['prefixItems'])}]"
        return f"list of {_type(prop.get('items', {}))}"
    if prop.get("type") == "object":
        inner = prop.get("additionalProperties")
        return f"name: {_type(inner) if isinstance(inner, dict) else 'value'}"
    words = {"string": "text", "integer": "whole number", "boolean": "`true`, `false`"}
    word = words.get(prop.get("type", ""), prop.get("type", "anything"))
    limits = [f"{sign} {_short(prop[key])}" for key, sign in _SIGNS.items() if key in prop]
    return f"{word} {', '.join(limits)}".strip()


def _links(references: list[str]) -> str:
    """Links to the sections of models; several are one of a family."""
    return ", ".join(_link(reference.rsplit("/", 1)[-1]) for reference in references)


def _link(model: str) -> str:
    for family, techniques in (FAMILIES | CLAIM_FAMILIES).items():
        for technique in techniques:
            if technique.__name__ == model:
                name = tag(technique)
                return f"[{name}](#{family}-{name})"
    for parts in PARTS.values():
        for heading, part in parts.items():
            if part.__name__ == model:
                return f"[{heading}](#{heading.replace(' ', '-')})"
    raise KeyError(f"no section of the reference page describes {model}")


# -- files ----------------------------------------------------------------------------------------


def outputs(archs: bool) -> dict[Path, Callable[[], str]]:
    """Path below the repository's root -> what makes its text."""
    made: dict[Path, Callable[[], str]] = {
        Path("docs/configuration.md"): reference,
        technique_pages.PAGE: lambda: technique_pages.page(FAMILIES),
        **technique_curves.outputs(),
    }
    for kind in FILES:
        made[Path(f"config/schema/{kind}.json")] = lambda kind=kind: (
            json.dumps(schema(kind), indent=2, ensure_ascii=False) + "\n"
        )
    if archs:
        folder = Path("workflow/ablation/models")
        for library in ("torchvision", "timm"):
            file = folder / f"{library}_archs.txt"
            made[file] = lambda file=file, library=library: arch_lists.archs(ROOT / file, library)
    return made


def stale(root: Path, archs: bool = False) -> list[str]:
    """The files that are not what the models say."""
    found = []
    for path, make in outputs(archs).items():
        file = root / path
        if not file.is_file() or file.read_text(encoding="utf-8") != make():
            found.append(str(path))
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Write or check; return 0, or 1 when a file is stale."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, name stale files")
    parser.add_argument("--archs", action="store_true", help="check the model lists too")
    parser.add_argument("--root", type=Path, default=ROOT, help="default: this repository")
    args = parser.parse_args(argv)
    if args.check:
        found = stale(args.root, args.archs)
        for path in found:
            print(f"stale: {path}; run `make schema`", file=sys.stderr)
        return 1 if found else 0
    for path, make in outputs(archs=True).items():
        file, text = args.root / path, make()
        if file.is_file() and file.read_text(encoding="utf-8") == text:
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        print(f"written: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
