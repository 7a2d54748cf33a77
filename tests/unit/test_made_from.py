"""What a program is made of: its imports of every kind, followed through packages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ablation import made_from

TREE = {
    "program.py": "import json\nfrom ablation.inner.first import thing\n",
    "other.py": "import program\n",
    "ablation/__init__.py": "",
    "ablation/inner/__init__.py": "from . import registered\n",
    "ablation/inner/first.py": "def f():\n    if True:\n        from ..second import x\n",
    "ablation/inner/registered.py": "from .._private import (\n    a,  # (a)\n    b,\n)\n",
    "ablation/inner/names.txt": "read by registered.py\n",
    "ablation/_private.py": "try:\n    from . import third\nexcept ImportError:\n    pass\n",
    "ablation/second.py": "match 1:\n    case 1:\n        import ablation.deep.fourth\n",
    "ablation/third.py": "'from . import not_me'\n# from . import nor_me\n",
    "ablation/deep/__init__.py": "",
    "ablation/deep/fourth.py": "from typing import TYPE_CHECKING\n",
    "ablation/not_me.py": "",
    "ablation/nor_me.py": "",
    "ablation/alone.txt": "of nobody\n",
}


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in TREE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(made_from, "PROGRAMS", tmp_path)
    monkeypatch.setattr(made_from, "LIBRARY", tmp_path / "ablation")
    made_from.code_digest.cache_clear()
    return tmp_path


def test_imports_of_every_kind_are_followed(tree):
    out = {"other.py", "ablation/not_me.py", "ablation/nor_me.py", "ablation/alone.txt"}
    assert {str(f.relative_to(tree)) for f in made_from.code("program")} == set(TREE) - out
    assert {tree / "program.py", tree / "ablation/third.py"} < set(made_from.code("other"))


def test_a_digest_follows_content_and_names(tree):
    def digest(*patterns: str) -> str:
        made_from.code_digest.cache_clear()
        return made_from.code_digest("program", *patterns)

    first = digest()
    (tree / "ablation/not_me.py").write_text("# edited\n")
    (tree / "program.py").touch()
    assert digest() == first
    assert digest("ablation/*.txt") != first
    (tree / "ablation/inner/names.txt").write_text("another\n")
    assert digest() != first


def test_what_a_program_really_imports_is_found():
    """All of the library that is in memory when the report's program is loaded."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import build_report\n"
        "print(*(m.__file__ for n, m in sys.modules.items() if n.startswith('ablation')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(made_from.PROGRAMS)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    loaded = set(map(Path, done.stdout.split()))
    assert len(loaded) > 60
    assert loaded <= set(made_from.code("build_report"))
