"""Reads what differs between the tensors of two versions, and measures it.

For each pair of files that share open questions there is one plan and one stream of chunks, both
files in lockstep: what both need is fetched and decoded once, and a window is held, not a file.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from mlflow_vault.decide.differences import Change
from mlflow_vault.decide.stretches import (
    INLINE_AFTER,
    INLINE_BEFORE,
    Chunks,
    Planner,
    Task,
    differing,
)
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.entry import Entry
from mlflow_vault.govern.diff.changes import TensorChange
from mlflow_vault.govern.diff.measures import Measure
from mlflow_vault.govern.diff.readings import SAFETENSORS, is_ambiguous, reading_of, told_types

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mlflow_vault.decide.pairs import Pair, Place
    from mlflow_vault.decide.stretches import Cut, Plan, Stretch
    from mlflow_vault.engine.reader import Reader
    from mlflow_vault.govern.diff.readings import Reading


@dataclass(frozen=True, slots=True)
class Effort:
    """How closely tensors are looked at.

    Attributes:
        tensors: Whether bytes are read at all.  If not, tensors whose chunks differ are "unread":
            small ones share a chunk with others, so that need not mean that they changed.
        whole: Whether norms and cosine of changed tensors are over all their numbers, for which
            they are read from end to end, and not over the changed ones alone.
        limit: Plain bytes that may be read; tensors for which that is too little are "unread".
            None for all.  A few chunks that repeat make a file of any size, so whoever compares
            what strangers wrote sets one.
    """

    tensors: bool = True
    whole: bool = False
    limit: int | None = None


class Comparison:
    """What is compared, and with how much effort.

    Args:
        before: Entries of the first version, by path.
        after: Entries of the second.
        reader: Of the vault that holds both.
        effort: How much may be read.
    """

    def __init__(
        self,
        before: Mapping[str, Entry],
        after: Mapping[str, Entry],
        reader: Reader,
        effort: Effort,
    ) -> None:
        self._sides = (before, after)
        self._reader = reader
        self._effort = effort
        self._left = effort.limit
        self._types = cache(self._read_types)
        self._chunks = cache(lambda side, path: Chunks(self._sides[side][path]))

    def changes(self, pairs: Iterable[Pair]) -> list[TensorChange]:
        """Say what became of each of *pairs*, in any order.

        Raises:
            CorruptionError: A chunk is damaged, or entries contradict each other.
            NotFoundError: A pack is gone.
            StorageError: The store failed.
        """
        found: list[TensorChange] = []
        left: dict[tuple[str, str], list[tuple[Place, Place]]] = defaultdict(list)
        for pair in pairs:
            change, reason = pair.verdict
            if change:
                found.append(TensorChange(change, pair.before, pair.after, reason=reason))
            elif pair.before and pair.after:
                left[pair.before.path, pair.after.path].append((pair.before, pair.after))
        for (old, new), both in left.items():
            found += self._compare(old, new, both)
        return found

    def _compare(
        self, old: str, new: str, both: Sequence[tuple[Place, Place]]
    ) -> Iterator[TensorChange]:
        """Compare tensors *both* of which lie in the files *old* and *new*."""
        chunks = self._chunks(0, old), self._chunks(1, new)
        planner = Planner(*chunks)
        measures: dict[int, Measure] = {}
        for index, (before, after) in enumerate(both):
            # A type that a header names is as wide as its element.
            width = reading_of(before.tensor.element).width
            task = Task(index, before, after, width, self._effort.whole)
            stretches = differing(task, *chunks)
            if not stretches:
                yield TensorChange(Change.UNCHANGED, before, after)
                continue
            if not self._affords(task, stretches):
                yield TensorChange(Change.UNREAD, before, after)
                continue
            reading = self._reading(0, before)
            if reading != self._reading(1, after):
                yield TensorChange(Change.RETYPED, before, after)
                continue
            measures[index] = Measure(reading, before.size, whole=task.whole)
            planner.add(task, stretches)
        plan = planner.plan()
        if plan.steps:
            inline = {INLINE_BEFORE: self._inline(0, old), INLINE_AFTER: self._inline(1, new)}
            path = old if old == new else f"{old} or {new}"
            for index, old_bytes, new_bytes in self._read(plan, path, inline):
                measures[index].add(old_bytes, new_bytes)
        for index, measure in measures.items():
            numbers = measure.numbers
            if numbers.changed:
                yield TensorChange(Change.CHANGED, *both[index], numbers=numbers)
            else:
                yield TensorChange(Change.UNCHANGED, *both[index])

    def _affords(self, task: Task, stretches: Sequence[Stretch]) -> bool:
        """Whether *stretches* may be read; if so they are taken from what may be."""
        if not self._effort.tensors:
            return False
        if self._left is None:
            return True
        wanted = sum(stretch.stop - stretch.start for stretch in stretches)
        needed = wanted + (task.before.size if task.whole else wanted)
        if needed > self._left:
            return False
        self._left -= needed
        return True

    def _reading(self, side: int, place: Place) -> Reading:
        """How to read a tensor of one side."""
        element = place.tensor.element
        if not is_ambiguous(element):
            return reading_of(element)
        return reading_of(element, self._types(side, place.path).get(place.tensor.name, ""))

    def _read_types(self, side: int, path: str) -> dict[str, str]:
        """The types that a file names, if it is one that does."""
        entry = self._sides[side][path]
        if entry.inline is None and entry.parser != SAFETENSORS:
            return {}
        return told_types(lambda start, stop: b"".join(self._reader.pieces(entry, start, stop)))

    def _inline(self, side: int, path: str) -> bytes:
        """The bytes of a file that lies in its entry, verified; nothing for another."""
        entry = self._sides[side][path]
        return b"" if entry.inline is None else b"".join(self._reader.pieces(entry))

    def _read(
        self, plan: Plan, path: str, inline: Mapping[int, bytes]
    ) -> Iterator[tuple[int, bytes, bytes]]:
        """Yield for each step of *plan* its pair of tensors and the bytes of both."""
        sizes = [plan.rows[number].size for number in plan.sequence]
        joint = Entry(
            path=path,
            size=sum(sizes),
            digest=Digest.of(b""),  # not that of any file: what is read are chunks
            sha256=b"",
            rows=plan.rows,
            sequence=plan.sequence,
        )
        pieces = self._reader.pieces(joint)
        coming = _recut(pieces, sizes)
        held: dict[int, bytes] = {}
        for step in plan.steps:
            slots = step.slots - inline.keys()
            held = {slot: chunk for slot, chunk in held.items() if slot in slots}
            held |= {slot: next(coming) for slot in sorted(slots - held.keys())}
            old = _joined(step.before, held, inline)
            yield step.index, old, _joined(step.after, held, inline) if step.after else old
        for _ in pieces:
            pass  # nothing is left; this is how its threads end here


def _joined(cuts: Sequence[Cut], held: Mapping[int, bytes], inline: Mapping[int, bytes]) -> bytes:
    """Put the bytes of *cuts* together."""
    found = [
        (inline[cut.slot] if cut.slot in inline else held[cut.slot])[cut.start : cut.stop]
        for cut in cuts
    ]
    return found[0] if len(found) == 1 else b"".join(found)


def _recut(pieces: Iterable[bytes], sizes: Iterable[int]) -> Iterator[bytes]:
    """Cut the bytes of *pieces* into runs of *sizes*, which is how they come already."""
    coming = iter(pieces)
    rest = b""
    for size in sizes:
        while len(rest) < size:
            rest += next(coming)
        yield rest[:size]
        rest = rest[size:]
