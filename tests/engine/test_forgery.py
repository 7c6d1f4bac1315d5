"""What an entry says is believed only as far as it proves itself: by readers and by writers.

Whoever can write to a store can make entries up, other releases make them otherwise, and what they
point to may be gone.
"""

from __future__ import annotations

import io
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import pytest

from mlflow_vault.errors import (
    CorruptionError,
)
from mlflow_vault.format import layout
from mlflow_vault.format.coding.codec import Codec
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.rows import Part, Tensor
from mlflow_vault.format.soundness import depths
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.models import noise, safetensors, trained, weights
from mlflow_vault.testing.vaults import entry_of, objects, pack_bytes, read, store_of, write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlflow_vault.format.entry import Entry
    from mlflow_vault.store.protocol import Store


BASE = safetensors({"w": weights(0, 100_000)})
HELD = {
    "1/artifacts/w.safetensors": BASE,
    "2/artifacts/w.safetensors": safetensors({"w": trained(weights(0, 100_000), 1)}),
    "3/artifacts/noise": noise(2, 1_500_000),
}


@cache
def _sound() -> dict[str, bytes]:
    store = MemoryStore()
    vault = Vault.init_at(store)
    for path, plain in HELD.items():
        write(vault, path, plain)
    return objects(store)


def _forge(path: str, change: Callable[[Entry], Entry]) -> Store:
    store = store_of(_sound())
    store.put(layout.tree_key(path), change(entry_of(store, path)).to_bytes())
    return store


def _other_rows(entry: Entry) -> Entry:
    theirs = entry_of(store_of(_sound()), "1/artifacts/w.safetensors")
    return replace(
        entry, size=theirs.size, rows=theirs.rows, sequence=theirs.sequence, tensors=theirs.tensors
    )


FORGERIES: dict[str, Callable[[Entry], Entry]] = {
    "chunks of another file": _other_rows,
    "chunks in another order": lambda entry: replace(entry, sequence=entry.sequence[::-1]),
    "another digest": lambda entry: replace(entry, digest=Digest.of(b"x")),
    "span beside the payload": lambda entry: replace(
        entry, rows=tuple(replace(row, start=row.start + 1) for row in entry.rows)
    ),
    "span behind the pack": lambda entry: replace(
        entry, rows=tuple(replace(row, start=1 << 60) for row in entry.rows)
    ),
    "missing pack": lambda entry: replace(
        entry, rows=tuple(replace(row, pack=bytes(16)) for row in entry.rows)
    ),
    "a chunk in two places": lambda entry: replace(
        entry,
        rows=(*entry.rows, replace(entry.rows[0], start=entry.rows[0].start + 1)),
        sequence=(*entry.sequence, len(entry.rows)),
        size=entry.size + entry.rows[0].size,
    ),
    "other codec": lambda entry: replace(
        entry,
        rows=tuple(replace(row, codec=Codec.PLANES) if not row.base else row for row in entry.rows),
    ),
}


@pytest.mark.parametrize("forgery", FORGERIES)
@pytest.mark.parametrize("path", ["2/artifacts/w.safetensors", "3/artifacts/noise"])
def test_forged(path: str, forgery: str, tmp_path: Path) -> None:
    """An entry that was made up, digest and all, is never taken for the file."""
    store = _forge(path, FORGERIES[forgery])

    for other, plain in HELD.items():
        target = tmp_path / "target"
        if other == path:
            with pytest.raises(CorruptionError):
                Vault.at(store).read_file(other, target)
            assert not list(tmp_path.iterdir())
        else:
            assert read(Vault.at(store), other) == plain


TENSOR = Tensor("w", None, (1,), 0, 1, None, 1, 1)


