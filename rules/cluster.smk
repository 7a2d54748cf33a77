# What cells ask of a cluster and how they get there. Names are those of rules/common.smk;
# docs/cluster.md tells how it plays together.

import signal

from ablation import gpus
from ablation.estimate import Estimates
from ablation.slurm import mark_packed, packed

ESTIMATES = Estimates((cell for _, cell in CELLS.values()), Path("results"))

# Slurm warns every process of a job before its time limit: the cell saves its state and asks for the
# queue again, and the Snakemake around it, which reads this file, must live until then.
signal.signal(signal.SIGUSR1, signal.SIG_IGN)


# On this machine itself, no more cells at once than it has GPUs. `--resources gpu=N` says otherwise.
if workflow.is_main_process and workflow.local_exec and SETTINGS.device != "cpu":
    if "gpu" not in workflow.global_resources and gpus.visible():
        workflow.register_resource("gpu", len(gpus.visible()))


def asked_for(wildcards):
    """What a cell asks for: as configured, or what finished cells like it took."""
    study, cell = CELLS[wildcards.cell]
    return ESTIMATES.resources(RESOURCES[study], cell)


def resource(name):
    """A function that gives what a cell asks of the cluster; None for the cluster's own default."""

    def of_cell(wildcards, attempt):
        return asked_for(wildcards).asked(name, attempt)

    return of_cell


def device(wildcards):
    """Where a cell is trained: on a GPU if it asks for one."""
    wants_gpu = SETTINGS.device == "auto" and RESOURCES[cell_study(wildcards)].gpus
    return "cuda" if wants_gpu else SETTINGS.device


def sbatch_options(wildcards, attempt):
    """Options of sbatch for a cell: Slurm sends SIGUSR1 shortly before the time limit."""
    asked = asked_for(wildcards)
    runtime = asked.asked("runtime", attempt)
    # Two minutes for a step, an evaluation and a save; less of a short limit. Slurm may send it up
    # to a minute early, so with a limit of one minute it could come at the start.
    seconds = max(30, min(120, 12 * runtime))
    signal_option = f"--signal=USR1@{seconds}" if runtime > 1 else ""
    return f"{signal_option} {asked.extra or ''}".strip() or None


def pack(wildcards):
    """The group of a cell, when the profile packs cells: one for each kind of allocation."""
    if workflow.group_settings.group_components.get("cells", 1) <= 1:
        return None
    mark_packed()
    group = f"cells-{digest(RESOURCES[cell_study(wildcards)].model_dump())}"
    workflow.parent_groupids[group] = "cells"
    return group


def packed_option(wildcards):
    """The option that tells a cell that it is packed: its times are not to be compared."""
    return "--packed" if packed() else ""


def medium_folder(wildcards):
    """The folder at this site of the medium that a cell reads from."""
    return SETTINGS.media[CELLS[wildcards.cell][1].variant.loader.medium]


def all_cores(wildcards):
    """Every core that Snakemake has: no other job beside this one."""
    return workflow.resource_settings.cores or 1


def loader_cores(wildcards):
    """Cores that a cell asks of the cluster: one for each of its workers at the least."""
    asked = RESOURCES[cell_study(wildcards)].cpus
    return max(asked, CELLS[wildcards.cell][1].variant.loader.workers)


def whole_node(wildcards, attempt):
    """Options of sbatch: a node with no other job on it, as times are the result."""
    return f"--exclusive {RESOURCES[cell_study(wildcards)].extra or ''}".strip()
