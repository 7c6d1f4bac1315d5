"""Which bytes of two tensors must be read to compare them, and in which order.

Chunks lie on a grid that starts with the tensor, so a chunk of one digest at one offset is the same
bytes, and nobody need read them.  What is left is cut into steps of whole numbers.  Both files are
read as one sequence of chunks, in lockstep, so that a base that both need is fetched once and
no more than a window of either is held:

    before   [ a ][ b ][ c ]      differs: b, c       sequence   b b' c c'
    after    [ a ][ b'][ c']                          steps      (b, b') (c, c')

A file that lies in its entry is there already: its bytes are a slot of their own.

Pure: decides only.  `govern.diff.comparing` reads.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING, Final, NamedTuple

from mlflow_vault.config import GRID
from mlflow_vault.errors import CorruptionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlflow_vault.decide.pairs import Place
    from mlflow_vault.format.digest import Digest
    from mlflow_vault.format.entry import Entry
    from mlflow_vault.format.rows import Row

INLINE_BEFORE: Final = -1  # slots of bytes that lie in an entry
INLINE_AFTER: Final = -2


class Stretch(NamedTuple):
    """Bytes ``[start, stop)`` of a tensor, counted from its own start."""

    start: int
    stop: int


class Cut(NamedTuple):
    """Bytes ``[start, stop)`` of the chunk in *slot* of a plan's sequence."""

    slot: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Step:
    """What is compared at once.

    Attributes:
        index: Of the pair of tensors, as the caller counts them.
        before: Where the bytes are in the first file, in order.
        after: Where they are in the second; empty where they are known to be the same.
    """

    index: int
    before: tuple[Cut, ...]
    after: tuple[Cut, ...]

    @property
    def slots(self) -> set[int]:
        """The slots it needs."""
        return {cut.slot for cut in (*self.before, *self.after)}


