# An ablation study is a YAML file; this turns it into trained cells, tables, figures and a report.
#
#   convert -> plan -> train -> collect -> analyse -> report
#
# `snakemake --cores all` runs what config/config.yaml names. Stages are one file each in rules/,
# the program of a rule has the rule's name in workflow/, the library is workflow/ablation/.

from snakemake.utils import min_version

min_version("9.0")


include: "rules/settings.smk"


configfile: "config/config.yaml"


report: "workflow/report/workflow.rst"


include: "rules/common.smk"
include: "rules/products.smk"
include: "rules/source.smk"
include: "rules/keep.smk"
include: "rules/tell.smk"
include: "rules/cluster.smk"
include: "rules/convert.smk"
include: "rules/train.smk"
include: "rules/loader.smk"
include: "rules/collect.smk"
include: "rules/analyse.smk"
include: "rules/report.smk"


rule all:
    default_target: True
    input:
        # All of it, not the report alone: Snakemake makes a missing file again only if it is asked for.
        cells=all_cells,
        studies=all_studies,
        sources=all_sources,
        report=rules.build_report.output,


onstart:
    begin()


onsuccess:
    finish()


onerror:
    tell_failures()
