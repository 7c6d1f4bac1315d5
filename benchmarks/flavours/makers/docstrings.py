"""Text to train on: the docstrings of Python's standard library, by the module they are from."""

from __future__ import annotations

import ast
import sysconfig
from pathlib import Path
from typing import Final

MODULES: Final = (
    "argparse",
    "datetime",
    "decimal",
    "logging",
    "pathlib",
    "turtle",
    "typing",
    "unittest",
)
LONGEST: Final = 300  # characters


def read() -> list[tuple[str, int]]:
    """Return docstrings and the number of the module that each is from."""
    library = Path(sysconfig.get_paths()["stdlib"])
    found = []
    for number, module in enumerate(MODULES):
        place = library / module
        files = sorted(place.rglob("*.py")) if place.is_dir() else [library / f"{module}.py"]
        for file in (library / "_pydecimal.py", *files) if module == "decimal" else files:
            if not file.exists():
                continue
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.FunctionDef | ast.ClassDef):
                    text = ast.get_docstring(node)
                    if text:
                        found.append((text[:LONGEST], number))
    return found
