"""A half-precision copy of a model that is held costs next to nothing, whichever version it is."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_vault.config import MIB
from mlflow_vault.engine.write.table import Table
from mlflow_vault.format import layout
from mlflow_vault.format.coding.codec import Codec, encode_delta, encode_whole
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.elements import Element
from mlflow_vault.format.entry import Entry
from mlflow_vault.format.pack import Link, PackBuilder, Record
from mlflow_vault.format.record import Kind, Outcome, frame_json, unframe_json
from mlflow_vault.format.rows import Part, Row
from mlflow_vault.format.soundness import depths
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.models import bfloat16, safetensors, trained, weights
from mlflow_vault.testing.stores import FaultyStore
from mlflow_vault.testing.vaults import entry_of, read, write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlflow_vault.testing.models import Array

    Model = dict[str, Array]

# So large that the entry, 90 bytes a chunk, is small beside it; no larger, for speed.
FIRST: Model = {"a.weight": weights(0, 300, 1000), "b.weight": weights(1, 700, 400)}
KINDS: dict[str, Callable[[Array], Array]] = {
    "fp32": lambda array: array,
    "bf16": bfloat16,
    "fp16": lambda array: array.astype("<f2"),
}


def _versions(count: int, step: float = 1e-3) -> list[Model]:
    models = [FIRST]
    for at in range(1, count):
        models.append({name: trained(array, at, step) for name, array in models[-1].items()})
    return models


def _file(model: Model, kind: str) -> bytes:
    return safetensors({name: KINDS[kind](array) for name, array in model.items()})


def _stored(store: MemoryStore) -> int:
    return sum(found.size for found in store.list(""))


def _cost(store: MemoryStore, path: str, plain: bytes) -> float:
    """Write *plain*; return all bytes that this adds, as a share of it.  It comes back."""
    before = _stored(store)
    write(Vault.at(store), path, plain)
    assert read(Vault.at(store), path) == plain
    return (_stored(store) - before) / len(plain)


SINGLES = [("fp32", version) for version in range(3)]
COPIES = [(kind, version) for kind in ("bf16", "fp16") for version in range(3)]


@pytest.mark.parametrize("together", [True, False], ids=["one series", "a series each"])
@pytest.mark.parametrize(
    "order",
    [SINGLES + COPIES, [(kind, version) for version in range(3) for kind in KINDS]],
    ids=["afterwards", "in turn"],
)
def test_copies(order: list[tuple[str, int]], *, together: bool) -> None:
    """A copy of any version that is held as deltas costs one per cent, wherever it goes."""
    models = _versions(3)
    store = MemoryStore()
    Vault.init_at(store)

    for run, (kind, version) in enumerate(order):
        path = f"7/{run:032x}/artifacts/{'m' if together else kind}/model.safetensors"
        cost = _cost(store, path, _file(models[version], kind))

        rows = entry_of(store, path).rows
        deepest = int(version > 0) if kind == "fp32" else 1 + int(version > 0)
        assert max(depths(rows)) == deepest
        if kind != "fp32":
            assert cost < 0.01
    assert Vault.at(store).verify().is_whole


def test_named_parent(tmp_path: Path) -> None:
    """A copy is found by its numbers even where the caller names another version as its parent."""
    models = _versions(2)
    store = MemoryStore()
    vault = Vault.init_at(store)
    for version, model in enumerate(models):
        write(vault, f"{version}/artifacts/w.safetensors", _file(model, "fp32"))
    before = _stored(store)

    file = tmp_path / "copy"
    file.write_bytes(_file(models[1], "bf16"))
    vault.write_file(file, "2/artifacts/w.safetensors", parents=["0/artifacts/w.safetensors"])

    assert _stored(store) - before < 0.01 * file.stat().st_size


def test_without_prints() -> None:
    """A vault whose hints hold no prints, as older ones do, finds what the series leads to."""
    models = _versions(2)
    store = MemoryStore()
    vault = Vault.init_at(store)
    path = "7/{:032x}/artifacts/w.safetensors"
    write(vault, path.format(0), _file(models[0], "fp32"))
    for found in list(store.list(layout.FAMILIES)):
        paths = unframe_json(Kind.HINT, store.get(found.key), found.key)["paths"]
        store.put(found.key, frame_json(Kind.HINT, {"paths": paths, "prints": {"x": 1}}))

    assert _cost(store, path.format(1), _file(models[0], "bf16")) < 0.01


def test_what_follows_a_copy() -> None:
    """Versions that go on from a copy hang on what it hangs on, until they start over."""
    store = MemoryStore()
    Vault.init_at(store)
    models = _versions(2)
    for model in models:
        write(Vault.at(store), "7/" + "0" * 32 + "/artifacts/w.safetensors", _file(model, "fp32"))
    path, model = "8/" + "0" * 32 + "/artifacts/w.safetensors", models[-1]
    deep, ages = [], []
    for version in range(9):
        write(Vault.at(store), path, _file(model, "bf16"))
        entry = entry_of(store, path)
        deep.append(max(depths(entry.rows)))
        ages.append(entry.tensors[0].age)
        model = {
            name: array + np.float32(0.05) * weights(50 + version, *array.shape)
            for name, array in model.items()
        }

    assert deep[:2] == [2, 2]
    assert deep[-1] <= 1
    assert 1 in ages
    assert ages[:2] == [3, 4]
    assert Vault.at(store).verify().is_whole


def test_packs_of_the_chain() -> None:
    """The outcome of a copy names the packs of its base and of its base's base."""
    logged = FaultyStore(MemoryStore())
    vault = Vault.init_at(logged)
    for version, model in enumerate(_versions(2)):
        write(vault, f"{version}/artifacts/w.safetensors", _file(model, "fp32"))
    held = {found.key for found in logged.list(layout.PACKS)}
    ended = {found.key for found in logged.list(layout.OUTCOMES)}

    write(vault, "2/artifacts/w.safetensors", _file(_versions(2)[1], "bf16"))

    (key,) = {found.key for found in logged.list(layout.OUTCOMES)} - ended
    outcome = Outcome.from_bytes(logged.get(key), key)
    assert held < {layout.pack_key(pack) for pack in outcome.packs}


