"""Versions as they lie in a store: records, the entries they embed, and their names.

    versions/content/...   the entries, inline bytes included    put first
    versions/records/...   the version itself                    created once
    versions/names/...     which versions a model has            created once

A name points at a record and a record at its content, so whatever can be found is whole.  None of
it is ever overwritten; two commits of one thing are two records.
"""

from __future__ import annotations

import logging
import re
import struct
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Final

from mlflow_vault.config import MIB
from mlflow_vault.errors import (
    ConflictError,
    CorruptionError,
    InvalidInputError,
    NotFoundError,
    UnsupportedError,
)
from mlflow_vault.format import layout
from mlflow_vault.format.entry import Entry
from mlflow_vault.format.record import Kind, frame, frame_json, unframe
from mlflow_vault.format.version import File, Version, spelled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlflow_vault.format.digest import Digest
    from mlflow_vault.store.protocol import Store

_PART: Final = 8 * MIB  # bytes of entries in one object of the content
_LARGEST_SIGNATURE: Final = MIB
_LENGTH: Final = struct.Struct("<Q")
_AT_ONCE: Final = 16  # requests
_HEX: Final = frozenset("0123456789abcdef")
_LEAST: Final = 2  # hex digits of a shortened digest
_AHEAD: Final = 512  # records read before somebody asks for them
_RECORD: Final = re.compile(r"versions/records/([0-9a-f]{2})/\1[0-9a-f]{62}/[0-9a-f]{32}")

_log = logging.getLogger(__name__)


