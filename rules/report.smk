# Report: tables, figures and verdicts of the chosen studies -> one page to read.
#
# Reads   results/studies/{scale}/*/ and results/cells/*/.
# Writes  results/report/: index.html with a page for each study in studies/ and for each cell in
#         cells/ (none loads anything, the folder can be copied as it is), and report.md.


rule select_studies:
    """Note which studies at which scale the report is about, so that another choice makes it anew."""
    output:
        SELECTION,
    log:
        "results/logs/report/selection.log",
    shell:
        "rm -f results/report/.selection-* && touch {output:q} 2> {log:q}"


rule build_report:
    """Build the page that is read first, and those behind it."""
    input:
        selection=SELECTION,
        tables=expand(f"{STUDIES}/tables", scale=SETTINGS.scale, study=list(PLANS)),
        figures=expand(f"{STUDIES}/figures", scale=SETTINGS.scale, study=list(PLANS)),
        claims=expand(f"{STUDIES}/claims", scale=SETTINGS.scale, study=list(PLANS)),
        code=[
            "workflow/build_report.py",
            *library("captions", "cell_curves", "claims", "collect", "comparison_table"),
            *library("comparisons", "diagnosis", "entries", "figure_data", "frames", "grid"),
            *library("hover", "importance", "inference", "loader_table", "lr_range"),
            *library("main_table", "markup", "measures", "meters", "metrics", "pareto"),
            *library("place", "plan", "published_table", "range_table", "recommendation"),
            *library("render", "report", "report_cells", "report_documents"),
            *library("report_machines", "report_study", "sentences", "standings", "stats"),
            *library("summary", "tables", "threshold_table", "variants", "verdicts"),
        ],
        templates=report_templates(),
    output:
        page="results/report/index.html",
        markdown="results/report/report.md",
        studies=directory("results/report/studies"),
        cells=directory("results/report/cells"),
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
