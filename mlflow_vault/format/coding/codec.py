"""Codecs: how one chunk is stored, alone or against a base.

Of a few codings the one that a cheap estimate finds smallest; the tag says which:

    RAW         the plain bytes
    ZSTD        one zstd frame
    PLANES      numbers, sign rotated away, as byte planes
    DELTA       numbers minus the base's, zigzagged, grouped by the base's exponent, as planes
    DICTIONARY  one zstd frame that may point into the base

A payload says the rest itself, given the chunk's size and the base's bytes.  Decoding
trusts nothing: any payload gives *size* bytes or a `CorruptionError`, in bounded memory.

Pure: no I/O.  Written down in docs/format.md, "Codecs".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

import numpy as np
import zstandard

from mlflow_vault.config import KIB, LARGEST_CHUNK
from mlflow_vault.format.coding import floats
from mlflow_vault.format.coding.kernels.choice import kernels
from mlflow_vault.format.coding.planes import (
    PlaneWriter,
    Reader,
    damaged,
    read_planes,
)
from mlflow_vault.format.coding.scratch import scratch
from mlflow_vault.format.elements import Element

if TYPE_CHECKING:
    from mlflow_vault.format.coding.floats import Numbers
    from mlflow_vault.format.coding.planes import Buffer

_LEVEL: Final = 3  # zstd for bytes that are no numbers; higher levels cost more than they save
_SLICES: Final = 8
_SLICE: Final = 16 * KIB  # bytes of one of the slices that stand for a chunk in an estimate
_RUNS: Final = 0.1  # of the way from chance to certainty that a zero follows a zero
_SMALLEST_BAND: Final = 2048  # elements; fewer do not pay for a Huffman table of their own
_ELEMENTS: Final = {element.tag: element for element in Element}


class Codec(IntEnum):
    """How a chunk is stored: the tag."""

    RAW = 0
    ZSTD = 1
    PLANES = 2
    DELTA = 3
    DICTIONARY = 4

    @property
    def needs_base(self) -> bool:
        """Whether decoding takes the base's plain bytes."""
        return self in (Codec.DELTA, Codec.DICTIONARY)


@dataclass(frozen=True, slots=True)
class Coded:
    """A chunk as it is stored."""

    codec: Codec
    payload: bytes


def encode_whole(plain: Buffer, element: Element | None) -> Coded:
    """Code a chunk that stands alone: `RAW`, `ZSTD` or `PLANES`."""
    coded = [Coded(Codec.RAW, bytes(plain))]
    if element is not None:
        coded.append(_planes(coded[0].payload, element))
    if element is None or not element.exponent_bits:
        coded.append(Coded(Codec.ZSTD, zstandard.ZstdCompressor(level=_LEVEL).compress(plain)))
    return min(coded, key=lambda one: len(one.payload))


def encode_delta(
    plain: Buffer, base: Buffer, element: Element | None, base_element: Element | None
) -> Coded | None:
    """Code a chunk against *base*: `DELTA` for numbers, else `DICTIONARY`.

    Returns:
        None where such numbers cannot be compared, or nothing is saved.
    """
    if element is None:
        coded = _dictionary(plain, base)
    elif base_element is None or not floats.castable(base_element, element):
        return None
    else:
        coded = _delta(plain, base, element, base_element)
    return coded if coded is not None and len(coded.payload) < len(plain) else None


