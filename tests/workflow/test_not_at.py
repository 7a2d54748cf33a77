"""A study that the scale cannot carry: nothing of it is planned, the others are run."""

from __future__ import annotations

from pathlib import Path

from . import project

REASON = "two epochs show nothing"


def test_a_study_that_is_not_run_at_this_scale_plans_nothing(tmp_path):
    folder = project.make(tmp_path / "project")
    study = folder / "config/studies/augmented.yaml"
    study.write_text(f"{study.read_text()}not_at: {{smoke: {REASON}}}\n")
    jobs = project.planned_jobs(folder)
    assert any("study=plain" in job for job in jobs) and "build_report" in jobs
    assert not any("study=augmented" in job for job in jobs)
    assert len([job for job in jobs if job.startswith("train_cell")]) == 2
    # The page names the study, so another reason is another page.
    assert selection(folder) != selection(folder, REASON.replace("two", "three"))
    alone = project.snakemake(folder, "-n", "--config", "studies=augmented", check=False)
    assert alone.returncode and "augmented.yaml: not run at scale smoke: three" in alone.stdout


def selection(folder: Path, reason: str = REASON) -> str:
    """The file that stands for what the report is made from, with a reason in the study."""
    study = folder / "config/studies/augmented.yaml"
    study.write_text(study.read_text().replace(REASON, reason))
    done = project.snakemake(folder, "-n", "--until", "note_source")
    return next(word for word in done.stdout.split() if "report/.pages-" in word)
