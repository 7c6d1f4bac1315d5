"""Rows to plain bytes: fetches payloads in few reads, decodes them, verifies every digest.

Both ways use it: a reader for the chunks of a file, a writer for the bases of its deltas.  What
the cache has is neither fetched nor decoded, and so are its bases.
Memory is bounded by whoever asks: it holds what was prefetched until told to forget.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from mlflow_vault.config import MIB
from mlflow_vault.decide.reads import Span, plan_reads
from mlflow_vault.errors import CorruptionError
from mlflow_vault.format.coding.codec import decode
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.layout import pack_key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from concurrent.futures import Executor

    from mlflow_vault.engine.cache import Cache
    from mlflow_vault.format.rows import Row
    from mlflow_vault.store.protocol import Store

_MAX_GAP: Final = 128 * 1024  # bytes: about what an S3 request's latency would carry
_MAX_READ: Final = 8 * MIB  # bytes in one request


class Place(NamedTuple):
    """Where a payload lies."""

    pack: bytes
    start: int
    stop: int


class Payloads:
    """Fetched payloads and decoded bases of one table of rows.

    Threads that wait for a store are others than those that decode, and more: a store behind a
    network gives each of many requests about as much as it gives one.
    """

    def __init__(
        self, store: Store, pool: Executor, readers: Executor, cache: Cache | None = None
    ) -> None:
        self._store = store
        self._pool = pool
        self._readers = readers
        self._cache = cache
        self._fetched: dict[Place, bytes] = {}
        self._plain: dict[Digest, bytes] = {}

    def keep_only(self, digests: set[Digest]) -> None:
        """Let go of all but the decoded chunks named."""
        self._fetched.clear()
        self._plain = {name: plain for name, plain in self._plain.items() if name in digests}

    def fetch(self, rows: Iterable[Row], table: Sequence[Row]) -> None:
        """Get what *rows*, whose bases are indexes into *table*, need and is not here yet.

        Raises:
            NotFoundError: A pack is gone.
            StorageError: The store failed.
        """
        wanted: set[Place] = set()
        level = {row.digest: row for row in rows}
        while level:
            missing = self._not_cached(
                [row for row in level.values() if row.digest not in self._plain]
            )
            wanted |= {place_of(row) for row in missing}
            level = {
                needed.digest: needed
                for row in missing
                for needed in (table[part.row] for part in row.base)
            }
        self._get(wanted - self._fetched.keys())

    def _not_cached(self, rows: Sequence[Row]) -> Sequence[Row]:
        """*rows* without those whose plain bytes the cache has, which are held from now on."""
        cache = self._cache
        if cache is None:
            return rows
        found = self._pool.map(lambda row: cache.get(row.digest, row.size), rows)
        held = {row.digest: plain for row, plain in zip(rows, found, strict=True) if plain}
        self._plain |= held
        return [row for row in rows if row.digest not in held]

    def _get(self, wanted: Collection[Place]) -> None:
        """Read the payloads at *wanted*, joining near neighbours."""
        spans = [Span(pack_key(place.pack), place.start, place.stop) for place in wanted]
        reads = plan_reads(spans, max_gap=_MAX_GAP, max_read=_MAX_READ)
        bodies = list(self._readers.map(lambda read: self._store.get(*_args(read)), reads))
        found = dict(zip(reads, bodies, strict=True))
        starts = sorted(found)
        for place, span in zip(wanted, spans, strict=True):
            read = _containing(starts, span)
            body = found[read]
            piece = body[span.start - read.start : span.stop - read.start]
            if len(piece) != span.stop - span.start:
                raise CorruptionError(span.key, f"it ends before byte {span.stop}")
            self._fetched[place] = piece

    def decode_all(self, rows: Sequence[Row], table: Sequence[Row]) -> list[bytes]:
        """Return the plain bytes of *rows*, whose bases are indexes into *table*.

        They must have been fetched.

        Raises:
            CorruptionError: A payload does not decode to what its digest names.
        """
        levels = [{row.digest: row for row in rows}]
        while levels[-1]:
            coded = (row for row in levels[-1].values() if row.digest not in self._plain)
            needed = (table[part.row] for row in coded for part in row.base)
            levels.append({row.digest: row for row in needed})
        for level in reversed(levels[1:]):  # the bases of bases come first
            waiting = [row for row in level.values() if row.digest not in self._plain]
            plain = list(self._pool.map(lambda row: self._decode(row, table), waiting))
            self._plain |= {row.digest: body for row, body in zip(waiting, plain, strict=True)}
        return list(self._pool.map(lambda row: self._decode(row, table), rows))

    def _decode(self, row: Row, table: Sequence[Row]) -> bytes:
        held = self._plain.get(row.digest)
        if held is not None:
            return held
        base = None
        if row.base:
            parts = [
                memoryview(self._plain[table[part.row].digest])[part.start : part.stop]
                for part in row.base
            ]
            base = parts[0] if len(parts) == 1 else b"".join(parts)
        key = pack_key(row.pack)
        where = f"the chunk {row.digest} at bytes {row.start} to {row.start + row.stored}"
        try:
            plain = decode(row.codec, self._fetched[place_of(row)], size=row.size, base=base)
        except CorruptionError as cause:
            raise CorruptionError(key, f"{where} does not decode ({cause.reason})") from cause
        found = Digest.of(plain)
        if found != row.digest:
            raise CorruptionError(key, f"{where} decodes to {found}")
        if self._cache:
            self._cache.put(row.digest, plain)
        return plain


def place_of(row: Row) -> Place:
    """Where the payload of *row* lies."""
    return Place(row.pack, row.start, row.start + row.stored)


def closure(rows: Iterable[Row], table: Sequence[Row]) -> list[Row]:
    """*rows* and all that they need to decode, each once."""
    found: dict[Digest, Row] = {}
    waiting = list(rows)
    while waiting:
        row = waiting.pop()
        if row.digest not in found:
            found[row.digest] = row
            waiting.extend(table[part.row] for part in row.base)
    return list(found.values())


def _args(read: Span) -> tuple[str, int, int]:
    return read.key, read.start, read.stop


def _containing(reads: list[Span], span: Span) -> Span:
    low, high = 0, len(reads)
    while low < high:  # the last read that does not start behind the span
        middle = (low + high) // 2
        if (reads[middle].key, reads[middle].start) <= (span.key, span.start):
            low = middle + 1
        else:
            high = middle
    return reads[low - 1]
