"""A store: keys to bytes, somewhere.  It knows nothing of chunks or of MLflow.

Keys are ASCII, ``/``-separated, relative, made by `format.layout`; no component is
empty, ``.`` or ``..``.  Every operation is one request on an object store, so
that what a thing costs can be counted (`testing.stores.CountingStore`).

What every store promises, and `testing.contract` checks:

- **put is atomic**: a reader sees the old bytes or the new, never a mixture, whoever dies.
- **create has one winner**, whatever races; the losers get `ConflictError`.
- **what returned is durable**: it survives a power cut (a memory store, the process).
- **listing is complete**: it shows every object that was there throughout, or raises.

Errors are `NotFoundError`, `ConflictError` and `StorageError`; no foreign exception
leaves a store.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True, slots=True, order=True)
class Stat:
    """What a listing says of one object.

    Attributes:
        key: The object's key.
        size: Its size in bytes.
        etag: A short string that changes whenever the object's bytes do.  Putting the same bytes
            again may keep it: on S3 it is their MD5.
    """

    key: str
    size: int
    etag: str


@dataclass(frozen=True, slots=True, order=True)
class Folder:
    """A common prefix in a listing of one level; *key* ends in ``/``."""

    key: str


@runtime_checkable
class Store(Protocol):
    """Keys to bytes.  Safe to share between threads; opened lazily, per process."""

    @property
    def uri(self) -> str:
        """Where this store lies, for messages; free of secrets."""
        ...

    def get(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        """Return bytes ``[start, stop)`` of *key*; a stop past the end is cut at the end.

        Raises:
            NotFoundError: There is no such object.
            StorageError: The store failed.
        """
        ...

    def put(self, key: str, body: bytes | bytearray | memoryview) -> str:
        """Write *key* whole, replacing what was there; return its new etag."""
        ...

    def put_many(self, items: Iterable[tuple[str, bytes]]) -> list[str]:
        """Put each of *items*, each atomically, in any order; return their etags in order.

        When it returns all are durable.  When it raises, any may have been put.  A store
        makes this cheaper than single puts where it can.
        """
        ...

    def create(self, key: str, body: bytes | bytearray | memoryview) -> str:
        """Write *key* only if nothing is there; return its etag.

        Raises:
            ConflictError: The key exists.  After a lost response that may be our own
                write: callers read back and compare.
        """
        ...

    def stat(self, key: str) -> Stat | None:
        """Return what a listing would say of *key*, None if there is none."""
        ...

    def list(self, prefix: str) -> Iterator[Stat]:
        """Yield every object whose key starts with *prefix*, in order of keys.

        *prefix* is empty or ends in ``/``.
        """
        ...

    def list_level(self, prefix: str) -> Iterator[Stat | Folder]:
        """Yield the objects and folders directly below *prefix*, in order of keys."""
        ...

    def delete(self, key: str) -> None:
        """Remove *key*; removing what is not there is no error."""
        ...
