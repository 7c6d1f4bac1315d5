"""An address leads to its store, and nothing is touched on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlflow_vault.errors import UnsupportedError
from mlflow_vault.store.address import Address
from mlflow_vault.store.opening import open_store

if TYPE_CHECKING:
    from pathlib import Path


def test_local(tmp_path: Path) -> None:
    """A file address is a folder, made by the first write and not before."""
    address = Address.of_path(tmp_path / "a b#" / "vault")

    store = open_store(address)
    untouched = list(tmp_path.iterdir())
    store.put("vault.json", b"{}")

    assert untouched == []
    assert (tmp_path / "a b#" / "vault" / "vault.json").read_bytes() == b"{}"
    assert store.uri == str(address)
    assert open_store(address).get("vault.json") == b"{}"


@pytest.mark.parametrize("uri", ["vault-memory://test-opening/p", "vault-memory:/test-opening/p"])
def test_memory(uri: str) -> None:
    """A memory address opened twice is one store, apart from its neighbours."""
    address = Address.parse(uri)

    open_store(address).put("a", b"body")

    assert open_store(Address.parse(uri)).get("a") == b"body"
    assert open_store(address.joined("q")).stat("a") is None
    assert open_store(address).uri == str(address)


def test_s3() -> None:
    """A bucket's address is a store there, and nobody is asked."""
    store = open_store(Address.parse("vault+s3://bucket/models/"))

    assert store.uri == "vault-s3://bucket/models"


@pytest.mark.parametrize("scheme", ["gs", "az", "abfs"])
def test_fsspec(scheme: str) -> None:
    """So is one of Google's or Azure's."""
    assert open_store(Address.parse(f"vault-{scheme}://b")).uri == f"vault-{scheme}://b"


def test_unknown() -> None:
    """An unknown scheme is refused by naming those that are known."""
    with pytest.raises(UnsupportedError, match=r"vault-file.*vault-memory.*vault-s3"):
        open_store(Address.parse("vault-ftp://host/models"))
