"""Entries made up by hand, digest and all: tables that lie, circle, fan out or swell.

Each is an error that names its entry, found with little memory, and costs no other file.
"""

from __future__ import annotations

import json
import time
import tracemalloc
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import pytest
import zstandard
from blake3 import blake3

from mlflow_vault.config import LARGEST_CHUNK, MIB
from mlflow_vault.errors import CorruptionError
from mlflow_vault.format import layout
from mlflow_vault.format.coding.codec import Codec
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.entry import Entry
from mlflow_vault.format.pack import PackBuilder, Record
from mlflow_vault.format.record import Kind, frame, header, unframe
from mlflow_vault.format.rows import Part, Row
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.models import noise, safetensors, trained, weights
from mlflow_vault.testing.vaults import entry_of, objects, read, store_of, write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


FORGED = "9/artifacts/forged"
FORGED_KEY = layout.tree_key(FORGED)
PACK = bytes(range(16))
FIRST = safetensors({"w": weights(0, 100_000)})
HELD = {
    "1/artifacts/w.safetensors": FIRST,
    "2/artifacts/w.safetensors": safetensors({"w": trained(weights(0, 100_000), 1)}),
    "3/artifacts/small": b"small",
}


@cache
def _sound() -> dict[str, bytes]:
    store = MemoryStore()
    vault = Vault.init_at(store)
    for path, plain in HELD.items():
        write(vault, path, plain)
    return objects(store)


@contextmanager
def _within(room: int, seconds: float = 5.0) -> Iterator[None]:
    """Insist that the block allocates no more than *room* bytes at once, and ends soon."""
    tracemalloc.start()
    began = time.process_time()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < room
    assert time.process_time() - began < seconds


def _row(name: int, base: tuple[Part, ...] = (), size: int = 100) -> Row:
    codec = Codec.DICTIONARY if base else Codec.RAW
    return Row(Digest.of(b"%d" % name), size, codec, PACK, 16, min(size, 90), base)


def _entry(rows: list[Row], sequence: list[int], size: int | None = None) -> Entry:
    named = sum(rows[index].size for index in sequence if index < len(rows))
    return Entry(
        path=FORGED,
        size=named if size is None else size,
        digest=Digest.of(b"file"),
        sha256=bytes(32),
        transaction="00",
        mean=65536,
        rows=tuple(rows),
        sequence=tuple(sequence),
    )


def _fan(depth: int) -> list[Row]:
    """Rows each coded against three others, down to chunks of the largest size."""
    rows = [_row(index, size=LARGEST_CHUNK) for index in range(3)]
    for _ in range(depth):
        last = len(rows)
        parts = tuple(Part(last - back, 0, LARGEST_CHUNK) for back in (1, 2, 3))
        rows += [_row(last + more, parts, LARGEST_CHUNK) for more in range(3)]
    return rows


def _part(row: int, start: int = 0, stop: int = 100) -> tuple[Part, ...]:
    return (Part(row, start, stop),)


TABLES: dict[str, Entry] = {
    "its own base": _entry([_row(0, _part(0))], [0]),
    "a base behind it": _entry([_row(0, _part(1)), _row(1)], [0]),
    "two that circle": _entry([_row(0, _part(1)), _row(1, _part(0))], [0, 1]),
    "a base nowhere": _entry([_row(0, _part(0xFFFF_FFFF))], [0]),
    "five deep": _entry([_row(0), *(_row(n, _part(n - 1)) for n in range(1, 6))], [5]),
    "a part outside": _entry([_row(0), _row(1, _part(0, 0, 101))], [1]),
    "a part of nothing": _entry([_row(0), _row(1, _part(0, 50, 50))], [1]),
    "a part backwards": _entry([_row(0), _row(1, _part(0, 99, 1))], [1]),
    "four parts": _entry([_row(0), _row(1, _part(0) * 4)], [1]),
    "255 parts": _entry([_row(0), _row(1, _part(0) * 255)], [1]),
    "a chunk too large": _entry([_row(0, size=LARGEST_CHUNK + 1)], [0]),
    "the largest number": _entry([_row(0, size=0xFFFF_FFFF)], [0]),
    "no bytes": _entry([_row(0, size=0)], [0]),
    "payloads above their chunks": _entry([replace(_row(0), stored=4 * MIB)], [0]),
    "an unknown codec": _entry([replace(_row(0), codec=200)], [0]),
    "a row nowhere": _entry([_row(0)], [1]),
    "too few bytes": _entry([_row(0)], [0], size=1 << 60),
    "too many bytes": _entry([_row(0)] * 1, [0, 0], size=100),
    "a negative size": _entry([_row(0)], [0], size=-100),
    "bases four deep and three wide": _entry(_fan(4), [14]),
    "bases two deep and three wide, of the largest size": _entry(_fan(3), [11]),
    "a chunk named twice": _entry([_row(0), replace(_row(0), start=77)], [0, 1]),
}


