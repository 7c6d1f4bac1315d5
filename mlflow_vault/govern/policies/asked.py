"""The program in which one custom check is asked; knows nothing of the vault.

Reads the question from its standard input and writes the answer to its standard output; what the
check itself prints goes to standard error.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """Ask the function that *question* names.

    Raises:
        ImportError, AttributeError: There is no such function.
        TypeError: It says neither yes nor no.
    """
    module, _, name = question["python"].partition(":")
    asked: Any = importlib.import_module(module)
    for part in name.split("."):
        asked = getattr(asked, part)
    found = asked(question["candidate"], question["baseline"], **question["args"])
    told = found if isinstance(found, dict) else {"passed": found}
    if isinstance(found, tuple):
        told = dict(zip(("passed", "reason", "values"), found, strict=False))
    passed: Any = told.get("passed")
    passed = passed.item() if hasattr(passed, "item") else passed  # numpy has a bool of its own
    if not isinstance(passed, bool):
        raise TypeError(f"the check answered {found!r:.200}, which is neither True nor False")
    return {
        "passed": passed,
        "reason": str(told.get("reason") or ""),
        "values": dict(told.get("values") or {}),
    }


def main() -> None:
    """Answer the question on standard input."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)
        told = answer(json.load(sys.stdin))
        out.write(json.dumps(told, default=str))


if __name__ == "__main__":
    main()
