"""A store in memory keeps the contract, and a name finds it again."""

from __future__ import annotations

import pytest

from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.contract import StoreContract


class TestMemoryStore(StoreContract):
    """The contract of every store."""

    @pytest.fixture
    def store(self) -> MemoryStore:
        """Return a store of its own."""
        return MemoryStore()


def test_named() -> None:
    """A name is the same store in the whole process, and no other."""
    MemoryStore.named("test-named/one").put("a", b"body")

    assert MemoryStore.named("test-named/one").get("a") == b"body"
    assert MemoryStore.named("test-named/two").stat("a") is None
    assert MemoryStore("test-named/one").stat("a") is None
