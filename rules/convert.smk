# Convert: images -> betons.
#
# Reads   config/datasets/{dataset}.yaml, its lock, and the source images (a folder or tars).
# Writes  results/data/{dataset}-{digest}/{train,val}.beton and manifest.json.
# Steps   verify the images against the lock, write each split, describe the result.


rule convert_dataset:
    """Convert a dataset's images to FFCV betons, verified against its lock."""
    input:
        config=ancient("config/datasets/{dataset}.yaml"),
        lock=ancient("config/datasets/{dataset}.lock.json"),
    output:
        train="results/data/{dataset}-{digest}/train.beton",
        val="results/data/{dataset}-{digest}/val.beton",
        manifest="results/data/{dataset}-{digest}/manifest.json",
    log:
        "results/logs/convert/{dataset}-{digest}.log",
    benchmark:
        "results/logs/convert/{dataset}-{digest}.benchmark.tsv"
    threads: 8
    resources:
        cpus_per_task=8,
        mem_mb=8000,
        runtime=720,
        slurm_partition=SETTINGS.cluster.partition,
        slurm_account=SETTINGS.cluster.account,
        qos=SETTINGS.cluster.qos,
        constraint=SETTINGS.cluster.constraint,
        slurm_extra=SETTINGS.cluster.extra,
    params:
        source=source_option,
        folder=subpath(output.manifest, parent=True),
    shell:
        "python workflow/convert_dataset.py"
        " --dataset {wildcards.dataset}"
        " --out {params.folder:q}"
        " --workers {threads}"
        " {params.source}"
        " 2>&1 | tee {log:q}"
