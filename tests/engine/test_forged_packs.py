"""Packs made up by hand: payloads that swell or hold other bytes, and footers that lie.

Each is an error that names its pack, found with little memory, and costs no other file.
"""

from __future__ import annotations

import struct
import tracemalloc
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import pytest
import zstandard
from blake3 import blake3

from mlflow_vault.config import LARGEST_CHUNK, MIB
from mlflow_vault.errors import CorruptionError, UnsupportedError
from mlflow_vault.format import layout
from mlflow_vault.format.coding.codec import Codec
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.elements import Element
from mlflow_vault.format.entry import Entry
from mlflow_vault.format.pack import Link, PackBuilder, Record, read_records
from mlflow_vault.format.rows import Part, Row
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.models import noise, safetensors, trained, weights
from mlflow_vault.testing.vaults import entry_of, objects, read, store_of, write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FORGED = "9/artifacts/forged"
PACK = bytes(range(16))
PACK_KEY = layout.pack_key(PACK)
FIRST, SECOND = "1/artifacts/w.safetensors", "2/artifacts/w.safetensors"
HELD = {
    FIRST: safetensors({"w": weights(0, 100_000)}),
    SECOND: safetensors({"w": trained(weights(0, 100_000), 1)}),
    "3/artifacts/noise": noise(2, 300_000),
}
ZEROS = bytes(LARGEST_CHUNK)
BASE = noise(3, 4_096)
_TRAILER = struct.Struct("<4sQ32s")
_FOOTER_ROW = struct.Struct("<33sQI")


@cache
def _sound() -> dict[str, bytes]:
    store = MemoryStore()
    vault = Vault.init_at(store)
    for path, plain in HELD.items():
        write(vault, path, plain)
    return objects(store)


def _zstd(plain: bytes, *, told: bool = True) -> bytes:
    return zstandard.ZstdCompressor(level=19, write_content_size=told).compress(plain)


def _constant(element: Element, octet: int = 0) -> bytes:
    """Planes that are one byte each."""
    return bytes((element.tag, *((1, octet) * element.width)))


_EMPTY_FRAME = _zstd(b"")
_F32 = bytes([Element.F32.tag])
# Codec and payload of what is said to be 4 MiB of zeros; a delta's base is 4 KiB.
PAYLOADS: dict[str, tuple[Codec, bytes]] = {
    "nothing": (Codec.RAW, b""),
    "too little": (Codec.RAW, bytes(100)),
    "no frame": (Codec.ZSTD, bytes(100)),
    "a frame of a gigabyte": (Codec.ZSTD, _zstd(bytes(256 * MIB))),
    "a frame of one byte more": (Codec.ZSTD, _zstd(bytes(LARGEST_CHUNK + 1))),
    "a frame of one byte less": (Codec.ZSTD, _zstd(bytes(LARGEST_CHUNK - 1))),
    "a frame of unknown size": (Codec.ZSTD, _zstd(ZEROS, told=False)),
    "an empty frame": (Codec.ZSTD, _EMPTY_FRAME),
    "two frames": (Codec.ZSTD, _zstd(ZEROS) + _EMPTY_FRAME),
    "a frame with a tail": (Codec.ZSTD, _zstd(ZEROS) + b"\0"),
    "other bytes": (Codec.ZSTD, _zstd(b"\1" + ZEROS[1:])),
    "planes of an unknown element": (Codec.PLANES, b"\x77"),
    "planes that end": (Codec.PLANES, _F32 + b"\1\0"),
    "planes with a tail": (Codec.PLANES, _constant(Element.F32) + b"\0"),
    "planes of an unknown mode": (Codec.PLANES, _F32 + b"\x09"),
    "packed planes in packed planes": (Codec.PLANES, _F32 + b"\3\3\3\3"),
    "exceptions that are missing": (Codec.PLANES, _F32 + b"\3\1\xff"),
    "exceptions beyond a byte": (Codec.PLANES, _F32 + b"\5\1\xff\1\xff" * 4),
    "a frame in a plane that swells": (
        Codec.PLANES,
        _F32 + b"\2" + (60).to_bytes(4, "little") + _zstd(bytes(256 * MIB))[:60],
    ),
    "a plane behind the end": (Codec.PLANES, _F32 + b"\2\xff\xff\xff\xff"),
    "a cast that is none": (Codec.DELTA, bytes([Element.F64.tag, Element.U8.tag, 0])),
    "exponents backwards": (Codec.DELTA, _F32 * 2 + b"\1\xff\0\0\0"),
    "exponents beyond": (Codec.DELTA, _F32 * 2 + b"\1\0\0\xff\xff"),
    "a grouping of three": (Codec.DELTA, _F32 * 2 + b"\3\0\0\1\0"),
    "a delta of zeros": (Codec.DELTA, _F32 * 2 + b"\0" + b"\1\0" * 4),
    "a dictionary of nothing": (Codec.DICTIONARY, b""),
    "a dictionary that swells": (Codec.DICTIONARY, _zstd(bytes(256 * MIB))),
}


