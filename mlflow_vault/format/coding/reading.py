"""Takes payloads apart: byte planes and zstd frames, whoever made them.

Nothing that a payload says is believed: it gives the bytes that were asked for, or is damaged.

Pure: no I/O.  Written down in docs/format.md, "Codecs".
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Final

import numpy as np
import zstandard

from mlflow_vault.errors import CorruptionError
from mlflow_vault.format.coding.kernels.choice import kernels
from mlflow_vault.format.coding.modes import BITS, Mode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlflow_vault.format.coding.kernels.protocol import Bytes, Planes
    from mlflow_vault.format.coding.planes import Buffer
    from mlflow_vault.format.coding.scratch import Scratch

_WINDOW: Final = 1 << 23  # bytes: the farthest back that a stored frame may point
# Looked up for each plane, where an enum's members take as long as a small frame does.
_RAW, _CONSTANT, _ZSTD = int(Mode.RAW), int(Mode.CONSTANT), int(Mode.ZSTD)


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

    @property
    def left(self) -> int:
        """How many bytes are left."""
        return len(self._payload) - self._at

    def take(self, size: int) -> memoryview:
        """Return the next *size* bytes."""
        start, stop = self._at, self._at + size
        if stop > len(self._payload):
            raise damaged(f"{len(self._payload) - start} bytes left where {size} should follow")
        self._at = stop
        return self._payload[start:stop]

    def octet(self) -> int:
        """Return the next byte."""
        at = self._at
        if at >= len(self._payload):
            raise damaged("it ends where a byte should follow")
        self._at = at + 1
        return self._payload[at]

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


def read_planes(reader: Reader, counts: Sequence[int], width: int, work: Scratch) -> Planes:
    """Decode what `PlaneWriter.write` coded: bands of *counts* numbers of *width* bytes each."""
    planes = work.array("planes", width * sum(counts), np.uint8).reshape(width, -1)
    for start, stop in pairwise(accumulate(counts, initial=0)):
        if start < stop:
            for plane in planes:
                _fill(plane[start:stop], reader)
    return planes


def _fill(plane: Bytes, reader: Reader) -> None:
    mode = reader.octet()
    if mode == _CONSTANT:
        plane[:] = reader.octet()
        return
    bits = BITS.get(mode)
    if bits is None:
        plane[:] = _simple(reader, mode, len(plane))
        return
    packed = _simple(reader, reader.octet(), -(-len(plane) * bits // 8))
    loops = kernels()
    count = loops.caps(packed, bits, len(plane))
    loops.unpack(packed, bits, _simple(reader, reader.octet(), count), plane)


def _simple(reader: Reader, mode: int, count: int) -> Bytes:
    if mode == _ZSTD:
        return np.frombuffer(reader.frame(reader.number(4), count), np.uint8)
    if mode == _RAW:
        return np.frombuffer(reader.take(count), np.uint8)
    if mode == _CONSTANT:
        return np.full(count, reader.octet(), np.uint8)
    raise damaged(f"a plane of unknown mode {mode}")
