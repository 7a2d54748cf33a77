"""Wrong configurations and the message that each gets: file, key, nearest valid name.

Every one is refused while planning, before a job exists, as a ConfigError. `{c}` in a message is
the configuration folder.
"""

from __future__ import annotations

import sys
from pathlib import Path

import configs
import pytest
import yaml

from ablation.cli import run
from ablation.config.load import check_workflow
from ablation.errors import ConfigError
from ablation.grid import Planner

STUDY, RECIPE, SCALE = "studies/s.yaml", "recipes/r.yaml", "scales/z.yaml"
DATASET, LOCK = "datasets/fashion_mnist.yaml", "datasets/fashion_mnist.lock.json"
NOT_BOOL = "a number is wanted, not true/false"
PLAIN = "a name has letters, digits, - and _ only"


def described(figure: str) -> str:
    return f"seeds: 2\nfigures: {figure}"


# (file, text to replace, replacement, message)
EDITS = {
    # -- keys and names
    "unknown key of a recipe": (
        RECIPE, "lr: 0.1\n", "lr: 0.1\nepoch: 3\n",
        "{c}/recipes/r.yaml: epoch: unknown key; did you mean 'epochs'?"),
    "unknown key of a study": (
        STUDY, "seeds: 2", "seeds: 2\nfigure: {}",
        "{c}/studies/s.yaml: figure: unknown key; did you mean 'figures'?"),
    "unknown key of a scale": (
        SCALE, "title: z", "title: z\nepoch_divide_by: 2",
        "{c}/scales/z.yaml: epoch_divide_by: unknown key; did you mean 'epochs_divide_by'?"),
    "unknown key of a dataset": (
        DATASET, "colour: false", "color: false",
        "{c}/datasets/fashion_mnist.yaml: color: unknown key; did you mean 'colour'?"),
    "unknown key of a dataset's writer": (
        DATASET, "max_resolution: null", "max_res: null",
        "{c}/datasets/fashion_mnist.yaml: writer.max_res: unknown key; "
        "did you mean 'max_resolution'?"),
    "unknown option of a technique": (
        RECIPE, "{name: sgd}", "{name: sgd, momentun: 0.9}",
        "{c}/recipes/r.yaml: optimizer.momentun: unknown key; did you mean 'momentum'?"),
    "option that cannot be had": (
        RECIPE, "augment: {name: none}", "augment: {name: standard, interpolation: random}",
        "{c}/recipes/r.yaml: augment.interpolation: unknown key; valid: flip, name, ratio, scale"),
    "option of another technique": (
        RECIPE, "{name: constant}", "{name: constant, every: 2}",
        "{c}/recipes/r.yaml: schedule.every: does nothing with 'constant'; it belongs to 'step', "
        "'exponential'"),
    "unknown option in a scale's mapping": (
        SCALE, "title: z", "title: z\nmodels: {resnet50: {name: resnet_small, widht: 2}}",
        "{c}/scales/z.yaml: models.resnet50.widht: unknown key; did you mean 'width'?"),
    "misspelt technique": (
        RECIPE, "{name: constant}", "{name: cosin}",
        "{c}/recipes/r.yaml: schedule.name: there is no 'cosin'; did you mean 'cosine'?"),
    "technique without a name": (
        RECIPE, "{name: constant}", "{warmup_epochs: 1}",
        "{c}/recipes/r.yaml: schedule.name: missing"),
    "technique as a word": (
        RECIPE, "{name: constant}", "constant",
        "{c}/recipes/r.yaml: schedule: wants keys with values, as in `{{name: ...}}`, "
        "got 'constant'"),
    "missing key": (RECIPE, "lr: 0.1\n", "", "{c}/recipes/r.yaml: lr: missing"),
    "two mistakes, two lines": (
        RECIPE, "lr: 0.1", "lrr: 0.1",
        "{c}/recipes/r.yaml: lr: missing\n"
        "{c}/recipes/r.yaml: lrr: unknown key; did you mean 'lr'?"),
    "unknown recipe": (
        STUDY, "recipe: r", "recipe: rr",
        "{c}/studies/s.yaml: recipe: there is no 'rr' in {c}/recipes; did you mean 'r'?"),
    "recipe as a path": (
        STUDY, "recipe: r", "recipe: ../recipes/r",
        "{c}/studies/s.yaml: recipe: there is no '../recipes/r' in {c}/recipes; " + PLAIN),
    "unknown dataset": (
        RECIPE, "fashion_mnist", "fashion_mnst",
        "{c}/studies/s.yaml at scale z, lr=0.1: dataset: there is no 'fashion_mnst' in "
        "{c}/datasets; did you mean 'fashion_mnist'?"),
    "dataset as a path": (
        RECIPE, "fashion_mnist", "/etc/passwd",
        "{c}/studies/s.yaml at scale z, lr=0.1: dataset: there is no '/etc/passwd' in "
        "{c}/datasets; " + PLAIN),
    "a scale maps to an unknown dataset": (
        SCALE, "title: z", "title: z\ndatasets: {fashion_mnist: cifr10}",
        "{c}/scales/z.yaml: datasets: there is no 'cifr10' in {c}/datasets; "
        "did you mean 'cifar10'?"),
    "a scale maps an unknown dataset": (
        SCALE, "title: z", "title: z\ndatasets: {fashion-mnist: cifar10}",
        "{c}/scales/z.yaml: datasets: there is no 'fashion-mnist' in {c}/datasets; "
        "did you mean 'fashion_mnist'?"),
    "a scale maps an unknown model": (
        SCALE, "title: z", "title: z\nmodels: {resnet_smal: {name: resnet_small}}",
        "{c}/scales/z.yaml: models: there is no model 'resnet_smal'; did you mean 'resnet_small'?"),
    "unknown architecture": (
        RECIPE, "{name: resnet_small}", "{name: torchvision, arch: resnet5}",
        "{c}/recipes/r.yaml: model.arch: torchvision has no model 'resnet5'; "
        "did you mean 'resnet50'?"),
    # -- values
    "boolean for a number": (
        RECIPE, "lr: 0.1", "lr: false", "{c}/recipes/r.yaml: lr: " + NOT_BOOL),
    "boolean for a number on an axis": (
        STUDY, "[0.1, 0.2]", "[0.1, false]", "{c}/studies/s.yaml, lr=off: lr: " + NOT_BOOL),
    "not a number": (
        RECIPE, "lr: 0.1", "lr: fast", "{c}/recipes/r.yaml: lr: wants a number or keys "
        "with values, got 'fast'"),
    "not a whole number": (
        RECIPE, "epochs: 4", "epochs: 4.5",
        "{c}/recipes/r.yaml: epochs: wants a whole number, got 4.5"),
    "nan": (RECIPE, "lr: 0.1", "lr: .nan", "{c}/recipes/r.yaml: lr: must be finite, got nan"),
    "inf": (RECIPE, "lr: 0.1", "lr: .inf", "{c}/recipes/r.yaml: lr: must be finite, got inf"),
    "too large for a float": (
        RECIPE, "lr: 0.1", "lr: 1e999", "{c}/recipes/r.yaml: lr: must be finite, got inf"),
    "negative lr": (
        RECIPE, "lr: 0.1", "lr: -0.1", "{c}/recipes/r.yaml: lr: must be above 0, got -0.1"),
    "share above one": (
        RECIPE, "lr: 0.1", "lr: 0.1\nval_share: 1.5",
        "{c}/recipes/r.yaml: val_share: must be at most 1, got 1.5"),
    "unknown choice": (
        DATASET, "layout: tar", "layout: tarr",
        "{c}/datasets/fashion_mnist.yaml: source.layout: 'tarr' is not valid; did you mean 'tar'?"),
    "range upside down": (
        RECIPE, "{name: none}", "{name: standard, scale: [1, 0.5]}",
        "{c}/recipes/r.yaml: augment.scale: the first of a range is its lower end, got [1.0, 0.5]"),
    "no seeds": (
        STUDY, "seeds: 2", "seeds: 0", "{c}/studies/s.yaml: seeds: must be at least 1, got 0"),
    "seeds repeated": (
        STUDY, "seeds: 2", "seeds: [3, 3]",
        "{c}/studies/s.yaml: seeds: seeds are one or more different numbers"),
    "seeds at an unknown scale": (
        STUDY, "seeds: 2", "seeds: 2\nseeds_at: {demmo: 7}",
        "{c}/studies/s.yaml: seeds_at: there is no 'demmo' in {c}/scales; valid: z"),
    "seeds at a scale where it is not run": (
        STUDY, "seeds: 2", "seeds: 2\nseeds_at: {demo: 7}\nnot_at: {demo: too short}",
        "{c}/studies/s.yaml: seeds_at: the study is not run at scale demo (not_at)"),
    # -- things that do nothing, or do not fit together
    "warmup as long as the training": (
        RECIPE, "{name: constant}", "{name: constant, warmup_epochs: 4}",
        "{c}/recipes/r.yaml: schedule.warmup_epochs (4) leaves no epoch after it (epochs: 4): "
        "the schedule itself would never act"),
    "milestone after the end": (
        RECIPE, "{name: constant}", "{name: step, milestones: [2, 4]}",
        "{c}/recipes/r.yaml: schedule.milestones [4.0] never come: the training has 4 epochs"),
    "milestones fall": (
        RECIPE, "{name: constant}", "{name: step, milestones: [3, 2]}",
        "{c}/recipes/r.yaml: schedule.milestones: milestones rise strictly, got [3.0, 2.0]"),
    "no milestones": (
        RECIPE, "{name: constant}", "{name: step, milestones: []}",
        "{c}/recipes/r.yaml: schedule.milestones: wants at least 1 value(s), got []"),
    "bad milestones": (
        RECIPE, "{name: constant}", "{name: step, milestones: [-1, false]}",
        "{c}/recipes/r.yaml: schedule.milestones.0: must be above 0, got -1\n"
        "{c}/recipes/r.yaml: schedule.milestones.1: " + NOT_BOOL),
    "both every and milestones": (
        RECIPE, "{name: constant}", "{name: step, every: 2, milestones: [2]}",
        "{c}/recipes/r.yaml: schedule: step wants one of `every` (a period) and `milestones` "
        "(a list)"),
    "neither every nor milestones": (
        RECIPE, "{name: constant}", "{name: step}",
        "{c}/recipes/r.yaml: schedule: step wants one of `every` (a period) and `milestones` "
        "(a list)"),
    "nesterov without momentum": (
        RECIPE, "{name: sgd}", "{name: sgd, momentum: 0, nesterov: true}",
        "{c}/recipes/r.yaml: optimizer: nesterov does nothing without momentum"),
    "writer option unused in its mode": (
        DATASET, "max_resolution: null", "jpeg_quality: 90",
        "{c}/datasets/fashion_mnist.yaml: writer: jpeg_quality does nothing when write_mode is "
        "raw"),
    "batch larger than the data": (
        RECIPE, "batch_size: 128", "batch_size: 5001",
        "{c}/studies/s.yaml at scale z, lr=0.1: batch_size 5001 is larger than the training set "
        "(5000 images of fashion_mnist)"),
    "batch larger than the scale's share of the data": (
        SCALE, "title: z", "title: z\ntrain_share: 0.02",
        "{c}/studies/s.yaml at scale z, lr=0.1: batch_size 128 is larger than the training set "
        "(100 images of fashion_mnist)"),
    "clean subset larger than the data": (
        RECIPE, "clean_images: 100", "clean_images: 5001",
        "{c}/studies/s.yaml at scale z, lr=0.1: measure.clean_images 5001 is larger than the "
        "training set (5000 images of fashion_mnist)"),
    "batch that a scale cannot divide": (
        SCALE, "title: z", "title: z\nbatch_divide_by: 3",
        "{c}/studies/s.yaml at scale z, lr=0.1: batch_size 128 divided by batch_divide_by 3 is "
        "not whole"),
    "a scale makes two points equal": (
        SCALE, "title: z", "title: z\nimg_sizes: {32: 28}",
        "{c}/studies/s.yaml at scale z: variants 'img_size=28' and 'img_size=32' become equal; "
        "leave one out or change the scale's mapping"),
    # -- the study's own
    "axis without values": (
        STUDY, "[0.1, 0.2]", "[]", "{c}/studies/s.yaml: grid.lr: an axis has at least one value"),
    "axis with a value alone": (
        STUDY, "[0.1, 0.2]", "0.1",
        "{c}/studies/s.yaml: grid.lr: wants a list or keys with values, got 0.1"),
    "axis value repeated": (
        STUDY, "[0.1, 0.2]", "[0.1, 1e-1]", "{c}/studies/s.yaml: grid.lr: 0.1 stands there twice"),
    "axis value repeated as text": (
        STUDY, "[0.1, 0.2]", '[0.1, "1e-1"]',
        "{c}/studies/s.yaml: variants 'lr=0.1' and 'lr=1e-1' are equal; leave one out"),
    "axis value with parts but no name": (
        STUDY, "lr: [0.1, 0.2]", "schedule: [{name: constant}, {name: cosine}]",
        "{c}/studies/s.yaml: grid.schedule: a value with parts needs a name, write `schedule: "
        "{{name: {{...}}}}` instead of a list"),
    "unknown axis": (
        STUDY, "  lr: [", "  lrr: [",
        "{c}/studies/s.yaml, lrr=0.1: lrr: unknown key; did you mean 'lr'?"),
    "axis below an unknown key": (
        STUDY, "  lr: [", "  shedule.every: [",
        "{c}/studies/s.yaml, every=0.1: shedule.every: there is no 'shedule'; "
        "did you mean 'schedule'?"),
    "axis below a plain value": (
        STUDY, "  lr: [", "  lr.peak: [",
        "{c}/studies/s.yaml, peak=0.1: lr.peak: 'lr' has no keys of its own"),
    "axis of another technique": (
        STUDY, "  lr: [", "  schedule.every: [",
        "{c}/studies/s.yaml, every=0.1: schedule.every: does nothing with 'constant'; "
        "it belongs to 'step', "
        "'exponential'"),
    "row that is a point of the grid": (
        STUDY, "seeds: 2", "seeds: 2\nrows: {a: {lr: 0.2}}",
        "{c}/studies/s.yaml: variants 'lr=0.2' and 'a' are equal; leave one out"),
    "row named like a point of the grid": (
        STUDY, "seeds: 2", "seeds: 2\nrows: {lr=0.2: {lr: 0.3}}",
        "{c}/studies/s.yaml: two variants are named 'lr=0.2'"),
    "neither grid nor rows": (
        STUDY, "grid:\n  lr: [0.1, 0.2]\n", "",
        "{c}/studies/s.yaml: a study has a grid or rows, or both"),
    "baseline that is no variant": (
        STUDY, "baseline: {lr: 0.1}", "baseline: {lr: 0.3}",
        "{c}/studies/s.yaml: baseline: no variant is 'lr=0.3'; did you mean 'lr=0.2'?"),
    "baseline that looks like a variant": (
        STUDY, "baseline: {lr: 0.1}", "baseline: {lr: '0.1'}",
        "{c}/studies/s.yaml: baseline: lr: the text '0.1' is not the number 0.1; write lr: 0.1"),
    "baseline that looks like a variant of texts": (
        STUDY, "[0.1, 0.2]", "['0.1', 0.2]",
        "{c}/studies/s.yaml: baseline: lr: the number 0.1 is not the text '0.1'; write lr: '0.1'"),
    "baseline that looks like a variant of words": (
        STUDY, "  lr: [0.1, 0.2]\nbaseline: {lr: 0.1}",
        "  flip_tta: [true, false]\nbaseline: {flip_tta: 'on'}",
        "{c}/studies/s.yaml: baseline: flip_tta: the text 'on' is not the word true; "
        "write flip_tta: true"),
    "baseline with the end of an axis": (
        STUDY, "  lr: [0.1, 0.2]\nbaseline: {lr: 0.1}",
        "  optimizer.momentum: [0.1, 0.2]\nbaseline: {momentum: 0.1}",
        "{c}/studies/s.yaml: baseline: there is no axis 'momentum'; "
        "did you mean 'optimizer.momentum'?"),
    "grid of millions": (
        STUDY, "  lr: [0.1, 0.2]", "".join(
            f"  {key}: [{', '.join(map(str, range(1, 200)))}]\n"
            for key in ("lr", "epochs", "measure.clean_every")),
        "{c}/studies/s.yaml: a grid of 199 x 199 x 199 points, more than 2,000 variants; leave "
        "some out, or make several studies"),
    "axis of thousands": (
        STUDY, "[0.1, 0.2]", f"[{', '.join(map(str, range(1, 3001)))}]",
        "{c}/studies/s.yaml: a grid of 3000 points, more than 2,000 variants; leave some out, "
        "or make several studies"),
    "rows of thousands": (
        STUDY, "seeds: 2", f"seeds: 2\nrows: {{{', '.join(f'r{i}: {{}}' for i in range(1999))}}}",
        "{c}/studies/s.yaml: a grid of 2 points and 1999 rows, more than 2,000 variants; leave "
        "some out, or make several studies"),
    "axis of thousands beside one without values": (
        STUDY, "[0.1, 0.2]", f"[{', '.join(map(str, range(1, 3001)))}]\n  epochs: []",
        "{c}/studies/s.yaml: a grid of 3000 x 0 points, more than 2,000 variants; leave some out, "
        "or make several studies"),
    "cells of thousands": (
        STUDY, "  lr: [0.1, 0.2]\nbaseline: {lr: 0.1}\nseeds: 2",
        f"  lr: [{', '.join(map(str, range(1, 102)))}]\nbaseline: {{lr: 1}}\nseeds: 1000",
        "{c}/studies/s.yaml at scale z: 101 variants x 1000 seeds, more than 20,000 cells; take "
        "fewer seeds, or make several studies"),
    "row named by a word": (
        STUDY, "seeds: 2", "seeds: 2\nrows: {on: {lr: 0.3}}",
        "{c}/studies/s.yaml:10:8: on is true to some readers of YAML and text to others; write "
        "true, or 'on' in quotes for a text"),
    "row named by true": (
        STUDY, "seeds: 2", "seeds: 2\nrows: {true: {lr: 0.3}}",
        "{c}/studies/s.yaml: rows: the name true is no text; write 'true', in quotes"),
    "row named by a number": (
        STUDY, "seeds: 2", "seeds: 2\nrows: {1: {lr: 0.3}}",
        "{c}/studies/s.yaml: rows: the name 1 is no text; write '1', in quotes"),
    "key that is a number": (
        STUDY, "seeds: 2", "seeds: 2\n5: 3",
        "{c}/studies/s.yaml: the name 5 is no text; write '5', in quotes"),
    "published variant that is none": (
        STUDY, "seeds: 2",
        "seeds: 2\npublished: [{where: w, variant: {lr: 0.3}, value: 1, measures: last}]",
        "{c}/studies/s.yaml: published.0.variant: no variant is 'lr=0.3'; did you mean 'lr=0.2'?"),
    "figure with an unknown axis": (
        STUDY, "seeds: 2", described("{f: {kind: curves, title: x, colour: lrr}}"),
        "{c}/studies/s.yaml: figures.f.colour: no axis 'lrr' in grid; did you mean 'lr'?"),
    "figure of an unknown kind": (
        STUDY, "seeds: 2", described("{f: {kind: curvs, title: x}}"),
        "{c}/studies/s.yaml: figures.f.kind: there is no 'curvs'; did you mean 'curves'?"),
    "figure with another kind's key": (
        STUDY, "seeds: 2", described("{f: {kind: curves, title: x, x: lr}}"),
        "{c}/studies/s.yaml: figures.f.x: does nothing with 'curves'; it belongs to 'heatmap', "
        "'loader'"),
    "figure whose name leaves its folder": (
        STUDY, "seeds: 2", described("{../f: {kind: curves, title: x}}"),
        "{c}/studies/s.yaml: figures: '../f' becomes a file name: letters, digits, - and _ only"),
    "unknown metric": (
        STUDY, "seeds: 2", described("{f: {kind: curves, title: x, metric: val_topp1}}"),
        "{c}/studies/s.yaml: figures.f.metric: there is no metric 'val_topp1'; "
        "did you mean 'val_top1'?"),
    "curve of what has one value": (
        STUDY, "seeds: 2", described("{f: {kind: curves, title: x, metric: best_val_top1}}"),
        "{c}/studies/s.yaml: figures.f.metric: best_val_top1 is not measured each epoch; "
        "did you mean 'val_top1'?"),
    "figure of a time": (
        STUDY, "seeds: 2",
        described("{f: {kind: heatmap, title: x, x: lr, y: lr, metric: train_time_s}}"),
        "{c}/studies/s.yaml: figures.f.metric: train_time_s is a time: it stands in the table, "
        "which says whether times may be compared"),
    "start of no warmup": (
        RECIPE, "schedule: {name: constant}", "schedule: {name: constant, warmup_start: 0.1}",
        "{c}/recipes/r.yaml: schedule: warmup_start does nothing without warmup_epochs"),
    "origin of no setting": (
        STUDY, "seeds: 2", "seeds: 2\nassumed: {schedule.warmup: none is mentioned}",
        "{c}/studies/s.yaml: assumed: 'schedule.warmup' is no setting; "
        "did you mean 'schedule.warmup_start'?"),
    "a value of any length": (
        STUDY, "baseline: {lr: 0.1}", f"baseline: {{lr: {'x' * 5000}}}",
        f"{{c}}/studies/s.yaml: baseline: no variant is 'lr={'x' * 5000}"),
    "a figure whose name is none of a file": (
        STUDY, "seeds: 2", described(f"{{{'é' * 60}: {{kind: curves, title: x}}}}"),
        f"{{c}}/studies/s.yaml: figures: '{'é' * 20}...' becomes a file name: at most 100 "
        "characters"),
    # -- YAML
    "key given twice": (
        RECIPE, "lr: 0.1\n", "lr: 0.1\nlr: 0.2\n",
        "{c}/recipes/r.yaml:8:1: key 'lr' stands here twice"),
    "YAML tag": (
        RECIPE, "title: r", "title: !!python/object/apply:os.system [echo]",
        "{c}/recipes/r.yaml:1:8: the tag !!python/object/apply:os.system is refused; "
        "write plain values"),
    "broken YAML": (
        RECIPE, "{name: none}", "{name: none",
        "{c}/recipes/r.yaml:12:8: did not find expected ',' or '}}'"),
}  # fmt: skip

