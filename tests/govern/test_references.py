"""References find what was meant, and never something else in its place."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mlflow_vault.errors import InvalidInputError, NotFoundError
from mlflow_vault.format import layout
from mlflow_vault.govern.host import Held
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.stores import CountingStore
from mlflow_vault.testing.vaults import write

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow_vault.store.protocol import Store
    from mlflow_vault.testing.registry import Registry
    from mlflow_vault.vault import Vault

    Attach = Callable[[Store], Vault]
    Log = Callable[..., str]

FILES = {"MLmodel": b"flavors: {}\n"}
OTHER = {"MLmodel": b"other"}
ODD = [
    "a@b",
    "my model %41",
    " lead",
    "übung",
    "m?o#d",
    "o'brien",
    "CON",
    "x.",
    "X" * 256,
    "模" * 60,
]


@pytest.mark.parametrize("name", ODD)
def test_odd_names(vault: Vault, log: Log, name: str) -> None:
    """A model is found by whatever name MLflow allows."""
    version = vault.commit(log(1, FILES), name=name)
    vault.commit(log(2, OTHER), name=f"{name} 2")

    assert version.name == name
    assert vault.version(f"models:/{name}/1") == version
    assert vault.version(f"models:/{name}/0001") == version
    assert vault.versions(name) == (version,)


def test_name_too_long(vault: Vault, registry: Registry, log: Log) -> None:
    """A name that no key could spell is refused before anything is sealed or registered."""
    with pytest.raises(InvalidInputError, match=r"too long.*a shorter one"):
        vault.commit(log(1, FILES), name="Ж" * 200)

    assert not list(registry.registered())
    assert not list(vault.store.list(layout.SEALS))
    with pytest.raises(InvalidInputError, match="no text"):
        vault.versions("\ud800")


def test_number_beyond_all(vault: Vault) -> None:
    """A number with thousands of digits is none."""
    with pytest.raises(InvalidInputError, match="more digits"):
        vault.version("fraud/" + "9" * 5000)


def test_alias_after_numbers_started_again(vault: Vault, registry: Registry, log: Log) -> None:
    """An alias of what was never committed does not find what had its number before."""
    old = vault.commit(log(1, FILES), name="fraud")
    registry.forget("fraud")
    registry.register("fraud", registry.resolve(log(2, OTHER)))
    registry.alias("fraud", 1, "prod")

    with pytest.raises(NotFoundError, match=rf"vault.commit\('models:/fraud/1'\).*{old.digest}"):
        vault.version("fraud@prod")
    with pytest.raises(NotFoundError, match="never committed"):
        vault.version("fraud/latest")
    new = vault.adopt(registry.resolve("models:/fraud/1"))
    assert vault.version("fraud@prod") == new


def test_alias_of_another_vault(vault: Vault, registry: Registry, log: Log) -> None:
    """An alias of a model elsewhere does not find one of the same number here."""
    vault.commit(log(1, FILES), name="fraud")
    registry.forget("fraud")
    registry.register("fraud", Held("s3://b/x", "s3://b/x"))
    registry.alias("fraud", 1, "prod")

    with pytest.raises(NotFoundError, match="never committed to this vault"):
        vault.version("fraud@prod")


def test_location_among_equals(vault: Vault, log: Log) -> None:
    """Of two models with the same files each reference finds its own."""
    first, second = log(1, FILES), log(2, FILES)
    made = [vault.commit(first, name="a"), vault.commit(second, name="b")]

    assert [vault.version(first), vault.version(second)] == made


def test_stray_keys(vault: Vault, log: Log, caplog: pytest.LogCaptureFixture) -> None:
    """What somebody else put among the records is passed over, with a warning."""
    version = vault.commit(log(1, FILES), name="fraud")
    vault.store.put(layout.name_prefix("fraud") + ".DS_Store", b"")
    vault.store.put(layout.record_prefix(version.digest) + "notes.txt", b"")

    assert vault.version("fraud/1") == vault.version(version.digest) == version
    assert len(vault.lineage()) > 1
    assert "notes.txt is no record's key" in caplog.text


def test_renamed_name(vault: Vault, log: Log) -> None:
    """A name that says another number than its record finds nothing."""
    version = vault.commit(log(1, FILES), name="fraud")
    forged = layout.name_key("fraud", 9, version.digest, version.id)
    vault.store.put(forged, vault.store.get(next(iter(vault.store.list(layout.NAMES))).key))

    with pytest.raises(NotFoundError):
        vault.version("fraud/9")
    assert vault.versions("fraud") == (version,)


def test_requests(attach: Attach) -> None:
    """Looking up one of many versions reads one record; missing it reads none."""
    store = CountingStore(MemoryStore("many"))
    vault = attach(store)
    write(vault, "1/models/m-1/artifacts/MLmodel", b"x")
    first = vault.commit(f"{vault.uri}/1/models/m-1/artifacts", name="fraud")
    for number in range(2, 40):
        vault._records.put(replace(first, number=number, id=f"{number:032x}"))
    store.reset()

    assert vault.version("fraud/7").number == 7
    assert (store.counts["get"], store.counts["list"]) == (1, 1)
    store.reset()
    with pytest.raises(NotFoundError, match=r"it holds fraud/1, 2, 3, 4, \.\.\."):
        vault.version("fraud/99")
    assert store.counts["get"] == 0
