"""What is planned to be read tells every difference, and no chunk is read that tells none."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_vault.config import GRID
from mlflow_vault.decide.pairs import Place
from mlflow_vault.decide.stretches import (
    INLINE_AFTER,
    INLINE_BEFORE,
    Chunks,
    Plan,
    Planner,
    Stretch,
    Task,
    differing,
)
from mlflow_vault.errors import CorruptionError
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.entry import Entry
from mlflow_vault.format.rows import Part, Row, Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH = 4


@dataclass(frozen=True, slots=True)
class Held:
    """A file with one tensor, cut somewhere or lying in its entry."""

    plain: bytes
    start: int
    stop: int
    cuts: tuple[int, ...] | None  # None: inline

    @property
    def entry(self) -> Entry:
        """What a vault would know of it."""
        digest = Digest.of(self.plain)
        if self.cuts is None:
            return Entry("m", len(self.plain), digest, b"", inline=self.plain)
        bounds = [0, *self.cuts, len(self.plain)]
        chunks = [self.plain[a:b] for a, b in pairwise(bounds)]
        names = list(dict.fromkeys(chunks))
        rows = tuple(Row(Digest.of(one), len(one), 0, bytes(16), 0, len(one)) for one in names)
        sequence = tuple(names.index(one) for one in chunks)
        return Entry("m", len(self.plain), digest, b"", rows=rows, sequence=sequence)

    @property
    def place(self) -> Place:
        """Where its tensor lies."""
        return Place("m", Tensor("w", None, (), self.start, self.stop, None, 0, 0))


@st.composite
def sides(draw: st.DrawFn) -> tuple[Held, Held]:
    """Two files whose tensors are of one size."""
    size = draw(st.integers(1, 10)) * WIDTH
    body = st.lists(st.sampled_from(b"ab"), min_size=size, max_size=size).map(bytes)
    old = draw(body)
    new = draw(st.one_of(body, st.just(old)))
    return _held(draw, old), _held(draw, new)


def _held(draw: st.DrawFn, tensor: bytes) -> Held:
    head, tail = (draw(st.binary(max_size=6)) for _ in range(2))
    plain = head + tensor + tail
    positions = st.lists(st.integers(1, max(1, len(plain) - 1)), max_size=8, unique=True)
    cuts = draw(st.none() | positions.map(lambda found: tuple(sorted(found))))
    return Held(plain, len(head), len(head) + len(tensor), cuts)


def read(plan: Plan, chunks: dict[Digest, bytes], inline: dict[int, bytes]) -> list[list[bytes]]:
    """Follow *plan* as a reader does, which holds chunks of this step and the one before."""
    taken, held, found = 0, dict[int, bytes](), []
    for step in plan.steps:
        slots = step.slots - inline.keys()
        held = {slot: chunk for slot, chunk in held.items() if slot in slots}
        for slot in sorted(slots - held.keys()):
            assert slot == taken, "a slot is neither at hand nor next"
            held[slot] = chunks[plan.rows[plan.sequence[slot]].digest]
            taken += 1
        pool = held | inline
        found.append(
            [
                b"".join(pool[cut.slot][cut.start : cut.stop] for cut in cuts)
                for cuts in (step.before, step.after)
            ]
        )
    assert taken == len(plan.sequence)
    return found


def chunks_of(*files: Held) -> dict[Digest, bytes]:
    """The chunks of *files* by their digests."""
    found = {}
    for file in files:
        entry, at = file.entry, 0
        for index in entry.sequence:
            row = entry.rows[index]
            found[row.digest] = file.plain[at : at + row.size]
            at += row.size
    return found


def planned(old: Held, new: Held, *, whole: bool = False) -> tuple[list[Stretch], Plan]:
    """The stretches that may differ, and the plan to read them."""
    chunks = Chunks(old.entry), Chunks(new.entry)
    task = Task(0, old.place, new.place, WIDTH, whole)
    stretches = differing(task, *chunks)
    planner = Planner(*chunks)
    planner.add(task, stretches)
    return stretches, planner.plan()


@given(both=sides())
def test_all_that_differs(both: tuple[Held, Held]) -> None:
    """Outside the stretches both tensors are the same, and steps give the bytes inside them."""
    old, new = both
    before, after = old.plain[old.start : old.stop], new.plain[new.start : new.stop]
    inline = {INLINE_BEFORE: old.plain, INLINE_AFTER: new.plain}

    stretches, plan = planned(old, new)

    same = bytearray(before)
    for stretch in stretches:
        assert 0 <= stretch.start < stretch.stop <= len(before)
        assert stretch.start % WIDTH == stretch.stop % WIDTH == 0
        same[stretch.start : stretch.stop] = after[stretch.start : stretch.stop]
    assert same == after
    expected = [[side[s.start : s.stop] for side in (before, after)] for s in stretches]
    assert read(plan, chunks_of(old, new), inline) == expected


@given(both=sides())
def test_whole(both: tuple[Held, Held]) -> None:
    """Read whole, both tensors come in order; what is the same comes once."""
    old, new = both
    inline = {INLINE_BEFORE: old.plain, INLINE_AFTER: new.plain}

    _, plan = planned(old, new, whole=True)

    steps = read(plan, chunks_of(old, new), inline)
    assert b"".join(before for before, _ in steps) == old.plain[old.start : old.stop]
    assert b"".join(after or before for before, after in steps) == new.plain[new.start : new.stop]


def test_equal_chunks() -> None:
    """Of tensors on the grid only chunks that differ are read, wherever the tensors lie."""
    old = Held(b"head" + b"aaaabbbbcccc", 4, 16, (4, 8, 12))
    new = Held(b"a longer head" + b"aaaaBBBBcccc", 13, 25, (13, 17, 21))

    stretches, plan = planned(old, new)

    assert stretches == [Stretch(4, 8)]
    assert [plan.rows[index].digest for index in plan.sequence] == [
        Digest.of(b"bbbb"),
        Digest.of(b"BBBB"),
    ]


def test_equal_chunks_elsewhere() -> None:
    """A chunk that both tensors have at other offsets is not the same bytes."""
    old = Held(b"aaaabbbb", 0, 8, (4,))
    new = Held(b"bbbbaaaa", 0, 8, (4,))

    assert planned(old, new)[0] == [Stretch(0, 8)]


def test_steps() -> None:
    """No step is larger than the grid, so that memory is bounded."""
    size = 3 * GRID + WIDTH
    old, new = (Held(letter * size, 0, size, None) for letter in (b"a", b"b"))

    _, plan = planned(old, new)

    sizes = [sum(cut.stop - cut.start for cut in step.before) for step in plan.steps]
    assert sizes == [GRID, GRID, GRID, WIDTH]


def test_bases_once() -> None:
    """A base that the other file has as a chunk is one row of the plan."""
    anchor, delta = (Digest.of(name) for name in (b"anchor", b"delta"))
    whole = Row(anchor, 8, 0, bytes(16), 0, 8)
    coded = Row(delta, 8, 3, bytes(16), 8, 2, (Part(1, 0, 8),))
    other = Row(Digest.of(b"other"), 8, 0, bytes(16), 10, 8)
    place = Place("m", Tensor("w", None, (), 0, 8, None, 0, 0))
    old = Entry("m", 8, anchor, b"", rows=(whole,), sequence=(0,))
    new = Entry("m", 8, delta, b"", rows=(other, whole, coded), sequence=(2,))
    planner = Planner(Chunks(old), Chunks(new))

    planner.add(Task(0, place, place, WIDTH, whole=False), [Stretch(0, 8)])

    plan = planner.plan()
    assert [row.digest for row in plan.rows] == [anchor, delta]
    assert plan.rows[1].base == (Part(0, 0, 8),)
    assert plan.sequence == (0, 1)


def test_contradiction() -> None:
    """Entries that tell different sizes of one chunk are damaged."""
    digest = Digest.of(b"chunk")
    sized: Sequence[Entry] = [
        Entry("m", n, digest, b"", rows=(Row(digest, n, 0, bytes(16), 0, n),), sequence=(0,))
        for n in (8, 12)
    ]
    place = Place("m", Tensor("w", None, (), 4, 8, None, 0, 0))
    planner = Planner(*map(Chunks, sized))

    with pytest.raises(CorruptionError):
        planner.add(Task(0, place, place, WIDTH, whole=False), [Stretch(0, 4)])
