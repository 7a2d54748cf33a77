# Report: tables, figures and verdicts of the chosen studies -> one page to read.
#
# Reads   results/studies/{scale}/*/ and results/cells/*/.
# Writes  results/report/index.html (self-contained) and report.md.


rule select_studies:
    """Note which studies at which scale the report is about, so that another choice makes it anew."""
    output:
        SELECTION,
    log:
        "results/logs/report/selection.log",
    shell:
        "rm -f results/report/.selection-* && touch {output:q} 2> {log:q}"


rule build_report:
    """Build the page that is read first."""
    input:
        selection=SELECTION,
        tables=expand(f"{STUDIES}/tables", scale=SETTINGS.scale, study=list(PLANS)),
        figures=expand(f"{STUDIES}/figures", scale=SETTINGS.scale, study=list(PLANS)),
        claims=expand(f"{STUDIES}/claims", scale=SETTINGS.scale, study=list(PLANS)),
        code=[
            "workflow/build_report.py",
            *library("report", "render", "sentences", "settings", "captions", "markup"),
            *library("tables", "main_table", "threshold_table", "published_table", "range_table"),
            *library("entries", "comparison_table", "comparisons", "recommendation"),
            *library("figure_data", "importance", "pareto"),
            *library("collect", "frames", "stats", "diagnosis", "lr_range", "loader_table"),
            *library("claims", "claim_plan", "inference", "measures", "verdicts"),
        ],
        templates=report_templates(),
    output:
        page="results/report/index.html",
        markdown="results/report/report.md",
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
