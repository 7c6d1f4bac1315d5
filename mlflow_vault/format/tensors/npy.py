"""NumPy's .npy: a header that is a Python literal, then one array.

    93 'NUMPY' | version | length, 2 or 4 bytes | {'descr': '<f4', ...} | array

The type in it is read by a reader of our own: strings, integers, lists and tuples are all it can
hold, and Python's own parser can be made to exhaust the stack.

Pure: no I/O.  The format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
"""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, Final

from mlflow_vault.format.tensors.arrays import (
    MalformedError,
    check,
    count,
    read_exactly,
)
from mlflow_vault.format.tensors.dtypes import NUMPY, NUMPY_BFLOAT16, TORCH, Dtype, opaque

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow_vault.format.tensors.arrays import Array, Bytes

MAGIC: Final = b"\x93NUMPY"
_MAX_HEADER: Final = 1 << 16  # bytes; numpy itself reads 10,000 unless told to trust the file
_MAX_TYPES: Final = 1 << 20  # characters of types in one file, each type counted once
_MAX_DEPTH: Final = 8  # structures in structures
_MAX_BRACKETS: Final = 3 * _MAX_DEPTH  # each is a tuple in a list, and has a shape
_LENGTH_BYTES: Final = {1: 2, 2: 4, 3: 4}  # by version

# As numpy and every other writer we know has it: keys in order, one space after each comma.
_HEADER: Final = re.compile(
    r"\{'descr': (.+), 'fortran_order': (?:True|False), 'shape': \(([0-9L, ]*)\),? ?\}\s*"
)
_TOKEN: Final = re.compile(
    r"""\s*(?:
        (?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
      | (?P<number>[0-9]{1,19})L?
      | (?P<mark>[\[\](),])
    )""",
    re.VERBOSE,
)
_CLOSING: Final = {"[": "]", "(": ")"}
_DTYPE: Final = re.compile(r"([<>|=]?)([a-zA-Z])([0-9]{0,9})(?:\[[^\]]*\])?")


class Types:
    """What items of a type are, as headers write it; each is read once for all arrays of a file."""

    def __init__(self) -> None:
        self._known: dict[str, Dtype | None] = {}
        self._left = _MAX_TYPES

    def read(self, descr: str) -> Dtype | None:
        """Return what one item is; None where it is a Python object, stored as a pickle."""
        if descr not in self._known:
            self._left -= len(descr)
            check(self._left >= 0, "too many types")
            self._known[descr] = _item(_read_literal(descr))
        return self._known[descr]


def parse(source: Bytes) -> list[Array]:
    """Return the array of an .npy file, none where it holds pickled objects."""
    return parse_named(source, "", Types())


def parse_named(source: Bytes, name: str, types: Types) -> list[Array]:
    """Return the array of one of several .npy files, which share *types*, as *name*."""
    head = read_exactly(source, 0, len(MAGIC) + 2)
    check(head.startswith(MAGIC), "not an .npy")
    base = len(head) + _LENGTH_BYTES[head[len(MAGIC)]]
    length = int.from_bytes(read_exactly(source, len(head), base), "little")
    check(length <= _MAX_HEADER, "the header is too long")
    start = base + length
    header = _HEADER.fullmatch(read_exactly(source, base, start).decode(errors="replace"))
    if header is None:
        raise MalformedError("the header names no type and shape")
    item = types.read(header[1])
    if item is None:
        return []
    shape = tuple(int(side) for side in header[2].replace("L", "").split(",") if side.strip())
    stop = start + count(shape) * item.bits // 8
    return [item.array(start, stop, name, shape)]


def _item(descr: object, depth: int = 0) -> Dtype | None:
    if isinstance(descr, str):
        return read_number(descr)
    if not isinstance(descr, list) or depth == _MAX_DEPTH:
        raise MalformedError("not a type")
    bits = 0
    for _, field, *shape in descr:
        item = _item(field, depth + 1)
        if item is None:
            return None
        bits += item.bits * (count(shape[0]) if shape else 1)
    return opaque(bits)


def read_number(descr: str) -> Dtype | None:
    """Return what a number of the type *descr*, such as ``<f4``, is; None for a Python object."""
    match = _DTYPE.fullmatch(descr)
    if match is None:
        raise MalformedError("not a type")
    order, kind, digits = match.groups()
    if kind == "O":
        return None
    if descr == NUMPY_BFLOAT16:
        return TORCH["bfloat16"]
    width = int(digits) * (4 if kind == "U" else 1)
    swapped = order == ">" and width > 1
    return opaque(8 * width) if swapped else NUMPY.get(kind + digits, opaque(8 * width))


def _read_literal(text: str) -> object:
    tokens = deque(_tokens(text.strip()))
    value = _value(tokens, 0)
    check(not tokens, "more than one literal")
    return value


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise MalformedError("not a literal")
        yield match.lastgroup, match[match.lastgroup]
        at = match.end()


def _value(words: deque[tuple[str, str]], depth: int) -> object:
    """Take one value off the front of *words*."""
    kind, word = words.popleft()
    if kind == "text":
        return word[1:-1]
    if kind == "number":
        return int(word)
    check(depth < _MAX_BRACKETS, "nested too deeply")
    closing = _CLOSING[word]
    items: list[object] = []
    while words[0][1] != closing:
        items.append(_value(words, depth + 1))
        if words[0][1] != closing:
            check(words.popleft()[1] == ",", "not a literal")
    words.popleft()
    return items if word == "[" else tuple(items)