@pytest.mark.parametrize(
    "change",
    [
        lambda entry: replace(entry, mean=0),
        lambda entry: replace(entry, mean=1 << 40),
        lambda entry: replace(entry, mean=100_000),
        lambda entry: replace(entry, tensors=(replace(entry.tensors[0], start=-7),)),
        lambda entry: replace(entry, tensors=(replace(entry.tensors[0], stop=1 << 70),)),
        lambda entry: replace(entry, tensors=(replace(entry.tensors[0], element=None),)),
        lambda entry: replace(entry, tensors=(replace(entry.tensors[0], anchor=None),)),
        lambda entry: replace(entry, tensors=(replace(entry.tensors[0], age=-9, spent=-9),)),
        lambda entry: replace(entry, tensors=(replace(entry.tensors[0], age=1 << 80),)),
        lambda entry: replace(entry, tensors=(TENSOR,) * 3),
    ],
)
@pytest.mark.parametrize("path", ["1/artifacts/w.safetensors", "2/artifacts/w.safetensors"])
def test_forged_relative(path: str, change: Callable[[Entry], Entry], tmp_path: Path) -> None:
    """Whatever a relative's entry says of itself, a new file is stored and comes back."""
    vault = Vault.at(_forge(path, change))
    plain = safetensors({"w": trained(weights(0, 100_000), 7)})
    file = tmp_path / "w.safetensors"
    file.write_bytes(plain)

    vault.write_file(file, "5/artifacts/w.safetensors", parents=[path])
    vault.write_stream(io.BytesIO(plain + noise(8, 600_000)), "6/artifacts/w.safetensors")

    assert read(vault, "5/artifacts/w.safetensors") == plain
    assert read(vault, "6/artifacts/w.safetensors") == plain + noise(8, 600_000)


def test_deeper_relative() -> None:
    """A relative of another release, with deltas behind deltas, is read; ours stay one deep."""
    store = MemoryStore()
    path = "6/artifacts/text"
    text = b"text that repeats " * 150_000
    write(Vault.init_at(store), path, text)
    entry = entry_of(store, path)
    # A frame that points into no base decodes with any: so whole chunks can be called deltas.
    first, second, third, *rest = entry.rows
    second = replace(second, codec=Codec.DICTIONARY, base=(Part(0, 0, first.size),))
    third = replace(third, codec=Codec.DICTIONARY, base=(Part(1, 0, second.size),))
    deep = replace(entry, rows=(first, second, third, *rest))
    store.put(layout.tree_key(path), deep.to_bytes())
    vault = Vault.at(store)
    assert read(vault, path) == text

    edited = text.replace(b"text that", b"TEXT that", 90_000)
    write(vault, path, edited)

    assert read(vault, path) == edited
    theirs = {row.digest for row in deep.rows}
    rows = entry_of(store, path).rows
    for row, depth in zip(rows, depths(rows), strict=True):
        assert depth <= 1 or row.digest in theirs


def test_damaged_base() -> None:
    """A base that cannot be read is no base: its chunk is stored whole, others stay deltas."""
    tensors = {f"t{number}": weights(number, 90_000) for number in range(4)}
    store = MemoryStore()
    vault = Vault.init_at(store)
    write(vault, "1/artifacts/w.safetensors", safetensors(tensors))
    entry = entry_of(store, "1/artifacts/w.safetensors")
    row = entry.rows[entry.sequence[2]]
    key = layout.pack_key(row.pack)
    pack = bytearray(store.get(key))
    pack[row.start + row.stored // 2] ^= 1
    store.put(key, bytes(pack))
    after = safetensors({name: trained(array, 9) for name, array in tensors.items()})
    before = pack_bytes(store)

    write(vault, "2/artifacts/w.safetensors", after)

    assert read(vault, "2/artifacts/w.safetensors") == after
    rows = entry_of(store, "2/artifacts/w.safetensors").rows
    deltas = sum(row.codec == Codec.DELTA for row in rows)
    assert deltas == 3
    assert pack_bytes(store) - before < len(after) * 0.7
    damage = vault.verify().damaged
    assert [one.path for one in damage] == ["1/artifacts/w.safetensors"]
    assert key in damage[0].reason


def test_missing_base() -> None:
    """A pack of bases that is gone stops no writer: what would need it is stored whole."""
    store = MemoryStore()
    vault = Vault.init_at(store)
    write(vault, "1/artifacts/w.safetensors", BASE)
    for found in list(store.list(layout.PACKS)):
        store.delete(found.key)
    plain = safetensors({"w": trained(weights(0, 100_000), 1), "head": weights(2, 2_000)})

    write(vault, "2/artifacts/w.safetensors", plain)

    assert read(vault, "2/artifacts/w.safetensors") == plain
    with pytest.raises(CorruptionError, match="is gone"):
        read(vault, "1/artifacts/w.safetensors")
