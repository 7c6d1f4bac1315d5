"""Statements about versions: kept beside them, created once, and read all together.

What cannot be read is an error, and is not passed over: it may be the one that says no.
"""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from mlflow_vault.errors import (
    ConflictError,
    CorruptionError,
    NotFoundError,
    StorageError,
    UnsupportedError,
)
from mlflow_vault.format.canonical import plain
from mlflow_vault.format.governed_layout import statement_prefix
from mlflow_vault.format.log import Actor
from mlflow_vault.format.statement import LARGEST, Statement
from mlflow_vault.govern.release.keeping.kept import Kept

if TYPE_CHECKING:
    from mlflow_vault.engine.world import World
    from mlflow_vault.format.digest import Digest
    from mlflow_vault.format.record import Identity
    from mlflow_vault.store.protocol import Store

_NAME: Final = re.compile(r"[0-9a-f]{64}/[0-9a-f]{32}")

_log = logging.getLogger(__name__)


class Statements:
    """What was said of versions in one vault.

    Args:
        store: Where the vault lies.
        world: How many wait for it at once.
        identity: What the vault is.
    """

    def __init__(self, store: Store, world: World, identity: Identity) -> None:
        self._store = store
        self._identity = identity
        self._kept = Kept(store, world.readers)

    def add(self, statement: Statement) -> Statement:
        """Keep *statement*, durably; returns it as it is stored.

        Raises:
            ConflictError: There is another one with its id: a signed one was said before.
            InvalidInputError: It is too large, or its id is not that of what is signed.
            UnsupportedError: The store lets a second create win, so that it could be changed.
            StorageError: The store failed; it may have been kept.
        """
        if not self._identity.conditional_create:
            raise UnsupportedError(
                f"{self._store.uri} lets a second create win, so what was said could be changed "
                "there. Keep the vault in a store with conditional writes."
            )
        statement = as_kept(statement)
        stored = statement.to_bytes()
        try:
            self._store.create(statement.key, stored)
        except (ConflictError, StorageError) as error:
            try:
                found = self._store.get(statement.key, 0, LARGEST + 1)
            except NotFoundError:
                raise error from None
            if found != stored:
                raise ConflictError(
                    f"this {statement.kind} of {statement.model}/{statement.number} was given "
                    "before, and counts once: sign it anew"
                ) from error
        self._kept.keep(statement.key, stored)
        return statement

    def of(self, model: str, digest: Digest) -> tuple[Statement, ...]:
        """What was said of one version of the registered model *model*, oldest first.

        One listing, and a request for each statement that this process did not see before.

        Raises:
            CorruptionError: One is damaged, or from another vault.
            StorageError: The store failed.
        """
        return self._read(model, statement_prefix(model, digest))

    def all(self, model: str) -> tuple[Statement, ...]:
        """What was said of all versions of the registered model *model*, oldest first.

        Raises:
            CorruptionError: One is damaged, or from another vault.
            StorageError: The store failed.
        """
        return self._read(model, statement_prefix(model))

    def asked(self, model: str, digest: Digest, request: str) -> Statement | None:
        """Return the newest statement that was made for *request*; None if there is none."""
        found = [one for one in self.of(model, digest) if one.request == request]
        return found[-1] if found else None

    def _read(self, model: str, prefix: str) -> tuple[Statement, ...]:
        keys = []
        for found in self._store.list(prefix):
            if _NAME.fullmatch(found.key.removeprefix(statement_prefix(model))):
                keys.append(found.key)
            else:
                _log.warning("%s is no statement's key and is passed over", found.key)
        read = zip(keys, self._kept.get_all(keys, LARGEST + 1), strict=True)
        statements = [self._parsed(key, stored) for key, stored in read if stored is not None]
        return tuple(sorted(statements, key=lambda one: (one.time, one.id)))

    def _parsed(self, key: str, stored: bytes) -> Statement:
        statement = Statement.from_bytes(stored, key)
        if statement.vault != self._identity.id:
            raise CorruptionError(key, f"it is from another vault, {statement.vault[:80]!r}")
        return statement


def as_kept(statement: Statement) -> Statement:
    """Return *statement* in words and values that JSON has: as `Statements.add` keeps it."""
    return replace(
        statement,
        actor=Actor(plain(statement.actor.name), statement.actor.verified),
        roles=tuple(map(plain, statement.roles)),
        reason=plain(statement.reason),
        body=plain(dict(statement.body)),
        request=plain(statement.request),
    )
