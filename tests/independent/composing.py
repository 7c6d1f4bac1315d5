"""Write vaults by hand, by what docs/format.md says: honest ones, and such as no writer makes.

The library makes chunks of depth 0 and 1, of casts 2, and never lies.  What a reader must bear or
refuse beyond that is composed here, piece by piece, so that a test can change one piece.
"""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import zstandard
from blake3 import blake3

if TYPE_CHECKING:
    from pathlib import Path

IDENTITY: Final = {
    "magic": "mlflow-vault",
    "format": 1,
    "id": "0" * 32,
    "cut_seed": 0,
    "naming": "plain",
    "aead": None,
    "features": [],
    "conditional_create": True,
}

Span = tuple[int, int, int]  # row, start, stop


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk and how it is coded: as what it is, unless told otherwise."""

    plain: bytes
    codec: int = 0
    payload: bytes | None = None
    parts: tuple[Span, ...] = ()
    size: int | None = None

    @property
    def stored(self) -> bytes:
        """The payload."""
        return self.plain if self.payload is None else self.payload


def squeezed(plain: bytes, base: bytes | None = None, **choices: Any) -> bytes:
    """Return a zstd frame of *plain*, with *base* as its raw-content dictionary."""
    raw = zstandard.DICT_TYPE_RAWCONTENT
    held = None if base is None else zstandard.ZstdCompressionDict(base, dict_type=raw)
    return zstandard.ZstdCompressor(dict_data=held, **choices).compress(plain)


def framed(  # noqa: PLR0913 - the fields of a frame
    body: bytes,
    *,
    magic: bytes = b"mlvt",
    kind: bytes = b"e",
    version: int = 1,
    features: int = 0,
    coded: bytes | None = None,
) -> bytes:
    """Return the frame of *body*, its digest right whatever else is wrong."""
    head = struct.pack("<4scBHQ", magic, kind, version, 0, features)
    whole = head + (squeezed(body) if coded is None else coded)
    return whole + blake3(whole).digest()


@dataclass(slots=True)
class Composition:
    """One file, the pack that holds its chunks, and its entry."""

    path: str
    chunks: list[Chunk] = field(default_factory=list)
    sequence: list[int] = field(default_factory=list)
    inline: bytes | None = None
    about: dict[str, Any] = field(default_factory=dict)  # what the metadata says instead
    algorithm: int = 0x1E
    pack: int = 0  # which the rows name; there is one

    @property
    def plain(self) -> bytes:
        """What the file holds."""
        return (self.inline or b"") + b"".join(self.chunks[row].plain for row in self.sequence)

    @property
    def id(self) -> bytes:
        """The name of the pack."""
        return blake3(self.path.encode()).digest()[:16]

    def records(self) -> list[bytes]:
        """Return the records of the pack, with their heads."""
        depths: list[int] = []
        records = []
        for chunk in self.chunks:
            known = (depths[row] for row, *_ in chunk.parts if row < len(depths))
            depths.append(1 + max(known, default=-1))
            numbers = chunk.codec, depths[-1], len(chunk.parts), 0, self.size_of(chunk)
            head = struct.pack("<4s4BI", b"mrec", *numbers)
            head += struct.pack("<II40x", len(chunk.stored), 0) + named(chunk.plain)
            for row, start, stop in chunk.parts:
                head += named(self.chunks[row].plain) + struct.pack("<II", start, stop)
            records.append(head + chunk.stored)
        return records

    @staticmethod
    def size_of(chunk: Chunk) -> int:
        """Return the plain size of *chunk*, as it is told."""
        return len(chunk.plain) if chunk.size is None else chunk.size

    def packed(self) -> bytes:
        """Return the pack."""
        whole, footer = struct.pack("<4scBHQ", b"mlvt", b"p", 0, 0, 0), b""
        for record, chunk in zip(self.records(), self.chunks, strict=True):
            footer += named(chunk.plain) + struct.pack("<QI", len(whole), len(record))
            whole += record
        return whole + footer + struct.pack("<4sQ", b"mend", len(whole)) + blake3(footer).digest()

    def body(self) -> bytes:
        """Return the body of the entry."""
        plain = self.plain
        digests = {"b3": blake3(plain).hexdigest(), "sha256": hashlib.sha256(plain).hexdigest()}
        about = {
            "path": self.path,
            "size": len(plain),
            "digests": digests,
            "transaction": "" if self.inline is not None else "0" * 32,
            "inline": None if self.inline is None else len(self.inline),
            "mean": 0 if self.inline is not None else 65536,
            "parser": "",
            "tensors": [],
        } | self.about
        told = json.dumps(about).encode("ascii")
        parts = [(row, *span) for row, *span in (p for chunk in self.chunks for p in chunk.parts)]
        packs = [self.id] if self.chunks else []
        counts = len(told), len(packs), len(self.chunks), len(parts), len(self.sequence)
        start, starts = 16, []
        for record, chunk in zip(self.records(), self.chunks, strict=True):
            starts.append(start + len(record) - len(chunk.stored))
            start += len(record)
        rows = self.chunks
        columns = [
            ("I", [self.size_of(chunk) for chunk in rows]),
            ("I", [self.pack] * len(rows)),
            ("Q", starts),
            ("I", [len(chunk.stored) for chunk in rows]),
            ("B", [chunk.codec for chunk in rows]),
            ("B", [len(chunk.parts) for chunk in rows]),
            *(("I", [part[place] for part in parts]) for place in range(3)),
            ("I", self.sequence),
        ]
        table = b"".join(struct.pack(f"<{len(column)}{kind}", *column) for kind, column in columns)
        digests_of_rows = b"".join(blake3(chunk.plain).digest() for chunk in rows)
        head = struct.pack("<B3x5I", self.algorithm, *counts)
        return head + told + b"".join(packs) + digests_of_rows + table + (self.inline or b"")

    def put(self, vault: Path, entry: bytes | None = None, key: str | None = None) -> None:
        """Put the pack and the entry where they belong; *vault* is there afterwards."""
        vault.mkdir(exist_ok=True)
        (vault / "vault.json").write_text(json.dumps(IDENTITY))
        name = self.id.hex()
        objects = {key or f"tree/{self.path}!": entry or framed(self.body())}
        if self.chunks:
            objects[f"packs/{name[:2]}/{name}"] = self.packed()
        for where, raw in objects.items():
            (vault / where).parent.mkdir(parents=True, exist_ok=True)
            (vault / where).write_bytes(raw)


def named(plain: bytes) -> bytes:
    """Return the digest of *plain* behind its algorithm byte."""
    return b"\x1e" + blake3(plain).digest()