class Records:
    """The versions that one store holds."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def keys(self) -> Iterator[str]:
        """Yield the keys of all records."""
        return self._keys(layout.RECORDS)

    def read(self, key: str) -> Version:
        """Return the version whose record is *key*.

        Raises:
            NotFoundError: There is none.
            CorruptionError: It is damaged, or another's.
        """
        version = Version.from_bytes(self._store.get(key), key)
        if layout.record_key(version.digest, version.id) != key:
            raise CorruptionError(key, f"it is the record of {version.label}")
        return version

    def of(self, digest: Digest) -> list[Version]:
        """The versions with these files, oldest first."""
        return self._read(self._keys(layout.record_prefix(digest)))

    def named(self, name: str, number: int | None = None) -> list[Version]:
        """The versions called *name*, by number and then age; only those of *number* if given."""
        called = {(key, said) for said, key in self._names(name) if number in (None, said)}
        versions = [
            version
            for version in self._read({key for key, _ in called})
            if version.name == name and (self._key(version), version.number) in called
        ]
        return sorted(versions, key=lambda version: (version.number, version.created, version.id))

    def numbers(self, name: str) -> list[int]:
        """The numbers of the versions called *name*, sorted; reads no record."""
        return sorted({said for said, _ in self._names(name)})

    def all(self) -> Iterator[Version]:
        """Yield every version there is; one that cannot be read costs itself, and a warning."""
        keys = self.keys()
        with ThreadPoolExecutor(_AT_ONCE, "vault-records") as pool:
            while some := list(islice(keys, _AHEAD)):
                yield from filter(None, pool.map(self._readable, some))

    def starting(self, digits: str) -> list[Version]:
        """The versions whose digests start with these hexadecimal digits.

        Raises:
            InvalidInputError: They are fewer than two, or no such digits.
        """
        if len(digits) < _LEAST or not _HEX.issuperset(digits):
            raise InvalidInputError(
                f"'b3:{digits}' is no digest: give at least {_LEAST} of its 64 hexadecimal digits"
            )
        keys = self._keys(f"{layout.RECORDS}{digits[:2]}/")
        start = f"{layout.RECORDS}{digits[:2]}/{digits}"
        return self._read(key for key in keys if key.startswith(start))

    def content(self, entries: Iterable[Entry], digest: Digest, commit: str) -> dict[str, bytes]:
        """Spell *entries* as the objects of a version's content, by key."""
        parts: list[list[bytes]] = [[]]
        filled = 0
        for entry in sorted(entries, key=lambda one: spelled(one.path)):
            stored = entry.to_bytes()
            if filled and filled + len(stored) > _PART:
                parts.append([])
                filled = 0
            parts[-1] += [_LENGTH.pack(len(stored)), stored]
            filled += len(stored)
        return {
            layout.content_key(digest, commit, index): frame(Kind.FILES, b"".join(part))
            for index, part in enumerate(parts)
        }

    def put(self, version: Version) -> None:
        """Make *version*, whose content is there, one of this store's."""
        self._create(self._key(version), version.to_bytes())
        self.put_name(version)

    def put_name(self, version: Version) -> None:
        """Let a version be found by its name; one that can be already stays as it is."""
        if version.name:
            key = layout.name_key(version.name, version.number, version.digest, version.id)
            self._create(key, frame_json(Kind.VERSION, {"record": self._key(version)}))

    def put_signature(self, version: Version, name: str, stored: bytes) -> None:
        """Keep a signature beside *version*; one of that name that is there stays."""
        with suppress(ConflictError):
            self._store.create(layout.signature_key(version.digest, name), stored)

    def signatures(self, version: Version) -> Iterator[bytes]:
        """Yield what is kept as signatures of these files; whoever judges believes nothing."""
        for found in self._store.list(layout.signature_prefix(version.digest)):
            if found.size <= _LARGEST_SIGNATURE:
                with suppress(NotFoundError):
                    yield self._store.get(found.key)

    def entries(self, version: Version) -> dict[str, Entry]:
        """The entries of a version's files, by path from its root.

        Raises:
            CorruptionError: One is missing, damaged, or not what the version says.
        """
        found: dict[str, Entry] = {}
        keys = [
            layout.content_key(version.digest, version.content, index)
            for index in range(version.parts)
        ]
        for key in keys:
            try:
                stored = self._store.get(key)
            except NotFoundError as cause:
                raise CorruptionError(key, f"it is gone, and {version.label} needs it") from cause
            body = unframe(Kind.FILES, stored, key)
            found |= {entry.path: entry for entry in _entries(body, key)}
        if sorted(map(file_of, found.values())) != sorted(version.files):
            raise CorruptionError(
                self._key(version), "its entries are not of the files that it lists"
            )
        return found

    def _readable(self, key: str) -> Version | None:
        try:
            return self.read(key)
        except (CorruptionError, NotFoundError, UnsupportedError) as cause:
            _log.warning("%s cannot be read and is left out: %s", key, cause)
            return None

    def _keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys of records; what is none was put there by somebody else, and stays."""
        for found in self._store.list(prefix):
            if _RECORD.fullmatch(found.key):
                yield found.key
            else:
                _log.warning("%s is no record's key and is passed over", found.key)

    def _names(self, name: str) -> Iterator[tuple[int, str]]:
        """Yield the number and the record's key of each version called *name*."""
        for found in self._store.list(layout.name_prefix(name)):
            try:
                yield layout.named_record(found.key)
            except InvalidInputError:
                _log.warning("%s is no name's key and is passed over", found.key)

    @staticmethod
    def _key(version: Version) -> str:
        return layout.record_key(version.digest, version.id)

    def _read(self, keys: Iterable[str]) -> list[Version]:
        with ThreadPoolExecutor(_AT_ONCE, "vault-records") as pool:
            versions = list(pool.map(self.read, keys))
        return sorted(versions, key=lambda version: (version.created, version.id))

    def _create(self, key: str, stored: bytes) -> None:
        try:
            self._store.create(key, stored)
        except ConflictError:
            with suppress(NotFoundError):
                if self._store.get(key) == stored:  # our own, of which the answer was lost
                    return
            raise


def file_of(entry: Entry) -> File:
    """What a version says of the file that *entry* holds."""
    return File(entry.path, entry.size, entry.digest, entry.sha256)


def below(entry: Entry, root: str) -> Entry:
    """Return *entry* with its path from *root*; a file committed alone keeps its name."""
    inside = entry.path[len(root) :].lstrip("/") if root else entry.path
    return replace(entry, path=inside or entry.path.rpartition("/")[2])


def _entries(body: bytes, key: str) -> Iterator[Entry]:
    at = 0
    while at < len(body):
        if at + _LENGTH.size > len(body):
            raise CorruptionError(key, "its entries are cut")
        (length,) = _LENGTH.unpack_from(body, at)
        at += _LENGTH.size
        if at + length > len(body):
            raise CorruptionError(key, "its entries are cut")
        entry = Entry.from_bytes(body[at : at + length], key)
        try:
            layout.check_path(entry.path)
        except InvalidInputError as cause:
            raise CorruptionError(key, str(cause)) from cause
        if not entry.path:
            raise CorruptionError(key, "an entry without a path")
        yield entry
        at += length
