# Report: tables, figures and verdicts of the chosen studies -> one page to read.
#
# Reads   results/studies/{scale}/*/ runs.csv, epochs.csv, steps.csv and figures/; results/cells/*/
#         and the cells' logs; by `source` the texts of all studies, claims and datasets, the
#         templates and the code (rules/products.smk). Tables and verdicts it works out itself.
# Writes  results/report/: index.html with a page for each study in studies/ and for each cell in
#         cells/ (none loads anything, the folder can be copied as it is), and report.md.


rule build_report:
    """Build the page that is read first, and those behind it."""
    input:
        cells=report_cells,
        collected=expand(
            f"{STUDIES}/{{table}}.csv",
            scale=SETTINGS.scale,
            study=list(PLANS),
            table=["runs", "epochs", "steps"],
        ),
        figures=expand(f"{STUDIES}/figures", scale=SETTINGS.scale, study=list(PLANS)),
        logs=cell_logs,
        source=report_source,
    output:
        page="results/report/index.html",
        markdown="results/report/report.md",
        studies=directory("results/report/studies"),
        cells=directory("results/report/cells"),
        list="results/report/.products",
    log:
        "results/logs/report/report.log",
    benchmark:
        "results/logs/report/report.benchmark.tsv"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        scale=SETTINGS.scale,
        studies=list(STUDY_NAMES),
        folder=subpath(output.page, parent=True),
    shell:
        "python workflow/build_report.py"
        " --scale {params.scale:q}"
        " --studies {params.studies:q}"
        " --results results"
        " --out {params.folder:q}"
        " 2> {log:q}"
