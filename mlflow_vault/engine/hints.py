"""Hints: notes that save work and may be wrong.

    hints/files/<digest>      the path of an entry that holds a file of these bytes
    hints/families/<bucket>   the paths of the newest entries of a family or a series
    hints/listings/<folder>   the sizes of the files in a large folder, for the etags it names

They are overwritten, bounded but for listings, never truth and never roots: whoever uses one
reads the entry it points to and checks it.  Two writers may lose each other's note; a hint that is
damaged, missing or out of reach is no hint.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.errors import (
    CorruptionError,
    InvalidInputError,
    NotFoundError,
    StorageError,
    UnsupportedError,
)
from mlflow_vault.format import layout
from mlflow_vault.format.entry import Entry
from mlflow_vault.format.record import Kind, frame_json, unframe_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from concurrent.futures import Executor, Future

    from mlflow_vault.format.digest import Digest
    from mlflow_vault.store.protocol import Store

_log = logging.getLogger(__name__)
_MEMBERS: Final = 8  # newest members that a bucket remembers


def entry_at(store: Store, path: str) -> Entry | None:
    """Read the entry of *path* as a hint would: None if it is gone or damaged."""
    try:
        key = layout.tree_key(path)
        return Entry.from_bytes(store.get(key), key)
    except (NotFoundError, CorruptionError, InvalidInputError, UnsupportedError):
        return None


class Hints:
    """The hints that one transaction reads and writes; each is read once.  Of one thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._buckets: dict[str, dict[str, list[str]]] = {}  # prints by path, newest first
        self._coming: dict[str, Future[dict[str, list[str]]]] = {}
        self._bodies: dict[str, bytes] = {}

    def expect(self, buckets: Iterable[str], readers: Executor) -> None:
        """Let *readers* begin to read *buckets*, which will be asked for."""
        for bucket in buckets:
            if bucket not in self._buckets and bucket not in self._coming:
                self._coming[bucket] = readers.submit(self._noted, bucket)

    def known_file(self, digest: Digest) -> Entry | None:
        """An entry that holds a file of these bytes, if a hint leads to one."""
        for path in _paths(_read(self._store, layout.known_file_key(digest)))[:1]:
            entry = entry_at(self._store, path)
            if entry is not None and entry.digest == digest:
                return entry
        return None

    def entry(self, path: str) -> Entry | None:
        """The entry of *path*, None if it is gone or damaged."""
        return entry_at(self._store, path)

    def members(self, bucket: str) -> list[str]:
        """Paths of the newest entries in *bucket*, newest first."""
        return list(self.prints(bucket))

    def prints(self, bucket: str) -> dict[str, list[str]]:
        """Those paths, and the prints that were noted with each."""
        held = self._buckets.get(bucket)
        if held is None:
            coming = self._coming.pop(bucket, None)
            held = self._buckets[bucket] = coming.result() if coming else self._noted(bucket)
        return held

    def _noted(self, bucket: str) -> dict[str, list[str]]:
        body = _read(self._store, layout.family_key(bucket))
        noted = _prints(body)
        return {path: noted.get(path, []) for path in _paths(body)[:_MEMBERS]}

    def remember_file(self, entry: Entry) -> None:
        """Note where a file of these bytes is held."""
        self._bodies[layout.known_file_key(entry.digest)] = _paths_body([entry.path])

    def remember_member(self, bucket: str, path: str, prints: Sequence[str] = ()) -> None:
        """Note *path* as the newest member of *bucket*, and the *prints* of its numbers."""
        others = [item for item in self.prints(bucket).items() if item[0] != path]
        newest = dict([(path, list(prints)), *others][:_MEMBERS])
        self._buckets[bucket] = newest
        noted = {other: found for other, found in newest.items() if found}
        self._bodies[layout.family_key(bucket)] = _paths_body(newest, noted)

    def remember_sizes(self, folder: str, sizes: dict[str, tuple[str, int]]) -> None:
        """Note ``{key: (etag, size)}`` of entries in *folder*, besides what was noted before."""
        known = {**listed_sizes(self._store, folder), **sizes}
        body = {key: list(value) for key, value in known.items()}
        try:
            self._bodies[layout.listing_key(folder)] = frame_json(Kind.HINT, {"sizes": body})
        except InvalidInputError:  # hundreds of thousands of files
            _log.debug("%s is too large a folder to note its sizes", folder)

    def put(self) -> None:
        """Put every hint.  Failing to is no failure of the write that they describe."""
        try:
            self._store.put_many(self._bodies.items())
        except StorageError:
            _log.warning("hints could not be written to %s", self._store.uri, exc_info=True)
        self._bodies = {}


def listed_sizes(store: Store, folder: str) -> dict[str, tuple[str, int]]:
    """What a hint says of the entries in *folder*: ``{key: (etag, size)}``."""
    sizes = _read(store, layout.listing_key(folder)).get("sizes")
    try:
        return {str(key): (str(etag), int(size)) for key, (etag, size) in (sizes or {}).items()}
    except (AttributeError, TypeError, ValueError):
        return {}


def _read(store: Store, key: str) -> dict[str, Any]:
    try:
        return unframe_json(Kind.HINT, store.get(key), key)
    except (NotFoundError, CorruptionError, UnsupportedError):
        return {}
    except StorageError as error:
        _log.warning("the hint %s could not be read: %s", key, error)
        return {}


def _paths(body: dict[str, Any]) -> list[str]:
    paths = body.get("paths")
    return [str(path) for path in paths] if isinstance(paths, list) else []


def _prints(body: dict[str, Any]) -> dict[str, list[str]]:
    noted = body.get("prints")
    found = noted.items() if isinstance(noted, dict) else ()
    return {path: [*map(str, prints)] for path, prints in found if isinstance(prints, list)}


def _paths_body(paths: Iterable[str], prints: dict[str, list[str]] | None = None) -> bytes:
    body: dict[str, Any] = {"paths": list(paths)}
    return frame_json(Kind.HINT, {**body, "prints": prints} if prints else body)
