"""Draw the figures of a study as SVG and PNG, each with the CSV behind it.

    python workflow/study_figures.py --study aime_fig1_constant_lr --scale demo \\
        --runs results/studies/demo/aime_fig1_constant_lr/runs.csv \\
        --out results/studies/demo/aime_fig1_constant_lr/figures

The epochs are read from epochs.csv beside runs.csv.
"""

from __future__ import annotations

from collections.abc import Sequence

from ablation.cli import collected, run, runs_parser


def main(argv: Sequence[str] | None = None) -> int:
    """Write the figures; return 0."""
    args = runs_parser(__doc__, "figures").parse_args(argv)
    data = collected(args)
    # After the checks: drawing takes seconds to import.
    from ablation.figures import study_figures, write_figures

    write_figures(study_figures(data), args.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(run(main))
