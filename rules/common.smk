# What the rules share: the plan, and where things lie. Planning is pure and takes no torch; a
# mistake in a configuration file ends here, in one line, before any job starts.
import shlex
from functools import cache

from ablation.config.load import check_workflow, find, study_names
from ablation.grid import Planner
from ablation.identity import digest

try:
    SETTINGS = check_workflow(config)
    for _name in SETTINGS.data_paths:
        find(Path("config"), "datasets", _name, "config/config.yaml: data_paths")
    STUDY_NAMES = study_names("config", SETTINGS.studies)
    # The second: studies whose own file says that this scale is none for them.
    PLANS, NOT_RUN = Planner("config").plans(STUDY_NAMES, SETTINGS.scale)
    MISSING = [m for p in PLANS.values() for m in p.missing_files(Path("results/cells"))]
    for _plan in PLANS.values():
        _plan.check_media(SETTINGS.media)
    RESOURCES = {name: plan.resources(SETTINGS.cluster) for name, plan in PLANS.items()}
except UserError as error:
    raise WorkflowError(str(error)) from None
if not PLANS or (MISSING and not SETTINGS.partial):
    raise WorkflowError("\n".join(MISSING or NOT_RUN.values()))

# Each cell once, with the first study that asks for it: equal configurations are the same cell.
# After them the cells whose weights they need, of studies that need not be asked for.
CELLS = {}
for _part in ("cells", "parents"):
    for _study, _plan in PLANS.items():
        for _cell in getattr(_plan, _part):
            CELLS.setdefault(_cell.id, (_study, _cell))

STUDIES = "results/studies/{scale}/{study}"

# `.venv/bin/snakemake` works without activating the environment: its python comes first.
# A cell that is told to stop saves its state first: bash must outlive that (the trap). A cell that is
# killed can say nothing: bash writes into its log by which signal, from where the cause is read.
shell.prefix(
    f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH; trap : TERM; "
    'tell_signal() {{ [ $1 -le 128 ] || echo "ended by signal $(($1 - 128))" >> "$2"; return $1; }}; '
)


# Seconds each, and no GPU: where the workflow was started, not through the queue.
localrules:
    all,
    note_source,
    collect_study,
    study_tables,
    study_figures,
    build_report,


wildcard_constraints:
    cell="[0-9a-f]{12}",
    digest="[0-9a-f]{12}",
    dataset="[A-Za-z0-9][A-Za-z0-9_-]*",
    # Of another scale or study ask with --config: its cells are not planned here.
    scale=SETTINGS.scale,
    study="|".join(PLANS),


def all_cells(wildcards):
    """The result of every cell that a study asks for."""
    return wanted(CELLS)


def wanted(cells):
    """Results of cells: all of them, or with `partial: true` those that are there."""
    paths = [f"results/cells/{cell}/metrics.json" for cell in cells]
    return [path for path in paths if not SETTINGS.partial or Path(path).exists()]


def study_cells(wildcards):
    """The results that a study is collected from; metrics.json stands for a cell's files, as it is
    written last."""
    return study_cells_of(wildcards.study)


def study_cells_of(study):
    """The same of a study by its name."""
    return wanted(cell.id for cell in PLANS[study].cells)


def cell_data(wildcards):
    """The betons of a cell and the weights it is given; none once the cell is trained.

    A trained cell stands by its identity: it is not trained again because betons were touched,
    deleted or converted anew (docs/decisions/0004-reruns.md).
    """
    if is_trained(wildcards.cell) and wildcards.cell not in without_weights():
        return []
    cell = CELLS[wildcards.cell][1]
    folder = f"results/{cell.dataset.directory}"
    betons = [f"{folder}/train.beton", f"{folder}/val.beton", f"{folder}/manifest.json"]
    return betons + [f"results/cells/{parent.id}/weights.pt" for parent in cell.parents]


def is_trained(cell):
    """Whether a cell has results."""
    return Path(f"results/cells/{cell}/metrics.json").exists()


@cache
def without_weights():
    """Trained cell whose weights were deleted -> a cell that is to be trained and needs them: the
    first is trained again."""
    found = {}
    todo = [cell for _, cell in CELLS.values() if not is_trained(cell.id)]
    while todo:
        cell = todo.pop()
        for parent in cell.parents:
            there = Path(f"results/cells/{parent.id}/weights.pt").exists()
            if is_trained(parent.id) and not there and parent.id not in found:
                found[parent.id] = cell.id
                todo.append(parent)
    return found


def cell_study(wildcards):
    """The study under whose name a cell is trained."""
    return CELLS[wildcards.cell][0]


def cell_folder(wildcards):
    """Where the betons of a cell lie."""
    return f"results/{CELLS[wildcards.cell][1].dataset.directory}"


def source_option(wildcards):
    """The option that tells convert where this site keeps a dataset's images."""
    path = SETTINGS.data_paths.get(wildcards.dataset)
    return f"--data {shlex.quote(path)}" if path else ""
