"""Decode chunks by what docs/format.md says of elements, codecs and planes.

The lower half of the independent reader, with what both halves need: errors, a cursor, zstd.
Nothing here knows of vaults, entries or packs.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import zstandard

if TYPE_CHECKING:
    from collections.abc import Callable

Array = np.ndarray[Any, Any]

MIB: Final = 1 << 20
CODECS: Final = ("RAW", "ZSTD", "PLANES", "DELTA", "DICTIONARY")
MODES: Final = ("RAW", "CONSTANT", "ZSTD", "PACK1", "PACK2", "PACK4")
ELEMENTS: Final = {  # tag: bytes, exponent bits, mantissa bits
    0x01: (1, 0, 0),
    0x02: (2, 0, 0),
    0x03: (4, 0, 0),
    0x04: (8, 0, 0),
    0x12: (2, 5, 10),
    0x22: (2, 8, 7),
    0x13: (4, 8, 23),
    0x14: (8, 11, 52),
}

told: Counter[str] = Counter()


class DamagedError(Exception):
    """Stored bytes are not what the page allows."""


class UnsupportedError(Exception):
    """Stored bytes are from a later time than this program."""


def need(fact: object, message: str, error: type[Exception] = DamagedError) -> None:
    """Raise unless *fact*."""
    if not fact:
        raise error(message)


@dataclass(slots=True)
class Cursor:
    """Bytes that are taken from the front and must be used up."""

    raw: bytes
    at: int = 0

    def take(self, size: int) -> bytes:
        """Return the next *size* bytes."""
        self.at += size
        need(self.at <= len(self.raw), "ends early")
        return self.raw[self.at - size : self.at]

    def byte(self) -> int:
        """Return the next byte."""
        return self.take(1)[0]

    def column(self, kind: str, count: int) -> Array:
        """Return the next *count* numbers."""
        return np.frombuffer(self.take(np.dtype(kind).itemsize * count), kind)

    def end(self) -> None:
        """Refuse bytes that are left."""
        need(self.at == len(self.raw), "goes on")


def unzstd(frame: bytes, size: int, window: int = 8 * MIB, base: bytes | None = None) -> bytes:
    """Return the *size* bytes of the one zstd frame that fills *frame*."""
    need(frame[:4] == b"\x28\xb5\x2f\xfd", "no zstd frame")
    told_by_frame = zstandard.get_frame_parameters(frame)
    need(size > 0 and told_by_frame.content_size == size, "a zstd frame of another size")
    need(not told_by_frame.dict_id and told_by_frame.window_size <= window, "a forbidden frame")
    raw = zstandard.DICT_TYPE_RAWCONTENT
    held = zstandard.ZstdCompressionDict(base, dict_type=raw) if base else None
    one = zstandard.ZstdDecompressor(dict_data=held, max_window_size=window).decompressobj()
    plain = one.decompress(frame)  # the plain `decompress` never looks into a frame of no bytes
    need(one.eof and not one.unused_data, "a zstd frame that ends early, or bytes behind it")
    need(len(plain) == size, "a zstd frame that lies about its size")
    return plain


def read_plane(payload: Cursor, count: int, *, inside: bool = False) -> Array:
    """Return a plane of *count* bytes; a packed plane may not lie *inside* another."""
    mode = payload.byte()
    need(mode < (3 if inside else len(MODES)), f"unknown mode {mode}")
    told[f"mode {MODES[mode]}{' inside' * inside}"] += 1
    if mode == 0:
        return payload.column("u1", count)
    if mode == 1:
        return np.full(count, payload.byte(), "u1")
    if mode == 2:
        size = int(payload.column("<u4", 1)[0])
        return np.frombuffer(unzstd(payload.take(size), count), "u1")
    bits = 1 << (mode - 3)
    top = (1 << bits) - 1
    packed = read_plane(payload, -(-count * bits // 8), inside=True)
    symbols: Array = ((packed[:, None] >> np.arange(0, 8, bits).astype("u1")) & top).ravel()[:count]
    above = symbols == top
    told["packed without exceptions"] += not above.any()
    symbols[above] += read_plane(payload, int(above.sum()), inside=True)
    return symbols


def read_band(payload: Cursor, count: int, width: int) -> Array:
    """Return the *count* numbers of one band."""
    planes = np.empty((count, width), "u1")
    for place in range(width if count else 0):
        planes[:, place] = read_plane(payload, count)
    return planes.view(f"<u{width}").ravel()


def cast(numbers: Array, source: int, target: int) -> Array:
    """Round the bits of float32 to a narrower float."""
    need((source, target) in {(0x13, 0x22), (0x13, 0x12)}, f"no cast {source:02x}-{target:02x}")
    told[f"cast {source:02x}-{target:02x}"] += 1
    if target == 0x22:
        rounded = (numbers.astype("<u8") + 0x7FFF + ((numbers >> 16) & 1)) >> 16
        quiet = 0x7FC0
    else:
        with np.errstate(all="ignore"):
            rounded = numbers.view("<f4").astype("<f2").view("<u2")
        quiet = 0x7E00
    not_a_number = (numbers & 0x7FFFFFFF) > 0x7F800000
    return np.where(not_a_number, (numbers >> 31 << 15) | quiet, rounded).astype("<u2")


def planes(payload: Cursor, size: int, _: bytes) -> bytes:
    """Decode PLANES."""
    width, exponent, _mantissa = element(payload.byte())
    count, tail = divmod(size, width)
    numbers = read_band(payload, count, width)
    if exponent:
        numbers = (numbers >> 1) | (numbers << (8 * width - 1))
    return numbers.tobytes() + payload.take(tail)


def delta(payload: Cursor, size: int, base: bytes) -> bytes:
    """Decode DELTA."""
    target, source, grouping = payload.take(3)
    (width, exponent, mantissa), (other, *_) = element(target), element(source)
    count, tail = divmod(size, width)
    old = np.frombuffer(base[: len(base) // other * other], f"<u{other}")
    old = old if source == target else cast(old, source, target)
    old = np.pad(old[:count], (0, max(0, count - len(old))))
    need(grouping in (0, 1), f"unknown grouping {grouping}")
    told[f"delta {target:02x} {'grouped' if grouping else 'ungrouped'}"] += 1
    steps = np.empty(count, f"<u{width}")
    if grouping:
        low, high = (int(bound) for bound in payload.column("<u2", 2))
        need(exponent and low <= high < 1 << exponent, "a grouping that cannot be")
        key = ((old >> mantissa) & ((1 << exponent) - 1)).clip(low, high).astype("i8") - low
        counts = np.bincount(key, minlength=high - low + 1)
        bands = [read_band(payload, int(band), width) for band in counts]
        steps[key.argsort(kind="stable")] = np.concatenate(bands)
    else:
        steps = read_band(payload, count, width)
    steps = (steps >> 1) ^ -(steps & 1)
    if not exponent:
        return bytes((steps + old).tobytes()) + payload.take(tail)
    sign = np.array(1 << (8 * width - 1), f"<u{width}")
    order = steps + np.where(old & sign, ~old, old | sign)
    return np.where(order & sign, order ^ sign, ~order).tobytes() + payload.take(tail)


def element(tag: int) -> tuple[int, int, int]:
    """Return bytes, exponent bits and mantissa bits of the element *tag*."""
    need(tag in ELEMENTS, f"unknown element {tag:02x}")
    return ELEMENTS[tag]


def decode(codec: int, size: int, payload: bytes, base: bytes | None) -> bytes:
    """Return the plain bytes of a chunk."""
    need(codec < len(CODECS), f"unknown codec {codec}")
    need(0 < size <= 4 * MIB, f"a chunk of {size} bytes")
    need((codec >= 3) == bool(base), "a base too few or too many")
    told[CODECS[codec]] += 1
    if codec in (1, 4):
        return unzstd(payload, size, base=base)
    cursor = Cursor(payload)
    decoders: list[Callable[[Cursor, int, bytes], bytes]] = [planes, delta]
    plain = decoders[codec - 2](cursor, size, base or b"") if codec else cursor.take(size)
    cursor.end()
    return plain
