"""Datasets: where their numbers lie, and of what type they are.

Only contiguous ones are arrays.  Chunked ones are small pieces, and mostly compressed.

Pure: no I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlflow_vault.format.tensors.arrays import MAX_RANK, Array, Window, check
from mlflow_vault.format.tensors.dtypes import HDF5_FLOATS, HDF5_INTEGERS, Dtype, fit
from mlflow_vault.format.tensors.hdf5.reading import UNDEFINED, WORD, number, word

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mlflow_vault.format.tensors.arrays import Bytes

SPACE: Final = 0x01
TYPE: Final = 0x03
EXTERNAL: Final = 0x07
PLACE: Final = 0x08
_CONTIGUOUS: Final = 1
_PLACE_VERSIONS: Final = (3, 4)
_SPACE_HEADS: Final = {1: 8, 2: 4}  # bytes before the sides, by version

_FIXED, _FLOAT, _ENUMERATION = 0, 1, 8  # classes of types
_BIG: Final = 1 << 0 | 1 << 6  # bits that name another byte order than the little one


def read_dataset(source: Bytes, name: str, messages: Mapping[int, bytes]) -> Iterator[Array]:
    """Yield the array of a dataset, if it is contiguous and was written at all."""
    place = messages[PLACE]
    if len(place) < 2 + 2 * WORD or place[0] not in _PLACE_VERSIONS or place[1] != _CONTIGUOUS:
        return
    start, size = word(place, 2), word(place, 2 + WORD)
    if start == UNDEFINED or not size or EXTERNAL in messages:
        return
    check(start + size <= source.size, "a dataset behind the end")
    shape = _read_space(messages[SPACE])
    dtype = _read_type(messages.get(TYPE, b""))
    yield fit(Window(source, start, start + size), name, dtype, shape)


def _read_space(content: bytes) -> tuple[int, ...]:
    at, rank = _SPACE_HEADS[content[0]], content[1]
    check(rank <= MAX_RANK, "too many dimensions")
    return tuple(word(content, at + WORD * index) for index in range(rank))


def _read_type(content: bytes) -> Dtype | None:
    """Return the number that a datatype message describes, None if we have no such element."""
    if len(content) < 8:  # noqa: PLR2004 - class, bits and size
        return None
    kind, order, size = content[0] & 0x0F, content[1], number(content, 4, 4)
    if kind == _ENUMERATION and size == 1:  # a bool, as h5py writes it
        return HDF5_INTEGERS[1]
    if order & _BIG and size > 1:
        return None
    if kind == _FIXED:
        return HDF5_INTEGERS.get(size)
    if kind == _FLOAT and len(content) >= 16:  # noqa: PLR2004 - and where the bits lie
        return HDF5_FLOATS.get((size, content[13], content[15]))
    return None
