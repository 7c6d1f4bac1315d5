"""The arithmetic under the codecs: numbers that moved a little become small integers.

A fine-tuned weight differs from its parent by a small step, but its bits may
differ everywhere (1.0 and 0.99999994 share few).  So floats are first mapped to
integers that keep their order; then the difference is small, and zigzag makes
it small and positive:

    float bits --ordered--> integer --minus the base's--> signed --zigzag--> 0, 1, 2, 3 ...

How small depends on the base's exponent alone: one step of a large number
is many steps of a tiny one.  Both sides know the base, so both can sort by that
exponent, and differences of one scale lie together without costing a byte:

    positions  0 1 2 3 4      exponent  7 5 7 7 5   ->   order  1 4 | 0 2 3

Whole numbers stay as they are; every result is exact for any bits, NaNs included.

Pure: no I/O.  Written down in docs/format.md, "Elements" and "Codecs".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mlflow_vault.format.elements import Element

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

Numbers = np.ndarray[Any, np.dtype[np.unsignedinteger[Any]]]

_CASTS: Final = frozenset({(Element.F32, Element.BF16), (Element.F32, Element.F16)})
_BYTE: Final = 8  # bits
_SAMPLE: Final = 8192  # elements that stand for a chunk's exponents
# Elements sorted at once.  At 64 Ki every array stays in the second-level cache and below what the
# allocator maps afresh: 1.1 ms for 2^19 elements where one sort over all of them takes 4-6 ms.
_BLOCK: Final = 1 << 16


def numbers(plain: npt.NDArray[np.uint8], element: Element) -> Numbers:
    """View as many whole elements as *plain* holds as unsigned integers."""
    whole = len(plain) // element.width * element.width
    return plain[:whole].view(f"<u{element.width}")


def castable(origin: Element, target: Element) -> bool:
    """Tell whether `cast` knows the way."""
    return origin is target or (origin, target) in _CASTS


def cast(source: Numbers, origin: Element, target: Element) -> Numbers:
    """Return the bits of *source* as *target*: nearest, ties to even; NaN is quiet, sign kept."""
    if origin is target:
        return source
    sign = (source >> np.uint32(16)).astype("<u2")
    sign &= np.uint16(0x8000)
    nan = (source & np.uint32(0x7FFF_FFFF)) > np.uint32(0x7F80_0000)
    if target is Element.BF16:
        rounded = source >> np.uint32(16)
        rounded &= np.uint32(1)
        rounded += np.uint32(0x7FFF)
        rounded += source  # wraps for NaNs alone, which are replaced below
        rounded >>= np.uint32(16)
        bits, quiet = rounded.astype("<u2"), 0x7FC0
    else:
        with np.errstate(all="ignore"):
            bits, quiet = source.view("<f4").astype("<f2").view("<u2"), 0x7E00
    np.copyto(bits, sign | np.uint16(quiet), where=nan)
    return bits


def fitted(base: Numbers, count: int) -> Numbers:
    """Cut *base* to *count* elements, or extend it with zeros."""
    if len(base) >= count:
        return base[:count]
    longer = np.zeros(count, base.dtype)
    longer[: len(base)] = base
    return longer


def rotate(values: Numbers, element: Element) -> Numbers:
    """Move the sign of floats to the lowest bit, so that the exponent fills a byte."""
    if not element.exponent_bits:
        return values
    top = values.dtype.type(8 * element.width - 1)
    rotated = values << values.dtype.type(1)
    rotated |= values >> top
    return rotated


def unrotate(values: Numbers, element: Element) -> Numbers:
    """Undo `rotate`."""
    if not element.exponent_bits:
        return values
    top = values.dtype.type(8 * element.width - 1)
    restored = values >> values.dtype.type(1)
    restored |= values << top
    return restored


def _signs(values: Numbers) -> Numbers:
    """Return all ones where the top bit is set, else zero."""
    width = values.dtype.itemsize
    shifted = values.view(f"<i{width}") >> np.array(8 * width - 1, f"<i{width}")
    signs: Numbers = shifted.view(values.dtype)
    return signs


def _ordered(values: Numbers, element: Element) -> Numbers:
    """Map float bits to integers that sort as the floats do; undone by `_unordered`."""
    if not element.exponent_bits:
        return values
    flips = _signs(values)
    flips |= values.dtype.type(1 << (8 * element.width - 1))
    flips ^= values
    return flips


def _unordered(values: Numbers, element: Element) -> Numbers:
    if not element.exponent_bits:
        return values
    flips = _signs(values)
    np.invert(flips, out=flips)
    flips |= values.dtype.type(1 << (8 * element.width - 1))
    flips ^= values
    return flips


def subtract(values: Numbers, base: Numbers, element: Element) -> Numbers:
    """Return the zigzagged steps from *base* to *values*, wrapping around."""
    steps = _ordered(values, element) - _ordered(base, element)
    zigzag = _signs(steps)
    steps <<= steps.dtype.type(1)
    zigzag ^= steps
    return zigzag


def add(zigzag: Numbers, base: Numbers, element: Element) -> Numbers:
    """Undo `subtract`."""
    one = zigzag.dtype.type(1)
    steps = zigzag & one
    np.subtract(zigzag.dtype.type(0), steps, out=steps)
    steps ^= zigzag >> one
    steps += _ordered(base, element)
    return _unordered(steps, element)


def exponents(values: Numbers, element: Element) -> Numbers:
    """Return the exponent of each float, in the narrowest type that can be sorted by radix."""
    shifted = values >> values.dtype.type(element.mantissa_bits)
    narrow = np.dtype(np.uint8 if element.exponent_bits <= _BYTE else np.uint16)
    keys: Numbers = shifted.astype(narrow)
    keys &= narrow.type((1 << element.exponent_bits) - 1)
    return keys


def clamp(values: Numbers, element: Element, smallest: int) -> tuple[int, int]:
    """Choose the exponents to which `Grouping` clamps, so that both ends get *smallest* elements.

    Rare exponents lie at the ends; alone they would not pay for a code of their own.
    """
    sample = exponents(values[:: max(1, len(values) // _SAMPLE)], element)
    counts = np.bincount(sample)
    enough = min(len(sample), -(-smallest * len(sample) // len(values)))
    low = int(np.searchsorted(np.cumsum(counts), enough))
    high = len(counts) - 1 - int(np.searchsorted(np.cumsum(counts[::-1]), enough))
    return low, max(low, high)


@dataclass(frozen=True, slots=True)
class Grouping:
    """A chunk's elements in the order of the base's clamped exponent, then of position.

    Works block by block, so that what it needs for a moment stays small and near.

    Attributes:
        base: What is subtracted; as many elements as the chunk.
        element: Of what type both are.
        counts: Elements of each exponent from the lowest on, one row per block of positions.
        orders: For each block, its positions in the new order.
    """

    base: Numbers
    element: Element
    counts: npt.NDArray[np.int64]
    orders: list[npt.NDArray[np.uint16]]

    @classmethod
    def of(cls, base: Numbers, element: Element, low: int, high: int) -> Grouping:
        """Sort the elements of *base* by their exponents, clamped to *low* and *high*."""
        orders, counts = [], []
        for block in _blocks(len(base)):
            keys = exponents(base[block], element)
            np.clip(keys, low, high, out=keys)
            order = np.argsort(keys, kind="stable")
            probes = np.arange(low + 1, high + 1, dtype=keys.dtype)
            ends = np.searchsorted(keys, probes, sorter=order)
            counts.append(np.diff(ends, prepend=0, append=len(keys)))
            orders.append(order.astype(np.uint16))
        rows = np.array(counts, np.int64).reshape(len(counts), high + 1 - low)
        return cls(base, element, rows, orders)

    @property
    def sizes(self) -> list[int]:
        """Elements of each exponent from the lowest on."""
        sizes: list[int] = self.counts.sum(axis=0).tolist()
        return sizes

    def subtract(self, values: Numbers) -> Numbers:
        """Return the steps from the base to *values*, in the new order."""
        grouped = np.empty_like(values)
        for block, order, pieces in self._blocks():
            steps = subtract(values[block], self.base[block], self.element).take(order)
            for here, there in pieces:
                grouped[there] = steps[here]
        return grouped

    def add(self, grouped: Numbers) -> Numbers:
        """Undo `subtract`."""
        values = np.empty_like(grouped)
        for block, order, pieces in self._blocks():
            sorted_steps = np.empty(len(order), grouped.dtype)
            for here, there in pieces:
                sorted_steps[here] = grouped[there]
            steps = np.empty_like(sorted_steps)
            steps[order.astype(np.intp)] = sorted_steps  # thrice as fast as by uint16
            values[block] = add(steps, self.base[block], self.element)
        return values

    def _blocks(self) -> Iterator[tuple[slice, npt.NDArray[np.uint16], list[tuple[slice, slice]]]]:
        """Yield each block, its order, and where each exponent lies in it and in the chunk's."""
        stops = self.counts.cumsum(axis=1).tolist()
        ends = self.counts.T.cumsum().reshape(self.counts.T.shape).T.tolist()
        for index, block in enumerate(_blocks(len(self.base))):
            row = zip(stops[index], ends[index], self.counts[index].tolist(), strict=True)
            pieces = [
                (slice(stop - count, stop), slice(end - count, end))
                for stop, end, count in row
                if count
            ]
            yield block, self.orders[index], pieces


def _blocks(count: int) -> Iterator[slice]:
    """Cut *count* elements into the blocks that are sorted at once."""
    return (slice(start, min(start + _BLOCK, count)) for start in range(0, count, _BLOCK))
