"""Objects that never change, read once: those that a process saw last are kept in memory.

There is no lock: a fork would copy it locked.  Two threads that miss at once only read twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from mlflow_vault.govern.audit.finding import fetch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlflow_vault.store.protocol import Store

_MOST: Final = 2048  # objects
_LONGEST: Final = 64 << 10  # bytes of one that is kept
_BATCH: Final = 4  # objects that one thread reads in a row: a listing has few
_kept: WeakKeyDictionary[Store, dict[str, bytes]] = WeakKeyDictionary()


class Kept:
    """Objects of one store that are created once and never change.

    Args:
        store: Where.
        readers: How many wait for it at once.
    """

    def __init__(self, store: Store, readers: int) -> None:
        self._store = store
        self._readers = readers
        self._objects = _kept.setdefault(store, {})

    def has(self, key: str) -> bool:
        """Whether there is such an object; asks only if it was not seen."""
        return key in self._objects or self._store.stat(key) is not None

    def get(self, key: str, longest: int) -> bytes | None:
        """Return what is at *key*, None where nothing is; what is longer is cut."""
        return next(self.get_all([key], longest))

    def get_all(self, keys: Iterable[str], longest: int) -> Iterator[bytes | None]:
        """Yield what is at each of *keys*, in order."""
        keys = list(keys)
        seen = {key: stored for key in keys if (stored := self._objects.get(key)) is not None}
        missing = [key for key in keys if key not in seen]
        read: Iterator[bytes | None] = iter(())
        if len(missing) == 1:
            read = fetch(self._store, 1, missing, longest)
        elif missing:
            read = fetch(self._store, self._readers, missing, longest, batch=_BATCH)
        for key in keys:
            if key in seen:
                yield seen[key]
                continue
            stored = next(read)
            if stored is not None:
                self.keep(key, stored)
            yield stored

    def keep(self, key: str, stored: bytes) -> None:
        """Remember what is at *key*, as somebody just read or created it."""
        if len(stored) <= _LONGEST:
            if len(self._objects) >= _MOST:
                self._objects.clear()
            self._objects[key] = stored