# (file, its whole content, message); None for no file
FILES = {
    "empty file": (RECIPE, b"", "{c}/recipes/r.yaml: wants keys with values, holds nothing"),
    "list instead of keys": (
        RECIPE, b"- a\n- b\n", "{c}/recipes/r.yaml: wants keys with values, holds a list"),
    "not UTF-8": (
        RECIPE, "title: é".encode("latin-1"),
        "{c}/recipes/r.yaml: not UTF-8 text (unexpected end of data)"),
    "dataset without a lock": (
        LOCK, None,
        "{c}/datasets/fashion_mnist.lock.json: the dataset 'fashion_mnist' has no lock yet; put "
        "its images in place and run `python workflow/lock_dataset.py --dataset fashion_mnist`"),
    "broken lock": (
        LOCK, b'{"digest": ',
        "{c}/datasets/fashion_mnist.lock.json: not valid JSON "
        "(Expecting value: line 1 column 12 (char 11))"),
    "lock that is not UTF-8": (
        LOCK, b"\xff{}",
        "{c}/datasets/fashion_mnist.lock.json: not UTF-8 text (invalid start byte)"),
    "lock that is a list": (
        LOCK, b"[]",
        "{c}/datasets/fashion_mnist.lock.json: wants keys with values, holds a list"),
}  # fmt: skip

