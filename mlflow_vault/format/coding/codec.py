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
from mlflow_vault.errors import CorruptionError
from mlflow_vault.format.coding import floats
from mlflow_vault.format.coding.kernels.choice import kernels
from mlflow_vault.format.coding.planes import PlaneWriter
from mlflow_vault.format.coding.reading import Reader, damaged, decompressor, read_planes
from mlflow_vault.format.coding.scratch import scratch
from mlflow_vault.format.elements import Element

if TYPE_CHECKING:
    from mlflow_vault.format.coding.floats import Numbers
    from mlflow_vault.format.coding.kernels.protocol import Ends
    from mlflow_vault.format.coding.planes import Buffer
    from mlflow_vault.format.coding.scratch import Scratch

_LEVEL: Final = 3  # zstd for bytes that are no numbers; higher levels cost more than they save
_SLICES: Final = 8
_WORD: Final = 8  # bytes compared at a time
_SLICE: Final = 16 * KIB  # bytes of one of the slices that show whether grouping pays
_GLANCE: Final = 4 * KIB  # bytes of one of those that show what a chunk takes alone; 16 say no more
_RUNS: Final = 0.1  # of the way from chance to certainty that a zero follows a zero
_STILL: Final = 0.97  # of the numbers: where so many stay, and zeros run, order has always won
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
    with scratch() as work:
        return b"".join(_decode(codec, payload, size, base, work))


