"""Compiled: numbers in the order of the base's exponents, and back.

To sort by keys each number goes where its key's last one went, plus one.  Four parts of a chunk,
the *streams*, are sorted side by side, since each waits for its own stores only.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numba import types, uintp

from mlflow_vault.format.coding.kernels.typed import compiled, filled, known, number

if TYPE_CHECKING:
    from collections.abc import Callable

STREAMS: Final = 4  # 2, 6 and 8 took longer
_FEW: Final = 24  # keys that are counted sooner by comparing with each
_BLOCK: Final = 1 << 13  # keys that are compared with each at a time: they stay near


@cache
def keying(width: int, mantissa_bits: int, exponent_bits: int, key: int) -> Callable[..., Any]:
    """Compile finding clamped exponents, less the lowest, as keys of *key* bytes."""
    kind, item = np.dtype(f"u{width}").type, number(width)
    mantissa, mask = kind(mantissa_bits), kind((1 << exponent_bits) - 1)

    @compiled(known(item), item, item, filled(number(key)))
    def find_keys(base: Any, low: Any, high: Any, keys: Any) -> None:
        for index in range(len(base)):
            exponent = kind(kind(base[index] >> mantissa) & mask)
            keys[index] = min(max(exponent, low), high) - low

    return find_keys


@cache
def counting(key: int) -> Callable[..., Any]:
    """Compile counting keys of *key* bytes by stream, and saying where each then starts."""
    kind, short = np.dtype(f"u{key}").type, np.uint16

    @compiled(known(number(key)), filled(types.uint32, 2))
    def count(keys: Any, places: Any) -> None:
        part = len(keys) // STREAMS
        for stream in range(STREAMS):
            start = stream * part
            stop = len(keys) if stream == STREAMS - 1 else start + part
            if len(places) > _FEW:
                for index in range(start, stop):
                    places[uintp(keys[index]), stream] += np.uint32(1)
                continue
            for first in range(start, stop, _BLOCK):
                block = keys[first : min(first + _BLOCK, stop)]
                for wanted in range(len(places)):
                    found = short(0)  # narrow, so that many are added at a time
                    for index in range(len(block)):
                        found = short(found + short(block[index] == kind(wanted)))
                    places[wanted, stream] += found
        at = np.uint32(0)
        for place in range(len(places)):
            for stream in range(STREAMS):
                many = places[place, stream]
                places[place, stream] = at
                at += many

    return count


@cache
def sorting(width: int, key: int) -> Callable[..., Any]:
    """Compile putting numbers of *width* bytes in the order of their keys; spoils the places."""
    item = number(width)

    @compiled(known(item), known(number(key)), filled(types.uint32), filled(item))
    def sort(values: Any, keys: Any, places: Any, ordered: Any) -> None:
        part = uintp(len(keys) // STREAMS)
        for index in range(part):
            for stream in range(STREAMS):
                position = uintp(stream) * part + uintp(index)
                found = uintp(keys[position]) * uintp(STREAMS) + uintp(stream)
                place = places[found]
                places[found] = place + np.uint32(1)
                ordered[uintp(place)] = values[position]
        for index in range(STREAMS * part, len(keys)):
            found = uintp(keys[index]) * uintp(STREAMS) + uintp(STREAMS - 1)
            place = places[found]
            places[found] = place + np.uint32(1)
            ordered[uintp(place)] = values[index]

    return sort


@cache
def unsorting(held: int, width: int, key: int) -> Callable[..., Any]:
    """Compile undoing `sorting`, for numbers that come in *held* bytes; spoils the places."""
    items, keys_of = known(number(held)), known(number(key))

    @compiled(items, keys_of, filled(types.uint32), filled(number(width)))
    def unsort(ordered: Any, keys: Any, places: Any, values: Any) -> None:
        part = uintp(len(keys) // STREAMS)
        for index in range(part):
            for stream in range(STREAMS):
                position = uintp(stream) * part + uintp(index)
                found = uintp(keys[position]) * uintp(STREAMS) + uintp(stream)
                place = places[found]
                places[found] = place + np.uint32(1)
                values[position] = ordered[uintp(place)]
        for index in range(STREAMS * part, len(keys)):
            found = uintp(keys[index]) * uintp(STREAMS) + uintp(STREAMS - 1)
            place = places[found]
            places[found] = place + np.uint32(1)
            values[index] = ordered[uintp(place)]

    return unsort
