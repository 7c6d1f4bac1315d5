"""A vault for each test, and versions in it made by hand; see `bench`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from bench import Bench


@pytest.fixture
def bench() -> Bench:
    """An empty vault."""
    return Bench.empty()
