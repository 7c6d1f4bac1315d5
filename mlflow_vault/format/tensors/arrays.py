"""What a parser says of a file: where its arrays lie, and of what type they are.

A parser only *suggests*.  Cuts fall where it says, but whatever it says the bytes come
back exact, so a wrong answer costs room and never content.  Files come from strangers:
a parser reads little, believes nothing, and leaves by any `ValueError`, `LookupError`,
`TypeError` or `ArithmeticError` when the file is not what it looked like.

Pure: the bytes come through `Bytes`.  Written down in docs/format.md, "Arrays in files".
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mlflow_vault.format.elements import Element

# Far above any checkpoint in one file, and found in less than a second.  A file that has more is
# cut by content.
MAX_ARRAYS: Final = 50_000
MAX_RANK: Final = 64  # dimensions; numpy's own limit
MAX_NAME: Final = 1024  # characters kept of a name
_MAX_SIZE: Final = 1 << 63
# What an entry may say of a file's arrays: its reader refuses more (`format.record`).  50,000
# tensors with names of 60 characters take 4 MB.
_MAX_TOLD: Final = 16 << 20  # bytes of names and shapes as JSON
_MAX_VALUES: Final = 2_000_000  # brackets and commas in it


class MalformedError(ValueError):
    """This file is not what it looked like; never leaves `find_arrays`."""


class TooMuchError(MalformedError):
    """There is more in this file than is worth reading."""


@dataclass(frozen=True, slots=True, order=True)
class Array:
    """Bytes ``[start, stop)`` of a file hold one array.

    Attributes:
        start: Where its first byte lies.
        stop: Just behind its last byte.
        element: Of what numbers it is made; None where we have no type for them.  Where it is
            known, the numbers of *shape* fill the bytes exactly.  A signed integer is given as
            the unsigned one of its width, a complex number as a last dimension of two floats.
        name: The tensor's name in its file, for finding it again in another version; need not be
            unique; empty where the file's names mean nothing.
        shape: The dimensions, as the file has them; ``(bytes,)`` where it says nothing of them.
    """

    start: int
    stop: int
    element: Element | None
    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """What is known of a file: empty strings and tuples for an unknown one.

    Attributes:
        parser: Which parser understood the file.
        arrays: Sorted, apart from each other, inside the file, none empty.
        joined: Whether an array is many, of which only the numbers' width and place is known.
            What moves in such a file does not move in steps of the grid: it is better cut by
            content, at whole numbers.
    """

    parser: str
    arrays: tuple[Array, ...]
    joined: bool = False


class Bytes(Protocol):
    """What a parser reads from: a file, a spooled stream, a buffer."""

    @property
    def size(self) -> int:
        """Bytes in all."""
        ...

    def read(self, start: int, stop: int) -> bytes:
        """Return bytes ``[start, stop)``, where ``0 <= start <= stop <= size``."""
        ...


@dataclass(frozen=True, slots=True)
class Window:
    """Bytes ``[start, stop)`` of another source, as if they were a file of their own."""

    source: Bytes
    start: int
    stop: int

    @property
    def size(self) -> int:
        """Bytes in all."""
        return self.stop - self.start

    def read(self, start: int, stop: int) -> bytes:
        """Return bytes ``[start, stop)`` of the window."""
        return self.source.read(self.start + start, self.start + stop)

    def place(self, array: Array) -> Array:
        """Say where an *array* found in the window lies in the source."""
        return replace(array, start=self.start + array.start, stop=self.start + array.stop)


def check(fact: object, otherwise: str) -> None:
    """Leave with `MalformedError` unless *fact* holds."""
    if not fact:
        raise MalformedError(otherwise)


def read_exactly(source: Bytes, start: int, stop: int) -> bytes:
    """Return bytes ``[start, stop)``, or leave if the file has no such bytes."""
    check(0 <= start <= stop <= source.size, "points outside the file")
    found = source.read(start, stop)
    check(len(found) == stop - start, "the file is shorter than it said")
    return found


def count(shape: Sequence[object]) -> int:
    """Return how many elements *shape* has, or leave if it is none."""
    check(len(shape) <= MAX_RANK, "too many dimensions")
    numbers = 1
    for side in shape:
        if type(side) is not int or not 0 <= side < _MAX_SIZE:
            raise MalformedError("not a shape")
        numbers *= side
    return numbers


def settle(parser: str, arrays: Iterable[Array], size: int) -> Layout:
    """Put what *parser* found in a file of *size* bytes in order, or leave if it cannot be true."""
    found = sorted((a for a in arrays if a.start != a.stop), key=lambda array: array.start)
    check(len(found) <= MAX_ARRAYS, "too many arrays")
    check(all(0 <= a.start < a.stop <= size for a in found), "an array outside the file")
    check(all(a.stop <= b.start for a, b in pairwise(found)), "arrays overlap")
    arrays = tuple(_tidy(array) for array in found)
    told = json.dumps([(array.name, array.shape) for array in arrays])
    check(len(told) <= _MAX_TOLD, "names and shapes are too long")
    check(sum(map(told.count, "[,{")) <= _MAX_VALUES, "names and shapes are too many")
    return Layout(parser, arrays)


def _tidy(array: Array) -> Array:
    """Keep of a name what can be stored: UTF-8, and not endless."""
    if len(array.name) <= MAX_NAME and array.name.isascii():
        return array
    name = array.name[:MAX_NAME].encode(errors="replace").decode()
    return replace(array, name=name)
