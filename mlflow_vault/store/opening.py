"""From an address to the store that keeps it.

The one place that knows which schemes exist.  Opening touches nothing: a store meets its disk
or network at the first operation, so it can be opened anywhere, many times, and before a fork.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlflow_vault.errors import UnsupportedError
from mlflow_vault.store.address import FILE, MEMORY, Address
from mlflow_vault.store.local import LocalStore
from mlflow_vault.store.memory import MemoryStore

if TYPE_CHECKING:
    from mlflow_vault.store.protocol import Store


def open_store(address: Address) -> Store:
    """Return the store at *address*.

    >>> open_store(Address.parse("vault-memory://models"))
    MemoryStore('models')

    Raises:
        UnsupportedError: This release knows no such scheme, or not on this system.
    """
    match address.scheme:
        case "file":
            return LocalStore(Path(address.path))
        case "memory":
            return MemoryStore.named(f"{address.authority}{address.path}")
        case other:
            raise UnsupportedError(
                f"no store for vault-{other}: this release keeps vaults at vault-{FILE} and "
                f"vault-{MEMORY}. Object stores (vault-s3, vault-gs, vault-az) come later; until "
                "then put the vault on a disk, for instance behind an MLflow server"
            )
