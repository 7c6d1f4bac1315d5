"""GGUF, llama.cpp's files: what the model is as keys and values, then what its tensors are.

    "GGUF" | version | counts | keys and values | names, sides, types, offsets | pad | tensors

Keys and values can be megabytes, most of them the words of a vocabulary; all are stepped over.
Quantised tensors are blocks of small integers with their scales; taken for bytes, a fine-tuned
child differs little from its parent (Q8_0: 7 % stored; by zstd with the parent at hand 15 %).

Pure: no I/O.  The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from mlflow_vault.format.elements import Element
from mlflow_vault.format.tensors.arrays import (
    MAX_ARRAYS,
    Array,
    MalformedError,
    check,
    count,
    read_exactly,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mlflow_vault.format.tensors.arrays import Bytes

MAGIC: Final = b"GGUF"
_VERSIONS: Final = (2, 3)
_HEAD: Final = struct.Struct("<4sIQQ")
_MAX_PAIRS: Final = 65_536  # a model has 20 to 60
_MAX_STRINGS: Final = 2_000_000  # in all arrays together; words and merges of a vocabulary: 800,000
_MAX_HEADER: Final = 64 << 20  # bytes stepped over
_WINDOW: Final = 1 << 18  # bytes
_MAX_KEY: Final = 1 << 16  # bytes
_MAX_SIDES: Final = 8  # ggml itself knows four
_ALIGNMENT_KEY: Final = b"general.alignment"
_ALIGNMENT: Final = 32  # where no key says otherwise
_MAX_ALIGNMENT: Final = 1 << 20

_U32: Final = 4
_STRING: Final = 8
_ARRAY: Final = 9
# Bytes of a value, by its type: 8 to 64 bits, floats, bool.
_SCALARS: Final = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}


class _Type(NamedTuple):
    """A tensor's type: so many numbers make a block of so many bytes."""

    numbers: int
    size: int
    element: Element | None = None


_TYPES: Final[Mapping[int, _Type]] = {
    0: _Type(1, 4, Element.F32),
    1: _Type(1, 2, Element.F16),
    24: _Type(1, 1, Element.U8),
    25: _Type(1, 2, Element.U16),
    26: _Type(1, 4, Element.U32),
    27: _Type(1, 8, Element.U64),
    28: _Type(1, 8, Element.F64),
    30: _Type(1, 2, Element.BF16),
    2: _Type(32, 18),  # Q4_0
    3: _Type(32, 20),
    6: _Type(32, 22),  # Q5_0
    7: _Type(32, 24),
    8: _Type(32, 34),  # Q8_0
    9: _Type(32, 40),
    10: _Type(256, 84),  # Q2_K
    11: _Type(256, 110),
    12: _Type(256, 144),  # Q4_K
    13: _Type(256, 176),
    14: _Type(256, 210),
    15: _Type(256, 292),  # Q8_K
    16: _Type(256, 66),  # IQ2_XXS
    17: _Type(256, 74),
    18: _Type(256, 98),
    19: _Type(256, 50),
    20: _Type(32, 18),  # IQ4_NL
    21: _Type(256, 110),
    22: _Type(256, 82),
    23: _Type(256, 136),
    29: _Type(256, 56),  # IQ1_M
    34: _Type(256, 54),  # TQ1_0
    35: _Type(256, 66),
    39: _Type(32, 17),  # MXFP4
    40: _Type(64, 36),  # NVFP4
    41: _Type(128, 18),  # Q1_0
}


def parse(source: Bytes) -> list[Array]:
    """Return the arrays of a GGUF file; tensors of types younger than our table are left out."""
    cursor = _Cursor(source)
    magic, version, tensors, pairs = _HEAD.unpack(cursor.take(_HEAD.size))
    check(magic == MAGIC and version in _VERSIONS, "another version, or byte order")
    check(tensors <= MAX_ARRAYS and pairs <= _MAX_PAIRS, "too many tensors or pairs")
    alignment = _ALIGNMENT
    for _ in range(pairs):
        key = cursor.take(min(cursor.number(8), _MAX_KEY + 1))
        check(len(key) <= _MAX_KEY, "a long key")
        kind = cursor.number(4)
        if key == _ALIGNMENT_KEY and kind == _U32:
            alignment = cursor.number(4)
            check(0 < alignment <= _MAX_ALIGNMENT, "no alignment")
        else:
            _step_over(cursor, kind)
    described = [_describe(cursor) for _ in range(tensors)]
    base = -(-cursor.at // alignment) * alignment
    return [array for name, facts in described for array in _place(base, name, *facts)]


def _step_over(cursor: _Cursor, kind: int) -> None:
    if kind == _STRING:
        cursor.skip(cursor.number(8))
    elif kind == _ARRAY:
        inner, items = cursor.number(4), cursor.number(8)
        if inner == _STRING:
            cursor.skip_strings(items)
        else:  # arrays in arrays are no key of any model
            cursor.skip(items * _SCALARS[inner])
    else:
        cursor.skip(_SCALARS[kind])


def _describe(cursor: _Cursor) -> tuple[str, tuple[tuple[int, ...], int, int]]:
    """Read what is said of one tensor: its name, and sides, type and offset."""
    length = cursor.number(8)
    check(length <= _MAX_KEY, "a long name")
    name = cursor.take(length).decode(errors="replace")
    sides = cursor.number(4)
    check(sides <= _MAX_SIDES, "too many dimensions")
    shape = tuple(cursor.number(8) for _ in range(sides))
    return name, (shape, cursor.number(4), cursor.number(8))


def _place(base: int, name: str, shape: tuple[int, ...], kind: int, offset: int) -> Iterator[Array]:
    """Yield the array of a tensor, if its type is known."""
    known = _TYPES.get(kind)
    if known is not None:
        blocks, rest = divmod(count(shape), known.numbers)
        check(not rest, "a block that is not full")
        start, size = base + offset, blocks * known.size
        if known.element is None:
            yield Array(start, start + size, Element.U8, name, (size,))
        else:
            yield Array(start, start + size, known.element, name, shape)


class _Cursor:
    """Reads a header from front to back, a window at a time."""

    def __init__(self, source: Bytes) -> None:
        self.at = 0
        self._source = source
        self._limit = min(source.size, _MAX_HEADER)
        self._strings = _MAX_STRINGS
        self._window, self._base = b"", 0

    def take(self, size: int) -> bytes:
        """Return the next *size* bytes."""
        start = self._at_hand(size)
        self.at += size
        return self._window[start : start + size]

    def number(self, width: int) -> int:
        """Return the next number, which has *width* bytes."""
        return int.from_bytes(self.take(width), "little")

    def skip(self, size: int) -> None:
        """Leave out *size* bytes."""
        self.at += size
        check(self.at <= self._limit, "the header is too long, or points outside the file")

    def skip_strings(self, number: int) -> None:
        """Leave out *number* strings, each behind its length."""
        self._strings -= number
        check(self._strings >= 0, "too many strings")
        for _ in range(number):
            start = self.at - self._base
            if not 0 <= start <= len(self._window) - 8:
                start = self._at_hand(8)
            self.at += 8 + int.from_bytes(self._window[start : start + 8], "little")
        self.skip(0)

    def _at_hand(self, size: int) -> int:
        """Make the window hold the next *size* bytes; return where in it they begin."""
        if not 0 <= self.at - self._base <= len(self._window) - size:
            if self.at + size > self._limit:
                raise MalformedError("the header is too long, or longer than the file")
            stop = min(max(self.at + size, self.at + _WINDOW), self._limit)
            self._window, self._base = read_exactly(self._source, self.at, stop), self.at
        return self.at - self._base