# (study, scale, message)
NAMES = {
    "a long name": ("s" * 300, "z", f"there is no '{'s' * 300}' in {{c}}/studies; a name has at "
                                    "most 100 characters"),
    "unknown study": ("ss", "z", "there is no 'ss' in {c}/studies; did you mean 's'?"),
    "study as a path": ("../studies/s", "z", "there is no '../studies/s' in {c}/studies; " + PLAIN),
    "unknown scale": ("s", "zz", "there is no 'zz' in {c}/scales; did you mean 'z'?"),
    "scale with a line break": ("s", "z\n", "there is no 'z\n' in {c}/scales; " + PLAIN),
}  # fmt: skip

WORKFLOW = {
    "unknown key": (
        {"scale": "demo", "studies": ["s"], "loader_worker": 1},
        "config/config.yaml: loader_worker: unknown key; did you mean 'loader_workers'?"),
    "no studies": (
        {"scale": "demo", "studies": []},
        "config/config.yaml: studies: one or more different studies"),
    "a study twice": (
        {"scale": "demo", "studies": ["s", "s"]},
        "config/config.yaml: studies: one or more different studies"),
    "studies as a word": (
        {"scale": "demo", "studies": 3}, "config/config.yaml: studies: wants a list, got 3"),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return configs.write(tmp_path / "config")


def message(folder: Path, study: str = "s", scale: str = "z") -> str:
    """What planning says; anything but a ConfigError fails the test with its traceback."""
    with pytest.raises(ConfigError) as caught:
        Planner(folder).plan(study, scale)
    assert caught.type is ConfigError
    return str(caught.value)


def test_the_configuration_that_is_edited_here_is_right(folder):
    assert len(Planner(folder).plan("s", "z").cells) == 4


@pytest.mark.parametrize("case", EDITS)
def test_a_wrong_value_is_named(folder, case):
    file, old, new, expected = EDITS[case]
    if case == "a scale makes two points equal":
        configs.edit(folder / STUDY, "lr: [0.1, 0.2]", "img_size: [28, 32]")
    configs.edit(folder / file, old, new)
    expected = expected.format(c=folder)
    if len(expected) > ConfigError.longest:
        expected = f"{expected[: ConfigError.longest]} ..."
    assert message(folder) == expected


@pytest.mark.parametrize("case", FILES)
def test_a_wrong_file_is_named(folder, case):
    file, content, expected = FILES[case]
    (folder / file).unlink()
    if content is not None:
        (folder / file).write_bytes(content)
    assert message(folder) == expected.format(c=folder)


@pytest.mark.parametrize("case", NAMES)
def test_a_wrong_name_is_answered(folder, case):
    study, scale, expected = NAMES[case]
    assert message(folder, study, scale) == expected.format(c=folder)


@pytest.mark.parametrize("case", WORKFLOW)
def test_the_settings_of_the_workflow(case):
    content, expected = WORKFLOW[case]
    with pytest.raises(ConfigError) as caught:
        check_workflow(content)
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    ("file", "keys"),
    [
        (STUDY, "base grid rows seeds_at not_at columns figures published claims resources stated"),
        (RECIPE, "compute measure assumed resources"),
        (SCALE, "datasets models weights img_sizes epochs batch_sizes train_shares thresholds "
                "resources"),
        (DATASET, "writer"),
    ],
)  # fmt: skip
def test_a_key_whose_entries_are_commented_out_is_as_if_it_were_not_there(folder, file, keys):
    content = yaml.safe_load((folder / file).read_text())
    for key in keys.split():
        content.pop(key, None)
    if file == STUDY:
        content["rows"] = {"a": {}, "b": {"lr": 0.2}}
        content["baseline"] = {"row": "a"}
        keys = keys.replace(" rows", "")
    if file == RECIPE:
        keys = keys.replace(" measure", "")
        content["measure"] = {"clean_images": 100}
    (folder / file).write_text(yaml.safe_dump(content))
    before = [cell.id for cell in Planner(folder).plan("s", "z").cells]
    with open(folder / file, "a") as text:
        text.writelines(f"{key}:\n#  x: y\n" for key in keys.split())
    assert [cell.id for cell in Planner(folder).plan("s", "z").cells] == before