@dataclass(frozen=True, slots=True)
class Task:
    """A pair of tensors whose bytes are to be compared.

    Attributes:
        index: Of the pair, as the caller counts them.
        before: The tensor in the first file.
        after: The tensor in the second, of the same size.
        width: Bytes of one number, which no step cuts in two.
        whole: Whether what is known to be the same is read too, once.
    """

    index: int
    before: Place
    after: Place
    width: int
    whole: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What to read of two files.

    Attributes:
        rows: Those of both, each chunk once; a row links only to rows before it.
        sequence: Indexes of rows, in the order in which they are needed.
        steps: What to do with them; each needs slots of its own and of the step before.
    """

    rows: tuple[Row, ...]
    sequence: tuple[int, ...]
    steps: tuple[Step, ...]


class Chunks:
    """Where the chunks of one file lie."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self._rows = [] if entry.inline is not None else [entry.rows[i] for i in entry.sequence]
        sizes = [row.size for row in self._rows] or [entry.size]
        self._stops = list(accumulate(sizes))

    def digest(self, position: int) -> Digest:
        """The digest of the chunk at *position* of the sequence."""
        return self._rows[position].digest if self._rows else self.entry.digest

    def under(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Yield the chunks under bytes ``[start, stop)`` of the file.

        Yields:
            Position in the sequence, and where the chunk starts and stops in the file.
        """
        position = bisect_right(self._stops, start)
        while position < len(self._stops) and start < stop:
            begin = self._stops[position - 1] if position else 0
            yield position, begin, self._stops[position]
            start = self._stops[position]
            position += 1

    def shared(self, digests: frozenset[Digest]) -> int:
        """Bytes of the file whose chunks are among *digests*."""
        return sum(row.size for row in self._rows if row.digest in digests)


def differing(task: Task, before: Chunks, after: Chunks) -> list[Stretch]:
    """Where two tensors may differ, by their chunks alone.

    Returns:
        Stretches of whole numbers, apart from each other; none if both are the same.
    """
    size = task.before.size
    first, second = task.before.tensor.start, task.after.tensor.start
    ours = _relative(before.under(first, task.before.tensor.stop), first)
    theirs = _relative(after.under(second, task.after.tensor.stop), second)
    found: list[Stretch] = []
    at = 0
    mine, other = next(ours), next(theirs)
    while at < size:
        stop = min(mine[2], other[2], size)
        same = mine[1] == other[1] and before.digest(mine[0]) == after.digest(other[0])
        if not same:
            _append(found, at // task.width * task.width, -(-stop // task.width) * task.width)
        at = stop
        if at < size and mine[2] == at:
            mine = next(ours)
        if at < size and other[2] == at:
            other = next(theirs)
    return found


class Planner:
    """Collects what is to be read of one pair of files."""

    def __init__(self, before: Chunks, after: Chunks) -> None:
        self._sides = (before, after)
        self._rows: list[Row] = []
        self._held: dict[Digest, int] = {}
        self._sequence: list[int] = []
        self._steps: list[Step] = []
        self._latest: tuple[dict[int, int], dict[int, int]] = ({}, {})  # positions and slots

    def add(self, task: Task, stretches: Iterable[Stretch]) -> None:
        """Plan to compare *stretches* of one pair of tensors.

        Raises:
            CorruptionError: The entries contradict each other.
        """
        at = 0
        for stretch in stretches:
            if task.whole:
                self._add(task, Stretch(at, stretch.start), same=True)
            self._add(task, stretch, same=False)
            at = stretch.stop
        if task.whole:
            self._add(task, Stretch(at, task.before.size), same=True)

    def plan(self) -> Plan:
        """Return all that was collected."""
        return Plan(tuple(self._rows), tuple(self._sequence), tuple(self._steps))

    def _add(self, task: Task, stretch: Stretch, *, same: bool) -> None:
        for start in range(stretch.start, stretch.stop, GRID):
            piece = Stretch(start, min(start + GRID, stretch.stop))
            before = self._cuts(0, task.before, piece)
            after = () if same else self._cuts(1, task.after, piece)
            if same:
                self._latest[1].clear()
            self._steps.append(Step(task.index, before, after))

    def _cuts(self, side: int, place: Place, piece: Stretch) -> tuple[Cut, ...]:
        """Find *piece* of a tensor, and queue the chunks that are not at hand."""
        chunks = self._sides[side]
        start, stop = place.tensor.start + piece.start, place.tensor.start + piece.stop
        if chunks.entry.inline is not None:
            return (Cut((INLINE_BEFORE, INLINE_AFTER)[side], start, stop),)
        cuts = []
        slots: dict[int, int] = {}
        for position, begin, end in chunks.under(start, stop):
            slot = self._latest[side].get(position)
            if slot is None:
                slot = len(self._sequence)
                self._sequence.append(self._number(chunks.entry, chunks.entry.sequence[position]))
            slots[position] = slot
            cuts.append(Cut(slot, max(start, begin) - begin, min(stop, end) - begin))
        self._latest[side].clear()
        self._latest[side].update(slots)
        return tuple(cuts)

    def _number(self, entry: Entry, index: int) -> int:
        """Return the number of a row of *entry* in the one table of both.

        Raises:
            CorruptionError: Both entries have the chunk, and tell different sizes.
        """
        row = entry.rows[index]
        number = self._held.get(row.digest)
        if number is None:
            parts = (replace(part, row=self._number(entry, part.row)) for part in row.base)
            row = replace(row, base=tuple(parts))
            number = self._held[row.digest] = len(self._rows)
            self._rows.append(row)
        elif self._rows[number].size != row.size:
            raise CorruptionError(entry.path, f"it tells another size of chunk {row.digest}")
        return number


def _relative(
    chunks: Iterable[tuple[int, int, int]], origin: int
) -> Iterator[tuple[int, int, int]]:
    for position, start, stop in chunks:
        yield position, start - origin, stop - origin


def _append(found: list[Stretch], start: int, stop: int) -> None:
    if found and found[-1].stop >= start:
        found[-1] = Stretch(found[-1].start, stop)
    else:
        found.append(Stretch(start, stop))