def _bomb(body_size: int) -> bytes:
    """An entry of some kilobytes whose body is so many zeros."""
    press = zstandard.ZstdCompressor(level=1).compressobj(size=body_size)
    packed = b"".join(press.compress(bytes(MIB)) for _ in range(body_size // MIB)) + press.flush()
    sealed = header(Kind.ENTRY) + packed
    return sealed + blake3(sealed).digest()


def _with_meta(change: Callable[[bytes], bytes]) -> bytes:
    """The entry of one row, with its metadata changed."""
    body = unframe(Kind.ENTRY, _entry([_row(0)], [0]).to_bytes(), "k")
    size = int.from_bytes(body[4:8], "little")
    meta = change(body[24 : 24 + size])
    return frame(
        Kind.ENTRY,
        body[:4] + len(meta).to_bytes(4, "little") + body[8:24] + meta + body[24 + size :],
    )


def _with_counts(**counts: int) -> bytes:
    """The entry of one row, saying of other tables how long they are."""
    body = bytearray(unframe(Kind.ENTRY, _entry([_row(0)], [0]).to_bytes(), "k"))
    for name, count in counts.items():
        at = 4 + 4 * ("meta", "packs", "rows", "parts", "sequence").index(name)
        body[at : at + 4] = count.to_bytes(4, "little")
    return frame(Kind.ENTRY, bytes(body))


def _tensors(value: bytes) -> bytes:
    return _with_meta(lambda meta: meta.replace(b'"tensors":[]', b'"tensors":' + value))


BODIES: dict[str, Callable[[], bytes]] = {
    "a body of a gigabyte": lambda: _bomb(1024 * MIB),
    "a body of 100 MiB": lambda: _bomb(100 * MIB),
    "a body of zeros": lambda: _bomb(16 * MIB),
    "nested lists": lambda: _tensors(b"[" * 200_000 + b"]" * 200_000),
    "nested objects": lambda: _tensors(b'{"a":' * 200_000 + b"1" + b"}" * 200_000),
    "many lists": lambda: _tensors(b"[" + b"[]," * 5_000_000 + b"[]]"),
    "a number beyond range": lambda: _tensors(b"[[1e999]]"),
    "no number": lambda: _tensors(b"[[NaN]]"),
    "a number of a million digits": lambda: _tensors(b"9" * 1_000_000),
    "a key twice": lambda: _with_meta(lambda meta: meta.replace(b"{", b'{"path":"a",', 1)),
    "a list": lambda: _with_meta(lambda _: b"[]"),
    "text": lambda: _with_meta(lambda _: b'"path"'),
    "no text": lambda: _with_meta(lambda _: b"\xff\xfe\xfd"),
    "a short SHA-256": lambda: _with_meta(lambda meta: meta.replace(b"00" * 32, b"")),
    "a number for a path": lambda: _with_meta(
        lambda meta: meta.replace(json.dumps(FORGED).encode(), b"12")
    ),
    "4 billion rows": lambda: _with_counts(rows=0xFFFF_FFFF),
    "4 billion parts": lambda: _with_counts(parts=0xFFFF_FFFF),
    "4 billion numbers": lambda: _with_counts(sequence=0xFFFF_FFFF),
    "4 billion packs": lambda: _with_counts(packs=0xFFFF_FFFF),
    "4 GiB of metadata": lambda: _with_counts(meta=0xFFFF_FFFF),
    "nothing": lambda: frame(Kind.ENTRY, b""),
    "a seal": lambda: frame(Kind.SEAL, b"{}"),
}


def _refused(stored: bytes, folder: Path) -> None:
    """Read the forged entry over a file that is there, and the others."""
    store = store_of({**_sound(), FORGED_KEY: stored})
    vault = Vault.at(store)
    target = folder / "target"
    target.write_bytes(b"what was there")

    with _within(256 * MIB), pytest.raises(CorruptionError) as caught:
        vault.read_file(FORGED, target)

    assert caught.value.key == FORGED_KEY
    assert [(one.name, one.read_bytes()) for one in folder.iterdir()] == [
        ("target", b"what was there")
    ]
    for path, plain in HELD.items():
        assert read(vault, path) == plain
    checked = vault.verify()
    assert [one.path for one in checked.damaged] == [FORGED]
    assert vault.stats().damaged == 1


@pytest.mark.parametrize("name", TABLES)
def test_tables(name: str, tmp_path: Path) -> None:
    """Tables that no writer makes are damage, said of their entry before a pack is asked for."""
    _refused(TABLES[name].to_bytes(), tmp_path)


@pytest.mark.parametrize("name", BODIES)
def test_bodies(name: str, tmp_path: Path) -> None:
    """A body that swells, nests or lies about its lengths is damage and little memory."""
    _refused(BODIES[name](), tmp_path)


def test_copied() -> None:
    """An entry that was copied to another key is another path's, whatever it holds."""
    for path in HELD:
        stored = _sound()[layout.tree_key(path)]
        store = store_of({**_sound(), FORGED_KEY: stored})

        with pytest.raises(CorruptionError, match=f"the entry of '{path}'") as caught:
            read(Vault.at(store), FORGED)

        assert caught.value.key == FORGED_KEY


def test_other_bases(tmp_path: Path) -> None:
    """A base in another place is taken if it is the chunk it should be, and else damage there."""
    path = "2/artifacts/w.safetensors"
    entry = entry_of(store_of(_sound()), path)
    index = next(row.base[0].row for row in entry.rows if row.base)
    base = entry.rows[index]
    plain = FIRST[-400_000:]
    assert base.digest == Digest.of(plain)
    for held, name in ((plain, "the same"), (noise(5, len(plain)), "other bytes")):
        builder = PackBuilder()
        start = builder.add(Record(base.digest, len(held), Codec.RAW, 0, (), held))
        row = replace(base, codec=Codec.RAW, pack=PACK, start=start, stored=len(held))
        rows = (*entry.rows[:index], row, *entry.rows[index + 1 :])
        forged = {
            layout.pack_key(PACK): bytes(builder.finish()),
            layout.tree_key(path): replace(entry, rows=rows).to_bytes(),
        }
        vault = Vault.at(store_of({**_sound(), **forged}))
        if name == "the same":
            assert read(vault, path) == HELD[path]
            continue

        with pytest.raises(CorruptionError, match="decodes to") as caught:
            vault.read_file(path, tmp_path / "target")

        assert caught.value.key == layout.pack_key(PACK)
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", TABLES)
def test_unsound_relative(name: str) -> None:
    """A relative whose tables lie is no relative: what is written comes back."""
    path = "1/artifacts/w.safetensors"
    entry = replace(TABLES[name], path=path)
    vault = Vault.at(store_of({**_sound(), layout.tree_key(path): entry.to_bytes()}))
    plain = safetensors({"w": trained(weights(0, 100_000), 7)})

    write(vault, "5/artifacts/w.safetensors", plain)

    assert read(vault, "5/artifacts/w.safetensors") == plain
