"""What tables, figures, verdicts and pages are made from, beside the results: code and texts.

They are made anew when any of it changes. No module is listed by hand: what a program imports,
within functions too, counts whole. Training does not follow its code
(docs/decisions/0004-reruns.md).
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .config.load import load_register, load_study, study_names, title_of
from .errors import ConfigError

if TYPE_CHECKING:
    from .plan import StudyPlan

PROGRAMS = Path(__file__).resolve().parent.parent
LIBRARY = PROGRAMS / "ablation"


@cache
def code_digest(program: str, *patterns: str) -> str:
    """12 hexadecimal digits of SHA-256 over all files that a program is made of.

    patterns: globs below workflow/ of what it reads besides, e.g. templates.
    """
    files = [*code(program), *(f for p in patterns for f in PROGRAMS.glob(p) if f.is_file())]
    found = hashlib.sha256()
    for file in sorted(files):
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        found.update(f"{file.relative_to(PROGRAMS)} {content}\n".encode())
    return found.hexdigest()[:12]


def code(program: str) -> list[Path]:
    """The program's file, each module that it imports by itself or through others, and what lies
    beside them in a package: lists that its modules read."""
    found, todo = set(), {PROGRAMS / f"{program}.py"}
    while todo:
        file = todo.pop()
        found.add(file)
        todo |= _imported(file) - found
    folders = {file.parent for file in found} - {PROGRAMS, LIBRARY}
    beside = (f for folder in folders for f in folder.iterdir() if f.is_file())
    return sorted(found | {f for f in beside if f.suffix not in (".py", ".pyc")})


@cache
def _imported(file: Path) -> frozenset[Path]:
    """The project's files that one file imports; those of packages on the way to them too."""
    package = file.relative_to(PROGRAMS).parts[:-1]
    found = set()
    for name in _names(file, package):
        for end in range(1, len(name) + 1):
            path = PROGRAMS.joinpath(*name[:end])
            found |= {f for f in (path.with_suffix(".py"), path / "__init__.py") if f.is_file()}
    return frozenset(found)


def _names(file: Path, package: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Dotted names that a file imports, in parts; of `from a import b` both a and a.b."""
    for node in _imports(ast.parse(file.read_bytes(), str(file)).body):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        else:
            above = package[: len(package) + 1 - node.level] if node.level else ()
            module = (*above, *node.module.split(".")) if node.module else above
            yield from ((*module, alias.name) for alias in node.names)


def _imports(body: Iterable[ast.AST]) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports among statements and within them. Expressions hold none: leaving them out takes
    half the time of `ast.walk`, on every dry run."""
    for node in body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node
        for part in ("body", "orelse", "finalbody", "handlers", "cases"):
            inner = getattr(node, part, None)
            yield from _imports(inner if isinstance(inner, list) else ())


def titles(plans: Iterable[StudyPlan], config_dir: str) -> dict[str, str]:
    """Titles of the datasets that studies name, the documents' own among them."""
    both = (t for p in plans for v in p.variants for t in (v.document, v.training))
    return {name: title_of(name, Path(config_dir)) for name in {t.dataset for t in both}}


def texts(config_dir: str) -> list[Any]:
    """What a report shows or counts of files that its own studies need not name: the claims of all
    documents, and every study that can be read."""
    folder, found = Path(config_dir), {}
    for name in study_names(folder, ["all"]):
        try:
            found[name] = load_study(folder, name).model_dump(mode="json", exclude={"resources"})
        except ConfigError:
            found[name] = None
    register = (folder / "claims.yaml").is_file() and load_register(folder).model_dump(mode="json")
    return [register, found]
