"""Safetensors: a JSON header that says where every tensor lies.

    8 bytes little-endian | header, JSON | tensors
            length n      |   n bytes    | offsets count from here

Pure: no I/O.  The format: https://github.com/huggingface/safetensors#format.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlflow_vault.format.tensors.arrays import (
    Array,
    MalformedError,
    check,
    count,
    read_exactly,
)
from mlflow_vault.format.tensors.bounded_json import MAX_TEXT, read_json
from mlflow_vault.format.tensors.dtypes import SAFETENSORS

if TYPE_CHECKING:
    from mlflow_vault.format.tensors.arrays import Bytes

_LENGTH: Final = 8  # bytes of the length before the header
_METADATA: Final = "__metadata__"


def looks_like(head: bytes) -> bool:
    """Whether a file that begins with *head* (9 bytes or more) may be safetensors."""
    return head[_LENGTH : _LENGTH + 1] == b"{" and _header_length(head) <= MAX_TEXT


def parse(source: Bytes) -> list[Array]:
    """Return the arrays of a safetensors file."""
    base = _LENGTH + _header_length(read_exactly(source, 0, _LENGTH))
    check(base - _LENGTH <= MAX_TEXT, "the header is too long")
    header = read_json(read_exactly(source, _LENGTH, base))
    header.pop(_METADATA, None)
    return [_array(name, tensor, base) for name, tensor in header.items()]


def _header_length(head: bytes) -> int:
    return int.from_bytes(head[:_LENGTH], "little")


def _array(name: str, tensor: object, base: int) -> Array:
    match tensor:
        case {"dtype": str(letters), "shape": [*shape], "data_offsets": [int(start), int(stop)]}:
            check(0 <= start <= stop, "not a span")
        case _:
            raise MalformedError("not a tensor")
    dtype = SAFETENSORS.get(letters)
    numbers = count(shape)
    if dtype is None:  # younger than our table
        return Array(base + start, base + stop, None, name, tuple(shape))
    check(numbers * dtype.bits == (stop - start) * 8, "size and shape disagree")
    return dtype.array(base + start, base + stop, name, tuple(shape))
