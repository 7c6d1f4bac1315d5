"""ONNX: a protobuf message, in which initializers and constants carry their bytes.

    model.graph (7) . initializer (5)             = tensor
                    . node (1) . attribute (5) . t (5)    constants
                                               . g (6)    graphs in graphs: loops, branches
    tensor: dims (1), data_type (2), name (8), raw_data (9), or floats packed (4, 10)

The wire format is walked without its schema's library: each field says how long it is, so what is
not looked for is stepped over.  Tensors kept in other files (``external_data``) are not here.

Pure: no I/O.  The format: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from mlflow_vault.format.tensors.arrays import (
    MAX_ARRAYS,
    MAX_NAME,
    MAX_RANK,
    MalformedError,
    Window,
    check,
    read_exactly,
)
from mlflow_vault.format.tensors.dtypes import ONNX, fit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow_vault.format.tensors.arrays import Array, Bytes

_FIRST_FIELD: Final = b"\x08"  # ir_version, a number
_NEXT_FIELDS: Final = b"\x12\x1a\x22\x28\x32\x3a\x42"  # what may follow it
_MAX_VERSION: Final = 0x7F
_MAX_FIELDS: Final = 400_000
_MAX_READ: Final = 128 << 20  # bytes; each leap over a long field costs a window
_MAX_DEPTH: Final = 8  # graphs in graphs
_VARINT_BYTES: Final = 10
_FIRST_WINDOW: Final = 1 << 12
_LAST_WINDOW: Final = 1 << 17

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIDTHS: Final = {_FIXED64: 8, _FIXED32: 4}
_EXTERNAL: Final = 1  # data_location

_Span = tuple[int, int]


class _Field(NamedTuple):
    """One field of a message; of a number *start* is its value."""

    number: int
    kind: int
    start: int
    stop: int


def looks_like(head: bytes) -> bool:
    """Whether a file that begins with *head* may be an ONNX model."""
    return (
        len(head) > len(_FIRST_FIELD) + 1
        and head.startswith(_FIRST_FIELD)
        and 0 < head[1] <= _MAX_VERSION
        and head[2] in _NEXT_FIELDS
    )


def parse(source: Bytes) -> list[Array]:
    """Return the tensors of an ONNX model."""
    walker = _Walker(source)
    graphs = [field for field in walker.fields((0, source.size)) if _is(field, 7)]
    check(len(graphs) == 1, "not one graph")
    arrays = list(walker.graph((graphs[0].start, graphs[0].stop), 0))
    check(len(arrays) <= MAX_ARRAYS, "too many tensors")
    return arrays


def _is(field: _Field, number: int) -> bool:
    return field.number == number and field.kind == _BYTES


class _Walker:
    """Reads messages, counting what it costs."""

    def __init__(self, source: Bytes) -> None:
        self._source = source
        self._fields = _MAX_FIELDS
        self._read = _MAX_READ
        self._window, self._base = b"", 0

    def fields(self, span: _Span) -> Iterator[_Field]:
        """Yield the fields of the message at *span*, in their order."""
        at, end = span
        while at < end:
            self._fields -= 1
            check(self._fields >= 0, "too many fields")
            tag, at = self._varint(at, end)
            kind = tag & 7
            if kind == _VARINT:
                value, at = self._varint(at, end)
                yield _Field(tag >> 3, kind, value, at)
                continue
            if kind == _BYTES:
                size, at = self._varint(at, end)
            else:
                size = _WIDTHS[kind]
            check(size <= end - at, "a field behind the end of its message")
            yield _Field(tag >> 3, kind, at, at + size)
            at += size

    def graph(self, span: _Span, depth: int) -> Iterator[Array]:
        """Yield the tensors of a graph, and of the graphs in its nodes."""
        check(depth < _MAX_DEPTH, "graphs in graphs in graphs")
        for field in self.fields(span):
            if _is(field, 5):
                yield from self._tensor((field.start, field.stop))
            elif _is(field, 1):
                yield from self._node((field.start, field.stop), depth)

    def _node(self, span: _Span, depth: int) -> Iterator[Array]:
        for field in self.fields(span):
            if not _is(field, 5):
                continue
            for part in self.fields((field.start, field.stop)):
                if _is(part, 5) or _is(part, 10):
                    yield from self._tensor((part.start, part.stop))
                elif _is(part, 6) or _is(part, 11):
                    yield from self.graph((part.start, part.stop), depth + 1)

    def _tensor(self, span: _Span) -> Iterator[Array]:
        """Yield the array of a tensor, if its bytes are here."""
        shape: list[int] = []
        name, dtype, here = "", ONNX.get(0), True
        payload: Window | None = None
        for field in self.fields(span):
            match field:
                case _Field(1, kind) if kind == _VARINT:
                    shape.append(field.start)
                case _Field(1, kind) if kind == _BYTES:
                    shape += self._packed((field.start, field.stop))
                case _Field(2, kind) if kind == _VARINT:
                    dtype = ONNX.get(field.start)
                case _Field(8, kind, start, stop) if kind == _BYTES:
                    name = self._bytes(start, min(stop, start + MAX_NAME)).decode(errors="replace")
                case _Field(4 | 9 | 10, kind, start, stop) if kind == _BYTES:
                    payload = Window(self._source, start, stop)
                case _Field(14, kind, place) if kind == _VARINT:
                    here = place != _EXTERNAL
            check(len(shape) <= MAX_RANK, "too many dimensions")
        if payload is not None and payload.size and here:
            yield fit(payload, name, dtype, _shape(shape))

    def _packed(self, span: _Span) -> list[int]:
        at, end = span
        check(end - at <= MAX_RANK * _VARINT_BYTES, "too many dimensions")
        found: list[int] = []
        while at < end:
            value, at = self._varint(at, end)
            found.append(value)
        return found

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        """Return the number at *at*, and where it ends, which must not be behind *end*."""
        place = at - self._base
        if not 0 <= place <= len(self._window) - _VARINT_BYTES:
            place = self._refill(at)
        value = shift = 0
        for index, byte in enumerate(self._window[place : place + _VARINT_BYTES], at + 1):
            value |= (byte & 0x7F) << shift
            if byte < 0x80:  # noqa: PLR2004 - the bit that says that more follows
                check(index <= end, "a number behind the end of its message")
                return value, index
            shift += 7
        raise MalformedError("a number without an end")

    def _bytes(self, start: int, stop: int) -> bytes:
        place = start - self._base
        if place >= 0 and stop - self._base <= len(self._window):
            return self._window[place : place + stop - start]
        return read_exactly(self._source, start, stop)

    def _refill(self, at: int) -> int:
        """Make the window begin at *at*, larger the longer it is read in one go."""
        near = 0 <= at - self._base <= len(self._window)
        length = min(2 * len(self._window), _LAST_WINDOW) if near else _FIRST_WINDOW
        length = min(max(length, _FIRST_WINDOW), self._source.size - at)
        self._read -= length
        check(self._read >= 0 and length > 0, "too many long fields")
        self._window, self._base = read_exactly(self._source, at, at + length), at
        return 0


def _shape(sides: list[int]) -> tuple[int, ...] | None:
    return tuple(sides) if all(side < 1 << 63 for side in sides) else None
