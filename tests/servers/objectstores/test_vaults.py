"""A vault on S3 is a vault: the same files, counted requests, and it knows what it stands on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from mlflow_vault.format import layout
from mlflow_vault.store.remote.s3 import S3Store
from mlflow_vault.testing.proxy import FaultyProxy
from mlflow_vault.testing.stores import CountingStore
from mlflow_vault.testing.vaults import contents, entry_of, pack_bytes, read, write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow_vault.store.address import Address

    Settings = Callable[[str], dict[str, str]]

INLINE = "1/run/artifacts/model/MLmodel"
FIRST, NEXT = "1/run/artifacts/model/weights.npy", "1/next/artifacts/model/weights.npy"


@pytest.fixture(params=["ceph", "moto"])
def url(request: pytest.FixtureRequest) -> str:
    """Return the URL of each server in turn."""
    return str(request.getfixturevalue(request.param))


def arrays() -> tuple[bytes, bytes]:
    """Return an array's bytes, and those of a version of it trained on a little."""
    rng = np.random.default_rng(1)
    first = rng.normal(size=1_500_000).astype(np.float32)
    trained = first + rng.normal(scale=1e-5, size=first.size).astype(np.float32)
    return first.tobytes(), trained.tobytes()


def test_round_trip(url: str, address: Address, settings: Settings) -> None:
    """Inline, in packs or as a difference, a file is listed and read, and deleted it is gone."""
    store = S3Store(address, settings(url))
    vault = Vault.init_at(store)
    first, trained = arrays()

    write(vault, INLINE, b"flavors: {}")
    write(vault, FIRST, first)
    alone = pack_bytes(store)
    write(vault, NEXT, trained)

    assert contents(Vault.at(S3Store(address, settings(url)))) == {
        INLINE: b"flavors: {}",
        FIRST: first,
        NEXT: trained,
    }
    assert entry_of(store, INLINE).packs == frozenset()
    assert 0 < pack_bytes(store) - alone < alone * 0.7  # the difference alone
    assert [item.path for item in vault.list("1/run/artifacts/model")] == [INLINE, FIRST]
    assert vault.read_span(NEXT, 1_000_000, 1_000_100) == trained[1_000_000:1_000_100]
    assert vault.verify().is_whole

    vault.delete("1/run")

    assert contents(vault) == {NEXT: trained}


def test_requests(url: str, address: Address, settings: Settings) -> None:
    """Every operation of a vault is one request, as counted without a network."""
    Vault.init_at(S3Store(address, settings(url)))
    first, trained = arrays()

    with FaultyProxy(url) as proxy:
        counting = CountingStore(S3Store(address, settings(proxy.url)))
        vault = Vault.at(counting)
        write(vault, INLINE, b"flavors: {}")
        write(vault, FIRST, first)
        write(vault, NEXT, trained)
        assert read(vault, NEXT) == trained
        vault.list("1/run/artifacts/model")
        vault.delete("1")

        assert proxy.counts.total() == counting.total
        assert counting.total < 64


def test_conditional(url: str, address: Address, settings: Settings) -> None:
    """A vault is made knowing that a second create fails here, and leaves no probe behind."""
    store = S3Store(address, settings(url))

    vault = Vault.init_at(store)

    assert vault.identity.conditional_create
    assert [found.key for found in store.list("")] == [layout.VAULT]


def test_unconditional(
    moto: str, address: Address, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """Where a second create wins in silence, the vault knows, works, and says so."""
    with FaultyProxy(moto, withheld=["if-none-match"]) as proxy:
        vault = Vault.init_at(S3Store(address, settings(proxy.url)))
        write(vault, INLINE, b"flavors: {}")

        assert not vault.identity.conditional_create
        assert read(vault, INLINE) == b"flavors: {}"
    assert "--exclusive" in caplog.text
