"""A chunk is coded against the anchors behind the bytes that it continues, and no others."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import assume, given
from hypothesis import strategies as st

from mlflow_vault.config import MAX_BASES
from mlflow_vault.decide.bases import Base, Relative, inherited, pays, starts_over
from mlflow_vault.format.coding.codec import Codec
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.elements import Element
from mlflow_vault.format.entry import Entry
from mlflow_vault.format.rows import Part, Row, Tensor

PACK = bytes(16)


class History:
    """An entry of one tensor, made of chunks stored whole and of deltas against anchors.

    Attributes:
        plain: The bytes of every anchor, by its digest.
        behind: The bytes that deltas of the tensor's bytes are to be made against.
    """

    def __init__(self, wide: int = 1) -> None:
        self.wide = wide
        self.plain: dict[Digest, bytes] = {}
        self.behind = b""
        self._rows: list[Row] = []
        self._sequence: list[int] = []

    def _anchor(self, size: int) -> int:
        serial = len(self._rows)
        plain = bytes((serial * 37 + at) % 251 for at in range(size))
        row = Row(Digest.of(plain + bytes([serial])), size, Codec.RAW, PACK, 0, size)
        self.plain[row.digest] = plain
        self._rows.append(row)
        return serial

    def add_whole(self, size: int) -> None:
        """Add a chunk that was stored whole."""
        index = self._anchor(size)
        self._sequence.append(index)
        self.behind += self.plain[self._rows[index].digest]

    def repeat(self) -> None:
        """Add the last chunk again, as a file of equal chunks would."""
        row = self._rows[self._sequence[-1]]
        self._sequence.append(self._sequence[-1])
        self.behind += self.behind[len(self.behind) - row.size * (self.wide if row.base else 1) :]

    def add_delta(self, sizes: list[int]) -> None:
        """Add a chunk that was coded against parts of as many anchors."""
        parts = []
        for size in sizes:
            index = self._anchor(size * self.wide + 5)
            parts.append(Part(index, 3, 3 + size * self.wide))
            self.behind += self.plain[self._rows[index].digest][3 : 3 + size * self.wide]
        name = Digest.of(b"delta" + bytes([len(self._rows)]))
        self._rows.append(Row(name, sum(sizes), Codec.DELTA, PACK, 0, 9, tuple(parts)))
        self._sequence.append(len(self._rows) - 1)

    def entry(self, tensor: Tensor) -> Entry:
        """The entry of these chunks."""
        size = sum(self._rows[index].size for index in self._sequence)
        return Entry(
            path="a",
            size=size,
            digest=Digest.of(b""),
            sha256=bytes(32),
            tensors=(tensor,),
            rows=tuple(self._rows),
            sequence=tuple(self._sequence),
        )

    def seen(self, base: Base) -> bytes:
        """The bytes that *base* stands for."""
        return b"".join(
            self.plain[row.digest][part.start : part.stop]
            for row, part in zip(base.rows, base.parts, strict=True)
        )


even = st.integers(1, 12).map(lambda half: 4 * half)
steps = st.lists(
    st.one_of(even, st.lists(even, min_size=1, max_size=2), st.none()), min_size=1, max_size=6
)


def _tensor(start: int, stop: int, element: Element, anchor: Element | None = None) -> Tensor:
    return Tensor("w", element, (1,), start, stop, anchor or element, 1, 1)


def _history(chunks: list[int | list[int] | None], wide: int) -> History:
    history = History(wide)
    for step in chunks:
        if isinstance(step, list):
            history.add_delta(step)
        elif step is None and history.behind:
            history.repeat()
        elif step and wide == 1:
            history.add_whole(step)
    return history


@given(chunks=steps, wide=st.sampled_from([1, 2]), shift=even, data=st.data())
def test_tensor_base(
    chunks: list[int | list[int] | None], wide: int, shift: int, data: st.DataObject
) -> None:
    """The base of any span of a tensor is what lies behind that span, wherever the tensor moved."""
    history = _history(chunks, wide)
    size = len(history.behind) // wide
    assume(size)
    anchor = Element.F32 if wide == 2 else Element.BF16
    theirs = _tensor(0, size, Element.BF16, anchor)
    relative = Relative(history.entry(theirs))
    start = data.draw(st.integers(0, size - 1))
    stop = data.draw(st.integers(start + 1, size + 10))  # it may have grown

    base = relative.tensor_base(
        _tensor(shift, shift + size + 10, Element.BF16), theirs, shift + start, shift + stop
    )

    if base is not None:
        assert base.element is anchor
        assert history.seen(base) == history.behind[start * wide : min(stop, size) * wide]
        assert len(base.rows) == len(base.parts) <= MAX_BASES
        assert base.size == len(history.seen(base))
        assert not any(row.base for row in base.rows)


@given(sizes=st.lists(even, min_size=1, max_size=3), data=st.data())
def test_cast(sizes: list[int], data: st.DataObject) -> None:
    """A tensor of half the width is coded against the bytes that its numbers came from."""
    history = History()
    for size in sizes:
        history.add_whole(size)
    total = len(history.behind)
    theirs = _tensor(0, total, Element.F32)
    start = data.draw(st.integers(0, total // 2 - 1))
    stop = data.draw(st.integers(start + 1, total // 2))
    ours = _tensor(0, total // 2, Element.BF16)
    relative = Relative(history.entry(theirs))

    base = relative.tensor_base(ours, theirs, start, stop)

    assert base is not None
    assert base.element is Element.F32
    assert history.seen(base) == history.behind[2 * start : 2 * stop]


def _chain(*elements: Element) -> tuple[Entry, Tensor]:
    """The last version of a tensor, whose versions each hang on the one before."""
    rows: list[Row] = []
    for depth, element in enumerate(elements):
        size = 2 * element.width
        base = (Part(depth - 1, 0, rows[-1].size),) if rows else ()
        codec = Codec.DELTA if rows else Codec.RAW
        rows.append(Row(Digest.of(bytes([depth])), size, codec, PACK, 0, size, base))
    theirs = _tensor(0, rows[-1].size, elements[-1], elements[-2])
    entry = Entry(
        "a",
        rows[-1].size,
        Digest.of(b""),
        bytes(32),
        tensors=(theirs,),
        rows=tuple(rows),
        sequence=(len(rows) - 1,),
    )
    return entry, theirs


@given(half=st.sampled_from([Element.BF16, Element.F16]))
def test_cast_from_delta(half: Element) -> None:
    """A copy is coded against the very version it was cast from, and its successors too."""
    single, _ = _chain(Element.F32, Element.F32)
    copy, copied = _chain(Element.F32, Element.F32, half)
    source = _tensor(0, 8, Element.F32)

    first = Relative(single).tensor_base(_tensor(0, 4, half), source, 0, 4)
    second = Relative(copy).tensor_base(_tensor(0, 4, half), copied, 0, 4)

    for base, entry in ((first, single), (second, copy)):
        assert base is not None
        assert base.element is Element.F32
        assert base.table is entry.rows
        (row,) = base.rows
        assert row == entry.rows[1]
        assert base.parts == (Part(0, 0, 8),)


def test_cast_too_deep() -> None:
    """No delta is more than two deep: what another release made deeper is no base."""
    deep, _ = _chain(Element.F32, Element.F32, Element.F32)
    copy, copied = _chain(Element.F32, Element.F32, Element.F32, Element.BF16)
    ours = _tensor(0, 4, Element.BF16)

    assert Relative(deep).tensor_base(ours, _tensor(0, 8, Element.F32), 0, 4) is None
    assert Relative(copy).tensor_base(ours, copied, 0, 4) is None


def test_inherited() -> None:
    """What was spent on a version counts for its copy as if it had been as narrow."""
    theirs = Tensor("w", Element.F32, (), 0, 8, Element.F32, 3, 1000)

    assert inherited(theirs, theirs) == 1000
    assert inherited(_tensor(0, 4, Element.BF16), theirs) == 500
    assert inherited(Tensor("w", None, (), 0, 8, None, 0, 0), theirs) == 1000


def test_too_many_anchors() -> None:
    """A span behind which more than three anchors lie has no base."""
    history = History()
    for _ in range(5):
        history.add_whole(8)
    theirs = _tensor(0, 40, Element.F32)
    relative = Relative(history.entry(theirs))

    assert relative.tensor_base(theirs, theirs, 0, 24) is not None
    assert relative.tensor_base(theirs, theirs, 0, 32) is None
    assert relative.tensor_base(theirs, theirs, 4, 28) is None


def test_deeper() -> None:
    """What is itself a delta is nobody's base: another release may have made such chains."""
    whole = Row(Digest.of(b"0"), 8, Codec.RAW, PACK, 0, 8)
    delta = Row(Digest.of(b"1"), 8, Codec.DELTA, PACK, 0, 8, (Part(0, 0, 8),))
    deep = Row(Digest.of(b"2"), 8, Codec.DELTA, PACK, 0, 8, (Part(1, 0, 8),))
    theirs = _tensor(0, 8, Element.F32)
    entry = Entry(
        "a",
        8,
        Digest.of(b""),
        bytes(32),
        tensors=(theirs,),
        rows=(whole, delta, deep),
        sequence=(2,),
    )

    assert Relative(entry).tensor_base(theirs, theirs, 0, 8) is None
    assert Relative(entry).content_base(0, 8) is None


