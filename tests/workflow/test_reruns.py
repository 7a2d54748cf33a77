"""Only what changed: each edit of a finished project, and the exact set of jobs it leads to."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import AGO
from .dry_runs import DryRuns
from .project import (
    NOTE_PAGES,
    analysis_jobs,
    cells,
    edit,
    new_study_jobs,
    note,
    part_jobs,
    snakemake,
    train_jobs,
)

PLAIN = "config/studies/plain.yaml"
AUGMENTED = "config/studies/augmented.yaml"
OLD = time.time() - AGO
Plan = Callable[..., set[str]]


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished project, times kept, to edit."""
    folder = tmp_path / "project"
    shutil.copytree(finished, folder, symlinks=True)
    return folder


@pytest.fixture
def plan(project: Path, dry_runs: DryRuns) -> Plan:
    """`plan(*args)`: the jobs that Snakemake would run in the project."""
    return lambda *args: dry_runs.plan(project, *args)


def both(folder: Path) -> set[str]:
    return set(cells(folder, "plain").values()) | set(cells(folder, "augmented").values())


def test_finished_project_has_nothing_to_do(project: Path, plan: Plan) -> None:
    assert plan() == set()


def test_one_grid_value_changed_trains_that_variant_alone(project: Path, plan: Plan) -> None:
    edit(project, PLAIN, "[0.1, 0.01]", "[0.1, 0.02]")
    new = cells(project, "plain")[("lr=0.02", 0)]
    assert plan() == train_jobs(new) | analysis_jobs("plain", plan=True)


def test_seed_added_trains_the_new_seed_alone(project: Path, plan: Plan) -> None:
    edit(project, PLAIN, "seeds: 1", "seeds: 2")
    ids = cells(project, "plain")
    new = train_jobs(ids[("lr=0.1", 1)], ids[("lr=0.01", 1)])
    assert plan() == new | analysis_jobs("plain", plan=True)


def test_axis_value_removed_trains_nothing(project: Path, plan: Plan) -> None:
    edit(project, PLAIN, "[0.1, 0.01]", "[0.1]")
    assert plan() == analysis_jobs("plain", plan=True)


def test_study_renamed_trains_nothing(project: Path, plan: Plan) -> None:
    (project / PLAIN).rename(project / "config/studies/renamed.yaml")
    edit(project, "config/config.yaml", "plain", "renamed")
    assert plan() == new_study_jobs("renamed")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("title: Learning rates plain\n", "# a comment\ntitle: Learning rates plain\n"),
        ("seeds: 1\n", ""),
        ("[0.1, 0.01]", "[1.0e-1, 1e-2]"),
    ],
    ids=["comment", "key moved", "numbers spelt otherwise"],
)
def test_edits_that_say_the_same_lead_to_nothing(
    project: Path, plan: Plan, old: str, new: str
) -> None:
    edit(project, PLAIN, old, new)
    if not new:
        text = (project / PLAIN).read_text()
        (project / PLAIN).write_text(f"{old}{text}")
    assert plan() == set()


@pytest.mark.parametrize("text", ["title: Learning rates plain", "title: Top-1,"])
def test_title_changed_trains_nothing(project: Path, plan: Plan, text: str) -> None:
    edit(project, PLAIN, text, text.replace("title: ", "title: Another "))
    assert plan() == analysis_jobs("plain", plan=True)


def test_older_file_put_back_is_noticed(project: Path, plan: Plan) -> None:
    """Its time is older than the tables', its content is another than theirs."""
    before, times = (project / PLAIN).read_text(), (project / PLAIN).stat()
    edit(project, PLAIN, "[0.1, 0.01]", "[0.1]")
    snakemake(project)
    (project / PLAIN).write_text(before)
    os.utime(project / PLAIN, (times.st_atime, times.st_mtime))
    assert plan() == analysis_jobs("plain", plan=True)


def test_partial_reports_on_what_is_there(project: Path, plan: Plan) -> None:
    cell = cells(project, "plain")[("lr=0.01", 0)]
    shutil.rmtree(project / f"results/cells/{cell}")
    jobs = plan("--config", "partial=true")
    assert jobs == analysis_jobs("plain", "augmented") | note("cells", "plain", "augmented")
    snakemake(project, "--config", "partial=true")
    assert cell in (project / "results/report/studies/plain.html").read_text()


def test_recipe_commented_and_reordered_trains_nothing(project: Path, plan: Plan) -> None:
    path = project / "config/recipes/aime_resnet50.yaml"
    text = path.read_text()
    path.write_text("epochs: 90 # as before\n" + text.replace("epochs: 90\n", ""))
    assert plan() == set()


def test_figure_style_changed_draws_figures_alone(project: Path, plan: Plan) -> None:
    with open(project / "workflow/ablation/style.mplstyle", "a") as style:
        style.write("\n# another style\n")
    assert plan() == part_jobs("figures", "plain", "augmented")


def test_touched_betons_lead_to_nothing(project: Path, plan: Plan) -> None:
    for beton in project.glob("results/data/*/*"):
        os.utime(beton)
    assert plan() == set()


def test_deleted_betons_are_made_again_for_the_new_cell_alone(project: Path, plan: Plan) -> None:
    (folder,) = project.glob("results/data/*")
    shutil.rmtree(folder)
    assert plan() == set()
    edit(project, PLAIN, "[0.1, 0.01]", "[0.1, 0.01, 0.001]")
    new = cells(project, "plain")[("lr=0.001", 0)]
    name, digest = folder.name.rsplit("-", 1)
    convert = {f"convert_dataset dataset={name}, digest={digest}"}
    assert plan() == convert | train_jobs(new) | analysis_jobs("plain", plan=True)
    snakemake(project)  # for real: the finished cells' results are not touched
    trained = [
        p for p in project.glob("results/cells/*/metrics.json") if p.stat().st_mtime > OLD + 1800
    ]
    assert [p.parent.name for p in trained] == [new]


