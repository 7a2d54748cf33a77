# What is said while the workflow runs and at its end. Names are those of rules/common.smk and
# rules/keep.smk.

import time

from ablation.causes import failed_stages, failures

BEGAN = time.time()
SLURM_LOGS = Path(".snakemake/slurm_logs")
WATCH = []


def at_once():
    """Cells that can run side by side."""
    settings = workflow.resource_settings
    if workflow.remote_exec or not workflow.local_exec:
        return settings.nodes or 1
    most = (settings.cores or 1) // min(r.cpus for r in RESOURCES.values())
    if "gpu" in workflow.global_resources and all(r.gpus for r in RESOURCES.values()):
        gpus_here = workflow.global_resources["gpu"].value
        most = min(most, gpus_here // min(r.gpus for r in RESOURCES.values()))
    return max(1, most)


def begin():
    """When the workflow starts: keep what it may delete; from now on, say how far it is."""
    set_aside(about_to_run())
    if SETTINGS.partial:  # nothing is trained
        return
    for note in dict.fromkeys(f"{plan.name}: {n}" for plan in PLANS.values() for n in plan.notes):
        logger.info(f"note: {note}")
    from ablation.watch import Watch

    # By its logger, as Snakemake writes a line in two parts and another one could come between.
    watch = Watch(PLANS.values(), Path("results"), SLURM_LOGS, at_once(), logger.info)
    WATCH.append(watch)
    watch.start()


def finish():
    """When the workflow ends: results that are there stay."""
    for watch in WATCH:
        watch.end()
    settle()


def tell_failures():
    """When the workflow ends with failures: what has no result, with the reason."""
    names = {
        c.id: f"{study}, {c.variant.label}, seed {c.config.seed}" for study, c in CELLS.values()
    }
    failed = failures(names, Path("results"), SLURM_LOGS, since=BEGAN)
    failed += failed_stages(SETTINGS.scale, list(PLANS), Path("results"), since=BEGAN)
    finish()  # after the failures, which are those of cells without results
    for line in failed:
        print(f"failed: {line}", file=sys.stderr)
    if failed:
        chosen = ",".join(SETTINGS.studies)
        print(
            "The rest can be reported on: snakemake --cores all --config "
            f"scale={SETTINGS.scale} studies={chosen} partial=true",
            file=sys.stderr,
        )
