"""Seals: paths that a version pins and that no longer change.

Every write and delete asks first.  What was asked is remembered for a few seconds, so that small
files logged one by one cost one look together.  What would replace something asks anew, and so
does everybody in this process once it has sealed anything; so all that can slip in is a new small
file, seconds after somebody else sealed its folder, and a version holds its own bytes anyway.

There is no lock: a fork would copy it locked.  Two threads that look at once only look twice.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from mlflow_vault.engine.write.transaction import look_at_notices
from mlflow_vault.errors import (
    ConflictError,
    CorruptionError,
    NotFoundError,
    SealedError,
    StorageError,
)
from mlflow_vault.format import layout
from mlflow_vault.format.record import Kind, frame_json, unframe_json

if TYPE_CHECKING:
    from mlflow_vault.engine.world import World
    from mlflow_vault.store.protocol import Store

_REMEMBERED: Final = 5.0  # seconds that a look holds
_MOST: Final = 1024  # looks remembered
_sealed: Counter[str] = Counter()  # how many seals this process put, by the store's URI


@dataclass(frozen=True, slots=True)
class _Look:
    """What was seen of one unit.

    Attributes:
        when: On the monotonic clock.
        sealed: How many seals this process had put.
        noticed: Whether notices were looked at, too.
        seals: The version of each sealed path.
    """

    when: float
    sealed: int
    noticed: bool
    seals: dict[str, str] = field(default_factory=dict)


class Seals:
    """What is sealed in one store, asked for by artifact path."""

    def __init__(self, store: Store, world: World) -> None:
        self._store = store
        self._world = world
        self._looks: dict[str, _Look] = {}

    def refuse(self, path: str, since: float = float("-inf"), *, notices: bool = True) -> None:
        """Refuse to go on if *path* may not be written.

        Args:
            path: An artifact path.
            since: Do not go by what was asked before, on the world's monotonic clock.
            notices: Whether to look at notices, too; not for those who begin a transaction.

        Raises:
            SealedError: It, or a folder above it, is sealed; the message names the version.
            StorageError: The vault is gone, or its store failed.
            UnsupportedError: The vault requires a feature that this release lacks.
        """
        for sealed, version in self._look(layout.seal_unit(path), since, notices=notices).items():
            if covers(sealed, path):
                raise SealedError(
                    f"{path} belongs to {version}, which is sealed: its files no longer change. "
                    "Log to another run or model instead.",
                    sealed,
                )

    def below(self, path: str) -> dict[str, str]:
        """``{sealed path: version}`` of every seal that covers *path* or lies below it.

        Raises:
            UnsupportedError: The vault requires a feature that this release lacks.
        """
        look_at_notices(self._store)
        found: dict[str, str] = {}
        if path:
            found = _read(self._store, layout.seal_unit(path))
        found |= _read(self._store, layout.seal_prefix(path))
        return {
            sealed: version
            for sealed, version in found.items()
            if covers(sealed, path) or covers(path, sealed)
        }

    def put(self, path: str, *, version: str, digest: str, commit: str) -> None:
        """Seal *path* and everything below, for ever; what is sealed already stays as it is.

        Args:
            path: An artifact path, not above the units of what lies below it.
            version: What messages call the version that pins it.
            digest: That version's digest.
            commit: The commit that made it.
        """
        with suppress(ConflictError):
            self._store.create(layout.seal_key(path), _spelled(path, version, digest, commit))
        _sealed[self._store.uri] += 1

    def get(self, path: str) -> dict[str, str] | None:
        """What the seal on exactly *path* says; None if there is none.

        Raises:
            CorruptionError: It is damaged.
        """
        key = layout.seal_key(path)
        try:
            body = unframe_json(Kind.SEAL, self._store.get(key), key)
        except NotFoundError:
            return None
        return {name: str(text) for name, text in body.items()}

    def mend(self, path: str, *, version: str, digest: str, commit: str) -> None:
        """Let the seal on *path* name this version where it names one that never came about.

        A seal is never lifted: whoever put it cannot know who went by it since.
        """
        found = self.get(path)
        if found is None or found.get("digest") != digest:
            self._store.put(layout.seal_key(path), _spelled(path, version, digest, commit))
            _sealed[self._store.uri] += 1

    def _look(self, unit: str, since: float, *, notices: bool) -> dict[str, str]:
        now, sealed = self._world.monotonic(), _sealed[self._store.uri]
        look = self._looks.get(unit)
        if (
            look is not None
            and look.when >= max(since, now - _REMEMBERED)
            and look.sealed == sealed
        ):
            if notices and not look.noticed:
                look_at_notices(self._store)
                self._looks[unit] = replace(look, noticed=True)
            return look.seals
        if self._store.stat(layout.VAULT) is None:
            raise StorageError(
                f"{self._store.uri} is no longer a vault: its {layout.VAULT} is gone. Is its disk "
                "mounted? Nothing was written."
            )
        if notices:
            look_at_notices(self._store)
        seals = _read(self._store, unit)
        if len(self._looks) >= _MOST:
            self._looks.clear()
        self._looks[unit] = _Look(now, sealed, notices, seals)
        return seals


def covers(sealed: str, path: str) -> bool:
    """Whether a seal on *sealed* holds for *path*."""
    return not sealed or path == sealed or path.startswith(f"{sealed}/")


def _spelled(path: str, version: str, digest: str, commit: str) -> bytes:
    body = {"path": path, "version": version, "digest": digest, "commit": commit}
    return frame_json(Kind.SEAL, body)


def _read(store: Store, prefix: str) -> dict[str, str]:
    seals: dict[str, str] = {}
    for found in store.list(prefix):
        try:
            body = unframe_json(Kind.SEAL, store.get(found.key), found.key)
        except NotFoundError:
            continue
        try:
            seals[str(body["path"])] = str(body["version"])
        except KeyError as cause:
            raise CorruptionError(found.key, f"it is no seal ({cause} is missing)") from cause
    return seals
