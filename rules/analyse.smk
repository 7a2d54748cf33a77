# Analyse: a study's tidy table -> tables, figures and verdicts.
#
# Reads   results/studies/{scale}/{study}/runs.csv, epochs.csv and steps.csv, the study's YAML.
# Writes  results/studies/{scale}/{study}/tables/ (CSV, Markdown, LaTeX) and figures/ (SVG, PNG,
#         and the CSV behind each) and claims/ (CSV, JSON, Markdown).


rule study_tables:
    """Draw up a study's tables: means, intervals, differences, published values."""
    input:
        runs=f"{STUDIES}/runs.csv",
        steps=f"{STUDIES}/steps.csv",
        code=[
            "workflow/study_tables.py",
            *library(
                *(
                    "tables",
                    "main_table",
                    "comparison_table",
                    "comparisons",
                    "inference",
                    "threshold_table",
                    "published_table",
                    "range_table",
                    "entries",
                    "loader_table",
                    "lr_range",
                    "collect",
                    "frames",
                    "stats",
                    "metrics",
                    "markup",
                    "diagnosis",
                    "grid",
                    "plan",
                    "variants",
                )
            ),
        ],
    output:
        report(
            directory(f"{STUDIES}/tables"),
            patterns=["{table}.csv"],
            caption="../workflow/report/table.rst",
            category="{study}",
            subcategory="tables",
            labels={"table": "{table}", "scale": "{scale}"},
        ),
    log:
        "results/logs/tables/{scale}/{study}.log",
    benchmark:
        "results/logs/tables/{scale}/{study}.benchmark.tsv"
    resources:
        mem_mb=1000,
        runtime=10,
    shell:
        "python workflow/study_tables.py"
        " --study {wildcards.study:q}"
        " --scale {wildcards.scale:q}"
        " --runs {input.runs:q}"
        " --out {output:q}"
        " 2> {log:q}"


rule study_figures:
    """Draw a study's figures."""
    input:
        runs=f"{STUDIES}/runs.csv",
        epochs=f"{STUDIES}/epochs.csv",
        steps=f"{STUDIES}/steps.csv",
        code=[
            "workflow/study_figures.py",
            *library(
                "figures",
                "curves_figure",
                "heatmap_figure",
                "figure_parts",
                "range_figure",
                "loader_figure",
                "front_figures",
                "figure_data",
                "importance",
                "pareto",
                "palette",
                "comparisons",
                "inference",
                "sentences",
                "entries",
                "lr_range",
                "collect",
                "frames",
                "stats",
                "metrics",
                "grid",
                "plan",
                "variants",
            ),
            "workflow/ablation/style.mplstyle",
        ],
    output:
        report(
            directory(f"{STUDIES}/figures"),
            patterns=["{figure}.svg"],
            caption="../workflow/report/figure.rst",
            category="{study}",
            subcategory="figures",
            labels={"figure": "{figure}", "scale": "{scale}"},
        ),
    log:
        "results/logs/figures/{scale}/{study}.log",
    benchmark:
        "results/logs/figures/{scale}/{study}.benchmark.tsv"
    resources:
        mem_mb=1000,
        runtime=10,
    shell:
        "python workflow/study_figures.py"
        " --study {wildcards.study:q}"
        " --scale {wildcards.scale:q}"
        " --runs {input.runs:q}"
        " --out {output:q}"
        " 2> {log:q}"


rule study_claims:
    """Decide the document's claims that a study tests."""
    input:
        runs=f"{STUDIES}/runs.csv",
        epochs=f"{STUDIES}/epochs.csv",
        code=[
            "workflow/study_claims.py",
            *library(
                *(
                    "claims",
                    "claim_plan",
                    "inference",
                    "measures",
                    "verdicts",
                    "collect",
                    "frames",
                    "stats",
                    "metrics",
                    "markup",
                    "diagnosis",
                    "grid",
                    "plan",
                    "variants",
                )
            ),
        ],
    output:
        report(
            directory(f"{STUDIES}/claims"),
            patterns=["{table}.csv"],
            caption="../workflow/report/table.rst",
            category="{study}",
            subcategory="claims",
            labels={"table": "{table}", "scale": "{scale}"},
        ),
    log:
        "results/logs/claims/{scale}/{study}.log",
    benchmark:
        "results/logs/claims/{scale}/{study}.benchmark.tsv"
    resources:
        mem_mb=1000,
        runtime=10,
    shell:
        "python workflow/study_claims.py"
        " --study {wildcards.study:q}"
        " --scale {wildcards.scale:q}"
        " --runs {input.runs:q}"
        " --epochs {input.epochs:q}"
        " --out {output:q}"
        " 2> {log:q}"