def test_dataset_rebuilt_identically_leads_to_nothing(project: Path, plan: Plan) -> None:
    (folder,) = project.glob("results/data/*")
    before = (folder / "manifest.json").read_bytes()
    shutil.rmtree(folder)
    snakemake(project, str((folder / "manifest.json").relative_to(project)))
    assert (folder / "manifest.json").read_bytes() == before
    assert plan() == set()


def test_white_space_in_a_rule_leads_to_nothing(project: Path, plan: Plan) -> None:
    edit(project, "rules/train.smk", '" --study', '"  --study')
    edit(project, "rules/collect.smk", '" --study', '"  --study')
    assert plan() == set()


def test_resources_changed_lead_to_nothing(project: Path, plan: Plan) -> None:
    edit(project, "config/scales/smoke.yaml", "mem_mb: 1500", "mem_mb: 3000")
    assert plan() == set()


def test_technique_version_raised_trains_the_cells_that_use_it(project: Path, plan: Plan) -> None:
    before = cells(project, "augmented")
    edit(
        project, "workflow/ablation/augment/standard.py",
        'name: Literal["standard"]', 'version: ClassVar[int] = 2\n    name: Literal["standard"]',
    )  # fmt: skip
    edit(
        project, "workflow/ablation/augment/standard.py",
        "from typing import TYPE_CHECKING, Literal",
        "from typing import TYPE_CHECKING, ClassVar, Literal",
    )  # fmt: skip
    after = cells(project, "augmented")
    assert not set(before.values()) & set(after.values())
    # The planner imports the file, and so does all that draws: seconds, and nothing is trained.
    expected = train_jobs(*after.values()) | new_study_jobs("augmented") | new_study_jobs("plain")
    assert plan() == expected


def test_another_torch_trains_nothing(project: Path, plan: Plan) -> None:
    edit(project, "requirements.lock", "torch==2.", "torch==3.")
    for record in project.glob("results/cells/*/provenance.json"):
        times = record.stat()
        record.write_text(record.read_text().replace('"torch": "2.', '"torch": "1.'))
        os.utime(record, (times.st_atime, times.st_mtime))
    assert plan() == set()


def test_studies_that_share_variants_share_cells(project: Path, plan: Plan) -> None:
    text = (project / PLAIN).read_text().replace("[0.1, 0.01]", "[0.1, 0.03]")
    (project / "config/studies/sharing.yaml").write_text(text)
    edit(project, "config/config.yaml", "[plain,", "[plain, sharing,")
    shared, new = cells(project, "plain"), cells(project, "sharing")
    assert new[("lr=0.1", 0)] == shared[("lr=0.1", 0)]
    assert plan() == train_jobs(new[("lr=0.03", 0)]) | new_study_jobs("sharing")


def test_writer_option_changed_makes_new_betons_and_cells(project: Path, plan: Plan) -> None:
    edit(project, "config/datasets/fashion_mnist.yaml", "write_mode: raw", "write_mode: jpg")
    jobs = plan()
    assert {j for j in jobs if j.startswith("train_cell")} == train_jobs(*both(project))
    assert len([j for j in jobs if j.startswith("convert_dataset")]) == 1
    assert analysis_jobs("plain", "augmented") | note("cells", "plain", "augmented") < jobs


def test_deleted_result_is_trained_again(project: Path, plan: Plan) -> None:
    cell = cells(project, "plain")[("lr=0.01", 0)]
    shutil.rmtree(project / f"results/cells/{cell}")
    assert plan() == train_jobs(cell) | analysis_jobs("plain")


def test_another_scale_and_back_builds_the_report_it_was_asked_for(
    project: Path, plan: Plan
) -> None:
    assert plan("--config", "studies=plain") == {NOTE_PAGES, "build_report"}
    snakemake(project, "--config", "studies=plain")
    assert plan() == {NOTE_PAGES, "build_report"}


def test_changed_settings_that_change_no_result_lead_to_nothing(project: Path, plan: Plan) -> None:
    with open(project / "config/config.yaml", "a") as settings:
        settings.write("loader_workers: 2\ndata_paths: {fashion_mnist: elsewhere}\n")
    assert plan() == set()


def test_half_written_result_of_a_killed_run_is_trained_again(project: Path, plan: Plan) -> None:
    # Long enough to be killed in the middle: 100 epochs of the smoke cell.
    edit(project, "config/scales/smoke.yaml", "epochs_divide_by: 30", "epochs_divide_by: 0.9")
    ids = cells(project, "plain")
    target = f"results/cells/{ids[('lr=0.1', 0)]}/metrics.json"
    driver = subprocess.Popen(
        [Path(sys.executable).parent / "snakemake", "--cores", "1", target],
        cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    checkpoint = project / f"results/checkpoints/{ids[('lr=0.1', 0)]}/checkpoint.pt"
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and time.monotonic() < deadline and driver.poll() is None:
        time.sleep(0.2)
    assert checkpoint.exists()
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    # What a kill between two files of a result would leave.
    (project / target).parent.mkdir(parents=True, exist_ok=True)
    (project / target).with_name("epochs.csv").write_text("epoch\n")
    snakemake(project, "--unlock")
    assert plan(target) == train_jobs(ids[("lr=0.1", 0)])
    snakemake(project, target)
    log = (project / f"results/logs/train/{ids[('lr=0.1', 0)]}.log").read_text()
    assert "goes on after epoch" in log