def test_nothing_is_no_value_where_one_is_wanted(folder):
    configs.edit(folder / RECIPE, "lr: 0.1", "lr:")
    assert message(folder).startswith(f"{folder}/recipes/r.yaml: lr: wants a number")


def test_the_command_line_prints_each_mistake_as_a_line_of_its_own(folder, capsys):
    configs.edit(folder / RECIPE, "lr: 0.1", "lrr: 0.1")

    def main(argv):
        Planner(folder).plan("s", "z")
        return 0

    assert run(main) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"error: {folder}/recipes/r.yaml: lr: missing",
        f"error: {folder}/recipes/r.yaml: lrr: unknown key; did you mean 'lr'?",
    ]


def test_a_program_answers_before_it_trains(folder, capsys, monkeypatch):
    """train_cell.py itself: exit code 2 and the message, though there are no betons at all."""
    import train_cell

    configs.edit(folder / RECIPE, "{name: constant}", "{name: cosin}")
    monkeypatch.setitem(sys.modules, "ablation.loop", None)  # an import of it would fail
    out = folder.parent / "out"
    options = ["--study", "s", "--scale", "z", "--cell", "0" * 12, "--config-dir", str(folder)]
    paths = ["--data", str(out), "--out", str(out), "--checkpoints", str(out)]
    assert run(train_cell.main, [*options, *paths]) == 2
    assert "schedule.name: there is no 'cosin'" in capsys.readouterr().err
    assert not out.exists()
