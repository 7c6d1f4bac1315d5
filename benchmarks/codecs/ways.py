"""Ways to code one chunk, ours and others', alone or against its base; one thread each.

Every way takes a `Chunk` to something encoded and back to the plain bytes.  Of others' packages
the settings are the best for one chunk of known type on one core; what a paper describes without
a package is written here with numpy and zstd, no index or framing counted, in its favour.
"""

from __future__ import annotations

import warnings
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import lz4.block
import numpy as np
import z4ai
import zstandard

from mlflow_vault.format.coding.codec import Codec, Coded, decode, encode_delta, encode_whole
from mlflow_vault.format.coding.kernels import choice, compiled, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mlflow_vault.format.coding.kernels.protocol import Kernels
    from mlflow_vault.format.elements import Element

_TYPES: Final = {  # what they call an element
    "F32": ("float32", "fp32"),
    "BF16": ("bfloat16", "bf16"),
    "F16": ("float16", "fp16"),
}


class Chunk(NamedTuple):
    """A piece of a tensor, and the same piece of the version before."""

    plain: bytes
    base: bytes
    element: Element
    spare: bytearray  # the plain bytes again, for who writes into what it reads


class Way(NamedTuple):
    """One way: its name, how it encodes, how it decodes that."""

    name: str
    encode: Callable[[Chunk], Any]
    decode: Callable[[Chunk, Any], Any]


def size(coded: Any) -> int:
    """Return the bytes of what a way encoded."""
    if isinstance(coded, Coded):
        return 1 + len(coded.payload)
    return sum(map(len, coded)) if isinstance(coded, list) else len(coded)


def _ours(name: str, loops: Kernels, *, delta: bool) -> Way:
    def encode(chunk: Chunk) -> Coded:
        with choice.using(loops):
            if not delta:
                return encode_whole(chunk.plain, chunk.element)
            coded = encode_delta(chunk.plain, chunk.base, chunk.element, chunk.element)
            return coded or Coded(Codec.RAW, chunk.plain)

    def restore(chunk: Chunk, coded: Coded) -> bytes:
        base = chunk.base if coded.codec.needs_base else None
        with choice.using(loops):
            return decode(coded.codec, coded.payload, size=len(chunk.plain), base=base)

    return Way(name, encode, restore)


def _split(octets: Any, width: int) -> list[Any]:
    return [np.ascontiguousarray(octets[place::width]) for place in range(width)]


def _merged(planes: Sequence[bytes]) -> Any:
    merged = np.empty((len(planes[0]), len(planes)), np.uint8)
    for place, plane in enumerate(planes):
        merged[:, place] = np.frombuffer(plane, np.uint8)
    return merged.ravel()


def _xor(octets: Any, base: bytes) -> Any:
    return octets ^ np.frombuffer(base, np.uint8)


def _xor_planes(press: zstandard.ZstdCompressor, back: zstandard.ZstdDecompressor) -> Way:
    def encode(chunk: Chunk) -> list[bytes]:
        mixed = _xor(np.frombuffer(chunk.plain, np.uint8), chunk.base)
        return [press.compress(plane.data) for plane in _split(mixed, chunk.element.width)]

    def restore(chunk: Chunk, coded: list[bytes]) -> bytes:
        merged = _merged([back.decompress(frame) for frame in coded])
        restored: bytes = _xor(merged, chunk.base).tobytes()
        return restored

    return Way("XOR, byte planes, zstd-1 (TensorDex TX)", encode, restore)


def _xor_zstd(press: zstandard.ZstdCompressor, back: zstandard.ZstdDecompressor) -> Way:
    def encode(chunk: Chunk) -> bytes:
        return press.compress(_xor(np.frombuffer(chunk.plain, np.uint8), chunk.base).data)

    def restore(chunk: Chunk, coded: bytes) -> bytes:
        mixed = np.frombuffer(back.decompress(coded), np.uint8)
        restored: bytes = _xor(mixed, chunk.base).tobytes()
        return restored

    return Way("XOR, zstd-3 (ZipLLM BitX)", encode, restore)


def _planes_lz4() -> Way:
    def encode(chunk: Chunk) -> list[bytes]:
        planes = _split(np.frombuffer(chunk.plain, np.uint8), chunk.element.width)
        return [lz4.block.compress(b"".join(planes))]

    def restore(chunk: Chunk, coded: list[bytes]) -> bytes:
        joined = memoryview(lz4.block.decompress(coded[0]))
        step = len(joined) // chunk.element.width
        planes = [joined[start : start + step] for start in range(0, len(joined), step)]
        restored: bytes = _merged(planes).tobytes()  # type: ignore[arg-type]
        return restored

    return Way("byte planes, LZ4 (as Xet does)", encode, restore)


def _zstd(level: int, back: zstandard.ZstdDecompressor) -> Way:
    press = zstandard.ZstdCompressor(level=level)
    return Way(
        f"zstd-{level}",
        lambda chunk: press.compress(chunk.plain),
        lambda _, coded: back.decompress(coded),
    )


@cache
def _zipnn(kind: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, which it imports
        from zipnn import ZipNN  # noqa: PLC0415 - inside what catches its warnings
    return ZipNN(input_format="byte", bytearray_dtype=kind, threads=1)


def _zipnn_way() -> Way:
    def encode(chunk: Chunk) -> Any:
        return _zipnn(_TYPES[chunk.element.name][0]).compress(chunk.spare)

    def restore(chunk: Chunk, coded: Any) -> Any:
        return _zipnn(_TYPES[chunk.element.name][0]).decompress(coded)

    return Way("ZipNN", encode, restore)


def _z4ai_ways() -> tuple[Way, Way]:
    def kind(chunk: Chunk) -> str:
        return _TYPES[chunk.element.name][1]

    alone = Way(
        "z4ai",
        lambda chunk: z4ai.compress(chunk.plain, dtype=kind(chunk), threads=1),
        lambda _, coded: z4ai.decompress(coded),
    )
    against = Way(
        "z4ai, delta",
        lambda chunk: z4ai.compress_delta(chunk.plain, chunk.base, dtype=kind(chunk), threads=1),
        lambda chunk, coded: z4ai.decompress_delta(coded, chunk.base),
    )
    return alone, against


DELTA: Final = "DELTA"
PLANES: Final = "PLANES"
COMPILED: Final = ", compiled"
NUMPY: Final = ", numpy"


def against_base() -> list[Way]:
    """Return the ways that know the version before."""
    press = {level: zstandard.ZstdCompressor(level=level) for level in (1, 3)}
    back = zstandard.ZstdDecompressor()
    return [
        _ours(DELTA + COMPILED, compiled, delta=True),
        _ours(DELTA + NUMPY, plain, delta=True),
        _xor_planes(press[1], back),
        _xor_zstd(press[3], back),
        _z4ai_ways()[1],
    ]


def alone() -> list[Way]:
    """Return the ways that know nothing but the chunk."""
    back = zstandard.ZstdDecompressor()
    return [
        _ours(PLANES + COMPILED, compiled, delta=False),
        _ours(PLANES + NUMPY, plain, delta=False),
        _zipnn_way(),
        _z4ai_ways()[0],
        _planes_lz4(),
        _zstd(1, back),
        _zstd(3, back),
    ]
