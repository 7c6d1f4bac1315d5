"""The loops that `compiled` runs, one for each kind of number: made by numba.

They are compiled when a kind is met for the first time, which takes seconds, and kept in numba's
cache.  To sort by keys each element goes where its key's last one went, plus one; four parts of a
chunk are sorted side by side, since each waits for its own stores only.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numba
import numpy as np
from numba import types, uintp

if TYPE_CHECKING:
    from collections.abc import Callable

STREAMS: Final = 4  # parts of a chunk that are sorted side by side; 8 took longer


def _compiled(*given: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Compile a function for the types *given*; keep it where numba finds a folder for it."""

    def compile_it(function: Callable[..., Any]) -> Callable[..., Any]:
        try:
            loop: Callable[..., Any] = numba.njit(given, nogil=True, cache=True)(function)
        except RuntimeError:  # nowhere to write
            loop = numba.njit(given, nogil=True)(function)
        return loop

    return compile_it


def _number(width: int) -> Any:
    return numba.from_dtype(np.dtype(f"u{width}"))


def _known(kind: Any, dimensions: int = 1) -> Any:
    """Return the type of an array that is only read."""
    return types.Array(kind, dimensions, "C", readonly=True)


def _filled(kind: Any, dimensions: int = 1) -> Any:
    """Return the type of an array that is written."""
    return types.Array(kind, dimensions, "C")


@cache
def subtracting(width: int) -> Callable[..., Any]:
    """Compile the steps between floats; numba widens every result, so each is cut back."""
    kind, number = np.dtype(f"u{width}").type, _number(width)
    none, one, last, top = kind(0), kind(1), kind(8 * width - 1), kind(1 << (8 * width - 1))

    @_compiled(_known(number), _known(number), _filled(number))
    def subtract(values: Any, base: Any, steps: Any) -> None:
        for index in range(len(values)):
            value, known = values[index], base[index]
            value = kind(value ^ kind(kind(none - kind(value >> last)) | top))
            known = kind(known ^ kind(kind(none - kind(known >> last)) | top))
            step = kind(value - known)
            steps[index] = kind(kind(step << one) ^ kind(none - kind(step >> last)))

    return subtract


@cache
def adding(width: int) -> Callable[..., Any]:
    """Compile undoing `subtracting`."""
    kind, number = np.dtype(f"u{width}").type, _number(width)
    none, one, last, top = kind(0), kind(1), kind(8 * width - 1), kind(1 << (8 * width - 1))

    @_compiled(_known(number), _known(number), _filled(number))
    def add(steps: Any, base: Any, values: Any) -> None:
        for index in range(len(values)):
            step, known = steps[index], base[index]
            known = kind(known ^ kind(kind(none - kind(known >> last)) | top))
            step = kind(kind(step >> one) ^ kind(none - kind(step & one)))
            value = kind(step + known)
            values[index] = kind(value ^ kind(kind(kind(value >> last) - one) | top))

    return add


@cache
def keying(width: int, mantissa_bits: int, exponent_bits: int, key: int) -> Callable[..., Any]:
    """Compile finding clamped exponents, less the lowest, as keys of *key* bytes."""
    kind, number = np.dtype(f"u{width}").type, _number(width)
    mantissa, mask = kind(mantissa_bits), kind((1 << exponent_bits) - 1)

    @_compiled(_known(number), number, number, _filled(_number(key)))
    def find_keys(base: Any, low: Any, high: Any, keys: Any) -> None:
        for index in range(len(base)):
            exponent = kind(kind(base[index] >> mantissa) & mask)
            keys[index] = min(max(exponent, low), high) - low

    return find_keys


@cache
def splitting(width: int) -> Callable[..., Any]:
    """Compile cutting numbers into byte planes."""
    kind, number = np.dtype(f"u{width}").type, _number(width)

    @_compiled(_known(number), _filled(types.uint8, 2))
    def split(values: Any, planes: Any) -> None:
        for place in range(width):
            shift, plane = kind(8 * place), planes[place]
            for index in range(len(values)):
                plane[index] = np.uint8(values[index] >> shift)

    return split


@cache
def joining(width: int) -> Callable[..., Any]:
    """Compile undoing `splitting`."""
    kind, number = np.dtype(f"u{width}").type, _number(width)

    @_compiled(_known(types.uint8, 2), _filled(number))
    def join(planes: Any, values: Any) -> None:
        for index in range(len(values)):
            value = kind(planes[0, index])
            for place in range(1, width):
                value |= kind(kind(planes[place, index]) << kind(8 * place))
            values[index] = value

    return join


