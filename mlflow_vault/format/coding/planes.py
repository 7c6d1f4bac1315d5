"""Byte planes: the same byte of many numbers, coded each in its own way.

The high bytes of small numbers are nearly all zero and the low bytes nearly
noise, so each plane gets what suits it::

    numbers   00 01   00 03   01 02      planes   01 03 02 (low)   00 00 01 (high)

A plane is stored as it is, as one repeated byte, as a zstd frame, or *packed*: where
most bytes are tiny, two, four or eight of them share one byte before zstd, because
its Huffman code cannot spend less than a bit on a byte; what does not fit follows
as exceptions.

Pure: no I/O.  Written down in docs/format.md, "Codecs".
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, Final

import zstandard

from mlflow_vault.format.coding.kernels.choice import kernels
from mlflow_vault.format.coding.modes import BITS, SAMPLE, WORTH, Mode, choose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlflow_vault.format.coding.kernels.protocol import Bytes, Planes
    from mlflow_vault.format.coding.scratch import Scratch

Buffer = bytes | bytearray | memoryview

# In effect Huffman alone: on exponent planes smaller (32.7 % against 36-38) and three times as
# fast as level 1, which wastes bits on chance matches.
_HUFFMAN: Final = zstandard.ZstdCompressionParameters(
    strategy=zstandard.STRATEGY_FAST, window_log=17, hash_log=6, min_match=7, target_length=0
)
_PROBE: Final = 8192  # bytes of each of two slices that are tried with level 1
_FRAMED: Final = 200  # bytes: more than the frame of any constant plane
_HEADS: Final = tuple(bytes((mode,)) for mode in Mode)
_MANY: Final = 16  # frames from which compressing them together saves more than it takes
_TOGETHER: Final = "multi_compress_to_buffer" in zstandard.backend_features


@dataclass(frozen=True, slots=True, eq=False)
class _Simple:
    """A plane that zstd is tried on; it stays raw, or is constant, where that does not pay."""

    plane: Bytes
    press: zstandard.ZstdCompressor


class PlaneWriter:
    """Codes planes one after another, in the memory that it is lent; for one thread."""

    def __init__(self, work: Scratch) -> None:
        self._work = work
        self._huffman = work.tool(_huffman)
        self._level1 = work.tool(_level1)

    def write(self, planes: Planes, counts: Sequence[int], *, repeats: bool) -> list[Buffer]:
        """Code each plane of each band, low plane first; undone by `reading.read_planes`.

        Args:
            planes: What to code, by bytes.
            counts: How many numbers each band holds; an empty one takes no bytes.
            repeats: Whether the order is a file's, so that looking for repeats can pay.
        """
        parts: list[Buffer | _Simple] = []
        bands = [
            plane[start:stop]
            for start, stop in pairwise(accumulate(counts, initial=0))
            if start < stop
            for plane in planes
        ]
        modes = choose(kernels().tally(planes, counts, SAMPLE))
        for plane, mode in zip(bands, modes, strict=True):
            if repeats and mode is not Mode.CONSTANT:
                parts += self._best(plane, mode)
            else:
                parts += self._parts(plane, mode)
        return self._coded(parts)

    def _best(self, plane: Bytes, mode: Mode) -> list[Buffer | _Simple]:
        """Code a plane in *mode* or, where two slices show that repeats pay, by zstd."""
        middle = max(len(plane) // 2, _PROBE)
        slices = [plane[:_PROBE], plane[middle : middle + _PROBE]]
        guess = sum(len(piece) for part in slices for piece in self._coded(self._parts(part, mode)))
        sizes = {
            press: sum(len(press.compress(part.data)) for part in slices)
            for press in ((self._huffman, self._level1) if mode in BITS else (self._level1,))
        }
        press = min(sizes, key=sizes.__getitem__)
        pays = sizes[press] < guess * WORTH
        return [_Simple(plane, press)] if pays else self._parts(plane, mode)

    def _parts(self, plane: Bytes, mode: Mode) -> list[Buffer | _Simple]:
        """Store a plane in *mode*, but for what zstd does."""
        if mode is Mode.CONSTANT:
            return [bytes((mode, plane[0]))]
        if mode is Mode.RAW:
            return [_HEADS[mode], plane.data]
        if mode is Mode.ZSTD:
            return [_Simple(plane, self._huffman)]
        packed, beyond = kernels().pack(plane, BITS[mode], self._work)
        return [_HEADS[mode], _Simple(packed, self._huffman), _Simple(beyond, self._huffman)]

    def _coded(self, parts: Sequence[Buffer | _Simple]) -> list[Buffer]:
        """Let zstd do its part: all planes at a time, as each call gives Python's lock away."""
        frames: dict[_Simple, Any] = {}
        for press in (self._huffman, self._level1):
            waiting = [
                part
                for part in parts
                if isinstance(part, _Simple) and part.press is press and len(part.plane)
            ]
            planes: list[Buffer] = [part.plane.data for part in waiting]
            frames |= zip(waiting, _frames(planes, press), strict=True)
        coded: list[Buffer] = []
        for part in parts:
            if not isinstance(part, _Simple):
                coded.append(part)
            else:
                coded += _simple(part.plane, frames.get(part, b""))
        return coded


def _huffman() -> zstandard.ZstdCompressor:
    return zstandard.ZstdCompressor(compression_params=_HUFFMAN)


def _level1() -> zstandard.ZstdCompressor:
    return zstandard.ZstdCompressor(level=1)


def _frames(planes: list[Buffer], press: zstandard.ZstdCompressor) -> Sequence[Any]:
    """Compress each of *planes*, none of them empty, to a frame of its own."""
    if len(planes) >= _MANY and _TOGETHER:
        found = press.multi_compress_to_buffer(planes, threads=0)
        return [found[index] for index in range(len(planes))]
    return [press.compress(plane) for plane in planes]


def _simple(plane: Bytes, frame: Any) -> list[Buffer]:
    """Store a plane as *frame*, constant or, where neither pays, raw."""
    if not len(plane):
        return [_HEADS[Mode.RAW]]
    # One byte over and over is a few bytes for each of zstd's blocks.
    if (len(frame) < _FRAMED or len(plane) < _FRAMED) and plane.min() == plane.max():
        return [bytes((Mode.CONSTANT, plane[0]))]
    if len(frame) + 4 < len(plane):
        return [_HEADS[Mode.ZSTD], len(frame).to_bytes(4, "little"), frame]
    return [_HEADS[Mode.RAW], plane.data]
