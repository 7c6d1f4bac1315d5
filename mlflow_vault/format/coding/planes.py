"""Byte planes: the same byte of many numbers, coded each in its own way.

The high bytes of small numbers are nearly all zero and the low bytes nearly
noise, so each plane gets what suits it::

    numbers   00 01   00 03   01 02      planes   01 03 02 (low)   00 00 01 (high)

A plane is stored as it is, as one repeated byte, as a zstd frame, or *packed*: where
most bytes are tiny, two, four or eight of them share one byte before zstd, because
its Huffman code cannot spend less than a bit on a byte; what does not fit follows
as exceptions.  Which one is decided from a sampled histogram, not by trying.

Pure: no I/O.  Written down in docs/format.md, "Codecs".
"""

from __future__ import annotations

from enum import IntEnum
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Final

import numpy as np
import zstandard

from mlflow_vault.errors import CorruptionError
from mlflow_vault.format.coding.kernels.choice import kernels

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from mlflow_vault.format.coding.kernels.protocol import Bytes, Planes, Tally
    from mlflow_vault.format.coding.scratch import Scratch

Buffer = bytes | bytearray | memoryview

_WINDOW: Final = 1 << 23  # bytes: the farthest back that a stored frame may point

# In effect Huffman alone: on exponent planes smaller (32.7 % against 36-38) and three times as
# fast as level 1, which wastes bits on chance matches.
_HUFFMAN: Final = zstandard.ZstdCompressionParameters(
    strategy=zstandard.STRATEGY_FAST, window_log=17, hash_log=6, min_match=7, target_length=0
)
_SAMPLE: Final = 1024  # bytes of a plane that its histogram is made from
_PROBE: Final = 8192  # bytes of each of two slices that are tried with level 1
_HALF: Final = 0.5
_BYTE: Final = 8  # bits
_WORTH: Final = 0.98  # a slower or more complicated way must save this much
_FRAMED: Final = 200  # bytes: more than the frame of any constant plane
_COUNTS: Final = np.arange(2 * _SAMPLE)  # how often a byte can occur in a sample
_LOGS: Final = _COUNTS * np.log2(np.maximum(_COUNTS, 1))


class Mode(IntEnum):
    """How one plane is stored; the byte before it."""

    RAW = 0
    CONSTANT = 1
    ZSTD = 2
    PACK1 = 3  # one bit per byte of the plane
    PACK2 = 4
    PACK4 = 5


_BITS: Final[dict[int, int]] = {Mode.PACK1: 1, Mode.PACK2: 2, Mode.PACK4: 4}
_MOST: Final = np.array([1, 3, 15])  # the caps of these modes
_FOLD: Final = np.array([8, 4, 2])  # and how many bytes share one


def damaged(reason: str) -> CorruptionError:
    """Return the error for a payload that no encoder wrote; the engine knows its key."""
    return CorruptionError("", reason)


def decompressor(
    dictionary: zstandard.ZstdCompressionDict | None = None,
) -> zstandard.ZstdDecompressor:
    """Return what decodes the frames of a payload."""
    return zstandard.ZstdDecompressor(dict_data=dictionary, max_window_size=_WINDOW)


class Reader:
    """Takes a payload apart from front to back, never past its end; for one thread.

    Every method raises `CorruptionError` where the payload cannot be what is asked for.
    """

    def __init__(self, payload: Buffer, press: zstandard.ZstdDecompressor) -> None:
        self._press = press
        self._payload = memoryview(payload).cast("B")
        self._at = 0

    def take(self, size: int) -> memoryview:
        """Return the next *size* bytes."""
        start, stop = self._at, self._at + size
        if stop > len(self._payload):
            raise damaged(f"{len(self._payload) - start} bytes left where {size} should follow")
        self._at = stop
        return self._payload[start:stop]

    def number(self, width: int) -> int:
        """Return the next number of *width* bytes, little-endian."""
        return int.from_bytes(self.take(width), "little")

    def frame(self, size: int, plain_size: int) -> bytes:
        """Decode the next *size* bytes: one zstd frame of *plain_size* and nothing behind it."""
        frame = self.take(size)
        try:
            promise = zstandard.get_frame_parameters(frame)
            # The one-shot call below looks at neither: it obeys any window, and takes what follows
            # an empty frame for nothing.
            if promise.window_size > _WINDOW or not plain_size:
                raise damaged("a zstd frame that no encoder makes: too far a window, or no content")
            if promise.content_size != plain_size or promise.dict_id:
                raise damaged(f"a zstd frame that promises other than {plain_size} bytes")
            plain: bytes = self._press.decompress(frame, plain_size, allow_extra_data=False)
        except zstandard.ZstdError as cause:
            raise damaged(f"a zstd frame does not decode: {cause}") from cause
        if len(plain) != plain_size:
            raise damaged(f"a zstd frame of {len(plain)} bytes instead of {plain_size}")
        return plain

    def finish(self) -> None:
        """Insist that nothing is left."""
        if self._at != len(self._payload):
            raise damaged(f"{len(self._payload) - self._at} bytes too many")