@cache
def counting(key: int) -> Callable[..., Any]:
    """Compile counting keys of *key* bytes by stream, and saying where each then starts."""

    @_compiled(_known(_number(key)), _filled(types.uint32, 2))
    def count(keys: Any, places: Any) -> None:
        part = uintp(len(keys) // STREAMS)
        for index in range(part):
            for stream in range(STREAMS):
                found = uintp(keys[uintp(stream) * part + uintp(index)])
                places[stream, found] += np.uint32(1)
        for index in range(STREAMS * part, len(keys)):
            places[STREAMS - 1, uintp(keys[index])] += np.uint32(1)
        at = np.uint32(0)
        for place in range(places.shape[1]):
            for stream in range(STREAMS):
                many = places[stream, place]
                places[stream, place] = at
                at += many

    return count


@cache
def sorting(width: int, key: int) -> Callable[..., Any]:
    """Compile putting numbers of *width* bytes in the order of their keys."""
    numbers, keys_of = _known(_number(width)), _known(_number(key))

    @_compiled(numbers, keys_of, _filled(types.uint32, 2), _filled(_number(width)))
    def sort(values: Any, keys: Any, places: Any, ordered: Any) -> None:
        part = uintp(len(keys) // STREAMS)
        for index in range(part):
            for stream in range(STREAMS):
                position = uintp(stream) * part + uintp(index)
                found = uintp(keys[position])
                place = places[stream, found]
                places[stream, found] = place + np.uint32(1)
                ordered[uintp(place)] = values[position]
        for index in range(STREAMS * part, len(keys)):
            found = uintp(keys[index])
            place = places[STREAMS - 1, found]
            places[STREAMS - 1, found] = place + np.uint32(1)
            ordered[uintp(place)] = values[index]

    return sort


@cache
def unsorting(held: int, width: int, key: int) -> Callable[..., Any]:
    """Compile undoing `sorting`, for numbers that come in *held* bytes."""
    numbers, keys_of = _known(_number(held)), _known(_number(key))

    @_compiled(numbers, keys_of, _filled(types.uint32, 2), _filled(_number(width)))
    def unsort(ordered: Any, keys: Any, places: Any, values: Any) -> None:
        part = uintp(len(keys) // STREAMS)
        for index in range(part):
            for stream in range(STREAMS):
                position = uintp(stream) * part + uintp(index)
                found = uintp(keys[position])
                place = places[stream, found]
                places[stream, found] = place + np.uint32(1)
                values[position] = ordered[uintp(place)]
        for index in range(STREAMS * part, len(keys)):
            found = uintp(keys[index])
            place = places[STREAMS - 1, found]
            places[STREAMS - 1, found] = place + np.uint32(1)
            values[index] = ordered[uintp(place)]

    return unsort


@cache
def tallying() -> Callable[..., Any]:
    """Compile counting a sample of each plane, and telling whether it is constant."""
    counts, flags = _filled(types.int64, 2), _filled(types.boolean)

    @_compiled(_known(types.uint8, 2), _known(types.int64), types.int64, counts, flags)
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
    fold, most = 8 // bits, np.uint8((1 << bits) - 1)

    @_compiled(_known(types.uint8), _filled(types.uint8), _filled(types.uint8))
    def pack(plane: Any, packed: Any, beyond: Any) -> int:
        at = uintp(0)
        packed[-1] = np.uint8(0)
        for index in range(len(plane) // fold):
            word = np.uint8(0)
            for place in range(fold):
                small = plane[uintp(index * fold + place)]
                beyond[at] = small - most
                at += uintp(small >= most)
                word |= np.uint8(min(small, most) << np.uint8(place * bits))
            packed[index] = word
        for index in range(len(plane) // fold * fold, len(plane)):
            small = plane[index]
            beyond[at] = small - most
            at += uintp(small >= most)
            packed[-1] |= np.uint8(min(small, most) << np.uint8(index % fold * bits))
        return int(at)

    return pack


@cache
def counting_caps(bits: int) -> Callable[..., Any]:
    """Compile counting the packed bytes that are the cap."""
    fold, most = 8 // bits, np.uint8((1 << bits) - 1)

    @_compiled(_known(types.uint8), types.int64)
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
    fold, most = 8 // bits, np.uint8((1 << bits) - 1)

    @_compiled(_known(types.uint8), _known(types.uint8), _filled(types.uint8))
    def unpack(packed: Any, beyond: Any, plane: Any) -> None:
        at, last = uintp(0), uintp(len(beyond) - 1)
        for index in range(len(plane) // fold):
            word = packed[index]
            for place in range(fold):
                small = np.uint8(word >> np.uint8(place * bits)) & most
                over = small == most
                plane[uintp(index * fold + place)] = small + np.uint8(over) * beyond[min(at, last)]
                at += uintp(over)
        for index in range(len(plane) // fold * fold, len(plane)):
            small = np.uint8(packed[-1] >> np.uint8(index % fold * bits)) & most
            over = small == most
            plane[index] = small + np.uint8(over) * beyond[min(at, last)]
            at += uintp(over)

    return unpack
