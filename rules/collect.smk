# Collect: the cells of a study -> one tidy table.
#
# Reads   results/cells/*/ of the study's cells, and by `source` the study's plan and the code
#         (rules/products.smk).
# Writes  results/studies/{scale}/{study}/runs.csv (a row a cell), epochs.csv (a row an epoch)
#         and steps.csv (a row a step, of range tests).


rule collect_study:
    """Gather the results of a study's cells."""
    input:
        cells=study_cells,
        source=source_of("cells"),
    output:
        runs=f"{STUDIES}/runs.csv",
        epochs=f"{STUDIES}/epochs.csv",
        steps=f"{STUDIES}/steps.csv",
    log:
        "results/logs/collect/{scale}/{study}.log",
    benchmark:
        "results/logs/collect/{scale}/{study}.benchmark.tsv"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        folder=subpath(output.runs, parent=True),
        partial="--partial" if SETTINGS.partial else "",
    shell:
        "python workflow/collect_study.py"
        " --study {wildcards.study:q}"
        " --scale {wildcards.scale:q}"
        " --cells results/cells"
        " --out {params.folder:q}"
        " {params.partial}"
        " 2> {log:q}"
