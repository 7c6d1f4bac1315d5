"""The program that runs a project's own tests on a version; knows nothing of the vault.

Its argument is a file with the question as JSON; the answer is written beside it.  Tests find the
version's folder in the environment variable ``MLFLOW_VAULT_MODEL``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

import pytest

_NAMED: Final = 20  # tests that failed


class Counting:
    """Counts how tests went."""

    def __init__(self) -> None:
        self.passed: set[str] = set()
        self.skipped: set[str] = set()
        self.failed: dict[str, None] = {}

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Note how one phase of a test went."""
        if report.failed:
            self.failed[report.nodeid] = None
        elif report.skipped:
            self.skipped.add(report.nodeid)
        elif report.when == "call":
            self.passed.add(report.nodeid)

    def pytest_collectreport(self, report: Any) -> None:
        """Note what could not even be read."""
        if report.failed:
            self.failed[report.nodeid or "the tests"] = None

    def to_dict(self) -> dict[str, Any]:
        """The counts, and the names of what failed."""
        return {
            "passed": len(self.passed - self.failed.keys()),
            "failed": len(self.failed),
            "skipped": len(self.skipped - self.failed.keys()),
            "failures": list(self.failed)[:_NAMED],
        }


def main(question: Path) -> None:
    """Run the tests that *question* names."""
    asked = json.loads(question.read_text("utf-8"))
    sys.path.insert(0, str(Path.cwd()))  # as `python -m pytest` does
    counting = Counting()
    code = pytest.main([asked["tests"], "-p", "no:cacheprovider", "-q"], plugins=[counting])
    told = {"code": int(code), **counting.to_dict()}
    Path(asked["answer"]).write_text(json.dumps(told), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
