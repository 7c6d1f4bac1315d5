"""Lets the tests of this folder import its smithy, and gives each one of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from smithy import Smith


@pytest.fixture
def smith(tmp_path: Path) -> Smith:
    """Makes keys and certificates."""
    folder = tmp_path / "keys"
    folder.mkdir()
    return Smith(folder)
