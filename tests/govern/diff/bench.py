"""Versions made by hand of what lies in a vault, and a store that says what it gave."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mlflow_vault.engine.reader import Reader
from mlflow_vault.engine.world import World
from mlflow_vault.format.version import File, Origin, Version, digest_of
from mlflow_vault.govern.diff import Effort, Side, compare
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.vaults import write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlflow_vault.govern.diff import Diff


class MeteredStore(MemoryStore):
    """Counts the bytes that it gives.

    Attributes:
        given: Bytes of all answers together.
    """

    def __init__(self) -> None:
        super().__init__()
        self.given = 0
        self._meter = threading.Lock()

    def get(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        """Get as any store does, and count."""
        body = super().get(key, start, stop)
        with self._meter:
            self.given += len(body)
        return body


@dataclass(frozen=True, slots=True)
class Bench:
    """A vault in memory, in which folders of bytes become versions."""

    store: MeteredStore
    vault: Vault
    reader: Reader

    def commit(self, number: int, folder: Mapping[str, bytes], **facts: Any) -> Side:
        """Write *folder*, and return it as a version of which *facts* are known."""
        for path, body in folder.items():
            write(self.vault, f"{number}/{path}", body)
        entries = {
            path: replace(self.vault.entry(f"{number}/{path}"), path=path) for path in folder
        }
        files = tuple(
            File(path, entry.size, entry.digest, entry.sha256)
            for path, entry in sorted(entries.items())
        )
        origin = Origin(f"models:/m/{number}", str(number))
        version = Version(
            digest_of(files), str(number), "m", number, 0, "someone", origin, files, facts=facts
        )
        return Side(version, entries)

    def compare(self, before: Side, after: Side, **effort: Any) -> Diff:
        """Compare two versions."""
        return compare(before, after, self.reader, Effort(**effort))

    @classmethod
    def empty(cls) -> Bench:
        """An empty vault."""
        store = MeteredStore()
        return cls(store, Vault.init_at(store), Reader(store, World()))