def test_content_base() -> None:
    """Bytes without numbers are coded against the anchors of the chunks beside them, each once."""
    history = History()
    history.add_whole(10)
    history.repeat()
    history.add_delta([8])
    relative = Relative(history.entry(_tensor(0, 28, Element.U8)))
    anchors = [row for row in relative.entry.rows if not row.base]

    base = relative.content_base(5, 25)

    assert base is not None
    assert base.element is None
    assert base.rows == tuple(anchors)
    assert [(part.start, part.stop) for part in base.parts] == [(0, row.size) for row in anchors]
    assert relative.content_base(28, 40) is None
    assert relative.place_of(anchors[0].digest) == 20


def _named(*tensors: tuple[str, Element | None, tuple[int, ...]]) -> list[Tensor]:
    stops = list(accumulate([10] * len(tensors)))
    return [
        Tensor(name, element, shape, stop - 10, stop, element, 1, 1)
        for (name, element, shape), stop in zip(tensors, stops, strict=True)
    ]


def _relative(tensors: list[Tensor]) -> Relative:
    size = max(tensor.stop for tensor in tensors)
    row = Row(Digest.of(b"0"), size, Codec.RAW, PACK, 0, size)
    return Relative(
        Entry(
            "a", size, Digest.of(b""), bytes(32), tensors=tuple(tensors), rows=(row,), sequence=(0,)
        )
    )


