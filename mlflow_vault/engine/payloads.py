"""Rows to plain bytes: fetches payloads in few reads, decodes them, verifies every digest.

Both ways use it: a reader for the chunks of a file, a writer for the bases of its deltas.  What
the cache has is not fetched; a chunk that is stored whole is not decoded again, either.  Where the
cache is wrong the store is asked.
Memory is bounded by whoever asks: it holds what was prefetched until told to forget.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import Future
from threading import Lock
from typing import TYPE_CHECKING, Final, NamedTuple

from mlflow_vault.config import MIB
from mlflow_vault.decide.reads import Span, plan_reads
from mlflow_vault.errors import CorruptionError
from mlflow_vault.format.coding.codec import decode
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.layout import pack_key

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
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
        self._recalled: set[Place] = set()  # of those fetched, what the cache had
        self._plain: dict[Digest, bytes] = {}

    def keep_only(self, digests: set[Digest]) -> None:
        """Let go of all but the decoded chunks named."""
        self._fetched.clear()
        self._recalled.clear()
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
                [row for row in level.values() if row.digest not in self._plain], table
            )
            wanted |= {place_of(row) for row in missing}
            level = {
                needed.digest: needed
                for row in missing
                for needed in (table[part.row] for part in row.base)
            }
        self._get(wanted - self._fetched.keys())

    def _not_cached(self, rows: Sequence[Row], table: Sequence[Row]) -> Sequence[Row]:
        """*rows* without those that the cache has plain; what it has is held from now on."""
        cache = self._cache
        if cache is None:
            return rows

        def look(row: Row) -> tuple[bytes | None, bytes | None]:
            plain = cache.get(row.digest, row.size)
            if plain is not None or not row.base:
                return plain, None
            return None, cache.recall(_payload_name(row, table))

        found = list(zip(rows, self._pool.map(look, rows), strict=True))
        plain = {row.digest: body for row, (body, _) in found if body is not None}
        payloads = {place_of(row): body for row, (_, body) in found if body is not None}
        self._plain |= plain
        self._fetched |= payloads
        self._recalled |= payloads.keys()
        return [row for row in rows if row.digest not in plain]

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
        """Return the plain bytes of *rows*, and hold them: see `begin`."""
        missing = [row for row in rows if row.digest not in self._plain]
        for row, decoding in zip(missing, self.begin(missing, table), strict=True):
            self._plain[row.digest] = decoding.result()
        return [self._plain[row.digest] for row in rows]

    def begin(self, rows: Sequence[Row], table: Sequence[Row]) -> list[Future[bytes]]:
        """Begin to decode *rows*, whose bases are indexes into *table*; return what each will be.

        They must have been fetched.  A result raises `CorruptionError` where a payload does not
        decode to what its digest names.
        """
        decoding = _Decoding(table, rows)
        return [self._pool.submit(self._decode, row, decoding) for row in rows]

    def _decode(self, row: Row, decoding: _Decoding) -> bytes:
        held = self._plain.get(row.digest)
        return held if held is not None else decoding.once(row, self._decode_anew)

    def _decode_anew(self, row: Row, decoding: _Decoding) -> bytes:
        base: bytes | memoryview | None = None
        if row.base:
            table = decoding.table
            parts = [
                memoryview(self._decode(table[part.row], decoding))[part.start : part.stop]
                for part in row.base
            ]
            base = parts[0] if len(parts) == 1 else b"".join(parts)
        place = place_of(row)
        payload = self._fetched[place]
        try:
            plain = _checked(row, payload, base)
        except CorruptionError:
            if place not in self._recalled:
                raise
            self._recalled.discard(place)  # a cache is never believed: the store is asked
            payload = self._store.get(pack_key(place.pack), place.start, place.stop)
            plain = _checked(row, payload, base)
        if self._cache:
            self._keep(self._cache, row, decoding.table, payload, plain)
        return plain

    def _keep(
        self, cache: Cache, row: Row, table: Sequence[Row], payload: bytes, plain: bytes
    ) -> None:
        """Keep an anchor plain, a delta as it is stored until it is needed once more."""
        if not row.base:
            cache.put(row.digest, plain)
        elif place_of(row) in self._recalled:
            cache.put(row.digest, plain)
            cache.drop(_payload_name(row, table))
        else:
            cache.note(_payload_name(row, table), payload)


class _Decoding:
    """Decoding some rows of one table: what several of them need is decoded once, and held.

    Nearly always each has a base of its own, which is let go of as soon as it was used.  Rows link
    only to rows before them, so threads that wait for each other's never wait in a circle.
    """

    def __init__(self, table: Sequence[Row], rows: Sequence[Row]) -> None:
        self.table = table
        uses = Counter(row.digest for row in rows)
        for row in closure(rows, table):
            uses.update({table[part.row].digest for part in row.base})
        self._shared = {digest for digest, count in uses.items() if count > 1}
        self._found: dict[Digest, Future[bytes]] = {}
        self._lock = Lock()

    def once(self, row: Row, decode_row: Callable[[Row, _Decoding], bytes]) -> bytes:
        """Return what *decode_row* returned for *row*, or let it be called."""
        if row.digest not in self._shared:
            return decode_row(row, self)
        with self._lock:
            found = self._found.get(row.digest)
            mine = found is None
            if found is None:
                found = self._found[row.digest] = Future()
        if mine:
            try:
                found.set_result(decode_row(row, self))
            except BaseException as error:  # noqa: BLE001 - raised to all who wait, us among them
                found.set_exception(error)
        return found.result()


def _checked(row: Row, payload: bytes, base: bytes | memoryview | None) -> bytes:
    """Decode *payload* to the chunk that *row* names."""
    key = pack_key(row.pack)
    where = f"the chunk {row.digest} at bytes {row.start} to {row.start + row.stored}"
    try:
        plain = decode(row.codec, payload, size=row.size, base=base)
    except CorruptionError as cause:
        raise CorruptionError(key, f"{where} does not decode ({cause.reason})") from cause
    found = Digest.of(plain)
    if found != row.digest:
        raise CorruptionError(key, f"{where} decodes to {found}")
    return plain


def _payload_name(row: Row, table: Sequence[Row]) -> Digest:
    """Name the payload of a delta for the cache: what it decodes to, and against what."""
    bases = ((table[part.row].digest.raw, part.start, part.stop) for part in row.base)
    return Digest.of(repr((row.digest.raw, row.codec, *bases)).encode())


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
