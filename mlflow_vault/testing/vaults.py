"""Looking at a vault from outside: whole files in and out, and the objects under it.

A test that damages a vault, or kills its writer at every step, starts from the same objects
again and again: `objects` takes them out of a store, `store_of` puts them into a new one.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from mlflow_vault.format import layout
from mlflow_vault.format.entry import Entry
from mlflow_vault.store.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlflow_vault.store.protocol import Store
    from mlflow_vault.vault import Vault


def write(vault: Vault, path: str, plain: bytes) -> None:
    """Make *plain* what *path* holds."""
    vault.write_stream(io.BytesIO(plain), path)


def read(vault: Vault, path: str) -> bytes:
    """Return what *path* holds."""
    return b"".join(vault.iter_file(path))


def contents(vault: Vault) -> dict[str, bytes]:
    """Return every file of *vault* by its path."""
    return {path: read(vault, path) for path in vault.walk()}


def objects(store: Store) -> dict[str, bytes]:
    """Return every object of *store* by its key."""
    return {found.key: store.get(found.key) for found in store.list("")}


def store_of(held: Mapping[str, bytes]) -> MemoryStore:
    """Return a new store that holds just these objects."""
    store = MemoryStore()
    store.put_many(held.items())
    return store


def entry_of(store: Store, path: str) -> Entry:
    """Return the entry of *path*."""
    key = layout.tree_key(path)
    return Entry.from_bytes(store.get(key), key)


def entries(store: Store) -> list[Entry]:
    """Return every entry of the vault in *store*."""
    return [Entry.from_bytes(store.get(found.key), found.key) for found in store.list(layout.TREE)]


def pack_bytes(store: Store) -> int:
    """Return the bytes of all packs in *store*."""
    return sum(found.size for found in store.list(layout.PACKS))