def _vault_with(codec: Codec, payload: bytes, count: int = 1) -> Vault:
    """A vault with a file of *count* chunks of 4 MiB, of which all have this payload."""
    builder = PackBuilder()
    base = Row(Digest.of(BASE), len(BASE), Codec.RAW, PACK, 0, len(BASE))
    start = builder.add(Record(base.digest, base.size, base.codec, 0, (), BASE))
    rows = [replace(base, start=start)]
    parts = (Part(0, 0, len(BASE)),) if codec.needs_base else ()
    start = builder.add(Record(Digest.of(ZEROS), len(ZEROS), codec, 0, (), payload))
    names = [Digest.of(ZEROS), *(Digest.of(b"%d" % index) for index in range(1, count))]
    rows += [Row(name, len(ZEROS), codec, PACK, start, len(payload), parts) for name in names]
    entry = Entry(
        path=FORGED,
        size=count * len(ZEROS),
        digest=Digest.of(b"file"),
        sha256=bytes(32),
        transaction="00",
        mean=65536,
        rows=tuple(rows),
        sequence=tuple(range(1, count + 1)),
    )
    forged = {PACK_KEY: bytes(builder.finish()), layout.tree_key(FORGED): entry.to_bytes()}
    return Vault.at(store_of({**_sound(), **forged}))


def _refused(vault: Vault, folder: Path, room: int) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(CorruptionError) as caught:
            vault.read_file(FORGED, folder / "target")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.key == PACK_KEY
    assert peak < room
    assert not list(folder.iterdir())
    assert {path: read(vault, path) for path in HELD} == HELD


@pytest.mark.parametrize("name", PAYLOADS)
def test_payloads(name: str, tmp_path: Path) -> None:
    """A payload that no encoder made is damage of its pack, in the memory of a few chunks."""
    _refused(_vault_with(*PAYLOADS[name]), tmp_path, 48 * MIB)


def test_many_frames(tmp_path: Path) -> None:
    """Thousands of chunks that share the few bytes of one frame hold two windows and no more."""
    _refused(_vault_with(Codec.ZSTD, _zstd(ZEROS), 4_000), tmp_path, 160 * MIB)


def _own_pack() -> tuple[str, bytes]:
    pack = entry_of(store_of(_sound()), SECOND).rows[-1].pack
    return layout.pack_key(pack), _sound()[layout.pack_key(pack)]


def _resealed(pack: bytes, footer: bytes) -> bytes:
    magic, start, _ = _TRAILER.unpack_from(pack, len(pack) - _TRAILER.size)
    return pack[:start] + footer + _TRAILER.pack(magic, start, blake3(footer).digest())


def _footer(pack: bytes) -> bytes:
    start = _TRAILER.unpack_from(pack, len(pack) - _TRAILER.size)[1]
    return pack[start : -_TRAILER.size]


def _with_row(change: Callable[[bytes, int, int], tuple[bytes, int, int]]) -> bytes:
    """The pack with the first row of its footer changed, sealed again."""
    pack = _own_pack()[1]
    footer = _footer(pack)
    first = _FOOTER_ROW.pack(*change(*_FOOTER_ROW.unpack_from(footer)))
    return _resealed(pack, first + footer[_FOOTER_ROW.size :])


