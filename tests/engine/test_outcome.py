"""One object says whether a transaction committed, and a writer acts on what that object says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlflow_vault.errors import (
    ConflictError,
    VaultError,
)
from mlflow_vault.format import layout
from mlflow_vault.format.record import Outcome
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.models import safetensors, trained, weights
from mlflow_vault.testing.stores import Fault, FaultKind, FaultyStore
from mlflow_vault.testing.vaults import contents, entry_of, read, write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from mlflow_vault.store.protocol import Store
    from mlflow_vault.testing.stores import Operation

BASE = safetensors({"w": weights(0, 100_000)})
DELTA = safetensors({"w": trained(weights(0, 100_000), 1)})
FIRST, SECOND = "1/artifacts/w.safetensors", "2/artifacts/w.safetensors"
INTENT, OUTCOME = layout.INTENTS, layout.OUTCOMES


class Collector(FaultyStore):
    """A store in which a collector wins the first *wins* outcomes, as aborted."""

    def __init__(self, inner: Store, wins: int) -> None:
        super().__init__(inner)
        self._wins = wins

    def create(self, key: str, body: bytes | bytearray | memoryview) -> str:
        """Let the collector be first while it may."""
        if key.startswith(OUTCOME) and self._wins:
            self._wins -= 1
            aborted = Outcome(key.removeprefix(OUTCOME), "collector", committed=False)
            self._inner.create(key, aborted.to_bytes())
        return super().create(key, body)


def _vault(store: Store) -> Vault:
    """A vault in *store* that holds the base."""
    vault = Vault.init_at(store)
    write(vault, FIRST, BASE)
    return vault


def _places(log: list[Operation], name: str, prefix: str) -> list[int]:
    return [at for at, each in enumerate(log) if each.name == name and each.key.startswith(prefix)]


@pytest.mark.parametrize("wins", [1, 2])
def test_aborted(wins: int) -> None:
    """A writer that a collector took for dead starts again with a new id, and cleans up."""
    inner = MemoryStore()
    _vault(inner)
    store = Collector(inner, wins)

    write(Vault.at(store), SECOND, DELTA)

    ids = [each.key.removeprefix(INTENT) for each in store.log if _is(each, "put", INTENT)]
    assert len(set(ids)) == len(ids) == wins + 1
    for dead in ids[:-1]:
        (intent_gone,) = _places(store.log, "delete", INTENT + dead)
        (tombstone_gone,) = _places(store.log, "delete", OUTCOME + dead)
        assert intent_gone < tombstone_gone
    assert read(Vault.at(inner), SECOND) == DELTA
    assert entry_of(inner, SECOND).transaction == ids[-1]
    assert not list(inner.list(INTENT))
    found = [Outcome.from_bytes(inner.get(one.key), one.key) for one in inner.list(OUTCOME)]
    assert all(outcome.committed for outcome in found)


def _is(operation: Operation, name: str, prefix: str) -> bool:
    return operation.name == name and operation.key.startswith(prefix)


def test_always_aborted() -> None:
    """A writer that loses every time says so, and nothing was named."""
    inner = MemoryStore()
    vault = _vault(inner)
    store = Collector(inner, 99)

    with pytest.raises(ConflictError, match="Write again"):
        write(Vault.at(store), SECOND, DELTA)

    assert contents(vault) == {FIRST: BASE}
    assert not list(inner.list(INTENT))


def test_lost_response() -> None:
    """An outcome whose response was lost is found to be our own, and the write goes on."""
    inner = MemoryStore()
    vault = _vault(inner)
    store = FaultyStore(inner, [Fault(FaultKind.ERROR_AFTER, operation="create", prefix=OUTCOME)])

    write(Vault(store, vault.identity), SECOND, DELTA)

    assert store.struck
    assert read(vault, SECOND) == DELTA
    assert len(_places(store.log, "create", OUTCOME)) == 1


def test_conflict_with_ourselves() -> None:
    """A create that a store repeats by itself, and loses against its own first try, is ours."""
    inner = MemoryStore()
    vault = _vault(inner)

    class Repeating(FaultyStore):
        """Sends every create twice, as clients do after a timeout."""

        def create(self, key: str, body: bytes | bytearray | memoryview) -> str:
            super().create(key, body)
            return super().create(key, body)

    write(Vault(Repeating(inner), vault.identity), SECOND, DELTA)

    assert read(vault, SECOND) == DELTA


@pytest.mark.parametrize(
    "plan",
    [
        [Fault(FaultKind.ERROR_BEFORE, operation="create")],
        [
            Fault(FaultKind.ERROR_AFTER, operation="create"),
            Fault(FaultKind.ERROR_BEFORE, operation="get", prefix=OUTCOME),
        ],
        [
            Fault(FaultKind.ERROR_AFTER, operation="create"),
            Fault(FaultKind.TRUNCATE, operation="get", prefix=OUTCOME),
        ],
    ],
    ids=["not done", "unknown", "unreadable"],
)
def test_outcome_in_doubt(plan: list[Fault]) -> None:
    """Where nobody knows whether we committed, nothing is named and the next write works."""
    inner = MemoryStore()
    vault = _vault(inner)

    with pytest.raises(VaultError):
        write(Vault(FaultyStore(inner, plan), vault.identity), SECOND, DELTA)

    assert contents(vault) == {FIRST: BASE}
    write(vault, SECOND, DELTA)
    assert read(vault, SECOND) == DELTA
