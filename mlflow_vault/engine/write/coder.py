"""Codes the chunks of one file: known ones are named again, new ones packed, as deltas if it pays.

For each window of chunks:

    digest all -> which are known? -> bases of the others, fetched in few reads, a window ahead
               -> encode, decode again and compare -> pack, in order

Every choice is made by `decide.bases`; this module fetches what it asks for and does what
it says.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from mlflow_vault.decide.bases import DEEPEST, Base, Relative, inherited, pays, starts_over
from mlflow_vault.engine.payloads import Payloads, closure
from mlflow_vault.engine.write.encoding import Course, NewChunk, delta, encode
from mlflow_vault.engine.write.table import Table
from mlflow_vault.engine.write.window import Window, fetch_ahead, read_bases
from mlflow_vault.format.coding.codec import estimate_whole
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.pack import Link, Record
from mlflow_vault.format.rows import Part, Row, Tensor

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mlflow_vault.engine.write.cutting import Chunk
    from mlflow_vault.engine.write.shelf import Shelf


class FileCoder:
    """Turns the chunks of one file into rows."""

    def __init__(
        self, shelf: Shelf, relatives: Sequence[Relative], tensors: Sequence[Tensor]
    ) -> None:
        self.table = Table()
        self._shelf = shelf
        self._relatives = relatives
        self._courses = [Course(tensor) for tensor in tensors]
        self._matches = [relative.match(tensors) for relative in relatives]
        self._asked: set[bytes] = set()  # packs of which the transaction knows, or will soon
        self._shift = 0  # how far content-cut bytes lie behind those of the first relative

    def code(self, windows: Iterable[Sequence[Chunk]]) -> Iterator[Window]:
        """Append the chunks of *windows* to the file; yield each window when that is done.

        While one is encoded the next is read, hashed, and its bases are fetched and decoded.  Where
        they are waited for, one more is: then a link is the limit, and is not to be idle.
        """
        source = iter(windows)
        coming: deque[Window] = deque()
        held: Window | None = None
        while True:
            if not coming:
                coming.extend(self._expect(chunks) for chunks in islice(source, 1))
            if held:
                self._finish(held)
            following = coming.popleft() if coming else None
            if following:
                if not following.expected.done():
                    coming.extend(self._expect(chunks) for chunks in islice(source, 1))
                self._begin(following)
            if held:
                yield held
            held = following
            if not held:
                return

    def _expect(self, chunks: Sequence[Chunk]) -> Window:
        shelf = self._shelf
        # Not by the pool, which is busy with the window before.
        digests = [Digest.of(chunk.plain) for chunk in chunks]
        payloads = Payloads(shelf.store, shelf.pool, shelf.readers, shelf.cache)
        bases = [
            self._likely_base(chunk)
            for chunk, digest in zip(chunks, digests, strict=True)
            if not any(digest in relative.held for relative in self._relatives)
        ]
        likely = [base for base in bases if base]
        needed = [(base.rows, base.table) for base in likely]
        for relative in self._relatives:
            held = [relative.held[digest] for digest in digests if digest in relative.held]
            needed.append((tuple(held), relative.entry.rows))
        packs = {row.pack for rows, table in needed for row in closure(rows, table)}
        for pack in packs - self._asked:
            shelf.readers.submit(shelf.transaction.may_reuse, pack)
            self._asked.add(pack)
        return Window(chunks, digests, payloads, fetch_ahead(likely, payloads, shelf.readers))

    def _likely_base(self, chunk: Chunk) -> Base | None:
        if chunk.array is None:
            return self._behind(chunk)
        course = self._courses[chunk.array]
        for relative, matches in zip(self._relatives, self._matches, strict=True):
            theirs = matches[chunk.array]
            if theirs and not course.whole and course.relative in (relative, None):
                return relative.tensor_base(course.tensor, theirs, chunk.start, chunk.stop)
        return None

    def _begin(self, window: Window) -> None:
        """Choose how the chunks of *window* are coded, and let that begin."""
        window.expected.result()
        new: dict[Digest, NewChunk] = {}
        for chunk, digest in zip(window.chunks, window.digests, strict=True):
            course = None if chunk.array is None else self._courses[chunk.array]
            if digest in new:
                continue
            if self._recall(digest):
                self._synchronise(chunk, digest)
                continue
            new[digest] = NewChunk(chunk, digest, course, self._content_base(chunk))
        window.fresh.extend(new.values())
        self._choose_bases(window.fresh, window.payloads)
        window.payloads.keep_only(set())
        self._encode(window.fresh)

    def _finish(self, window: Window) -> None:
        """Append the chunks of *window*, which are being coded."""
        self._start_over(window.fresh, window.chunks)
        for item in window.fresh:
            self._store(item)
        fresh = {item.digest for item in window.fresh}
        for chunk, digest in zip(window.chunks, window.digests, strict=True):
            index = self.table.index_of(digest)
            assert index is not None  # noqa: S101 - every chunk is known or was stored
            self.table.sequence.append(index)
            if chunk.array is not None:
                course = self._courses[chunk.array]
                course.stored += self.table.rows[index].stored
                course.fresh += self.table.rows[index].stored if digest in fresh else 0

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
        return self._allowed(self._relatives[0], self._behind(chunk))

    def _behind(self, chunk: Chunk) -> Base | None:
        """What lies in the first relative where *chunk*, which lies in no array, lies here."""
        if not self._relatives:
            return None
        start = max(chunk.start + self._shift, 0)
        return self._relatives[0].content_base(start, start + len(chunk.plain))

    def _allowed(self, relative: Relative, base: Base | None) -> Base | None:
        """*base*, if its packs may be named by new entries."""
        if base and all(self._may_reuse(row, relative.entry.rows) for row in base.rows):
            return base
        return None

    def _choose_bases(self, fresh: Sequence[NewChunk], payloads: Payloads) -> None:
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
            tensors: dict[int, list[NewChunk]] = {}
            for item in choosing:
                theirs = None if item.chunk.array is None else matches[item.chunk.array]
                item.base = self._tensor_base(relative, theirs, item) if theirs else None
                item.tried = None
                tensors.setdefault(item.chunk.array or 0, []).append(item)
            read_bases([*reading, *choosing], payloads)
            helped = self._shelf.pool.map(_helps, tensors.values())
            for (array, items), alone in zip(tensors.items(), helped, strict=True):
                course = items[0].course
                if course and alone is not None:
                    course.whole, course.alone = False, alone
                    course.relative, course.theirs = relative, matches[array]
            choosing = [item for item in choosing if item.course and item.course.whole is None]
            reading = []
        for item in choosing:
            item.base = None
            if item.course:
                item.course.whole = True
        read_bases(reading, payloads)

    def _tensor_base(self, relative: Relative, theirs: Tensor, item: NewChunk) -> Base | None:
        assert item.course is not None  # noqa: S101 - the caller has one
        chunk = item.chunk
        base = relative.tensor_base(item.course.tensor, theirs, chunk.start, chunk.stop)
        return self._allowed(relative, base)

    def _encode(self, fresh: Sequence[NewChunk]) -> None:
        for item in fresh:
            item.coding = self._shelf.pool.submit(encode, item)

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
            cost = sum(len(item.coded.payload) for item in items)
            size = course.tensor.stop - course.tensor.start
            past = replace(course.theirs, spent=inherited(course.tensor, course.theirs))
            if starts_over(cost * size / seen[items[0].chunk.array], past):
                course.whole, course.relative = True, None
                for item in items:
                    item.base, item.base_bytes = None, b""
                self._encode(items)

    def _store(self, item: NewChunk) -> None:
        base = item.base if item.coded.codec.needs_base else None
        depth = 1 + max(self.table.depth_of(row, base.table) for row in base.rows) if base else 0
        if depth > DEEPEST:  # this file holds such a base already, deeper than its relative does
            item.base, base, depth = None, None, 0
            self._encode([item])
        coded = item.coded
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


def _helps(items: Sequence[NewChunk]) -> float | None:
    """What the first of a tensor's chunks that its base helps would take alone; None: no chunk."""
    for item in items:
        item.tried = delta(item) if item.base_bytes else None
        if item.tried:
            plain = item.chunk.plain
            alone = estimate_whole(plain, item.element)
            if pays(len(item.tried.payload) / len(plain), alone):
                return alone
    return None
