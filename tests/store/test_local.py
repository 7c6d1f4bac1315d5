"""A store on a disk keeps the contract, whoever dies and whatever the disk says."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlflow_vault.store.local import LocalStore
from mlflow_vault.testing.contract import StoreContract


class TestLocalStore(StoreContract):
    """The contract of every store."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> LocalStore:
        """Return a store in a fresh folder."""
        return LocalStore(tmp_path)
