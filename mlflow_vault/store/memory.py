"""A store in this process's memory: for tests, notebooks and trying things out.

It keeps every promise of `store.protocol` except that it dies with the process, and is the
oracle that other stores are compared with.  A *named* store is shared by the whole process, as
a folder would be: two vaults at ``vault-memory://name`` see the same objects.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from itertools import count
from typing import TYPE_CHECKING, Final

from mlflow_vault.errors import ConflictError, NotFoundError
from mlflow_vault.store.keys import check_key, check_prefix, check_span
from mlflow_vault.store.protocol import Folder, Stat

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class MemoryStore:
    """Keys to bytes in a dict.

    Args:
        name: What `uri` calls it.  `MemoryStore.named` makes stores that are found again.
    """

    def __init__(self, name: str = "") -> None:
        self._name = name
        self._lock = threading.Lock()
        self._objects: dict[str, tuple[bytes, str]] = {}
        self._keys: list[str] = []  # sorted, so that listing a folder costs the folder
        self._etags = count(1)

    @classmethod
    def named(cls, name: str) -> MemoryStore:
        """Return this process's store called *name*, empty at first."""
        return _NAMED.setdefault(name, cls(name))

    def __repr__(self) -> str:
        return f"MemoryStore({self._name!r})"

    @property
    def uri(self) -> str:
        """Where this store lies, for messages."""
        return f"vault-memory:{'' if self._name.startswith('/') else '//'}{self._name}"

    def get(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        """Return bytes ``[start, stop)`` of *key*, as `Store.get`."""
        check_key(key)
        check_span(start, stop)
        found = self._objects.get(key)
        if found is None:
            raise NotFoundError(f"{self.uri} holds no {key}")
        return found[0][start:stop]

    def put(self, key: str, body: bytes | bytearray | memoryview) -> str:
        """Write *key* whole and return its new etag, as `Store.put`."""
        check_key(key)
        with self._lock:
            return self._set(key, bytes(body))

    def put_many(self, items: Iterable[tuple[str, bytes]]) -> list[str]:
        """Put each of *items* and return their etags in order, as `Store.put_many`."""
        return [self.put(key, body) for key, body in items]

    def create(self, key: str, body: bytes | bytearray | memoryview) -> str:
        """Write *key* only if nothing is there, as `Store.create`."""
        check_key(key)
        with self._lock:
            if key in self._objects:
                raise ConflictError(f"{self.uri} already holds {key}: read it and compare")
            return self._set(key, bytes(body))

    def stat(self, key: str) -> Stat | None:
        """Return what a listing would say of *key*, as `Store.stat`."""
        check_key(key)
        found = self._objects.get(key)
        return None if found is None else Stat(key, len(found[0]), found[1])

    def list(self, prefix: str) -> Iterator[Stat]:
        """Yield every object below *prefix* as it was at the call, as `Store.list`."""
        check_prefix(prefix)
        with self._lock:
            return iter([self._stat(key) for key in self._below(prefix)])

    def list_level(self, prefix: str) -> Iterator[Stat | Folder]:
        """Yield what lies directly below *prefix* as it was at the call, as `Store.list_level`."""
        check_prefix(prefix)
        level: list[Stat | Folder] = []
        with self._lock:
            below = self._below(prefix)
            at = 0
            while at < len(below):
                name, slash, _ = below[at][len(prefix) :].partition("/")
                if slash:
                    level.append(Folder(f"{prefix}{name}/"))
                    at = bisect_left(below, f"{prefix}{name}0", lo=at)  # "0" comes after "/"
                else:
                    level.append(self._stat(below[at]))
                    at += 1
        return iter(level)

    def delete(self, key: str) -> None:
        """Remove *key* if it is there, as `Store.delete`."""
        check_key(key)
        with self._lock:
            if self._objects.pop(key, None) is not None:
                del self._keys[bisect_left(self._keys, key)]

    def _set(self, key: str, body: bytes) -> str:
        if key not in self._objects:
            insort(self._keys, key)
        etag = format(next(self._etags), "x")
        self._objects[key] = (body, etag)
        return etag

    def _stat(self, key: str) -> Stat:
        body, etag = self._objects[key]
        return Stat(key, len(body), etag)

    # `list` inside this class is the method, so the type is spelled from outside it.
    def _below(self, prefix: str) -> _Keys:
        stop = f"{prefix[:-1]}0" if prefix else "\x7f"  # "0" comes after "/", DEL after every key
        return self._keys[bisect_left(self._keys, prefix) : bisect_left(self._keys, stop)]


_Keys = list[str]
_NAMED: Final[dict[str, MemoryStore]] = {}
