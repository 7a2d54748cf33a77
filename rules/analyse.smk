# Analyse: a study's tidy table -> tables, figures and verdicts.
#
# Reads   results/studies/{scale}/{study}/runs.csv, epochs.csv and steps.csv, the study's YAML; what
#         else a part is made from, its code too, is behind `source` (rules/products.smk).
# Writes  results/studies/{scale}/{study}/tables/ (CSV, Markdown, LaTeX) and figures/ (SVG, PNG,
#         and the CSV behind each) and claims/ (CSV, JSON, Markdown).


rule study_tables:
    """Draw up a study's tables: means, intervals, differences, published values."""
    input:
        runs=f"{STUDIES}/runs.csv",
        steps=f"{STUDIES}/steps.csv",
        source=source_of("tables"),
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
        source=source_of("figures"),
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
        steps=f"{STUDIES}/steps.csv",
        source=source_of("claims"),
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