def test_match_by_name() -> None:
    """Tensors are found by their names, whatever their order and shape."""
    theirs = _named(("a", Element.F32, (5,)), ("b", Element.F32, (7,)), ("c", Element.F32, (1,)))
    ours = _named(("b", Element.F32, (9,)), ("x", Element.F32, (5,)), ("a", Element.F32, (5,)))

    assert _relative(theirs).match(ours) == [theirs[1], None, theirs[0]]


def test_match_by_type() -> None:
    """Half precision continues single precision; nothing else changes its type."""
    theirs = _named(("a", Element.F32, (5,)), ("b", Element.BF16, (5,)), ("c", Element.F32, (5,)))
    ours = _named(("a", Element.BF16, (5,)), ("b", Element.F32, (5,)), ("c", Element.F64, (5,)))
    half = _named(("a", Element.F16, (5,)), ("b", Element.F16, (5,)), ("c", None, (5,)))

    assert _relative(theirs).match(ours) == [theirs[0], None, None]
    assert _relative(theirs).match(half) == [theirs[0], None, None]


def test_match_without_names() -> None:
    """Where names mean nothing the n-th tensor of a kind continues the n-th of that kind."""
    theirs = _named(("", Element.F32, (5,)), ("", Element.F64, (5,)), ("", Element.F32, (5,)))
    ours = _named(("", Element.F64, (5,)), ("", Element.F32, (5,)), ("", Element.F32, (5,)))
    half = _named(("", Element.F64, (5,)), ("", Element.F16, (5,)), ("", Element.BF16, (5,)))

    assert _relative(theirs).match(ours) == [theirs[1], theirs[0], theirs[2]]
    assert _relative(theirs).match(half) == [theirs[1], theirs[0], theirs[2]]


def _stored(delta_at: list[float], whole: float, versions: int, *, late: bool) -> float:
    """Bytes for *versions* of a tensor whose delta costs what *delta_at* says by distance."""
    total = spent = whole
    age = 1
    for _ in range(versions - 1):
        delta = delta_at[min(age, len(delta_at) - 1)]
        tensor = Tensor("w", Element.F32, (), 0, 1, Element.F32, age, int(spent))
        over = not pays(delta, whole) if late else starts_over(delta, tensor)
        age, spent = (1, whole) if over else (age + 1, spent + delta)
        total += whole if over else delta
    return total


def test_starts_over() -> None:
    """Starting over in time stores less than waiting until deltas no longer pay.

    Versions drift like a random walk: the delta grows with the root of the distance.
    """
    for first in (0.02, 0.05, 0.1):
        whole = 800_000.0
        growth = [1_000_000 * first * distance**0.5 for distance in range(500)]

        stored = _stored(growth, whole, 500, late=False)

        assert stored < 0.85 * _stored(growth, whole, 500, late=True)
        periods = [
            (whole + sum(growth[1:period])) / period * 500 for period in range(1, len(growth))
        ]
        assert stored < 1.1 * min(periods)


def test_never_starts_over() -> None:
    """A tensor whose deltas stay small keeps its anchor."""
    tensor = Tensor("w", Element.F32, (), 0, 1, Element.F32, 400, 800_000 + 399 * 1_000)

    assert not starts_over(1_000, tensor)
    assert not starts_over(10_000_000, Tensor("w", None, (), 0, 1, None, 0, 0))
