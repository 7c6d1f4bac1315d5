"""Appends to the audit log and reads it.

An entry is created under the next number; of two that want it one wins, the other reads what won
and takes the number behind.  So there are no gaps and no locks, and whoever dies leaves nothing
half done.  In a process that goes on appending, an entry is one request.

There is no lock in this process either: a fork would copy it locked.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.errors import (
    ConflictError,
    CorruptionError,
    NotFoundError,
    StorageError,
    UnsupportedError,
    VaultError,
)
from mlflow_vault.format import layout
from mlflow_vault.format.canonical import plain
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.entry_tiles import cut, entries_path
from mlflow_vault.format.log import LARGEST, Actor, LogEntry, Subject
from mlflow_vault.format.merkle import WIDTH
from mlflow_vault.format.record import Kind, frame_json, unframe_json
from mlflow_vault.govern.audit.finding import fetch, newest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow_vault.engine.world import World
    from mlflow_vault.format.log import Action
    from mlflow_vault.format.record import Identity
    from mlflow_vault.store.protocol import Store

_PATIENCE: Final = 1000  # numbers that others may take first
_LOSSES: Final = 2  # lost numbers in a row, after which the head is looked for farther ahead
_HINT_EVERY: Final = 16  # entries
_LARGEST_TILE: Final = WIDTH * (LARGEST + 2) + 1  # bytes; usually a hundredth
_FARTHEST: Final = 10**15  # a hint beyond is none

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Head:
    """The last entry that somebody saw: its number and digest; -1 and None before the first."""

    sequence: int = -1
    digest: Digest | None = None


class Log:
    """The audit log of one vault.

    Args:
        store: Where the vault lies.
        world: Its clock and randomness.
        identity: What the vault is.

    Attributes:
        store: Where the vault lies.
        vault: Its id.
        world: Its clock and randomness.
    """

    def __init__(self, store: Store, world: World, identity: Identity) -> None:
        self.store = store
        self.vault = identity.id
        self.world = world
        self._has_one_winner = identity.conditional_create
        self._head: _Head | None = None

    def append(
        self,
        action: Action,
        actor: Actor,
        subject: Subject,
        *,
        before: Any = None,
        after: Any = None,
    ) -> LogEntry:
        """Add what was done to the log's end, durably.

        Costs one request in a process that has appended before; four in a new one, or a few more
        where its hint is old; two for each entry that others add in the same moment.

        Args:
            action: What.
            actor: Who did it.
            subject: To what.
            before: What the deed changed, as it was: JSON, or near it (`format.canonical.plain`).
            after: As it is now.

        Returns:
            The entry, as it is stored.

        Raises:
            InvalidInputError: It is too large, or *before* or *after* is no JSON.
            CorruptionError: The log's last entry is damaged, and nothing can be put behind it.
            UnsupportedError: The store lets a second create win, so that entries could vanish.
            StorageError: The store failed; the entry may have been added.
        """
        if not self._has_one_winner:
            raise UnsupportedError(
                f"{self.store.uri} lets a second create win, so entries of an audit log could "
                "vanish there. Keep the vault in a store with conditional writes."
            )
        searched = self._head is None
        head = self._head or self._find()
        actor = Actor(plain(actor.name), actor.verified)
        subject = Subject(plain(subject.kind), plain(subject.name), subject.digest)
        nonce, time = self.world.random(16).hex(), int(self.world.now() * 1000)
        for losses in range(1, _PATIENCE + 1):
            entry = LogEntry(
                vault=self.vault,
                sequence=head.sequence + 1,
                time=time,
                nonce=nonce,
                action=action,
                actor=actor,
                subject=subject,
                predecessor=head.digest,
                before=plain(before),
                after=plain(after),
            )
            stored = entry.to_bytes()
            found = self._create(entry.sequence, stored)
            if found == stored:
                self._head = _Head(entry.sequence, Digest.of(stored))
                if searched or losses > _LOSSES or entry.sequence % _HINT_EVERY == 0:
                    self._hint(entry.sequence)
                return entry
            if losses % _LOSSES == 0 or (searched and losses == 1):
                head = self._last(entry.sequence)
            elif found is not None:
                head = self._near(entry.sequence, found)
        raise ConflictError(
            f"others appended to the log at {self.store.uri} first, {_PATIENCE} times in a row: "
            "try again"
        )

    def read(self, sequence: int) -> LogEntry:
        """Return the entry with this number.

        Raises:
            NotFoundError: The log has none.
            CorruptionError: It is damaged, or from another vault's log.
        """
        key = layout.log_key(sequence)
        return self.parse(sequence, self.store.get(key, 0, LARGEST + 1))

    def size(self) -> int:
        """How many entries there are: the number of the next one.  About 2 log2 of it requests."""
        return newest(self._exists, self._hinted()) + 1

    def entries(self, start: int = 0, stop: int | None = None) -> Iterator[LogEntry]:
        """Yield the entries ``[start, stop)``, each behind the one before.

        Where there are tiles of entries, 256 take two requests: the tile, and the last of them as
        it was written.  As each names the digest of the one before, that one vouches for them all.

        Raises:
            CorruptionError: One is damaged or missing.
        """
        end = self.size() if stop is None else stop
        before: Digest | None = None
        for entry, digest in self._read(start, end):
            if before is not None and entry.predecessor != before:
                key = layout.log_key(entry.sequence)
                raise CorruptionError(key, "it was not written behind the entry before it")
            before = digest
            yield entry

    def parse(self, sequence: int, stored: bytes) -> LogEntry:
        """Read stored bytes as the entry with this number of this log.

        Raises:
            CorruptionError: They are not.
        """
        key = layout.log_key(sequence)
        entry = LogEntry.from_bytes(stored, key)
        if entry.vault != self.vault:
            raise CorruptionError(key, f"it is from the log of another vault, {entry.vault[:80]!r}")
        return entry

    def fetch(self, sequences: range) -> Iterator[tuple[int, bytes | None]]:
        """Yield numbers with the stored bytes, None where there are none; longer ones are cut."""
        keys = map(layout.log_key, sequences)
        fetched = fetch(self.store, self.world.readers, keys, LARGEST + 1)
        return zip(sequences, fetched, strict=True)

    def _read(self, start: int, stop: int) -> Iterator[tuple[LogEntry, Digest]]:
        first, last = -(-start // WIDTH), stop // WIDTH
        if first >= last:
            yield from self._read_each(range(start, stop))
            return
        yield from self._read_each(range(start, first * WIDTH))
        # Tile, last entry, tile, last entry, ...
        keys = chain.from_iterable(
            (layout.LOG + entries_path(index), layout.log_key(index * WIDTH + WIDTH - 1))
            for index in range(first, last)
        )
        fetched = fetch(self.store, self.world.readers, keys, _LARGEST_TILE, batch=2)
        for index, tile, end in zip(range(first, last), fetched, fetched, strict=False):
            numbers = range(index * WIDTH, (index + 1) * WIDTH)
            yield from self._tiled(numbers, tile, end) or self._read_each(numbers)
        yield from self._read_each(range(last * WIDTH, stop))

    def _read_each(self, sequences: range) -> Iterator[tuple[LogEntry, Digest]]:
        for sequence, stored in self.fetch(sequences):
            if stored is None:
                raise CorruptionError(layout.log_key(sequence), "this entry of the log is missing")
            yield self.parse(sequence, stored), Digest.of(stored)

    def _tiled(
        self, numbers: range, tile: bytes | None, last: bytes | None
    ) -> list[tuple[LogEntry, Digest]]:
        """The entries in a tile; none if they are not those that lead to *last*."""
        found: list[tuple[LogEntry, Digest]] = []
        try:
            entries = cut(tile or b"")
            if entries[-1] != last:
                return []
            for sequence, stored in zip(numbers, entries, strict=True):
                entry = self.parse(sequence, stored)
                if found and entry.predecessor != found[-1][1]:
                    return []
                found.append((entry, Digest.of(stored)))
        except (CorruptionError, ValueError):
            return []  # a tile is derived, so it may be made anew
        return found

    def _get(self, sequence: int) -> bytes | None:
        try:
            return self.store.get(layout.log_key(sequence), 0, LARGEST + 1)
        except NotFoundError:
            return None

    def _exists(self, sequence: int) -> bool:
        return self.store.stat(layout.log_key(sequence)) is not None

    def _create(self, sequence: int, stored: bytes) -> bytes | None:
        """Create an entry; return what is there then, None if somebody took it away again."""
        try:
            self.store.create(layout.log_key(sequence), stored)
        except ConflictError:
            return self._get(sequence)
        except StorageError:
            # Whether it was done is unknown.  If so, the answer is there; if another's is there,
            # ours will never be.
            found = self._get(sequence)
            if found is None:
                raise
            return found
        return stored

    def _behind(self, sequence: int, stored: bytes) -> _Head:
        self.parse(sequence, stored)
        return _Head(sequence, Digest.of(stored))

    def _near(self, sequence: int, stored: bytes) -> _Head:
        """An entry that is or was the last; if it is damaged, only the last one counts."""
        try:
            return self._behind(sequence, stored)
        except CorruptionError:
            return self._last(sequence)

    def _last(self, guess: int) -> _Head:
        last = newest(self._exists, guess)
        stored = self._get(last) if last >= 0 else None
        return _Head() if stored is None else self._behind(last, stored)

    def _find(self) -> _Head:
        """Somewhere near the log's head, as a process that knows nothing finds it."""
        hinted = self._hinted()
        stored = self._get(hinted) if hinted >= 0 else None
        return self._last(hinted) if stored is None else self._near(hinted, stored)

    def _hinted(self) -> int:
        if self._head is not None:
            return self._head.sequence
        try:
            stored = self.store.get(layout.LOG_HEAD)
            sequence = unframe_json(Kind.HINT, stored, layout.LOG_HEAD).get("sequence")
        except VaultError:
            return -1  # a hint may be missing, wrong or forged
        return sequence if type(sequence) is int and -1 <= sequence < _FARTHEST else -1

    def _hint(self, sequence: int) -> None:
        try:
            self.store.put(layout.LOG_HEAD, frame_json(Kind.HINT, {"sequence": sequence}))
        except StorageError as error:
            _log.debug("no hint where the log at %s ends: %s", self.store.uri, error)
