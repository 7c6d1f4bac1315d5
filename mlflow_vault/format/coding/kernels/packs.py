"""Compiled: looking at planes, and packing them.

Bytes are capped and packed many at a time; those that go beyond the cap are few, and are found by
the bits that they leave in the packed bytes, read 64 at a time.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numba import types, uint64, uintp
from numba.cpython.unsafe.numbers import trailing_zeros

from mlflow_vault.format.coding.kernels.typed import compiled, filled, known

if TYPE_CHECKING:
    from collections.abc import Callable

_WORD: Final = 8  # packed bytes that are looked at together
_LOWEST: Final = {1: 0xFFFF_FFFF_FFFF_FFFF, 2: 0x5555_5555_5555_5555, 4: 0x1111_1111_1111_1111}


@cache
def tallying() -> Callable[..., Any]:
    """Compile counting a sample of each plane, and telling whether it is constant."""
    counts, flags = filled(types.int64, 2), filled(types.boolean)

    @compiled(known(types.uint8, 2), known(types.int64), types.int64, counts, flags)
    def tally(planes: Any, ends: Any, sample: int, counted: Any, constant: Any) -> None:
        row = 0
        for band in range(len(ends) - 1):
            start, stop = ends[band], ends[band + 1]
            stride = max(1, (stop - start) // sample)
            for place in range(len(planes)):
                plane = planes[place, start:stop]
                for index in range(0, len(plane), stride):
                    counted[row, uintp(plane[uintp(index)])] += 1
                first, same, index = plane[0], True, 0
                while same and index < len(plane):
                    part = plane[index : index + 4096]
                    differing = np.uint8(0)
                    for position in range(len(part)):
                        differing |= part[position] ^ first
                    same = differing == 0
                    index += len(part)
                constant[row] = same
                row += 1

    return tally


@cache
def packing(bits: int) -> Callable[..., Any]:
    """Compile capping bytes to *bits*, packing them, and collecting what goes beyond."""
    fold, most, lowest = 8 // bits, np.uint8((1 << bits) - 1), np.uint64(_LOWEST[bits])
    many = uintp(fold * _WORD)

    @compiled(known(types.uint8), filled(types.uint8), filled(types.uint8))
    def pack(plane: Any, packed: Any, beyond: Any) -> int:
        packed[-1] = np.uint8(0)
        for index in range(len(plane) // fold):
            octet = np.uint8(0)
            for place in range(fold):
                small = min(plane[uintp(index * fold + place)], most)
                octet |= np.uint8(small << np.uint8(place * bits))
            packed[index] = octet
        at, words = uintp(0), uintp(len(plane)) // many
        for index in range(words):
            word = uint64(0)
            for place in range(_WORD):
                word |= uint64(packed[uintp(index * _WORD + place)]) << uint64(8 * place)
            caps = word & lowest
            for shift in range(1, bits):
                caps &= word >> uint64(shift)
            while caps:
                position = uintp(index) * many + uintp(trailing_zeros(caps)) // uintp(bits)
                beyond[at] = plane[position] - most
                at += uintp(1)
                caps &= caps - uint64(1)
        for index in range(words * many, len(plane)):
            small = plane[index]
            beyond[at] = small - most
            at += uintp(small >= most)
            if index >= len(plane) // fold * fold:
                packed[-1] |= np.uint8(min(small, most) << np.uint8(index % fold * bits))
        return int(at)

    return pack


@cache
def counting_caps(bits: int) -> Callable[..., Any]:
    """Compile counting the packed bytes that are the cap."""
    fold, most = 8 // bits, np.uint8((1 << bits) - 1)

    @compiled(known(types.uint8), types.int64)
    def count_caps(packed: Any, count: int) -> int:
        found = 0
        for index in range(count // fold):
            word = packed[index]
            for place in range(fold):
                found += np.uint8(word >> np.uint8(place * bits)) & most == most
        for place in range(count % fold):
            found += np.uint8(packed[-1] >> np.uint8(place * bits)) & most == most
        return found

    return count_caps


@cache
def unpacking(bits: int) -> Callable[..., Any]:
    """Compile undoing `packing`; *beyond* needs a byte, though none be used."""
    fold, most, lowest = 8 // bits, np.uint8((1 << bits) - 1), np.uint64(_LOWEST[bits])
    many = uintp(fold * _WORD)

    @compiled(known(types.uint8), known(types.uint8), filled(types.uint8))
    def unpack(packed: Any, beyond: Any, plane: Any) -> None:
        for index in range(len(plane) // fold):
            octet = packed[index]
            for place in range(fold):
                small = np.uint8(octet >> np.uint8(place * bits)) & most
                plane[uintp(index * fold + place)] = small
        at, last, words = uintp(0), uintp(len(beyond) - 1), uintp(len(plane)) // many
        for index in range(words):
            word = uint64(0)
            for place in range(_WORD):
                word |= uint64(packed[uintp(index * _WORD + place)]) << uint64(8 * place)
            caps = word & lowest
            for shift in range(1, bits):
                caps &= word >> uint64(shift)
            while caps:
                position = uintp(index) * many + uintp(trailing_zeros(caps)) // uintp(bits)
                plane[position] = most + beyond[min(at, last)]
                at += uintp(1)
                caps &= caps - uint64(1)
        for index in range(words * many, len(plane)):
            octet = packed[uintp(index) // uintp(fold)]
            small = np.uint8(octet >> np.uint8(index % fold * bits)) & most
            over = small == most
            plane[index] = small + np.uint8(over) * beyond[min(at, last)]
            at += uintp(over)

    return unpack
