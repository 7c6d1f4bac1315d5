"""Makes a vault, or reads what one is: the object ``vault.json``, written once.

Of two first makers one wins and both open what the winner wrote.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from mlflow_vault.errors import ConflictError, NotFoundError
from mlflow_vault.format import layout
from mlflow_vault.format.record import Identity

if TYPE_CHECKING:
    from mlflow_vault.engine.world import World
    from mlflow_vault.store.protocol import Store

_log = logging.getLogger(__name__)


def identity_of(store: Store) -> Identity:
    """Read what the vault in *store* is.

    Raises:
        NotFoundError: There is no vault; the message says how to make one.
        UnsupportedError: It needs a newer release, which the message names.
    """
    try:
        stored = store.get(layout.VAULT)
    except NotFoundError as cause:
        raise NotFoundError(
            f"there is no vault at {store.uri}; make one with mlflow-vault init {store.uri} or, "
            f"in Python, mlflow_vault.Vault.init({store.uri!r})"
        ) from cause
    return Identity.from_bytes(stored, f"{store.uri}/{layout.VAULT}")


def make_identity(store: Store, world: World) -> Identity:
    """Make a vault in *store*, or read what the one that is there is.

    Raises:
        StorageError: The store cannot be written.
        UnsupportedError: There is a vault, and it needs a newer release.
    """
    try:
        return identity_of(store)
    except NotFoundError:
        pass
    identity = Identity(id=world.random(16).hex(), conditional_create=_probe(store, world))
    try:
        store.create(layout.VAULT, identity.to_bytes())
    except ConflictError:
        _log.debug("another process made the vault at %s first", store.uri)
    return identity_of(store)


def _probe(store: Store, world: World) -> bool:
    """Whether *store* refuses a second create, which collection without locks stands on."""
    key = f"{layout.PROBES}{world.random(8).hex()}"
    with suppress(ConflictError):  # our own, of which the answer was lost
        store.create(key, b"1")
    try:
        store.create(key, b"2")
    except ConflictError:
        return True
    else:
        _log.warning("%s lets a second create win: collect with --exclusive only", store.uri)
        return False
    finally:
        store.delete(key)
