"""Packs: stored objects of about 32 MiB that hold many encoded chunks.

A request costs the same for a kilobyte and for megabytes, so chunks travel together:

    header | record | record | ... | footer | where the footer starts, its digest

A record says everything about its chunk - digest, codec, depth, bases, lengths - so a vault
can be rebuilt from packs alone.  A reader needs neither record heads nor footer: entries say
where payloads lie.  A pack's name is random, never made of its content: a name that comes
back after a collector removed it would not be safe without locks.

Pure: no I/O.  Written down in docs/format.md, "Packs".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from blake3 import blake3

from mlflow_vault.config import LARGEST_CHUNK, MAX_BASES, MAX_DEPTH
from mlflow_vault.errors import CorruptionError, UnsupportedError
from mlflow_vault.format.digest import ALGORITHM, SIZE, Digest
from mlflow_vault.format.record import HEADER, Kind, check_header, header

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORD_MAGIC: Final = b"mrec"
# magic, codec, depth, bases, zero, plain size, stored size, key id, nonce, tag, then the digest.
# Key id, nonce and tag are zero until vaults can be encrypted; they then authenticate this head.
_RECORD: Final = struct.Struct("<4sBBBBII4s24s16s33s")
_BASE: Final = struct.Struct("<33sII")  # digest, start, stop
_TRAILER: Final = struct.Struct("<4sQ32s")  # magic, where the footer starts, its BLAKE3
_TRAILER_MAGIC: Final = b"mend"
_FOOTER_ROW: Final = struct.Struct("<33sQI")  # digest, where the record starts, its bytes
EMPTY: Final = HEADER.size + _TRAILER.size  # bytes of a pack without records


def cost(stored: int, links: int) -> int:
    """Bytes that a record adds to its pack: payload, head, and its row in the footer."""
    return stored + _RECORD.size + links * _BASE.size + _FOOTER_ROW.size


@dataclass(frozen=True, slots=True)
class Link:
    """Bytes ``[start, stop)`` of the plain chunk *digest*, as part of a delta's base."""

    digest: Digest
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Record:
    """One encoded chunk, as a pack holds it.

    Attributes:
        digest: Of the plain bytes.
        size: Plain bytes.
        codec: How *payload* is coded; a tag of `format.coding.codec`.
        depth: 0 for a chunk stored whole, else one more than its deepest base.
        links: The parts of the base, in order; empty where the codec needs none.
        payload: The coded bytes.
    """

    digest: Digest
    size: int
    codec: int
    depth: int
    links: tuple[Link, ...]
    payload: bytes


class PackBuilder:
    """Collects records into the bytes of one pack, in memory.

    Args:
        room: Bytes that it will probably hold; more are taken as they come.
    """

    def __init__(self, room: int = 0) -> None:
        # numpy copies without holding up other threads, and does not clear what is filled anyway.
        self._buffer = np.empty(room, np.uint8)
        self._size = 0
        self._footer = bytearray()
        self._append(header(Kind.PACK))

    def __len__(self) -> int:
        """Bytes of the pack so far, without its footer."""
        return self._size

    @property
    def is_empty(self) -> bool:
        """Whether no record was added yet."""
        return not self._footer

    def add(self, record: Record) -> int:
        """Append *record*; return where its payload starts in the pack."""
        start = self._size
        head = _RECORD.pack(
            RECORD_MAGIC,
            record.codec,
            record.depth,
            len(record.links),
            0,
            record.size,
            len(record.payload),
            bytes(4),
            bytes(24),
            bytes(16),
            _tagged(record.digest),
        )
        links = (_BASE.pack(_tagged(link.digest), link.start, link.stop) for link in record.links)
        self._append(b"".join((head, *links)))
        payload_start = self._size
        self._append(record.payload)
        self._footer += _FOOTER_ROW.pack(_tagged(record.digest), start, self._size - start)
        return payload_start

    def finish(self) -> memoryview:
        """Add footer and trailer and hand over the bytes; the builder is spent."""
        start = self._size
        self._append(self._footer)
        self._append(_TRAILER.pack(_TRAILER_MAGIC, start, blake3(self._footer).digest()))
        return self._buffer[: self._size].data

    def _append(self, piece: bytes | bytearray) -> None:
        stop = self._size + len(piece)
        if stop > len(self._buffer):
            held = self._buffer[: self._size]
            self._buffer = np.empty(max(stop, 2 * self._size), np.uint8)
            self._buffer[: self._size] = held
        self._buffer[self._size : stop] = np.frombuffer(piece, np.uint8)
        self._size = stop


def read_records(stored: bytes, key: str) -> Iterator[Record]:
    """Yield the records of a whole pack, by its footer.

    Payloads are not decoded: `format.coding.codec.decode` and the digest say whether they are good.

    Raises:
        CorruptionError: The frame of the pack is damaged.
        UnsupportedError: It needs a newer release.
    """
    check_header(Kind.PACK, stored, key)
    if len(stored) < HEADER.size + _TRAILER.size:
        raise CorruptionError(key, "it ends before its footer")
    magic, start, check = _TRAILER.unpack_from(stored, len(stored) - _TRAILER.size)
    stop = len(stored) - _TRAILER.size
    footer = memoryview(stored)[start:stop]
    honest = magic == _TRAILER_MAGIC and HEADER.size <= start <= stop
    if not honest or blake3(footer).digest() != check:
        raise CorruptionError(key, "its footer does not match its digest")
    if len(footer) % _FOOTER_ROW.size:
        raise CorruptionError(key, "its footer is cut")
    for tagged, at, length in _FOOTER_ROW.iter_unpack(footer):
        record, end = read_record(stored, at, key)
        if record.digest != _untag(tagged, key) or end - at != length or end > start:
            raise CorruptionError(key, f"the record at {at} is not the one its footer names")
        yield record


def read_record(stored: bytes, start: int, key: str) -> tuple[Record, int]:
    """Return the record that begins at *start* of a pack, and where it stops.

    Raises:
        CorruptionError: There is no whole record.
        UnsupportedError: It is encrypted.
    """
    if start < 0 or start + _RECORD.size > len(stored):
        raise CorruptionError(key, f"no record fits at {start}")
    magic, codec, depth, count, zero, size, length, *lock, tagged = _RECORD.unpack_from(
        stored, start
    )
    at = start + _RECORD.size
    honest = count <= MAX_BASES and depth <= MAX_DEPTH and size <= LARGEST_CHUNK
    stop = at + count * _BASE.size + length
    if magic != RECORD_MAGIC or zero or not honest or stop > len(stored):
        raise CorruptionError(key, f"the record at {start} is damaged")
    if any(map(any, lock)):
        raise UnsupportedError(f"{key} holds encrypted chunks, which this release cannot read")
    links = []
    for _ in range(count):
        base, first, last = _BASE.unpack_from(stored, at)
        links.append(Link(_untag(base, key), first, last))
        at += _BASE.size
    payload = stored[at:stop]
    return Record(_untag(tagged, key), size, codec, depth, tuple(links), payload), stop


def _tagged(digest: Digest) -> bytes:
    return bytes([ALGORITHM]) + digest.raw


def _untag(tagged: bytes, key: str) -> Digest:
    if tagged[0] != ALGORITHM:
        raise CorruptionError(key, f"a digest has the unknown algorithm {tagged[0]:#x}")
    return Digest(tagged[1 : 1 + SIZE])