def decode(codec: int, payload: Buffer, *, size: int, base: Buffer | None = None) -> bytes:
    """Return the *size* plain bytes that were coded.

    Args:
        codec: The stored tag.
        payload: What `encode_whole` or `encode_delta` made.
        size: Plain bytes, as the record says.
        base: The same bytes that the delta was made against.

    Raises:
        CorruptionError: No encoder made this payload for that size and base.
    """
    if not 0 <= size <= LARGEST_CHUNK:
        raise damaged(f"a chunk of {size} bytes")
    if codec in (Codec.DELTA, Codec.DICTIONARY) and base is None:
        raise damaged(f"codec {codec} without its base")
    if codec == Codec.DELTA and base is not None:
        return _decode_delta(payload, size, base)
    dictionary = _known(base) if codec == Codec.DICTIONARY and base is not None else None
    reader = Reader(payload, dictionary)
    if codec == Codec.RAW:
        plain = bytes(reader.take(size))
        reader.finish()
        return plain
    if codec in (Codec.ZSTD, Codec.DICTIONARY):
        return reader.frame(len(payload), size)
    if codec == Codec.PLANES:
        return _decode_planes(reader, size)
    raise damaged(f"unknown codec {codec}")


def estimate_whole(plain: Buffer, element: Element | None) -> float:
    """Estimate the share of its plain bytes that a chunk takes alone, from a few slices."""
    if not len(plain):
        return 1.0
    sample = _sample(plain, element.width if element else 1)
    return len(encode_whole(sample, element).payload) / len(sample)


