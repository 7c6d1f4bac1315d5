"""From an address to the store that keeps it.

The one place that knows which schemes exist.  Opening touches nothing: a store meets its disk
or network at the first operation, so it can be opened anywhere, many times, and before a fork.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from mlflow_vault.errors import UnsupportedError
from mlflow_vault.store.address import ABFS, AZ, FILE, GS, MEMORY, S3, Address
from mlflow_vault.store.local import LocalStore
from mlflow_vault.store.memory import MemoryStore

if TYPE_CHECKING:
    from mlflow_vault.store.protocol import Store

KNOWN: Final = (FILE, MEMORY, S3, GS, AZ, ABFS)


def open_store(address: Address, beside: Store | None = None) -> Store:
    """Return the store at *address*.

    Args:
        address: Where it is.
        beside: A store of the same bucket, whose connections it may use.

    >>> open_store(Address.parse("vault-memory://models"))
    MemoryStore('models')

    Raises:
        UnsupportedError: This release knows no such scheme, or what it needs is not installed.
    """
    match address.scheme:
        case "file":
            return LocalStore(Path(address.path))
        case "memory":
            return MemoryStore.named(f"{address.authority}{address.path}")
        case "s3":
            try:
                from mlflow_vault.store.remote.s3 import S3Store  # noqa: PLC0415 - extra: s3
            except ImportError as cause:
                raise UnsupportedError(
                    f'{address} needs obstore and boto3: pip install "mlflow-vault[s3]"'
                ) from cause
            return beside.beside(address) if isinstance(beside, S3Store) else S3Store(address)
        case "gs" | "az" | "abfs":
            from mlflow_vault.store.remote.fsspec import FsspecStore  # noqa: PLC0415 - it is large

            return FsspecStore(address)
        case other:
            raise UnsupportedError(
                f"no store for vault-{other}: this release keeps vaults at "
                f"{', '.join(f'vault-{scheme}' for scheme in KNOWN)}"
            )
