"""Compiled loops are kept on the disk; where that fails they are compiled anew, and run."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

_CALL = """
import numpy
from mlflow_vault.format.coding.kernels import packs
print(packs.counting_caps(1)(numpy.array([255], numpy.uint8), 8))
"""


@pytest.fixture(scope="module", autouse=True)
def loops() -> None:
    """Processes of their own choose their own."""


def started(folder: Path) -> subprocess.Popen[str]:
    """Start a process that runs a loop and keeps it in *folder*."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", _CALL],
        env=os.environ | {"NUMBA_CACHE_DIR": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_race(tmp_path: Path) -> None:
    """Processes that compile the same loop at once do not disturb each other."""
    running = [started(tmp_path / "cache") for _ in range(3)]

    assert [each.communicate()[0] for each in running] == ["8\n"] * 3
    assert list(tmp_path.glob("cache/**/*.nbc"))


def test_nowhere_to_keep(tmp_path: Path) -> None:
    """Without a folder to write in loops run all the same."""
    folder = tmp_path / "a file"
    folder.touch()

    assert started(folder).communicate()[0] == "8\n"


@pytest.mark.parametrize("kind", ["nbi", "nbc"])
def test_half_kept(tmp_path: Path, kind: str) -> None:
    """What a crash left of a kept loop is passed over."""
    started(tmp_path).communicate()
    for kept in tmp_path.glob(f"**/*.{kind}"):
        kept.write_bytes(b"")

    assert started(tmp_path).communicate()[0] == "8\n"
