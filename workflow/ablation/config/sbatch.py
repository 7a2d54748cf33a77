"""What may stand in a setting that reaches sbatch: names and options, nothing that a shell runs.

The Slurm plugin puts `extra` into a shell command as it is, on the host where Snakemake was
started, and study files come from others.
"""

from __future__ import annotations

import re
import shlex
from typing import Annotated

from pydantic import AfterValidator

# sbatch's short options, so that one stands for its long name and takes its value from the same
# place: `-x node1`, `-xnode1` and `--exclude=node1` are one option.
_SHORT = {
    "A": "account", "a": "array", "B": "extra-node-info", "b": "begin", "C": "constraint",
    "c": "cpus-per-task", "D": "chdir", "d": "dependency", "e": "error", "F": "nodefile",
    "G": "gpus", "H": "hold", "h": "help", "I": "immediate", "i": "input", "J": "job-name",
    "k": "no-kill", "L": "licenses", "M": "clusters", "m": "distribution", "N": "nodes",
    "n": "ntasks", "O": "overcommit", "o": "output", "p": "partition", "Q": "quiet", "q": "qos",
    "S": "core-spec", "s": "oversubscribe", "t": "time", "V": "version", "v": "verbose",
    "W": "wait", "w": "nodelist", "x": "exclude",
}  # fmt: skip
# Options that have a key of their own here.
_KEYS = {
    "account": "account", "constraint": "constraint", "cpus-per-gpu": "cpus",
    "cpus-per-task": "cpus", "gpus": "gpus", "gres": "gpus", "mem": "mem_mb",
    "mem-per-cpu": "mem_mb", "mem-per-gpu": "mem_mb", "partition": "partition", "qos": "qos",
    "time": "runtime",
}  # fmt: skip
# Options that the workflow sets, that run or write something, or that make of one job none or many.
_TAKEN = {
    "array", "batch", "bb", "bbf", "chdir", "clusters", "comment", "container", "container-id",
    "error", "export", "export-file", "get-user-env", "gid", "help", "input", "job-name", "nodes",
    "ntasks", "ntasks-per-gpu", "ntasks-per-node", "output", "parsable", "test-only", "uid",
    "usage", "version", "wait", "workdir", "wrap",
}  # fmt: skip
_OPTION = re.compile(r"--([A-Za-z][A-Za-z0-9_-]*)(?:=(.*))?")


def options(text: str) -> str:
    """Options of sbatch as a shell would split them, each quoted; ValueError for anything else."""
    if not text.isprintable():
        raise ValueError("options stand on one line, without control characters")
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"cannot be split as a shell would ({str(error).lower()})") from None
    found: list[str] = []
    while words:
        option = _long(words.pop(0))
        # A value of its own: joined to its option, so that no word can be taken for a script.
        if "=" not in option and words and not words[0].startswith("-"):
            option += f"={words.pop(0)}"
        name, value = _OPTION.fullmatch(option).groups()
        _refuse_taken(name)
        _refuse_shell(option, value or "")
        found.append(shlex.quote(option))
    return " ".join(found)


def _long(word: str) -> str:
    """The word with its option's long name; ValueError if it begins with none."""
    short = re.fullmatch(r"-([A-Za-z])=?(.*)", word)
    if short is not None and short[1] in _SHORT:
        return f"--{_SHORT[short[1]]}" + (f"={short[2]}" if short[2] else "")
    if not _OPTION.fullmatch(word):
        raise ValueError(
            f"'{word}' is no option of sbatch; write options alone, such as "
            "--reservation=course or --exclude=node1"
        )
    return word


def _refuse_taken(name: str) -> None:
    """sbatch takes the first letters of a long name for the whole of it."""
    for key in sorted(_KEYS):
        if key.startswith(name):
            raise ValueError(f"--{name} has a key of its own: write `{_KEYS[key]}`")
    if any(taken.startswith(name) for taken in _TAKEN):
        raise ValueError(f"--{name} is the workflow's own; leave it out")


def _refuse_shell(option: str, value: str) -> None:
    """In quotes they do nothing; but no option of sbatch has them, and who writes one means a
    shell."""
    found = sorted(set(value) & set(";`$<>"))
    if found:
        raise ValueError(f"{option}: {' '.join(found)} has no place in an option of sbatch")


def _name(kind: str, characters: str):
    """A text of some characters that begins with no dash, so that it is not taken for an option."""
    pattern = re.compile(f"(?!-)[{characters}]+")

    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(f"'{text}' is no {kind} of Slurm")
        return text

    return AfterValidator(check)


_PLAIN = "A-Za-z0-9_.,@+:/-"
Partition = Annotated[str, _name("partition", _PLAIN)]
Account = Annotated[str, _name("account", _PLAIN)]
Qos = Annotated[str, _name("quality of service", _PLAIN)]
Constraint = Annotated[str, _name("constraint", _PLAIN + r"=&|()\[\]*! ")]
GpuModel = Annotated[str, _name("type of GPU", "A-Za-z0-9_.")]
Options = Annotated[str, AfterValidator(options)]
