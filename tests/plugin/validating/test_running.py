"""A program that hangs, floods or leaves children behind ends, and what it said last is kept."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import pytest

from mlflow_vault.plugin.validating.running import run

if TYPE_CHECKING:
    from pathlib import Path


def ended(folder: Path, code: str, timeout: float = 30) -> tuple[int | None, str]:
    """Run some Python."""
    found = run(
        [sys.executable, "-c", code], folder=folder, environment={"A": "b"}, timeout=timeout
    )
    return found.code, found.said.strip()


def test_said(tmp_path: Path) -> None:
    """Its exit code and its words come back; it has the folder and variables that were given."""
    code = "import os, sys; print(os.getcwd(), os.environ['A'], 'HOME' in os.environ); sys.exit(3)"

    assert ended(tmp_path, code) == (3, f"{tmp_path} b False")


def test_signal(tmp_path: Path) -> None:
    """A crash is told from an end."""
    assert ended(tmp_path, "import os; os.kill(os.getpid(), 11)")[0] == -11


def test_flood(tmp_path: Path) -> None:
    """Of much output the end is kept."""
    _, said = ended(tmp_path, "for n in range(200_000): print(n)\nprint('end')")

    assert said.endswith("199999\nend")
    assert len(said) < 200_000


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123 - short
        return file.read().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("parent", ["time.sleep(60)", "pass"])
def test_group(tmp_path: Path, parent: str) -> None:
    """Its children go with it, whether its time was over or it left them."""
    child = "import time; time.sleep(60)"
    code = (
        "import subprocess, sys, time\n"
        f"print(subprocess.Popen([sys.executable, '-c', {child!r}]).pid, flush=True)\n{parent}"
    )
    started = time.monotonic()

    found, said = ended(tmp_path, code, 1.0)

    assert time.monotonic() - started < 5
    assert found == (0 if parent == "pass" else None)
    for _ in range(100):
        if not _is_there(int(said)):
            break
        time.sleep(0.02)
    assert not _is_there(int(said))


def test_escaped(tmp_path: Path) -> None:
    """A child in a group of its own cannot keep us waiting by holding on to the output."""
    code = (
        "import subprocess, sys\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(12)'],"
        " start_new_session=True)\nprint('done')"
    )
    started = time.monotonic()

    assert ended(tmp_path, code) == (0, "done")
    assert time.monotonic() - started < 10
