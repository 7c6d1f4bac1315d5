"""Lets the tests of this folder import what they share, and gives them one promotion."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from promoted import Promoted, promoted


@pytest.fixture(scope="session")
def promotion() -> Promoted:
    """A vault in which a version was promoted; nobody changes it."""
    return promoted()


@pytest.fixture(scope="session")
def stored(promotion: Promoted) -> bytes:
    """The bundle of that promotion."""
    return promotion.bundle().to_bytes()
