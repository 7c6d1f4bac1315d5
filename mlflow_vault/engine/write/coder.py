"""Codes the chunks of one file: known ones are named again, new ones packed, as deltas if it pays.

For each window of chunks:

    digest all -> which are known? -> bases of the others, fetched in few reads
               -> encode, decode again and compare -> pack, in order

Every choice is made by `decide.bases`; this module fetches what it asks for and does what
it says.  A base that cannot be read is no base: its chunk is stored whole.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mlflow_vault.decide.bases import DEEPEST, Base, Relative, inherited, pays, starts_over
from mlflow_vault.engine.payloads import Payloads
from mlflow_vault.engine.write.encoding import Course, NewChunk, encode
from mlflow_vault.engine.write.table import Table
from mlflow_vault.errors import StorageError, VaultError
from mlflow_vault.format.coding.codec import estimate_delta, estimate_whole
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.pack import Link, Record
from mlflow_vault.format.rows import Part, Row, Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor

    from mlflow_vault.engine.cache import Cache
    from mlflow_vault.engine.hints import Hints
    from mlflow_vault.engine.write.cutting import Chunk
    from mlflow_vault.engine.write.packer import Packer
    from mlflow_vault.engine.write.transaction import Transaction
    from mlflow_vault.store.protocol import Store

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shelf:
    """What the files of one transaction share: where chunks go, and those that went there."""

    store: Store
    pool: Executor
    readers: Executor
    transaction: Transaction
    packer: Packer
    hints: Hints
    cache: Cache | None
    written: dict[Digest, tuple[Row, Sequence[Row]]] = field(default_factory=dict)


class FileCoder:
    """Turns the chunks of one file into rows."""

    def __init__(
        self, shelf: Shelf, relatives: Sequence[Relative], tensors: Sequence[Tensor]
    ) -> None:
        self.table = Table()
        self._shelf = shelf
        self._relatives = relatives
        self._payloads = Payloads(shelf.store, shelf.pool, shelf.readers, shelf.cache)
        self._courses = [Course(tensor) for tensor in tensors]
        self._matches = [relative.match(tensors) for relative in relatives]
        self._shift = 0  # how far content-cut bytes lie behind those of the first relative

    def code(self, window: Sequence[Chunk]) -> None:
        """Append the chunks of *window* to the file."""
        digests = list(self._shelf.pool.map(lambda chunk: Digest.of(chunk.plain), window))
        new: dict[Digest, NewChunk] = {}
        for chunk, digest in zip(window, digests, strict=True):
            course = None if chunk.array is None else self._courses[chunk.array]
            if digest in new:
                continue
            if self._recall(digest):
                self._synchronise(chunk, digest)
                continue
            new[digest] = NewChunk(chunk, digest, course, self._content_base(chunk))
        fresh = list(new.values())
        self._choose_bases(fresh)
        self._encode(fresh)
        self._start_over(fresh, window)
        for item in fresh:
            self._store(item)
        for chunk, digest in zip(window, digests, strict=True):
            index = self.table.index_of(digest)
            assert index is not None  # noqa: S101 - every chunk is known or was stored
            self.table.sequence.append(index)
            if chunk.array is not None:
                course = self._courses[chunk.array]
                course.stored += self.table.rows[index].stored
                course.fresh += self.table.rows[index].stored if digest in new else 0
        self._payloads.keep_only(set())

    def tensors(self) -> tuple[Tensor, ...]:
        """The tensors of the file, with what their history cost so far."""
        for index, course in enumerate(self._courses):
            if course.whole is None:  # nothing of it was new
                found = (matches[index] for matches in self._matches)
                course.theirs = next((theirs for theirs in found if theirs), None)
        return tuple(course.aged() for course in self._courses)

    def _recall(self, digest: Digest) -> bool:
        """Name a chunk again that this file, this transaction or a relative holds."""
        if self.table.index_of(digest) is not None:
            return True
        known = self._shelf.written.get(digest)
        if known is not None and self.table.depth_of(*known) <= DEEPEST:
            self.table.adopt(*known)
            return True
        for relative in self._relatives:
            row, rows = relative.held.get(digest), relative.entry.rows
            if row is None or self.table.depth_of(row, rows) > DEEPEST:
                continue
            if self._may_reuse(row, rows):
                self.table.adopt(row, rows)
                return True
        return False

    def _may_reuse(self, row: Row, rows: Sequence[Row]) -> bool:
        bases = all(self._may_reuse(rows[part.row], rows) for part in row.base)
        return bases and self._shelf.transaction.may_reuse(row.pack)

    def _synchronise(self, chunk: Chunk, digest: Digest) -> None:
        if chunk.array is None and self._relatives:
            stop = self._relatives[0].place_of(digest)
            if stop is not None:
                self._shift = stop - chunk.stop

    def _content_base(self, chunk: Chunk) -> Base | None:
        if chunk.array is not None or not self._relatives:
            return None
        start = max(chunk.start + self._shift, 0)
        return self._allowed(
            self._relatives[0], self._relatives[0].content_base(start, start + len(chunk.plain))
        )

    def _allowed(self, relative: Relative, base: Base | None) -> Base | None:
        """*base*, if its packs may be named by new entries."""
        if base and all(self._may_reuse(row, relative.entry.rows) for row in base.rows):
            return base
        return None

    def _choose_bases(self, fresh: Sequence[NewChunk]) -> None:
        """Read the base of every chunk that has one; tensors seen first choose their relative.

        The best relative is tried for all tensors at once, so that reads join; the next for
        those that the first does not help.
        """
        reading = [item for item in fresh if item.base]
        choosing: list[NewChunk] = []
        for item in fresh:
            course = item.course
            if course is None or course.whole:
                continue
            if course.relative and course.theirs:
                item.base = self._tensor_base(course.relative, course.theirs, item)
                reading.append(item)
            else:
                choosing.append(item)
        for relative, matches in zip(self._relatives, self._matches, strict=True):
            for item in choosing:
                theirs = None if item.chunk.array is None else matches[item.chunk.array]
                item.base = self._tensor_base(relative, theirs, item) if theirs else None
            self._read_bases([*reading, *choosing])
            for item in choosing:
                if item.course and item.course.whole is None and self._helps(item):
                    item.course.whole = False
                    item.course.relative = relative
                    item.course.theirs = matches[item.chunk.array or 0]
            choosing = [item for item in choosing if item.course and item.course.whole is None]
            reading = []
        for item in choosing:
            item.base = None
            if item.course:
                item.course.whole = True
        self._read_bases(reading)

    def _helps(self, item: NewChunk) -> bool:
        if not item.base or not item.base_bytes:
            return False
        plain, element = item.chunk.plain, item.element
        delta = estimate_delta(plain, item.base_bytes, element, item.base.element)
        return pays(delta, estimate_whole(plain, element))

    def _tensor_base(self, relative: Relative, theirs: Tensor, item: NewChunk) -> Base | None:
        assert item.course is not None  # noqa: S101 - the caller has one
        chunk = item.chunk
        base = relative.tensor_base(item.course.tensor, theirs, chunk.start, chunk.stop)
        return self._allowed(relative, base)

    def _read_bases(self, items: Sequence[NewChunk]) -> None:
        """Fetch and decode the bases of *items*; those that cannot be read are dropped.

        Damage is searched for by halves, so that it costs only the chunks that need it.
        """
        items = [item for item in items if item.base]
        try:
            plain = self._decode([item.base for item in items if item.base])
        except VaultError as cause:
            if len(items) > 1 and not isinstance(cause, StorageError):
                self._read_bases(items[: len(items) // 2])
                self._read_bases(items[len(items) // 2 :])
                return
            _log.warning("a base cannot be read; storing chunks whole", exc_info=True)
            for item in items:
                item.base = None
            return
        for item in items:
            if item.base:
                pieces = [
                    memoryview(plain[row.digest])[part.start : part.stop]
                    for row, part in zip(item.base.rows, item.base.parts, strict=True)
                ]
                item.base_bytes = pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _decode(self, bases: Sequence[Base]) -> dict[Digest, bytes]:
        """The plain bytes of every chunk in *bases*."""
        tables: dict[int, tuple[Sequence[Row], dict[Digest, Row]]] = {}
        for base in bases:
            _, rows = tables.setdefault(id(base.table), (base.table, {}))
            rows.update((row.digest, row) for row in base.rows)
        plain: dict[Digest, bytes] = {}
        for table, rows in tables.values():
            self._payloads.fetch(rows.values(), table)
            decoded = self._payloads.decode_all(list(rows.values()), table)
            plain.update(zip(rows, decoded, strict=True))
        return plain

    def _encode(self, fresh: Sequence[NewChunk]) -> None:
        for item, coded in zip(fresh, self._shelf.pool.map(encode, fresh), strict=True):
            item.coded = coded
            item.uses_base = coded.codec.needs_base

    def _start_over(self, fresh: Sequence[NewChunk], window: Sequence[Chunk]) -> None:
        """Store tensors whole again whose deltas cost more than they did on average.

        A tensor larger than the window is judged by the part that the window shows.
        """
        seen: dict[int | None, int] = {}
        for chunk in window:
            seen[chunk.array] = seen.get(chunk.array, 0) + len(chunk.plain)
        deltas: dict[int, list[NewChunk]] = {}
        for item in fresh:
            if item.course and item.course.theirs and item.course.fresh == 0:
                deltas.setdefault(id(item.course), []).append(item)
        for items in deltas.values():
            course = items[0].course
            assert course is not None  # noqa: S101 - grouped by it
            assert course.theirs is not None  # noqa: S101 - filtered by it
            cost = sum(len(item.coded.payload) for item in items if item.coded)
            size = course.tensor.stop - course.tensor.start
            past = replace(course.theirs, spent=inherited(course.tensor, course.theirs))
            if starts_over(cost * size / seen[items[0].chunk.array], past):
                course.whole, course.relative = True, None
                for item in items:
                    item.base, item.base_bytes = None, b""
                self._encode(items)

    def _store(self, item: NewChunk) -> None:
        base = item.base if item.uses_base else None
        depth = 1 + max(self.table.depth_of(row, base.table) for row in base.rows) if base else 0
        if depth > DEEPEST:  # this file holds such a base already, deeper than its relative does
            item.base, base, depth = None, None, 0
            self._encode([item])
        coded = item.coded
        assert coded is not None  # noqa: S101 - encoded above
        links, parts = [], []
        if base:
            for row, part in zip(base.rows, base.parts, strict=True):
                index = self.table.adopt(row, base.table)
                links.append(Link(row.digest, part.start, part.stop))
                parts.append(Part(index, part.start, part.stop))
        plain = len(item.chunk.plain)
        record = Record(item.digest, plain, coded.codec, depth, tuple(links), coded.payload)
        pack, start = self._shelf.packer.add(record)
        stored = len(coded.payload)
        row = Row(item.digest, plain, coded.codec, pack, start, stored, tuple(parts))
        self.table.add(row)
        self._shelf.written[item.digest] = (row, self.table.rows)
        if self._shelf.cache and not base:  # an anchor: what later versions are coded against
            self._shelf.pool.submit(self._shelf.cache.put, item.digest, item.chunk.plain)
