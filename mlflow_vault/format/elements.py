"""The types of number that tensors are made of.

A parser says of which element an array is made; a codec uses its width and,
for floats, where sign, exponent and mantissa lie.  The byte is what is stored.

Pure: no I/O.  Written down in docs/format.md, "Elements".
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class _Shape(NamedTuple):
    tag: int  # the stored byte
    width: int  # bytes of one element
    exponent_bits: int  # 0: not a float
    mantissa_bits: int


class Element(Enum):
    """One type of number, little-endian.

    >>> Element.BF16.width, Element.BF16.exponent_bits
    (2, 8)
    """

    U8 = _Shape(0x01, 1, 0, 0)
    U16 = _Shape(0x02, 2, 0, 0)
    U32 = _Shape(0x03, 4, 0, 0)
    U64 = _Shape(0x04, 8, 0, 0)
    F16 = _Shape(0x12, 2, 5, 10)
    BF16 = _Shape(0x22, 2, 8, 7)
    F32 = _Shape(0x13, 4, 8, 23)
    F64 = _Shape(0x14, 8, 11, 52)

    @property
    def tag(self) -> int:
        """The byte that stands for this element in stored objects."""
        return self.value.tag

    @property
    def width(self) -> int:
        """Bytes of one element."""
        return self.value.width

    @property
    def exponent_bits(self) -> int:
        """Bits of the exponent; 0 where the element is an integer."""
        return self.value.exponent_bits

    @property
    def mantissa_bits(self) -> int:
        """Bits of the mantissa as stored."""
        return self.value.mantissa_bits