def estimate_delta(
    plain: Buffer, base: Buffer, element: Element | None, base_element: Element | None
) -> float:
    """Estimate the share of its plain bytes that a chunk takes against *base*; 1.0: no gain."""
    if not len(plain):
        return 1.0
    sample = _sample(plain, element.width if element else 1)
    if element is not None and base_element is not None:
        count = len(plain) // element.width
        pieces = _slices(count, _SLICE // element.width)
        width = base_element.width
        base = b"".join(
            bytes(memoryview(base)[piece.start * width : piece.stop * width]).ljust(
                (piece.stop - piece.start) * width, b"\0"
            )
            for piece in pieces
        )
    coded = encode_delta(sample, base, element, base_element)
    return 1.0 if coded is None else len(coded.payload) / len(sample)


def _sample(plain: Buffer, width: int) -> bytes:
    """Return a few slices of whole elements that stand for *plain*."""
    whole = memoryview(plain)
    if len(whole) < width:
        return bytes(whole)
    pieces = _slices(len(whole) // width, _SLICE // width)
    return b"".join(whole[piece.start * width : piece.stop * width] for piece in pieces)


def _planes(plain: bytes, element: Element) -> Coded:
    values, tail = _numbers(plain, element)
    rotated = floats.rotate(values, element)
    with scratch() as work:
        planes = kernels().split(rotated, work)
        coded = PlaneWriter(work).write(planes, [len(values)], repeats=True)
        return Coded(Codec.PLANES, b"".join([bytes((element.tag,)), *coded, tail]))


def _decode_planes(reader: Reader, size: int) -> bytes:
    element = _element(reader)
    count, tail = divmod(size, element.width)
    with scratch() as work:
        values = kernels().join(read_planes(reader, [count], element.width, work), work)
        return _finished(floats.unrotate(values, element), reader, tail)


def _delta(plain: Buffer, base: Buffer, element: Element, base_element: Element) -> Coded:
    values, tail = _numbers(plain, element)
    parent = _parent(base, base_element, element, len(values))
    with scratch() as work:
        writer, ends = PlaneWriter(work), b""
        if _ungrouped(values, parent, element):
            steps = kernels().split(floats.subtract(values, parent, element), work)
            coded = writer.write(steps, [len(values)], repeats=True)
        else:
            low, high = floats.clamp(parent, element, _SMALLEST_BAND)
            grouping = kernels().group(parent, element, (low, high), work)
            coded = writer.write(grouping.subtract(values), grouping.sizes, repeats=False)
            ends = low.to_bytes(2, "little") + high.to_bytes(2, "little")
        head = bytes((element.tag, base_element.tag, bool(ends)))
        return Coded(Codec.DELTA, b"".join([head, ends, *coded, tail]))


def _decode_delta(payload: Buffer, size: int, base: Buffer) -> bytes:
    reader = Reader(payload)
    element, base_element = _element(reader), _element(reader)
    if not floats.castable(base_element, element):
        raise damaged(f"no cast from {base_element.name} to {element.name}")
    count, tail = divmod(size, element.width)
    parent = _parent(base, base_element, element, count)
    grouped = reader.number(1)
    with scratch() as work:
        if not grouped:
            steps = kernels().join(read_planes(reader, [count], element.width, work), work)
            return _finished(floats.add(steps, parent, element), reader, tail)
        ends = reader.number(2), reader.number(2)
        if grouped != 1 or not ends[0] <= ends[1] < 1 << element.exponent_bits:
            raise damaged("a grouping that cannot be")
        grouping = kernels().group(parent, element, ends, work)
        values = grouping.add(read_planes(reader, grouping.sizes, element.width, work))
        return _finished(values, reader, tail)


def _dictionary(plain: Buffer, base: Buffer) -> Coded | None:
    if not len(base):
        return None
    press = zstandard.ZstdCompressor(level=_LEVEL, dict_data=_known(base))
    return Coded(Codec.DICTIONARY, press.compress(plain))


def _known(base: Buffer) -> zstandard.ZstdCompressionDict:
    """Return *base* as bytes that a zstd frame may point into."""
    return zstandard.ZstdCompressionDict(bytes(base), dict_type=zstandard.DICT_TYPE_RAWCONTENT)


def _numbers(plain: Buffer, element: Element) -> tuple[Numbers, bytes]:
    """Return the whole numbers in *plain*, and the bytes behind the last."""
    octets = np.frombuffer(plain, np.uint8)
    values = floats.numbers(octets, element)
    return values, octets[values.nbytes :].tobytes()


def _finished(values: Numbers, reader: Reader, tail: int) -> bytes:
    plain = b"".join([values.data, reader.take(tail)])
    reader.finish()
    return plain


def _element(reader: Reader) -> Element:
    element = _ELEMENTS.get(tag := reader.number(1))
    if element is None:
        raise damaged(f"unknown element {tag}")
    return element


def _parent(base: Buffer, base_element: Element, element: Element, count: int) -> Numbers:
    """Return *count* numbers of type *element* to subtract from."""
    octets = np.frombuffer(base, np.uint8)[: count * base_element.width]
    source = floats.numbers(octets, base_element)
    return floats.fitted(floats.cast(source, base_element, element), count)


def _ungrouped(values: Numbers, parent: Numbers, element: Element) -> bool:
    """Tell whether the file's order codes better than the exponents': zeros that run."""
    if not element.exponent_bits or not len(values):
        return True
    pieces = _slices(len(values), _SLICE // element.width)
    values = np.concatenate([values[piece] for piece in pieces])
    parent = np.concatenate([parent[piece] for piece in pieces])
    still = values == parent
    share = np.count_nonzero(still) / len(still)
    # Where zeros are strewn at random a zero follows a zero as often as anything else.
    follow = np.count_nonzero(still[1:] & still[:-1]) / len(still)
    if follow <= share * (share + _RUNS * (1 - share)):
        return False
    ends = floats.clamp(parent, element, _SMALLEST_BAND)
    with scratch() as work:
        writer = PlaneWriter(work)
        steps = kernels().split(floats.subtract(values, parent, element), work)
        runs = sum(map(len, writer.write(steps, [len(values)], repeats=True)))
        grouping = kernels().group(parent, element, ends, work)
        groups = writer.write(grouping.subtract(values), grouping.sizes, repeats=False)
        return runs < sum(map(len, groups))


def _slices(count: int, most: int) -> list[slice]:
    """Cut up to eight slices of *most* evenly out of *count*; all of it when they cover it."""
    if count <= most * _SLICES:
        return [slice(0, count)]
    starts = [(count - most) * index // (_SLICES - 1) for index in range(_SLICES)]
    return [slice(start, start + most) for start in starts]
