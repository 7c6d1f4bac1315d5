"""The compiled loops do what numpy's do, to the last bit."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from mlflow_vault.format.coding.kernels import _numbers, _planes, choice, compiled, plain
from mlflow_vault.format.coding.scratch import Scratch, scratch
from mlflow_vault.format.elements import Element

if TYPE_CHECKING:
    from collections.abc import Callable

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
    """The compiled loops are taken where there are any; a caller may take others."""
    assert choice.fastest() is compiled
    with choice.using(plain):
        assert choice.kernels() is plain
    with choice.using(compiled):
        assert choice.kernels() is compiled


def test_no_compiler() -> None:
    """Where nothing was compiled, numpy's are taken, and the rest goes on."""
    program = (
        "import sys; sys.modules['mlflow_vault.format.coding.kernels._numbers'] = None\n"
        "from mlflow_vault.format.coding.kernels import choice\n"
        "print(choice.kernels().__name__)"
    )
    assert _printed(program) == plain.__name__


def test_other_revision() -> None:
    """Loops that were compiled from other sources than these are not taken."""
    program = (
        "from mlflow_vault.format.coding.kernels import _planes\n"
        "_planes.REVISION += 1\n"
        "from mlflow_vault.format.coding.kernels import choice\n"
        "print(choice.kernels().__name__)"
    )
    assert _printed(program) == plain.__name__


def _printed(program: str) -> str:
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return found.stdout.strip()


NUMBERS = np.arange(12, dtype="<u4")
OCTETS = np.zeros(48, np.uint8)
PLACES = np.zeros((2, 4), np.uint32)
F32 = (23, 8)
COUNTED = np.zeros((9, 256), np.int64)
ODD = np.zeros(8200, np.uint8)


@pytest.mark.parametrize(
    ("loop", "given"),
    [
        (_numbers.split, (NUMBERS, OCTETS[1:], 4, False)),
        (_numbers.split, (NUMBERS, OCTETS, 3, False)),
        (_numbers.split, (OCTETS[:47], OCTETS[:47], 2, False)),
        (_numbers.join, (OCTETS, NUMBERS[1:].copy(), 4, True)),
        (_numbers.subtract, (NUMBERS, NUMBERS[1:], OCTETS, 4, True)),
        (_numbers.subtract, (NUMBERS, NUMBERS, OCTETS[4:], 4, True)),
        (_numbers.add, (OCTETS, NUMBERS[1:], NUMBERS.copy(), 4, True)),
        (_numbers.add, (OCTETS, NUMBERS, NUMBERS[1:].copy(), 0, True)),
        (_numbers.place, (NUMBERS, PLACES, 4, F32, (3, 5))),
        (_numbers.place, (NUMBERS, PLACES, 4, F32, (5, 3))),
        (_numbers.place, (NUMBERS, PLACES, 4, F32, (-1, 0))),
        (_numbers.place, (NUMBERS, PLACES, 4, F32, (255, 256))),
        (_numbers.place, (NUMBERS, PLACES, 4, (23, 16), (3, 4))),
        (_numbers.place, (NUMBERS, PLACES, 4, (28, 8), (3, 4))),
        (_numbers.place, (NUMBERS, PLACES, 4, (2**31 - 1, 1), (0, 1))),
        (_numbers.place, (NUMBERS, PLACES, 4, (-1, 8), (3, 4))),
        (_numbers.place, (NUMBERS, PLACES.view(np.uint8).ravel()[:31], 4, F32, (3, 4))),
        (
            _numbers.subtract_grouped,
            (NUMBERS, NUMBERS[1:], PLACES, NUMBERS.copy(), OCTETS, 4, F32, (3, 4)),
        ),
        (
            _numbers.subtract_grouped,
            (NUMBERS, NUMBERS, PLACES, NUMBERS[1:].copy(), OCTETS, 4, F32, (3, 4)),
        ),
        (
            _numbers.add_grouped,
            (OCTETS, NUMBERS, PLACES[1:], NUMBERS.copy(), NUMBERS.copy(), 4, F32, (3, 4)),
        ),
        (
            _numbers.add_grouped,
            (OCTETS, NUMBERS, PLACES, NUMBERS.copy(), NUMBERS[1:].copy(), 4, F32, (3, 4)),
        ),
        (_planes.pack, (OCTETS, np.empty(11, np.uint8), OCTETS.copy(), 2)),
        (_planes.pack, (OCTETS, np.empty(12, np.uint8), OCTETS[1:].copy(), 2)),
        (_planes.pack, (OCTETS, np.empty(18, np.uint8), OCTETS.copy(), 3)),
        (_planes.caps, (OCTETS, 1, 7)),
        (_planes.caps, (OCTETS[:0], 1, -1)),
        (_planes.caps, (OCTETS, 8, 48)),
        (_planes.unpack, (OCTETS, OCTETS, OCTETS.copy(), 1)),
        (_planes.unpack, (np.full(6, 255, np.uint8), OCTETS[1:], OCTETS.copy(), 1)),
        (_planes.unpack, (np.full(6, 254, np.uint8), OCTETS, OCTETS.copy(), 1)),
        (_planes.tally, (OCTETS, 4, np.array([13]), 9, np.zeros((4, 256), np.int64), OCTETS[:4])),
        (_planes.tally, (OCTETS, 4, np.array([0]), 9, np.zeros((4, 256), np.int64), OCTETS[:4])),
        (_planes.tally, (OCTETS, 4, np.array([9]), 0, np.zeros((4, 256), np.int64), OCTETS[:4])),
        (_planes.tally, (OCTETS, 4, np.array([9]), 9, np.zeros((3, 256), np.int64), OCTETS[:4])),
        (_planes.tally, (OCTETS[:45], 9, np.array([5]), 9, COUNTED, OCTETS[:9])),
        (_planes.tally, (OCTETS, 4, np.array([9]), 9, ODD[1:8193], OCTETS[:4])),
        (_planes.tally, (OCTETS, 4, ODD[1:9], 9, COUNTED[:4], OCTETS[:4])),
        (_planes.tally, (OCTETS, 4, ODD[:9], 9, COUNTED[:4], OCTETS[:4])),
        (_planes.tally, (OCTETS, 5, np.array([9]), 9, np.zeros((5, 256), np.int64), OCTETS[:5])),
    ],
)
def test_sizes_that_do_not_fit(loop: Callable[..., object], given: tuple[object, ...]) -> None:
    """The compiled loops look at what they are given before they touch memory."""
    with pytest.raises(ValueError, match=r"bands|numbers|planes|packed|room"):
        loop(*given)


