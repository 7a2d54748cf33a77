"""Dry runs by the dozen: real Snakemake, imported once, in a process of its own for each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from . import project

SERVER = """
import json, os, sys
import numpy, pydantic, snakemake.cli, snakemake.report
snakemake.cli.get_argument_parser()
for line in sys.stdin:
    folder, arguments, output = json.loads(line)
    child = os.fork()
    if child == 0:
        file = os.open(output, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.dup2(file, 1), os.dup2(file, 2)
        os.chdir(folder)
        sys.argv = ["snakemake", *arguments]  # the Snakefile looks at it
        code = 1
        try:
            code = snakemake.cli.main(arguments)
        except SystemExit as ended:
            code = ended.code
        finally:
            sys.stdout.flush(), sys.stderr.flush()
            os._exit(code or 0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class DryRuns:
    """A process that plans: `plan(folder, *args)` is `snakemake -n` there."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.output = folder / "output.txt"
        env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, env=env,
        )  # fmt: skip

    def text(self, folder: Path, *args: str) -> str:
        """What a dry run says; it must succeed."""
        arguments = ["--cores", "2", "-n", *args]
        self.process.stdin.write(json.dumps([str(folder), arguments, str(self.output)]) + "\n")
        self.process.stdin.flush()
        code = int(self.process.stdout.readline())
        text = self.output.read_text()
        assert code == 0, text
        return text

    def plan(self, folder: Path, *args: str) -> set[str]:
        """The jobs of a dry run."""
        return project.jobs_of(self.text(folder, *args))

    def end(self) -> None:
        """End the process."""
        self.process.stdin.close()
        self.process.wait(timeout=60)
