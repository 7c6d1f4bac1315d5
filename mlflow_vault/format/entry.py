"""Entries: what an artifact path holds.

A small file lies in its entry whole.  A larger one is a table: a row for each chunk and
each base, saying where its payload lies, and the sequence of rows that makes the file:

    rows       0: anchor   1: anchor   2: delta of 0   3: raw
    sequence   2 3 1 1                (a chunk that repeats is one row)

A row may only link to rows before it, so there are no cycles, whatever the bytes say.
Reading needs the entry and the packs it names, and nothing else.

Pure: no I/O.  Written down in docs/format.md, "Entries".
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

import numpy as np

from mlflow_vault.config import MAX_BASES
from mlflow_vault.errors import CorruptionError
from mlflow_vault.format.digest import ALGORITHM, SIZE, Digest, from_hex
from mlflow_vault.format.record import Kind, frame, unframe
from mlflow_vault.format.rows import Part, Row, Tensor
from mlflow_vault.format.soundness import unsound
from mlflow_vault.format.stored_json import read_json

_PACK_ID: Final = 16  # bytes
_COUNTS: Final = struct.Struct("<BxxxIIIII")  # algorithm; metadata, packs, rows, links, sequence
_BLOCK: Final = 1 << 16  # numbers of a sequence that are read at once
_MALFORMED: Final = (ArithmeticError, LookupError, TypeError, ValueError, struct.error)


@dataclass(frozen=True, slots=True)
class Entry:
    """What one artifact path holds.

    Attributes:
        path: The artifact path, so that a moved object is noticed.
        size: Bytes of the file.
        digest: BLAKE3 of the file.
        sha256: SHA-256 of the file, for signatures and other tools.
        transaction: Id of the transaction that wrote it; empty for inline files.
        inline: The file itself where it is small, else None.
        mean: Mean size of content-defined chunks, inherited by later versions.
        parser: Name of the tensor parser, empty if none knew the file.
        tensors: The arrays, in order of position.
        rows: The chunks and bases; a row links only to rows before it.
        sequence: Indexes of rows, which in this order are the file.
    """

    path: str
    size: int
    digest: Digest
    sha256: bytes
    transaction: str = ""
    inline: bytes | None = None
    mean: int = 0
    parser: str = ""
    tensors: tuple[Tensor, ...] = ()
    rows: tuple[Row, ...] = ()
    sequence: tuple[int, ...] = ()

    @property
    def packs(self) -> frozenset[bytes]:
        """Ids of every pack this entry needs."""
        return frozenset(row.pack for row in self.rows)

    def to_bytes(self) -> bytes:
        """Spell this entry as a stored object."""
        meta = json.dumps(
            {
                "path": self.path,
                "size": self.size,
                "digests": {"b3": self.digest.raw.hex(), "sha256": self.sha256.hex()},
                "transaction": self.transaction,
                "inline": None if self.inline is None else len(self.inline),
                "mean": self.mean,
                "parser": self.parser,
                "tensors": [tensor.to_list() for tensor in self.tensors],
            },
            sort_keys=True,
            separators=(",", ":"),
        ).encode("utf-8", "surrogateescape")
        packs = sorted(self.packs)
        number = {pack: index for index, pack in enumerate(packs)}
        parts = [part for row in self.rows for part in row.base]
        counts = _COUNTS.pack(
            ALGORITHM, len(meta), len(packs), len(self.rows), len(parts), len(self.sequence)
        )
        columns = [
            b"".join(packs),
            b"".join(row.digest.raw for row in self.rows),
            _column("<u4", [row.size for row in self.rows]),
            _column("<u4", [number[row.pack] for row in self.rows]),
            _column("<u8", [row.start for row in self.rows]),
            _column("<u4", [row.stored for row in self.rows]),
            _column("u1", [row.codec for row in self.rows]),
            _column("u1", [len(row.base) for row in self.rows]),
            _column("<u4", [part.row for part in parts]),
            _column("<u4", [part.start for part in parts]),
            _column("<u4", [part.stop for part in parts]),
            _column("<u4", self.sequence),
        ]
        return frame(Kind.ENTRY, b"".join([counts, meta, *columns, self.inline or b""]))

    @classmethod
    def from_bytes(cls, stored: bytes, key: str) -> Entry:
        """Undo `to_bytes`, believing nothing.

        Raises:
            CorruptionError: *stored* is damaged or no honest entry; *key* says where.
            UnsupportedError: It needs a newer release.
        """
        body = unframe(Kind.ENTRY, stored, key)
        try:
            entry = _parse(body)
        except _MALFORMED as cause:
            raise CorruptionError(key, f"it is no entry ({cause})") from cause
        reason = _unsound(entry)
        if reason:
            raise CorruptionError(key, reason)
        return entry


def size_of(stored: bytes, key: str) -> int:
    """The size of the file whose entry is *stored*, without its chunks: what a listing asks.

    Raises:
        CorruptionError: *stored* is damaged or no entry; *key* says where.
        UnsupportedError: It needs a newer release.
    """
    body = unframe(Kind.ENTRY, stored, key)
    try:
        _, meta_size, *_ = _COUNTS.unpack_from(body)
        size = int(read_json(body[_COUNTS.size : _COUNTS.size + meta_size])["size"])
    except _MALFORMED as cause:
        raise CorruptionError(key, f"it is no entry ({cause})") from cause
    if size < 0:
        raise CorruptionError(key, f"it is no entry (of {size} bytes)")
    return size


def _parse(body: bytes) -> Entry:
    algorithm, meta_size, n_packs, n_rows, n_parts, n_sequence = _COUNTS.unpack_from(body)
    if algorithm != ALGORITHM:
        raise ValueError(f"digests of the unknown algorithm {algorithm:#x}")
    at = _COUNTS.size
    meta: dict[str, Any] = read_json(body[at : at + meta_size])
    at += meta_size

    def take(dtype: str, count: int) -> list[int]:
        nonlocal at
        column = np.frombuffer(body, dtype=dtype, count=count, offset=at) if count else None
        at += np.dtype(dtype).itemsize * count
        return [] if column is None else column.tolist()

    def take_bytes(count: int, width: int) -> list[bytes]:
        nonlocal at
        if at + count * width > len(body):
            raise ValueError("its tables are cut")
        found = [body[start : start + width] for start in range(at, at + count * width, width)]
        at += count * width
        return found

    if n_parts > MAX_BASES * n_rows:
        raise ValueError("bases are too many")
    packs = take_bytes(n_packs, _PACK_ID)
    digests = take_bytes(n_rows, SIZE)
    sizes, numbers = take("<u4", n_rows), take("<u4", n_rows)
    starts, stored = take("<u8", n_rows), take("<u4", n_rows)
    codecs, fan = take("u1", n_rows), take("u1", n_rows)
    columns = zip(take("<u4", n_parts), take("<u4", n_parts), take("<u4", n_parts), strict=True)
    parts = [Part(*values) for values in columns]
    sequence = _sequence(body, at, n_sequence, n_rows)
    at += 4 * n_sequence
    inline = None if meta["inline"] is None else body[at : at + int(meta["inline"])]
    if at + len(inline or b"") != len(body) or len(inline or b"") != (meta["inline"] or 0):
        raise ValueError("its length is not what its tables say")
    if sum(fan) != n_parts:
        raise ValueError("bases are missing or too many")
    sha256 = from_hex(meta["digests"]["sha256"])
    if len(sha256) != SIZE:
        raise ValueError("its SHA-256 is none")
    rows = []
    used = 0
    for index in range(n_rows):
        base = tuple(parts[used : used + fan[index]])
        used += fan[index]
        rows.append(
            Row(
                Digest(digests[index]),
                sizes[index],
                codecs[index],
                packs[numbers[index]],
                starts[index],
                stored[index],
                base,
            )
        )
    return Entry(
        path=str(meta["path"]),
        size=int(meta["size"]),
        digest=Digest(from_hex(meta["digests"]["b3"])),
        sha256=sha256,
        transaction=str(meta["transaction"]),
        inline=inline,
        mean=int(meta["mean"]),
        parser=str(meta["parser"]),
        tensors=tuple(Tensor.from_list(values) for values in meta["tensors"]),
        rows=tuple(rows),
        sequence=sequence,
    )


def _sequence(body: bytes, at: int, count: int, rows: int) -> tuple[int, ...]:
    """Read the sequence, with one number for each row however often it is named.

    A sequence that repeats compresses well, so a small entry may have a very long one.
    """
    if not count:
        return ()
    number = tuple(range(rows)).__getitem__
    column = np.frombuffer(body, dtype="<u4", count=count, offset=at)
    blocks = (column[start : start + _BLOCK].tolist() for start in range(0, count, _BLOCK))
    return tuple(chain.from_iterable(map(number, block) for block in blocks))


def _column(dtype: str, values: list[int] | tuple[int, ...]) -> bytes:
    return np.asarray(values, dtype=dtype).tobytes()


def _unsound(entry: Entry) -> str:
    if entry.inline is None:
        return unsound(entry.size, entry.tensors, entry.rows, entry.sequence)
    whole = len(entry.inline) == entry.size and not entry.rows and not entry.sequence
    return "" if whole else "its inline bytes are not its size"
