"""Seals: paths that a version pins and that no longer change.

Every write and delete asks first.  What was asked is remembered for a few seconds, so that
a folder of small files costs one look and not one per file; a version holds its own bytes, so a
write that slips in between harms nothing that was promised.

There is no lock: a fork would copy it locked.  Two threads that look at once only look twice.
"""

from __future__ import annotations

from contextlib import suppress
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


class Seals:
    """What is sealed in one store, asked for by artifact path."""

    def __init__(self, store: Store, world: World) -> None:
        self._store = store
        self._world = world
        self._looks: dict[str, tuple[float, dict[str, str]]] = {}

    def refuse(self, path: str) -> None:
        """Refuse to go on if *path* may not be written.

        Raises:
            SealedError: It, or a folder above it, is sealed; the message names the version.
            StorageError: The vault is gone, or its store failed.
            UnsupportedError: The vault requires a feature that this release lacks.
        """
        for sealed, version in self._look(layout.seal_unit(path)).items():
            if covers(sealed, path):
                raise SealedError(
                    f"{path} belongs to {version}, which is sealed: its files no longer change. "
                    "Log to another run or model instead."
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
        body = {"path": path, "version": version, "digest": digest, "commit": commit}
        with suppress(ConflictError):
            self._store.create(layout.seal_key(path), frame_json(Kind.SEAL, body))
        self._looks.pop(layout.seal_unit(path), None)

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

    def lift(self, path: str, commit: str) -> None:
        """Take away the seal that a commit put which then did not come about."""
        found = self.get(path)
        if found is not None and found.get("commit") == commit:
            self._store.delete(layout.seal_key(path))
        self._looks.pop(layout.seal_unit(path), None)

    def _look(self, unit: str) -> dict[str, str]:
        now = self._world.monotonic()
        when, seals = self._looks.get(unit, (float("-inf"), {}))
        if now - when < _REMEMBERED:
            return seals
        if self._store.stat(layout.VAULT) is None:
            raise StorageError(
                f"{self._store.uri} is no longer a vault: its {layout.VAULT} is gone. Is its disk "
                "mounted? Nothing was written."
            )
        look_at_notices(self._store)
        seals = _read(self._store, unit)
        if len(self._looks) >= _MOST:
            self._looks.clear()
        self._looks[unit] = (now, seals)
        return seals


def covers(sealed: str, path: str) -> bool:
    """Whether a seal on *sealed* holds for *path*."""
    return not sealed or path == sealed or path.startswith(f"{sealed}/")


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
