"""No number of any file is without bounds, and no text that readers see is empty."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin

import configs
import pytest
from pydantic import TypeAdapter, ValidationError

from ablation.config.base import Config
from ablation.config.claim import Claim, Labels, Register
from ablation.config.dataset import DatasetConfig, DatasetLock
from ablation.config.load import check_workflow, validate
from ablation.config.recipe import CellConfig, RecipeConfig
from ablation.config.scale import ScaleConfig
from ablation.config.study import StudyConfig, WorkflowConfig
from ablation.errors import ConfigError
from ablation.grid import Planner

STUDY, RECIPE, SCALE = "studies/s.yaml", "recipes/r.yaml", "scales/z.yaml"
FILES = (RecipeConfig, CellConfig, StudyConfig, ScaleConfig, DatasetConfig, DatasetLock,
         WorkflowConfig, Register)  # fmt: skip
# What stands under these keys is checked where it is used: as an override of a recipe.
FREE = {("StudyConfig", key) for key in ("base", "grid", "rows", "baseline")}
FREE |= {("Published", "variant"), ("OtherCell", "variant"), ("Pair", "variant")}
FREE |= {("Pair", "against"), ("BestOf", "variant"), ("BestOf", "others"), ("Level", "variants")}
FREE |= {("Group", "where"), ("Ranking", "where")}


def models(model: type[Config], seen: dict[str, type[Config]]) -> dict[str, type[Config]]:
    """A model and every one below it, by name."""
    name = f"{model.__module__}.{model.__name__}"
    if name not in seen:
        seen[name] = model
        for field in model.model_fields.values():
            for part in leaves(field.annotation):
                if isinstance(part, type) and issubclass(part, Config):
                    models(part, seen)
    return seen


def leaves(annotation: Any) -> Iterator[Any]:
    """The plain types and models within an annotation."""
    if get_origin(annotation) is Annotated:
        yield from leaves(get_args(annotation)[0])
    elif get_args(annotation):
        for part in get_args(annotation):
            yield from leaves(part)
    else:
        yield annotation


ALL: dict[str, type[Config]] = {}
for file in FILES:
    models(file, ALL)
NUMBERS = [
    (model, key)
    for model in ALL.values()
    for key, field in model.model_fields.items()
    if {int, float} & {part for part in leaves(field.annotation) if isinstance(part, type)}
    and (model.__name__, key) not in FREE
]


def test_every_model_is_looked_at():
    names = {model.__name__ for model in ALL.values()}
    assert {"Cosine", "SGD", "Level", "Resources", "SplitLock"} <= names
    assert len(NUMBERS) > 120 and Labels == dict[str, Any] and Claim in ALL.values()


@pytest.mark.parametrize(("model", "key"), NUMBERS, ids=lambda x: getattr(x, "__name__", x))
def test_a_number_beyond_all_use_is_refused(model: type[Config], key: str) -> None:
    field = model.model_fields[key]
    marks = tuple(field.metadata)
    adapter = TypeAdapter(Annotated[(field.annotation, *marks)] if marks else field.annotation)
    for number in (10**30, -(10**30), 1e30, -1e30, str(10**30)):
        pair, triple = [number] * 2, [number] * 3
        for value in (number, [number], pair, triple, {"1": number}, {number: 1}):
            if isinstance(value, dict) and str in leaves(field.annotation):
                value = {"demo": number}
            with pytest.raises(ValidationError):
                adapter.validate_python(value)


LEVEL = "{kind: threshold, measure: {name: last}, variants: [{lr: 0.1}], relation: above, value: "
CLAIM = "claims: [{number: 1, scales: [z], seeds: 2, parts: ["
PUBLISHED = "published: [{where: w, variant: {lr: 0.1}, measures: last, "
# (file, text to replace, replacement, message)
ABSURD = {
    "epochs": (RECIPE, "epochs: 4", "epochs: 1" + "0" * 30,
               "{c}/recipes/r.yaml: epochs: must be at most 100,000, got 1"),
    "learning rate": (RECIPE, "lr: 0.1", "lr: 1e20",
                      "{c}/recipes/r.yaml: lr: must be at most 1,000,000,000, got 1e+20"),
    "image size": (RECIPE, "img_size: 28", "img_size: 100000",
                   "{c}/recipes/r.yaml: img_size: must be at most 16,384, got 100000"),
    "a threshold": (SCALE, "title: z", "title: z\nthresholds: [80, 150]",
                    "{c}/scales/z.yaml: thresholds.1: must be at most 100, got 150"),
    "a seed": (STUDY, "seeds: 2", "seeds: [0, 9007199254740992]",
               "{c}/studies/s.yaml: seeds.1: must be below 9,007,199,254,740,992, got"),
    "no title": (STUDY, "title: t", "title: ''",
                 "{c}/studies/s.yaml: title: is empty; write what readers are to see"),
    "a title of spaces": (RECIPE, "title: r", "title: '  '",
                          "{c}/recipes/r.yaml: title: is empty; write what readers are to see"),
    "a title of lines": (SCALE, "title: z", 'title: "a\\nb"',
                         "{c}/scales/z.yaml: title: a title is one line of at most 200 characters"),
    "no question": (STUDY, "question: q", "question: ''",
                    "{c}/studies/s.yaml: question: is empty; write what readers are to see"),
    "a claim of more seeds than the study has": (
        STUDY, "seeds: 2", f"seeds: 2\n{CLAIM.replace(' seeds: 2,', '')}{LEVEL}50}}]}}]",
        "{c}/studies/s.yaml: claim 1 wants 5 seeds, the study has 2 at scale z: raise `seeds`, or "
        "lower those of the claim"),
    "a claim's accuracy": (
        STUDY, "seeds: 2", f"seeds: 2\n{CLAIM}{LEVEL}150}}]}}]",
        "{c}/studies/s.yaml: claims.0.parts.0: value: 150 is out of reach in points"),
    "a claim's threshold": (
        STUDY, "seeds: 2", f"seeds: 2\n{CLAIM}{LEVEL}5}}]}}]".replace(
            "{name: last}", "{name: epochs_to, threshold: 150}"),
        "{c}/studies/s.yaml: claims.0.parts.0.measure.threshold: must be at most 100, got 150"),
    "a published accuracy": (
        STUDY, "seeds: 2", f"seeds: 2\n{PUBLISHED}value: 780}}]",
        "{c}/studies/s.yaml: published.0: value: val_top1 is in percent, got 780"),
    "minutes": (STUDY, "seeds: 2", "seeds: 2\nresources: {z: {runtime: 1000000}}",
                "{c}/studies/s.yaml: resources.z.runtime: must be at most 525,600, got 1000000"),
}  # fmt: skip


@pytest.mark.parametrize("case", ABSURD)
def test_an_absurd_value_has_its_line(tmp_path, case):
    folder = configs.write(tmp_path / "config")
    file, old, new, expected = ABSURD[case]
    configs.edit(folder / file, old, new)
    with pytest.raises(ConfigError) as caught:
        Planner(folder).plan("s", "z")
    assert str(caught.value).startswith(expected.format(c=folder))
    assert "\n" not in str(caught.value)


def test_the_settings_of_the_workflow_have_bounds():
    with pytest.raises(ConfigError, match="loader_workers: must be at most 4,096, got 100000"):
        check_workflow({"scale": "demo", "studies": ["s"], "loader_workers": 100000})


def test_what_is_sensible_is_taken():
    """The largest that somebody may mean."""
    seeds = [0, 1_732_000_000_000, 2**53 - 1]
    study = {"title": "t" * 200, "document": "d", "place": "-", "question": "q", "recipe": "r",
             "rows": {"a": {}}, "baseline": {"row": "a"}, "seeds": seeds}  # fmt: skip
    assert validate(StudyConfig, study, "s").seed_list("z") == tuple(seeds)
    scale = {
        "title": "z",
        "thresholds": [0.1, 100],
        "epochs": {100_000: 1},
        "img_sizes": {8192: 8},
        "resources": {"cpus": 512, "gpus": 64, "mem_mb": 12_000_000, "runtime": 43_200},
    }
    assert validate(ScaleConfig, scale, "z").resources.mem_mb == 12_000_000


@pytest.mark.parametrize("path", ["x" * 300, "x/" * 600, "a\nb", " "])
def test_a_path_is_one(path):
    for key in ("data_paths", "media"):
        with pytest.raises(ConfigError, match=key):
            check_workflow({"scale": "demo", "studies": ["s"], key: {"a": path}})
    with pytest.raises(ConfigError, match="source.path: "):
        source = {"layout": "folder", "path": path}
        validate(DatasetConfig, {"title": "t", "source": source}, "d")
