"""Entries that honestly say that a file is enormous, and are small: read in little memory."""

from __future__ import annotations

import tracemalloc
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from mlflow_vault.config import LARGEST_CHUNK, MIB
from mlflow_vault.errors import CorruptionError
from mlflow_vault.format import layout
from mlflow_vault.format.coding.codec import Codec, encode_whole
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.entry import Entry
from mlflow_vault.format.pack import PackBuilder, Record
from mlflow_vault.format.rows import Row
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.models import noise
from mlflow_vault.testing.vaults import read
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow_vault.store.protocol import Store

PATH = "9/artifacts/forged"
KEY = layout.tree_key(PATH)
PACK = bytes(range(16))
ZEROS = bytes(LARGEST_CHUNK)


@contextmanager
def _within(room: int) -> Iterator[None]:
    """Insist that the block allocates no more than *room* bytes at once."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < room


def _entry(rows: list[Row], sequence: list[int]) -> Entry:
    return Entry(
        path=PATH,
        size=sum(rows[index].size for index in sequence),
        digest=Digest.of(b"file"),
        sha256=bytes(32),
        transaction="00",
        mean=65536,
        rows=tuple(rows),
        sequence=tuple(sequence),
    )


def _store_of(pack: PackBuilder, entry: Entry) -> Store:
    store = MemoryStore()
    Vault.init_at(store)
    store.put(layout.pack_key(PACK), pack.finish())
    store.put(KEY, entry.to_bytes())
    return store


def _raw(name: int, size: int = 100) -> Row:
    return Row(Digest.of(b"%d" % name), size, Codec.RAW, PACK, 16, size)


def test_endless() -> None:
    """A file of 400 gigabytes in a kilobyte is read as far as one wants to."""
    coded = encode_whole(ZEROS, None)
    builder = PackBuilder()
    record = Record(Digest.of(ZEROS), len(ZEROS), coded.codec, 0, (), coded.payload)
    start = builder.add(record)
    row = Row(record.digest, record.size, coded.codec, PACK, start, len(coded.payload))
    store = _store_of(builder, _entry([row], [0] * 100_000))
    assert len(store.get(KEY)) < 2_000

    with _within(192 * MIB):
        pieces = Vault.at(store).iter_file(PATH)
        assert all(piece == ZEROS for piece in islice(pieces, 20))


def test_longest_sequence() -> None:
    """A sequence of half a million numbers takes little more than they do."""
    stored = _entry([_raw(index) for index in range(300)], [299] * 500_000).to_bytes()
    assert len(stored) < 20_000

    with _within(16 * MIB):
        assert len(Entry.from_bytes(stored, KEY).sequence) == 500_000


def test_overlapping() -> None:
    """Payloads that overlap in their pack hold no more than the chunks that they are said to be."""
    builder = PackBuilder()
    builder.add(Record(Digest.of(b""), 9 * MIB, Codec.RAW, 0, (), noise(0, 9 * MIB)))
    rows = [replace(_raw(index), size=LARGEST_CHUNK, stored=LARGEST_CHUNK) for index in range(99)]
    rows = [replace(row, start=16 + index) for index, row in enumerate(rows)]
    small = [replace(row, size=1) for row in rows]
    sequence = list(range(len(rows)))
    vault = Vault.at(_store_of(builder, _entry(rows, sequence)))
    swollen = _entry(small, sequence).to_bytes()

    with _within(192 * MIB), pytest.raises(CorruptionError, match="packs/"):
        read(vault, PATH)

    with pytest.raises(CorruptionError, match="stored as"):
        Entry.from_bytes(swollen, KEY)
