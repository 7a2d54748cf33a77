# Nothing that was trained is lost, whatever flag Snakemake is given. It deletes a job's outputs
# before it runs the job; what they were is set aside first, in results/cells/{cell}/.before/, and
# given back where nothing better came of it (docs/decisions/0004-reruns.md). Names are those of
# rules/common.smk.

from ablation import keep
from snakemake.logging import logger

TRAINING = ("train_cell", "time_loader")


def cell_files(cell):
    """The folder of a cell, its log and its lease."""
    folders = ("cells/{}", "logs/train/{}.log", "checkpoints/{}/lease.json")
    return tuple(Path("results") / path.format(cell) for path in folders)


def set_aside(cells):
    """Keep the results of cells that are about to be deleted; nothing runs if that fails."""
    for cell in cells:
        folder, log, _ = cell_files(cell)
        try:
            keep.set_aside(folder, log)
        except UserError as error:
            raise WorkflowError(f"{error}; nothing was started") from None


def about_to_run():
    """The cells that this run trains."""
    jobs = workflow.dag.needrun_jobs()
    return [job.wildcards.cell for job in jobs if job.rule.name in TRAINING]


def settle():
    """When the workflow ends: cells keep their results, or get back those that they had."""
    for cell in CELLS:
        folder, _, lease = cell_files(cell)
        if keep.settle(folder, lease):
            logger.warning(f"cell {cell}: not trained again; its earlier results are put back")


def tell_cells():
    """What is wrong with trained cells, and which are trained again for their weights: said before
    anything runs, and by a dry run too."""
    for cell, (study, planned) in CELLS.items():
        name = f"cell {cell} ({study}, {planned.variant.label}, seed {planned.config.seed})"
        folder = cell_files(cell)[0]
        if problem := keep.problem(folder):
            logger.warning(f"{name}: {problem}; {keep.advice(folder)}")
        if child := without_weights().get(cell):
            logger.warning(
                f"{name}: its weights.pt was deleted and cell {child} needs it: it is trained again"
            )


def given(option):
    """Whether an option of Snakemake was given, or the beginning of its name. As this file is read
    Snakemake does not tell."""
    return any(argument.startswith(option) for argument in sys.argv[1:])


if workflow.is_main_process:
    if given("--delete-a"):
        raise WorkflowError(
            "--delete-all-output would delete every trained cell. Tables, figures and the report "
            "go with: rm -r results/studies results/report; one cell with: rm -r results/cells/ID"
        )
    if not SETTINGS.partial:
        tell_cells()
    # Without hooks nobody says when jobs begin, nor which: all that is there is set aside now.
    if given("--no-ho"):
        set_aside(CELLS)
