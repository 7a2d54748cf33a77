# What tables, figures, verdicts and pages are made from, beside the results: the plan, texts, and
# the code of their program. Names are those of rules/common.smk; rules/source.smk has the rule.

from ablation import made_from, products

# What a program reads in workflow/ beside its code.
READS = {"study_figures": ["ablation/*.mplstyle"], "build_report": ["report/*"]}
PROGRAMS = {"cells": "collect_study", "pages": "build_report"}
PARTS = ("cells", "tables", "figures", "claims")


def source_of(part):
    """A function that gives the file that stands for what a study's part is made from."""

    def of_study(wildcards):
        return study_source(part, wildcards.study)

    return of_study


def study_source(part, study):
    """The file that stands for what a part of a study is made from."""
    folder = Path(f"results/studies/{SETTINGS.scale}/{study}")
    content = [made_from.code_digest(*made_by(part))]
    if part == "cells":
        content += [PLANS[study].digest, study_cells_there(study)]
    elif part == "tables":
        content.append(made_from.titles([PLANS[study]], "config"))
    # What was collected is declared file by file: Snakemake sees one that is deleted.
    made = None if part == "cells" else folder / part
    return str(products.marker(folder, part, digest(content), made))


def made_by(part):
    """The program that makes a part, and what it reads in workflow/ beside its code."""
    program = PROGRAMS.get(part, f"study_{part}")
    return program, *READS.get(program, ())


def study_cells_there(study):
    """With `partial: true` the cells that a study is collected from; else all of it, always."""
    return study_cells_of(study) if SETTINGS.partial else None


def report_source(wildcards):
    """The file that stands for what the report is made from, beside its studies."""
    content = [
        *(made_from.code_digest(*made_by("pages")), SETTINGS.scale, list(STUDY_NAMES), NOT_RUN),
        *(made_from.titles(PLANS.values(), "config"), made_from.texts("config")),
    ]
    folder = Path("results/report")
    made = folder if (folder / "index.html").exists() else None
    return str(products.marker(folder, "pages", digest(content), made))


def report_cells(wildcards):
    """The cells of all studies, which have a page each."""
    return wanted({cell.id: None for plan in PLANS.values() for cell in plan.cells})


def cell_logs(wildcards):
    """What their training said, where it was kept."""
    cells = {cell.id: None for plan in PLANS.values() for cell in plan.cells}
    logs = [f"results/logs/train/{cell}.log" for cell in cells]
    return [log for log in logs if Path(log).exists()]


def all_studies(wildcards):
    """What is collected of every study, its tables, figures and verdicts."""
    parts = ("runs.csv", "epochs.csv", "steps.csv", "tables", "figures", "claims")
    return expand(f"{STUDIES}/{{part}}", scale=SETTINGS.scale, study=list(PLANS), part=parts)


def all_sources(wildcards):
    """Every such file. Snakemake makes a missing one again only if a target asks for it."""
    return [report_source(wildcards)] + [study_source(p, s) for s in PLANS for p in PARTS]