@given(
    element=st.sampled_from([Element.F16, Element.BF16, Element.F32, Element.F64]),
    count=st.integers(0, 40),
    wrong=npst.arrays(np.uint32, (3, 4)),
)
def test_other_base(element: Element, count: int, wrong: npt.NDArray[np.uint32]) -> None:
    """Places that belong to other numbers, as where a base was changed, lead to no other memory."""
    width, octets = element.width, count * element.width
    bits, ends = (element.mantissa_bits, element.exponent_bits), (3, 5)
    base = np.arange(octets, dtype=np.uint8)
    for loop in (_numbers.subtract_grouped, _numbers.add_grouped):
        around = np.full((2, octets + 128), 7, np.uint8)
        room, target = (one[64 : 64 + octets] for one in around)
        loop(base, base, wrong.copy(), room, target, width, bits, ends)
        assert np.all(around[:, :64] == 7)
        assert np.all(around[:, 64 + octets :] == 7)


@given(data=st.data(), element=st.sampled_from(list(Element)), shift=st.integers(0, 7))
def test_numbers_anywhere(data: st.DataObject, element: Element, shift: int) -> None:
    """Numbers begin at any byte: chunks are cut out of files."""
    octets = np.frombuffer(bytes(shift) + data.draw(st.binary(max_size=400)), np.uint8)[shift:]
    values = octets[: len(octets) // element.width * element.width].view(f"<u{element.width}")
    planes = compiled.split(values, element, Scratch())
    steps = compiled.group(values, element, None, Scratch()).subtract(values[::-1].copy())

    assert np.array_equal(planes, plain.split(values.copy(), element, Scratch()))
    expected = plain.group(values.copy(), element, None, Scratch()).subtract(values[::-1].copy())
    assert np.array_equal(steps, expected)


@given(data=st.data())
@settings(max_examples=20)
def test_long_planes(data: st.DataObject) -> None:
    """More bytes than are worked on at once, and as are done while others run."""
    count = data.draw(st.integers(4000, 9000))
    draw = np.random.default_rng(data.draw(st.integers(0, 99)))
    octets = draw.geometric(data.draw(st.floats(0.05, 0.9)), count).astype(np.uint8)
    for width in (1, 2, 4):
        packed, beyond = plain.pack(octets, width, Scratch())
        found = compiled.pack(octets, width, Scratch())
        assert np.array_equal(found[0], packed)
        assert np.array_equal(found[1], beyond)
        assert compiled.caps(packed, width, count) == len(beyond)
        restored = np.empty(count, np.uint8)
        compiled.unpack(packed, width, beyond, restored)
        assert np.array_equal(restored, octets)


def test_scratch() -> None:
    """Memory is lent to one at a time, and lent again."""
    with scratch() as first, scratch() as second:
        assert first is not second
        place = first.array("planes", 100, np.uint32)
        assert np.shares_memory(first.array("planes", 50, np.uint16), place)
        assert not np.shares_memory(first.array("values", 50, np.uint16), place)
    with scratch() as again:
        assert again in (first, second)
