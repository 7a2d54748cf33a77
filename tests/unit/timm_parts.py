"""Single files of timm, for tests against them: the package itself takes 20 s to import."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType


def timm_part(path: str) -> ModuleType:
    """The module in a file of timm that needs nothing else of it, such as "data/mixup.py"."""
    folder = Path(importlib.util.find_spec("timm").origin).parent
    spec = importlib.util.spec_from_file_location(f"timm_part_{Path(path).stem}", folder / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
