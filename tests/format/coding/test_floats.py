"""Numbers that moved a little become small integers, and come back bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_vault.format.coding import floats
from mlflow_vault.format.coding.kernels import plain as kernels
from mlflow_vault.format.coding.scratch import scratch
from mlflow_vault.format.elements import Element

FLOATS = [element for element in Element if element.exponent_bits]
elements = st.sampled_from(list(Element))
octets = st.binary(max_size=400)


def numbers(plain: bytes, element: Element) -> floats.Numbers:
    """View *plain* as numbers."""
    return floats.numbers(np.frombuffer(plain, np.uint8), element)


@given(plain=octets, base=octets, element=elements)
def test_subtract(plain: bytes, base: bytes, element: Element) -> None:
    """Adding what was subtracted gives the same bits, NaNs and infinities included."""
    values = numbers(plain, element)
    parent = floats.fitted(numbers(base, element), len(values))

    steps = floats.subtract(values, parent, element)

    assert np.array_equal(floats.add(steps, parent, element), values)


@pytest.mark.parametrize("element", FLOATS)
def test_neighbours(element: Element) -> None:
    """The next larger float is two away from the last, the next smaller one, across zero too."""
    smallest = 1
    sign = 1 << (8 * element.width - 1)
    kind = f"<u{element.width}"
    values = np.array([smallest, 0, 0, sign | smallest], kind)
    parent = np.array([0, smallest, sign, sign], kind)

    steps = floats.subtract(values, parent, element)

    assert steps.tolist() == [2, 1, 2, 1]


def test_integers() -> None:
    """Whole numbers are subtracted as they are and wrap around."""
    values = np.array([5, 0, 255], np.uint8)
    parent = np.array([3, 1, 0], np.uint8)

    steps = floats.subtract(values, parent, Element.U8)

    assert steps.tolist() == [4, 1, 1]


@given(plain=octets, element=elements)
def test_rotate(plain: bytes, element: Element) -> None:
    """Rotating the sign away loses nothing."""
    values = numbers(plain, element)

    rotated = floats.rotate(values, element)

    assert np.array_equal(floats.unrotate(rotated, element), values)


def test_rotated_exponent() -> None:
    """Once the sign is rotated away the exponent fills the highest byte."""
    values = np.array([0x3F80, 0xBF80], "<u2")  # 1.0 and -1.0, whose exponent is 127

    rotated = floats.rotate(values, Element.BF16)

    assert rotated.tolist() == [0x7F00, 0x7F01]


ends = st.tuples(st.integers(0, 31), st.integers(0, 31)).map(sorted)


@given(plain=octets, element=st.sampled_from(FLOATS), between=ends)
def test_grouping(plain: bytes, element: Element, between: list[int]) -> None:
    """Grouped steps are the steps sorted by clamped exponent, stably, and lead back."""
    parent = numbers(plain, element)
    values = parent[::-1].copy()
    low, high = between

    with scratch() as work:
        grouping = kernels.group(parent, element, (low, high), work)
        planes = grouping.subtract(values)

        order = floats.exponents(parent, element).clip(low, high).argsort(kind="stable")
        steps = floats.subtract(values, parent, element)[order]
        assert np.array_equal(planes.T.copy().view(steps.dtype).ravel(), steps)
        assert sum(grouping.sizes) == len(parent)
        assert np.array_equal(grouping.add(planes), values)


def test_grouping_blocks() -> None:
    """Elements sorted block by block end up as if sorted at once."""
    parent = np.arange(150_000, dtype=np.uint32) * np.uint32(2_654_435_761)
    values = parent[::-1].copy()

    with scratch() as work:
        grouping = kernels.group(parent, Element.F32, (100, 150), work)
        planes = grouping.subtract(values)

        order = floats.exponents(parent, Element.F32).clip(100, 150).argsort(kind="stable")
        steps = floats.subtract(values, parent, Element.F32)[order]
        assert np.array_equal(planes.T.copy().view(steps.dtype).ravel(), steps)
        assert np.array_equal(grouping.add(planes), values)


def test_clamp() -> None:
    """Rare exponents at the ends join their neighbours until they are enough."""
    exponents = [1, 2, 2, 2, 5, 5, 5, 5, 8, 8, 9]
    parent = np.array(exponents, "<u2") << np.uint16(7)

    assert floats.clamp(parent, Element.BF16, smallest=1) == (1, 9)
    assert floats.clamp(parent, Element.BF16, smallest=2) == (2, 8)
    assert floats.clamp(parent, Element.BF16, smallest=5) == (5, 5)
    assert floats.clamp(parent, Element.BF16, smallest=99) == (9, 9)


CASTS = [
    # what, f32 bits, bf16 bits, f16 bits
    ("one", 0x3F800000, 0x3F80, 0x3C00),
    ("tie to even, down", 0x3F808000, 0x3F80, 0x3C04),
    ("tie to even, up", 0x3F818000, 0x3F82, 0x3C0C),
    ("above a tie", 0x3F808001, 0x3F81, 0x3C04),
    ("largest", 0x7F7FFFFF, 0x7F80, 0x7C00),
    ("minus infinity", 0xFF800000, 0xFF80, 0xFC00),
    ("quiet NaN", 0x7FC00001, 0x7FC0, 0x7E00),
    ("signalling NaN, negative", 0xFF800001, 0xFFC0, 0xFE00),
    ("NaN that would wrap", 0xFFFFFFFF, 0xFFC0, 0xFE00),
    ("minus zero", 0x80000000, 0x8000, 0x8000),
    ("smallest of f16", 0x33800000, 0x3380, 0x0001),
    ("half the smallest of f16", 0x33000000, 0x3300, 0x0000),
]


@pytest.mark.parametrize(("bits", "bf16", "f16"), [row[1:] for row in CASTS], ids=lambda _: "")
def test_cast(bits: int, bf16: int, f16: int) -> None:
    """A cast rounds to nearest, ties to even, and makes every NaN the quiet one of its sign."""
    source = np.array([bits], "<u4")

    assert floats.cast(source, Element.F32, Element.BF16).tolist() == [bf16]
    assert floats.cast(source, Element.F32, Element.F16).tolist() == [f16]


def test_fitted() -> None:
    """A base that is too long is cut and one too short continues with zeros."""
    base = np.array([1, 2, 3], np.uint8)

    assert floats.fitted(base, 2).tolist() == [1, 2]
    assert floats.fitted(base, 5).tolist() == [1, 2, 3, 0, 0]
