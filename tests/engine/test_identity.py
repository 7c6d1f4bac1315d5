"""A vault that needs another release is left alone, and the error names what it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlflow_vault.errors import (
    UnsupportedError,
)
from mlflow_vault.format import layout
from mlflow_vault.format.record import Identity
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.models import noise, safetensors, weights
from mlflow_vault.testing.stores import FaultyStore
from mlflow_vault.testing.vaults import contents, write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from mlflow_vault.store.protocol import Store

FIRST, SECOND = "1/artifacts/w.safetensors", "2/artifacts/w.safetensors"
BASE = safetensors({"w": weights(0, 100_000)})


def _vault(store: Store) -> Vault:
    vault = Vault.init_at(store)
    write(vault, FIRST, BASE)
    return vault


@pytest.mark.parametrize("size", [10, 400_000], ids=["small", "large"])
@pytest.mark.parametrize("feature", ["trash@0.9.0", "anything", "sub/feature"])
def test_unknown_feature(feature: str, size: int) -> None:
    """A feature that this release lacks stops every write and delete, and is named."""
    store = MemoryStore()
    vault = _vault(store)
    store.put(f"{layout.FEATURES}{feature}", b"")
    other = Vault.at(store)

    with pytest.raises(UnsupportedError, match=rf"{feature}.*pip install -U mlflow-vault"):
        write(other, SECOND, noise(1, size))
    with pytest.raises(UnsupportedError, match=feature):
        other.delete(FIRST)

    assert contents(vault) == {FIRST: BASE}
    assert not list(store.list(layout.INTENTS))


def test_feature_after_a_large_file() -> None:
    """A small file looks at notices, though a large one beside it was asked for a moment ago."""
    store = MemoryStore()
    vault = _vault(store)
    write(vault, f"{SECOND}/weights", noise(1, 400_000))
    store.put(f"{layout.FEATURES}anything", b"")

    with pytest.raises(UnsupportedError, match="anything"):
        write(vault, f"{SECOND}/MLmodel", b"small")


def test_unknown_notice() -> None:
    """A kind of notice that this release does not know stops writes as a feature does."""
    store = MemoryStore()
    vault = Vault.init_at(store)
    store.put(f"{layout.NOTICES}moratorium/x", b"")

    with pytest.raises(UnsupportedError, match="moratorium"):
        write(vault, "a", b"small")


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (b'"format": 1', b'"format": 3', r"format 3; this release .* up to format 1"),
        (b'"features": []', b'"features": ["x@1.2"]', r"requires x@1\.2"),
        (b'"aead": null', b'"aead": "aes-256-gcm-siv"', r"encrypted vault .*aes-256-gcm-siv"),
        (b'"naming": "plain"', b'"naming": "keyed"', r"encrypted vault .*keyed"),
    ],
)
def test_other_vaults(before: bytes, after: bytes, message: str) -> None:
    """A vault of a newer format, with unknown features or encrypted is refused, saying which."""
    store = MemoryStore()
    body = Identity(id="6e02" * 8).to_bytes()
    assert before in body
    store.put(layout.VAULT, body.replace(before, after))

    for use in (Vault.at, Vault.init_at):
        with pytest.raises(UnsupportedError, match=message):
            use(store)


def test_two_makers() -> None:
    """Of two first makers one wins, and both open what it made."""
    store = MemoryStore()

    class Slower(FaultyStore):
        """Another maker is faster."""

        def create(self, key: str, body: bytes | bytearray | memoryview) -> str:
            if key == layout.VAULT:
                Vault.init_at(self._inner)
            return super().create(key, body)

    assert Vault.init_at(Slower(store)).identity == Vault.at(store).identity
    assert not list(store.list(layout.PROBES))
