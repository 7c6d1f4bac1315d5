"""A place for a vault, and something to put there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def root(tmp_path: Path) -> str:
    """Where a vault may be made."""
    return f"vault-file://{tmp_path / 'root'}"


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A file to log."""
    path = tmp_path / "file.txt"
    path.write_text("content")
    return str(path)
