# Source: what a part is made from -> an empty file that is named by it.
#
# Reads   nothing: rules/products.smk names the file.
# Writes  results/studies/{scale}/{study}/.{part}-{digest}, results/report/.pages-{digest}. Another
#         content is another file, and the part is made anew; touching or checking a file out again
#         changes no name (docs/decisions/0004-reruns.md).


rule note_source:
    """Note what a part is made from, so that it is made anew when that changes."""
    output:
        "results/{of}/.{part}-{state}",
    log:
        "results/logs/source/{of}/{part}-{state}.log",
    wildcard_constraints:
        of="report|studies/[^/]+/[^/]+",
        part="|".join((*PARTS, "pages")),
        state=r"[0-9a-f]{12}(\.[0-9]+)?",
    params:
        folder=subpath(output[0], parent=True),
    shell:
        "rm -f {params.folder:q}/.{wildcards.part}-* && touch {output:q} 2> {log:q}"
