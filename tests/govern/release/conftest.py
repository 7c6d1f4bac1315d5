"""A vault in memory, in which versions are promoted."""

from __future__ import annotations

import pytest

from mlflow_vault.testing.promotions import Stage


@pytest.fixture
def stage() -> Stage:
    """An empty vault."""
    return Stage()
