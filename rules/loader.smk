# Loader benchmarks: one job per cell that reads and trains nothing. Names are those of
# rules/common.smk and rules/cluster.smk.
#
# Reads   the betons of the cell's dataset, copied to the cell's medium if they are not there.
# Writes  results/cells/load-{digest}/: as of a trained cell, without weights.
# Steps   copy, empty the page cache of the copy where permitted, read epochs and time each.


rule time_loader:
    """Read the images of one cell of a loader benchmark for some epochs, and time it."""
    input:
        cell_data,
    output:
        metrics="results/cells/{cell}/metrics.json",
        epochs="results/cells/{cell}/epochs.csv",
        timing="results/cells/{cell}/timing.json",
        provenance="results/cells/{cell}/provenance.json",
        cell="results/cells/{cell}/cell.json",
    log:
        "results/logs/train/{cell}.log",
    benchmark:
        "results/logs/train/{cell}.benchmark.tsv"
    wildcard_constraints:
        cell="load-[0-9a-f]{12}",
    threads: all_cores
    resources:
        cpus_per_task=loader_cores,
        mem_mb=resource("mem_mb"),
        runtime=resource("runtime"),
        slurm_partition=resource("partition"),
        slurm_account=resource("account"),
        qos=resource("qos"),
        constraint=resource("constraint"),
        slurm_extra=whole_node,
        loader=1,  # slurm/config.yaml has one: two nodes would share a medium
    params:
        study=cell_study,
        scale=SETTINGS.scale,
        data=cell_folder,
        medium=medium_folder,
        folder=subpath(output.metrics, parent=True),
    shell:
        "python workflow/time_loader.py"
        " --study {params.study:q}"
        " --scale {params.scale:q}"
        " --cell {wildcards.cell}"
        " --data {params.data:q}"
        " --medium {params.medium:q}"
        " --out {params.folder:q}"
        " --checkpoints results/checkpoints"
        " 2>> {log:q} || tell_signal $? {log:q}"
