"""The compiled loops do what numpy's do, to the last bit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from mlflow_vault.format.coding.kernels import choice, compiled, plain
from mlflow_vault.format.coding.scratch import Scratch, scratch
from mlflow_vault.format.elements import Element

if TYPE_CHECKING:
    import numpy.typing as npt


@pytest.fixture(scope="module", autouse=True)
def loops() -> None:
    """Both are compared here; no need to choose."""


FLOATS = [element for element in Element if element.exponent_bits]
kinds = st.sampled_from(FLOATS)
ends = st.tuples(st.integers(0, 31), st.integers(0, 31)).map(sorted)
bits = st.sampled_from([1, 2, 4])
lengths = st.integers(0, 70)


def drawn(data: st.DataObject, element: Element, count: int) -> npt.NDArray[np.unsignedinteger]:
    """Return *count* numbers of any bits."""
    return data.draw(npst.arrays(f"<u{element.width}", count))


@given(data=st.data(), element=kinds, count=lengths, between=ends)
def test_groupings(data: st.DataObject, element: Element, count: int, between: list[int]) -> None:
    """Sorting by exponent, subtracting, and the way back."""
    base, values = drawn(data, element, count), drawn(data, element, count)
    ours, theirs = (
        loops.group(base, element, (between[0], between[1]), Scratch())
        for loops in (compiled, plain)
    )

    assert ours.sizes == theirs.sizes
    planes = theirs.subtract(values)
    assert np.array_equal(ours.subtract(values), planes)
    assert np.array_equal(ours.add(planes), values)
    assert np.array_equal(theirs.add(planes.copy()), values)


def test_many_keys() -> None:
    """Exponents that do not fit in a byte."""
    base = np.random.default_rng(1).integers(0, 1 << 63, 10_000, np.uint64)
    ours, theirs = (
        loops.group(base, Element.F64, (0, 2046), Scratch()) for loops in (compiled, plain)
    )

    assert ours.sizes == theirs.sizes
    assert np.array_equal(ours.subtract(base[::-1].copy()), theirs.subtract(base[::-1].copy()))


@given(data=st.data(), element=st.sampled_from(list(Element)), count=lengths)
def test_planes(data: st.DataObject, element: Element, count: int) -> None:
    """Cutting numbers into bytes, and joining them."""
    values = drawn(data, element, count)
    planes = plain.split(values, element, Scratch())

    assert np.array_equal(compiled.split(values, element, Scratch()), planes)
    assert np.array_equal(compiled.join(planes, element, Scratch()), values)
    assert np.array_equal(plain.join(planes, element, Scratch()), values)


@given(data=st.data(), element=st.sampled_from(list(Element)), count=lengths)
def test_one_band(data: st.DataObject, element: Element, count: int) -> None:
    """Subtracting in the order of the chunk, and the way back."""
    base, values = drawn(data, element, count), drawn(data, element, count)
    ours, theirs = (loops.group(base, element, None, Scratch()) for loops in (compiled, plain))

    assert ours.sizes == theirs.sizes == [count]
    planes = theirs.subtract(values)
    assert np.array_equal(ours.subtract(values), planes)
    assert np.array_equal(ours.add(planes), values)
    assert np.array_equal(theirs.add(planes.copy()), values)


def test_long_groupings() -> None:
    """More elements than are counted at once, with few exponents and with many."""
    draw = np.random.default_rng(2)
    base, values = (draw.integers(0, 1 << 32, 150_001, np.uint32) for _ in range(2))
    for ends in ((100, 110), (0, 255)):
        ours, theirs = (
            loops.group(base, Element.F32, ends, Scratch()) for loops in (compiled, plain)
        )
        assert ours.sizes == theirs.sizes
        planes = theirs.subtract(values)
        assert np.array_equal(ours.subtract(values), planes)
        assert np.array_equal(ours.add(planes), values)


@given(
    plane=st.lists(st.integers(0, 20), min_size=1, max_size=200)
    | st.lists(st.integers(0, 255), min_size=1, max_size=70),
    width=bits,
)
def test_packing(plane: list[int], width: int) -> None:
    """Capping and packing bytes, and the way back."""
    octets = np.array(plane, np.uint8)
    packed, beyond = plain.pack(octets, width, Scratch())
    for found, expected in zip(
        compiled.pack(octets, width, Scratch()), (packed, beyond), strict=True
    ):
        assert np.array_equal(found, expected)
    for loops in (compiled, plain):
        assert loops.caps(packed, width, len(octets)) == len(beyond)
        restored = np.full(len(octets), 99, np.uint8)
        loops.unpack(packed, width, beyond, restored)
        assert np.array_equal(restored, octets)


@given(packed=st.binary(min_size=1, max_size=30), width=bits, short=st.integers(0, 7))
def test_bits_that_fill_up(packed: bytes, width: int, short: int) -> None:
    """What lies behind the last byte of a plane is ignored, whatever it is."""
    octets = np.frombuffer(packed, np.uint8)
    count = max(1, len(packed) * 8 // width - short % (8 // width))
    octets = octets[: -(-count * width // 8)]
    caps = plain.caps(octets, width, count)
    planes: list[npt.NDArray[np.uint8]] = []
    for loops in (compiled, plain):
        assert loops.caps(octets, width, count) == caps
        plane = np.empty(count, np.uint8)
        loops.unpack(octets, width, np.arange(caps, dtype=np.uint8), plane)
        planes.append(plane)
    assert np.array_equal(planes[0], planes[1])


@given(
    planes=npst.arrays(np.uint8, st.tuples(st.integers(1, 4), st.just(60))),
    counts=st.permutations([0, 1, 9, 20, 30]),
    constant=st.booleans(),
    sample=st.integers(1, 80),
)
def test_tallies(
    planes: npt.NDArray[np.uint8], counts: list[int], *, constant: bool, sample: int
) -> None:
    """Looking at the planes of bands."""
    planes[-1] = 7 if constant else planes[-1]
    ours, theirs = (loops.tally(planes, counts, sample) for loops in (compiled, plain))

    assert np.array_equal(ours.counted, theirs.counted)
    assert np.array_equal(ours.constant, theirs.constant)


def test_nothing_to_tally() -> None:
    """Bands without numbers have no planes."""
    for loops in (compiled, plain):
        assert len(loops.tally(np.empty((2, 0), np.uint8), [0, 0], 9).constant) == 0


def test_choice() -> None:
    """Where numba is installed the compiled loops are taken; a caller may take others."""
    assert choice._fastest() is compiled
    with choice.using(plain):
        assert choice.kernels() is plain
    with choice.using(compiled):
        assert choice.kernels() is compiled


def test_choice_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that codes little never loads numba; one that codes much does, once."""
    monkeypatch.setattr(choice, "_chosen", [])
    monkeypatch.setattr(choice, "_done", [0])
    monkeypatch.setattr(choice, "_loading", [])

    assert choice.kernels(choice.WORTH - 1) is plain
    assert choice.kernels() is plain
    assert choice.kernels(1) is compiled
    assert choice.kernels() is compiled
    monkeypatch.setattr(choice, "_chosen", [])  # another thread is at it
    assert choice.kernels(1) is plain


def test_scratch() -> None:
    """Memory is lent to one at a time, and lent again."""
    with scratch() as first, scratch() as second:
        assert first is not second
        place = first.array("planes", 100, np.uint32)
        assert np.shares_memory(first.array("planes", 50, np.uint16), place)
        assert not np.shares_memory(first.array("values", 50, np.uint16), place)
    with scratch() as again:
        assert again in (first, second)
