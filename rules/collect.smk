# Collect: the cells of a study -> one tidy table.
#
# Reads   results/cells/*/ of the study's cells, and the study's, recipe's and scale's YAML.
# Writes  results/studies/{scale}/{study}/runs.csv (a row a cell) and epochs.csv (a row an epoch).


rule collect_study:
    """Gather the results of a study's cells."""
    input:
        cells=study_cells,
        config=study_files,
        code=["workflow/collect_study.py", *library("collect")],
    output:
        runs=f"{STUDIES}/runs.csv",
        epochs=f"{STUDIES}/epochs.csv",
    log:
        "results/logs/collect/{scale}/{study}.log",
    benchmark:
        "results/logs/collect/{scale}/{study}.benchmark.tsv"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        folder=subpath(output.runs, parent=True),
    shell:
        "python workflow/collect_study.py"
        " --study {wildcards.study:q}"
        " --scale {wildcards.scale:q}"
        " --cells results/cells"
        " --out {params.folder:q}"
        " 2> {log:q}"
