"""The text that the benchmarks train on: what every machine with Python has.

Docstrings of the standard library, so that nothing has to be fetched.  Files are read in a
fixed order: one release of Python gives the same text everywhere.
"""

from __future__ import annotations

import ast
import re
import sysconfig
from pathlib import Path
from typing import Final

SHORTEST_SUMMARY: Final = 30  # characters; shorter ones say too little to be found by
LONGEST_SUMMARY: Final = 400
NOT_DOCUMENTATION: Final = {"site-packages", "test", "tests", "idlelib", "lib2to3"}


def docstring_pairs() -> list[tuple[str, str]]:
    """Return (qualified name, summary) of the standard library's docstrings, in a fixed order."""
    seen: dict[str, str] = {}
    root = Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(root.rglob("*.py")):
        relative = path.relative_to(root)
        if NOT_DOCUMENTATION.isdisjoint(relative.parts):
            module = relative.with_suffix("").as_posix().replace("/", " ")
            _collect(ast.parse(path.read_bytes()), module, seen)
    return [(name, summary) for summary, name in seen.items()]


def _collect(node: ast.AST, name: str, seen: dict[str, str]) -> None:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        inner = f"{name} {child.name.replace('_', ' ').strip()}"
        text = " ".join((ast.get_docstring(child) or "").split("\n\n")[0].split())
        summary = re.split(r"(?<=[.!?])\s+", text)[0]
        if len(summary) >= SHORTEST_SUMMARY:
            seen.setdefault(summary[:LONGEST_SUMMARY], inner)
        _collect(child, inner, seen)
