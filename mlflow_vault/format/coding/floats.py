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

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mlflow_vault.format.elements import Element

if TYPE_CHECKING:
    import numpy.typing as npt

Numbers = np.ndarray[Any, np.dtype[np.unsignedinteger[Any]]]

_CASTS: Final = frozenset({(Element.F32, Element.BF16), (Element.F32, Element.F16)})
_BYTE: Final = 8  # bits
_SAMPLE: Final = 8192  # elements that stand for a chunk's exponents


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