def _costs(histograms: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Estimate the bits that one byte of each plane takes (a row) in each mode (a column)."""
    total = histograms.sum(axis=1, keepdims=True)
    logs = _LOGS.take(histograms)  # the entropy is log n - sum(c log c) / n
    size = np.log2(total)
    every = size - logs.sum(axis=1, keepdims=True) / total
    # Miller and Madow: a small sample looks more orderly than it is.
    unseen = (np.count_nonzero(histograms, axis=1, keepdims=True) - 1) / (2 * np.log(2) * total)
    squares = np.einsum("ij,ij->i", histograms, histograms)[:, None]
    # In columns for the modes that pack: of the bytes that fit, and of those that do not.
    small = histograms[:, : _MOST[-1]]
    fitting = small.cumsum(axis=1)[:, _MOST - 1] / total
    large = 1 - fitting
    known = fitting * size - logs[:, : _MOST[-1]].cumsum(axis=1)[:, _MOST - 1] / total
    known += _surprise(large)
    often = np.maximum(np.maximum.accumulate(small, axis=1)[:, _MOST - 1] / total, large)
    chance = (small * small).cumsum(axis=1)[:, _MOST - 1] / total**2 + large**2
    often = np.hstack([histograms.max(axis=1, keepdims=True) / total, often**_FOLD])
    waste = _waste(often, np.hstack([squares / total**2, chance**_FOLD]))
    estimate = np.full((len(histograms), len(Mode)), 8.0)
    estimate[:, Mode.CONSTANT] = np.inf
    estimate[:, Mode.ZSTD] = (every + unseen)[:, 0] + waste[:, 0]
    packed = np.minimum(8, known * _FOLD + waste[:, 1:]) / _FOLD
    estimate[:, Mode.PACK1 :] = packed + every - known + unseen + 0.1 * large
    return estimate


def _surprise(share: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return ``-p log2 p``, and 0 for 0."""
    return -share * np.log2(np.maximum(share, 1e-12))


def _waste(
    often: npt.NDArray[np.float64], chance: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the bits above the entropy that a byte takes.

    No code is shorter than a bit.  And where few symbols are common, zstd takes chance for
    matches, which cost more than they save: fitted on Laplace and normal steps, to 0.05 bits.

    Args:
        often: The share of the commonest byte.
        chance: The chance that two bytes are the same.
    """
    whole = np.where(often > _HALF, 1 - _surprise(often) - _surprise(1 - often), 0)
    return np.maximum(whole, 0.03) + np.minimum(0.4, 1.7 * chance**2)


def _choose(tally: Tally) -> list[Mode]:
    """Choose each plane's mode from an even sample of its bytes."""
    modes = np.full(len(tally.constant), Mode.CONSTANT)
    varied = ~tally.constant
    if varied.any():
        estimate = _costs(tally.counted[varied])
        estimate[:, Mode.RAW : Mode.PACK1] *= _WORTH  # the simple ways, where they nearly tie
        estimate[:, Mode.RAW] *= _WORTH
        modes[varied] = estimate.argmin(axis=1)
    return [Mode(mode) for mode in modes.tolist()]


class PlaneWriter:
    """Codes planes one after another, in the memory that it is lent; for one thread."""

    def __init__(self, work: Scratch) -> None:
        self._work = work
        self._huffman = work.tool(_huffman)
        self._level1 = work.tool(_level1)

    def write(self, planes: Planes, counts: Sequence[int], *, repeats: bool) -> list[Buffer]:
        """Code each plane of each band, low plane first; undone by `read_planes`.

        Args:
            planes: What to code, by bytes.
            counts: How many numbers each band holds; an empty one takes no bytes.
            repeats: Whether the order is a file's, so that looking for repeats can pay.
        """
        coded: list[Buffer] = []
        bands = [
            plane[start:stop]
            for start, stop in pairwise(accumulate(counts, initial=0))
            if start < stop
            for plane in planes
        ]
        modes = _choose(kernels().tally(planes, counts, _SAMPLE))
        for plane, mode in zip(bands, modes, strict=True):
            if repeats and mode is not Mode.CONSTANT:
                coded += self._best(plane, mode)
            else:
                coded += self._coded(plane, mode)
        return coded

    def _best(self, plane: Bytes, mode: Mode) -> list[Buffer]:
        """Code a plane in *mode* or, where two slices show that repeats pay, by zstd."""
        middle = max(len(plane) // 2, _PROBE)
        slices = [plane[:_PROBE], plane[middle : middle + _PROBE]]
        guess = sum(len(piece) for part in slices for piece in self._coded(part, mode))
        sizes = {
            press: sum(len(press.compress(part.data)) for part in slices)
            for press in ((self._huffman, self._level1) if mode in _BITS else (self._level1,))
        }
        press = min(sizes, key=sizes.__getitem__)
        pays = sizes[press] < guess * _WORTH
        return _simple(plane, press) if pays else self._coded(plane, mode)

    def _coded(self, plane: Bytes, mode: Mode) -> list[Buffer]:
        if mode is Mode.CONSTANT:
            return [bytes((mode, plane[0]))]
        if mode is Mode.RAW:
            return [bytes((mode,)), plane.data]
        if mode is Mode.ZSTD:
            return _simple(plane, self._huffman)
        packed, beyond = kernels().pack(plane, _BITS[mode], self._work)
        coded = [*_simple(packed, self._huffman), *_simple(beyond, self._huffman)]
        return [bytes((mode,)), *map(bytes, coded)]  # the next plane is packed in the same place


def _huffman() -> zstandard.ZstdCompressor:
    return zstandard.ZstdCompressor(compression_params=_HUFFMAN)


def _level1() -> zstandard.ZstdCompressor:
    return zstandard.ZstdCompressor(level=1)


def _simple(plane: Bytes, press: zstandard.ZstdCompressor) -> list[Buffer]:
    """Store a plane by *press*, constant or, where neither pays, raw."""
    if not len(plane):
        return [bytes((Mode.RAW,))]
    frame = press.compress(plane.data)
    # One byte over and over is a few bytes for each of zstd's blocks.
    if (len(frame) < _FRAMED or len(plane) < _FRAMED) and plane.min() == plane.max():
        return [bytes((Mode.CONSTANT, plane[0]))]
    if len(frame) + 4 < len(plane):
        return [bytes((Mode.ZSTD,)), len(frame).to_bytes(4, "little"), frame]
    return [bytes((Mode.RAW,)), plane.data]


def read_planes(reader: Reader, counts: Sequence[int], width: int, work: Scratch) -> Planes:
    """Decode what `PlaneWriter.write` coded: bands of *counts* numbers of *width* bytes each."""
    planes = work.array("planes", width * sum(counts), np.uint8).reshape(width, -1)
    for start, stop in pairwise(accumulate(counts, initial=0)):
        if start < stop:
            for plane in planes:
                _fill(plane[start:stop], reader)
    return planes


def _fill(plane: Bytes, reader: Reader) -> None:
    mode = reader.number(1)
    if mode == Mode.CONSTANT:
        plane[:] = reader.number(1)
        return
    bits = _BITS.get(mode)
    if bits is None:
        plane[:] = _simple_plane(reader, mode, len(plane))
        return
    packed = _simple_plane(reader, reader.number(1), -(-len(plane) * bits // 8))
    count = kernels().caps(packed, bits, len(plane))
    beyond = _simple_plane(reader, reader.number(1), count)
    kernels().unpack(packed, bits, beyond, plane)


def _simple_plane(reader: Reader, mode: int, count: int) -> Bytes:
    if mode == Mode.RAW:
        return np.frombuffer(reader.take(count), np.uint8)
    if mode == Mode.CONSTANT:
        return np.full(count, reader.number(1), np.uint8)
    if mode == Mode.ZSTD:
        return np.frombuffer(reader.frame(reader.number(4), count), np.uint8)
    raise damaged(f"a plane of unknown mode {mode}")