def _deeper(store: MemoryStore, path: str, versions: list[Array]) -> None:
    """Write the last of *versions*, each a delta against the one before, as no writer of ours."""
    rows: list[Row] = []
    builder, pack, before = PackBuilder(), b"deeper-and-deep.", b""
    for depth, array in enumerate(versions):
        plain, size = array.tobytes(), array.nbytes
        delta = encode_delta(plain, before, Element.F32, Element.F32) if rows else None
        coded = delta or encode_whole(plain, Element.F32)
        links = (Link(rows[-1].digest, 0, size),) if rows else ()
        parts = (Part(depth - 1, 0, size),) if rows else ()
        digest, before = Digest.of(plain), plain
        start = builder.add(Record(digest, size, coded.codec, depth, links, coded.payload))
        rows.append(Row(digest, size, coded.codec, pack, start, len(coded.payload), parts))
    store.put(layout.pack_key(pack), builder.finish())
    entry = Entry(
        path,
        rows[-1].size,
        rows[-1].digest,
        hashlib.sha256(before).digest(),
        transaction="0" * 32,
        mean=MIB,
        rows=tuple(rows),
        sequence=(len(rows) - 1,),
    )
    store.put(layout.tree_key(path), entry.to_bytes())


def test_base_that_lies_deeper_here(tmp_path: Path) -> None:
    """A chunk that one relative holds two deep is nobody's base, shallow as another holds it."""
    first = weights(0, 90_000)
    second = trained(first, 1)
    store = MemoryStore()
    vault = Vault.init_at(store)
    write(vault, "1/artifacts/shallow", safetensors({"w": first}))
    write(vault, "1/artifacts/shallow", safetensors({"w": second}))
    _deeper(store, "2/artifacts/deep", [first, trained(first, 9), second])
    assert read(vault, "2/artifacts/deep") == second.tobytes()
    file = tmp_path / "both.safetensors"
    file.write_bytes(safetensors({"x": second, "w": bfloat16(second)}))

    parents = ["2/artifacts/deep", "1/artifacts/shallow"]
    vault.write_file(file, "3/artifacts/both", parents=parents)

    entry = entry_of(store, "3/artifacts/both")
    deep = dict(zip((row.digest for row in entry.rows), depths(entry.rows), strict=True))
    assert deep[Digest.of(second.tobytes())] == 2
    assert max(deep.values()) == 2
    assert deep[Digest.of(bfloat16(second).tobytes())] == 0
    assert read(vault, "3/artifacts/both") == file.read_bytes()


def _rows(links: list[list[int]]) -> list[Row]:
    """Rows that link to those before them."""
    return [
        Row(
            Digest.of(bytes([at])),
            4,
            Codec.DELTA if bases else Codec.RAW,
            bytes(16),
            0,
            4,
            tuple(Part(base, 0, 4) for base in bases),
        )
        for at, bases in enumerate(links)
    ]


@st.composite
def tables(draw: st.DrawFn) -> list[Row]:
    """A table of the same few chunks, each coded somehow, at most two deep."""
    links: list[list[int]] = []
    deep: list[int] = []
    for at in range(6):
        shallow = [base for base in range(at) if deep[base] < 2]
        bases = draw(st.lists(st.sampled_from(shallow), max_size=2)) if shallow else []
        links.append(bases)
        deep.append(1 + max(deep[base] for base in bases) if bases else 0)
    return _rows(links)


@given(held=st.lists(tables(), min_size=1, max_size=4), data=st.data())
def test_adopted(held: list[list[Row]], data: st.DataObject) -> None:
    """An adopted row lies as deep as was foretold, links go backwards, and no row sinks."""
    table = Table()
    for rows in held:
        row = data.draw(st.sampled_from(rows))
        before = {
            one.digest: depth for one, depth in zip(table.rows, depths(table.rows), strict=True)
        }

        foretold = table.depth_of(row, rows)
        index = table.adopt(row, rows)

        deep = depths(table.rows)
        assert table.rows[index].digest == row.digest
        assert deep[index] <= foretold
        assert all(part.row < at for at, one in enumerate(table.rows) for part in one.base)
        after = dict(zip((one.digest for one in table.rows), deep, strict=True))
        assert all(after[digest] <= depth for digest, depth in before.items())
