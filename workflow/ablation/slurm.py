"""The little that a cell asks of Slurm itself."""

from __future__ import annotations

import os
import subprocess


def requeue() -> bool:
    """Put this job back into the queue, to go on with a new time limit; whether Slurm agreed.

    Slurm then ends all processes of the job, so everything is saved before. The job keeps its
    number, the driver follows it, and no retry of Snakemake's is used.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        return False
    try:
        done = subprocess.run(
            ["scontrol", "requeue", job], capture_output=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def mark_packed() -> None:
    """Note for this process and the jobs that it sends that several cells share a job: jobs inherit
    the environment, and Snakemake tells them nothing of it."""
    os.environ["ABLATION_PACKED"] = "1"


def packed() -> bool:
    """Whether cells share a job here."""
    return bool(os.environ.get("ABLATION_PACKED"))
