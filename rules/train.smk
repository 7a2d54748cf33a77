# Train: one job per cell.
#
# Reads   the betons of the cell's dataset; the cell itself is found in the plan by its id.
# Writes  results/cells/{cell}/: metrics.json (deterministic), epochs.csv, timing.json,
#         provenance.json, cell.json, weights.pt.
# Steps   go on from the checkpoint if there is one, train and evaluate each epoch, write the
#         results. The checkpoint lies outside the outputs, which Snakemake deletes before a job;
#         so do links to the results (--keep), and to those that the cell had (rules/keep.smk),
#         until the workflow ends.


rule train_cell:
    """Train one cell, or go on where an earlier attempt was stopped."""
    input:
        cell_data,
    output:
        metrics="results/cells/{cell}/metrics.json",
        epochs="results/cells/{cell}/epochs.csv",
        timing="results/cells/{cell}/timing.json",
        provenance="results/cells/{cell}/provenance.json",
        cell="results/cells/{cell}/cell.json",
        weights="results/cells/{cell}/weights.pt",
    log:
        "results/logs/train/{cell}.log",
    benchmark:
        "results/logs/train/{cell}.benchmark.tsv"
    group:
        pack
    threads: resource("cpus")
    resources:
        cpus_per_task=resource("cpus"),
        mem_mb=resource("mem_mb"),
        runtime=resource("runtime"),
        gpu=resource("gpus"),
        gpu_model=resource("gpu_model"),
        slurm_partition=resource("partition"),
        slurm_account=resource("account"),
        qos=resource("qos"),
        constraint=resource("constraint"),
        slurm_extra=sbatch_options,
        turn=1,  # the cells of a pack take turns: the profile gives each pack one
    params:
        study=cell_study,
        scale=SETTINGS.scale,
        data=cell_folder,
        folder=subpath(output.metrics, parent=True),
        workers=SETTINGS.loader_workers,
        device=device,
        packed=packed_option,
    shell:
        "python workflow/train_cell.py"
        " --study {params.study:q}"
        " --scale {params.scale:q}"
        " --cell {wildcards.cell}"
        " --data {params.data:q}"
        " --out {params.folder:q}"
        " --checkpoints results/checkpoints"
        " --workers {params.workers}"
        " --device {params.device}"
        " --keep"
        " {params.packed}"
        " 2>> {log:q} || tell_signal $? {log:q}"