def comes_back(coded: Coded, plain: Buffer, base: Buffer | None = None) -> bool:
    """Whether decoding *coded* makes *plain*: as `decode` and a comparison, in less memory."""
    with scratch() as work:
        try:
            head, tail = _decode(coded.codec, coded.payload, len(plain), base, work)
        except CorruptionError:
            return False
        found, wanted = np.frombuffer(head, np.uint8), np.frombuffer(plain, np.uint8)
        whole = len(found) // _WORD * _WORD
        words = found[:whole].view(np.uint64), wanted[:whole].view(np.uint64)
        same = np.equal(*words, out=work.array("same", whole // _WORD, np.bool_))
        rest = found[whole:].tobytes() + bytes(tail)
        return bool(same.all()) and rest == wanted[whole:].tobytes()


def _decode(
    codec: int, payload: Buffer, size: int, base: Buffer | None, work: Scratch
) -> tuple[Buffer, Buffer]:
    """Return the plain bytes in two pieces, the first of which may lie in *work*."""
    if not 0 <= size <= LARGEST_CHUNK:
        raise damaged(f"a chunk of {size} bytes")
    if codec in (Codec.DELTA, Codec.DICTIONARY) and base is None:
        raise damaged(f"codec {codec} without its base")
    if codec == Codec.DICTIONARY and base is not None:
        reader = Reader(payload, decompressor(_known(base)))
    else:
        reader = Reader(payload, work.tool(decompressor))
    head, tail = _head(codec, reader, size, base, work)
    pieces = head, reader.take(tail)
    reader.finish()
    return pieces


def _head(
    codec: int, reader: Reader, size: int, base: Buffer | None, work: Scratch
) -> tuple[Buffer, int]:
    """Return what is coded, and how many bytes that are not follow it in the payload."""
    if codec == Codec.PLANES:
        return _decode_planes(reader, size, work)
    if codec == Codec.DELTA and base is not None:
        return _decode_delta(reader, size, base, work)
    if codec in (Codec.ZSTD, Codec.DICTIONARY):
        return reader.frame(reader.left, size), 0
    if codec == Codec.RAW:
        return b"", size
    raise damaged(f"unknown codec {codec}")


def estimate_whole(plain: Buffer, element: Element | None) -> float:
    """Estimate the share of its plain bytes that a chunk takes alone, from a few slices."""
    if not len(plain):
        return 1.0
    sample = _sample(plain, element.width if element else 1)
    return len(encode_whole(sample, element).payload) / len(sample)


def _sample(plain: Buffer, width: int) -> bytes:
    """Return a few slices of whole elements that stand for *plain*."""
    whole = memoryview(plain)
    if len(whole) < width:
        return bytes(whole)
    pieces = _slices(len(whole) // width, _GLANCE // width)
    return b"".join(whole[piece.start * width : piece.stop * width] for piece in pieces)


def _planes(plain: bytes, element: Element) -> Coded:
    values, tail = _numbers(plain, element)
    with scratch() as work:
        planes = kernels().split(values, element, work)
        coded = PlaneWriter(work).write(planes, [len(values)], repeats=True)
        return Coded(Codec.PLANES, b"".join([bytes((element.tag,)), *coded, tail]))


def _decode_planes(reader: Reader, size: int, work: Scratch) -> tuple[Buffer, int]:
    element = _element(reader)
    count, tail = divmod(size, element.width)
    planes = read_planes(reader, [count], element.width, work)
    return kernels().join(planes, element, work).data, tail


def _delta(plain: Buffer, base: Buffer, element: Element, base_element: Element) -> Coded:
    values, tail = _numbers(plain, element)
    parent = _parent(base, base_element, element, len(values))
    head, ends = bytes((element.tag, base_element.tag)), _ends(values, parent, element)
    head += b"\0" if ends is None else b"\1" + np.array(ends, "<u2").tobytes()
    with scratch() as work:
        grouping = kernels().group(parent, element, ends, work)
        steps = grouping.subtract(values)
        coded = PlaneWriter(work).write(steps, grouping.sizes, repeats=ends is None)
        return Coded(Codec.DELTA, b"".join([head, *coded, tail]))


def _decode_delta(reader: Reader, size: int, base: Buffer, work: Scratch) -> tuple[Buffer, int]:
    element, base_element = _element(reader), _element(reader)
    if not floats.castable(base_element, element):
        raise damaged(f"no cast from {base_element.name} to {element.name}")
    count, tail = divmod(size, element.width)
    parent = _parent(base, base_element, element, count)
    ends = None
    if grouped := reader.number(1):
        ends = reader.number(2), reader.number(2)
        sound = grouped == 1 and element.exponent_bits
        if not sound or not ends[0] <= ends[1] < 1 << element.exponent_bits:
            raise damaged("a grouping that cannot be")
    grouping = kernels().group(parent, element, ends, work)
    values = grouping.add(read_planes(reader, grouping.sizes, element.width, work))
    return values.data, tail


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


def _ends(values: Numbers, parent: Numbers, element: Element) -> Ends | None:
    """Choose the exponents to group by; None where zeros run and the file's order codes better."""
    if not element.exponent_bits or not len(values):
        return None
    ends = floats.clamp(parent, element, _SMALLEST_BAND)
    pieces = _slices(len(values), _SLICE // element.width)
    values = np.concatenate([values[piece] for piece in pieces])
    parent = np.concatenate([parent[piece] for piece in pieces])
    still = values == parent
    share = np.count_nonzero(still) / len(still)
    # Where zeros are strewn at random a zero follows a zero as often as anything else.
    follow = np.count_nonzero(still[1:] & still[:-1]) / len(still)
    if follow <= share * (share + _RUNS * (1 - share)):
        return ends
    if share > _STILL:
        return None
    with scratch() as work:
        writer = PlaneWriter(work)
        chunk = kernels().group(parent, element, None, work)
        runs = sum(map(len, writer.write(chunk.subtract(values), chunk.sizes, repeats=True)))
        fewer = floats.clamp(parent, element, _SMALLEST_BAND)  # in a sample small bands cost more
        bands = kernels().group(parent, element, fewer, work)
        groups = writer.write(bands.subtract(values), bands.sizes, repeats=False)
        return None if runs < sum(map(len, groups)) else ends


def _slices(count: int, most: int) -> list[slice]:
    """Cut up to eight slices of *most* evenly out of *count*; all of it when they cover it."""
    if count <= most * _SLICES:
        return [slice(0, count)]
    starts = [(count - most) * index // (_SLICES - 1) for index in range(_SLICES)]
    return [slice(start, start + most) for start in starts]