def _ending(start: int) -> bytes:
    """The pack with a trailer that says that its footer starts elsewhere, sealed again."""
    pack = _own_pack()[1]
    footer = pack[start : -_TRAILER.size]
    return pack[: -_TRAILER.size] + _TRAILER.pack(b"mend", start, blake3(footer).digest())


FOOTERS: dict[str, Callable[[], bytes]] = {
    "another digest": lambda: _with_row(lambda name, at, size: (name[:1] + bytes(32), at, size)),
    "another algorithm": lambda: _with_row(lambda name, at, size: (b"\1" + name[1:], at, size)),
    "a record elsewhere": lambda: _with_row(lambda name, at, size: (name, at + 1, size)),
    "a record outside": lambda: _with_row(lambda name, _, size: (name, 1 << 63, size)),
    "another length": lambda: _with_row(lambda name, at, size: (name, at, size - 1)),
    "the largest length": lambda: _with_row(lambda name, at, _: (name, at, 0xFFFF_FFFF)),
    "half a row": lambda: _resealed(_own_pack()[1], _footer(_own_pack()[1])[:-1]),
    "a footer over everything": lambda: _ending(16),
    "a footer before everything": lambda: _ending(0),
    "a footer outside": lambda: _ending(1 << 63),
}


@pytest.mark.parametrize("name", FOOTERS)
def test_footers(name: str) -> None:
    """A footer that lies is damage for who rebuilds from packs, and nothing to who reads files."""
    key, _ = _own_pack()
    forged = FOOTERS[name]()

    with pytest.raises(CorruptionError) as caught:
        list(read_records(forged, key))

    assert caught.value.key == key
    vault = Vault.at(store_of({**_sound(), key: forged}))
    assert {path: read(vault, path) for path in HELD} == HELD


def _record(**fields: bytes) -> bytes:
    """A pack of one record, some of whose head was overwritten."""
    builder = PackBuilder()
    link = Link(Digest.of(b"base"), 0, 5)
    builder.add(Record(Digest.of(b"plain"), 5, Codec.RAW, 1, (link,), b"plain"))
    pack = builder.finish()
    places = {"magic": 0, "depth": 5, "links": 6, "zero": 7, "size": 8, "stored": 12, "lock": 20}
    for field, value in fields.items():
        at = 16 + places[field]
        pack[at : at + len(value)] = value
    return bytes(pack)


@pytest.mark.parametrize(
    "forged",
    [
        {"magic": b"x"},
        {"depth": b"\x05"},
        {"links": b"\x04"},
        {"links": b"\x00"},
        {"zero": b"\x01"},
        {"size": b"\xff\xff\xff\xff"},
        {"stored": b"\xff\xff\xff\xff"},
        {"stored": b"\x06"},
        {"stored": b"\x00"},
    ],
)
def test_records(forged: dict[str, bytes]) -> None:
    """A record whose head lies is damage."""
    with pytest.raises(CorruptionError):
        list(read_records(_record(**forged), PACK_KEY))


def test_encrypted() -> None:
    """A record that is locked asks for a newer release."""
    with pytest.raises(UnsupportedError):
        list(read_records(_record(lock=b"\x01"), PACK_KEY))


def test_swapped(tmp_path: Path) -> None:
    """A pack whose name holds another pack gives nobody other bytes."""
    keys = sorted(key for key in _sound() if key.startswith(layout.PACKS))
    held = dict(zip(keys, [_sound()[key] for key in (*keys[1:], keys[0])], strict=True))
    vault = Vault.at(store_of({**_sound(), **held}))

    for path in HELD:
        with pytest.raises(CorruptionError, match="packs/"):
            vault.read_file(path, tmp_path / "target")

    assert not list(tmp_path.iterdir())


def test_forged_base() -> None:
    """A base whose pack was forged is no base: what is written against it comes back."""
    row = entry_of(store_of(_sound()), FIRST).rows[-1]
    key = layout.pack_key(row.pack)
    pack = bytearray(_sound()[key])
    pack[row.start : row.start + row.stored] = noise(9, row.stored)
    vault = Vault.at(store_of({**_sound(), key: bytes(pack)}))
    plain = safetensors({"w": trained(weights(0, 100_000), 7)})

    write(vault, "5/artifacts/w.safetensors", plain)

    assert read(vault, "5/artifacts/w.safetensors") == plain
