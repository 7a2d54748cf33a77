"""Decide the claims that a study tests: claims.csv, claims.json and claims.md.

    python workflow/study_claims.py --study aime_fig1_constant_lr --scale demo \\
        --runs results/studies/demo/aime_fig1_constant_lr/runs.csv \\
        --out results/studies/demo/aime_fig1_constant_lr/claims
"""

from __future__ import annotations

from collections.abc import Sequence

from ablation.claims import verdicts
from ablation.cli import collected, run, runs_parser
from ablation.verdicts import write_claims


def main(argv: Sequence[str] | None = None) -> int:
    """Write the verdicts; return 0."""
    args = runs_parser(__doc__, "verdicts").parse_args(argv)
    data = collected(args)
    write_claims(data, verdicts(data), args.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(run(main))
