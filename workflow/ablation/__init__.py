"""The library beneath the workflow: plan, cell, training loop, statistics, tables and figures.

Importing this package, its `config`, `grid` and `identity` takes no torch: a cluster job parses
the Snakefile again, so planning must stay light (docs/decisions/0005-light-planning.md).
"""
