"""What a version costs: what is stored of a file when the vault holds others like it."""

from __future__ import annotations

import io
import secrets
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mlflow_vault.config import GRID, KIB, MIB
from mlflow_vault.engine.payloads import Payloads, closure
from mlflow_vault.format.coding.codec import Codec
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.soundness import depths
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.models import bfloat16, npy, safetensors, trained, weights
from mlflow_vault.testing.vaults import entries, entry_of, pack_bytes, read, write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from pathlib import Path

    from mlflow_vault.testing.models import Array

MODEL = {
    "embed.weight": weights(0, 400, 128),
    "layer.weight": weights(1, 128, 512),
    "layer.bias": weights(2, 2_048),
    "norm.gain": weights(3, 2_049),
    "head.weight": weights(4, 128, 10),
}
RUN = "7/" + "0" * 32 + "/artifacts/w.safetensors"
NEXT = "7/" + "1" * 32 + "/artifacts/w.safetensors"
ELSEWHERE = "9/" + "2" * 32 + "/artifacts/other/model.safetensors"


def _tuned(model: dict[str, Array], seed: int, step: float = 1e-4) -> dict[str, Array]:
    return {name: trained(array, seed + at, step) for at, (name, array) in enumerate(model.items())}


@pytest.fixture
def store() -> MemoryStore:
    """A vault's store that holds the model as one run logged it."""
    store = MemoryStore()
    write(Vault.init_at(store), RUN, safetensors(MODEL))
    return store


def _cost(store: MemoryStore, path: str, plain: bytes) -> float:
    """Write *plain*; return the bytes of new packs as a share of it.  It comes back."""
    before = pack_bytes(store)
    vault = Vault.at(store)
    write(vault, path, plain)
    assert read(vault, path) == plain
    assert all(max(depths(entry.rows), default=0) <= 1 for entry in entries(store))
    return (pack_bytes(store) - before) / len(plain)


@pytest.mark.parametrize("path", [RUN, NEXT, ELSEWHERE])
def test_next_version(path: str, store: MemoryStore) -> None:
    """A trained model costs its changes: over the last, in the next run, and far away."""
    assert _cost(store, path, safetensors(_tuned(MODEL, 10))) < 0.55


def test_new_head_and_vocabulary(store: MemoryStore) -> None:
    """A resized embedding and a new head in another experiment still find what they came from."""
    model = _tuned(MODEL, 10)
    model["embed.weight"] = np.concatenate([model["embed.weight"], weights(5, 7, 128)])
    model["score.weight"] = weights(6, 128, 3)
    del model["head.weight"]

    assert _cost(store, ELSEWHERE, safetensors(model)) < 0.6
    deltas = [row for row in entry_of(store, ELSEWHERE).rows if row.codec == Codec.DELTA]
    assert len(deltas) >= 3


def test_shrunk_vocabulary(store: MemoryStore) -> None:
    """A tensor that lost rows at its end is coded against those that are left."""
    model = _tuned(MODEL, 10)
    model["embed.weight"] = model["embed.weight"][:300]

    assert _cost(store, NEXT, safetensors(model)) < 0.55


def test_half_precision(store: MemoryStore) -> None:
    """A bfloat16 or float16 copy of a model that is held costs next to nothing."""
    brain = {name: bfloat16(array) for name, array in MODEL.items()}

    assert _cost(store, ELSEWHERE, safetensors(brain)) < 0.02
    large = {name: weights(at, 300_000) for at, name in enumerate(MODEL)}
    write(Vault.at(store), RUN, safetensors(large))
    brain = {name: bfloat16(array) for name, array in large.items()}
    half = {name: array.astype("<f2") for name, array in large.items()}
    assert _cost(store, NEXT, safetensors(brain)) < 0.002
    assert _cost(store, ELSEWHERE, safetensors(half)) < 0.002


def test_tuned_half_precision() -> None:
    """Versions of a half-precision copy go on from its single-precision anchors."""
    store = MemoryStore()
    model = {name: weights(at, 300_000) for at, name in enumerate(MODEL)}
    write(Vault.init_at(store), RUN, safetensors(model))

    for version in range(3):
        model = _tuned(model, 20 + version, 1e-3)
        brain = {name: bfloat16(array) for name, array in model.items()}
        assert _cost(store, NEXT, safetensors(brain)) < 0.2


def _archive(arrays: list[Array], *, skops: bool) -> bytes:
    """A stored zip of .npy members whose names say nothing."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for array in arrays:
            archive.writestr(f"{secrets.randbelow(10**15)}.npy", npy(array))
        if skops:
            archive.writestr("schema.json", b'{"__class__": "%d"}' % secrets.randbelow(10**9))
    return file.getvalue()


def test_arrays_without_names() -> None:
    """In files that name arrays by memory address, they are found by kind and order."""
    store = MemoryStore()
    vault = Vault.init_at(store)
    arrays = [weights(0, 30_000), weights(1, 50_000), weights(2, 30_000)]
    write(vault, "7/" + "0" * 32 + "/artifacts/m.skops", _archive(arrays, skops=True))
    moved = [trained(array, 5) for array in arrays]

    assert _cost(store, "7/" + "1" * 32 + "/artifacts/m.skops", _archive(moved, skops=True)) < 0.55
    same = _archive(moved, skops=True)
    assert _cost(store, "7/" + "2" * 32 + "/artifacts/m.skops", same) < 0.05


@pytest.mark.parametrize("path", [RUN, NEXT, ELSEWHERE])
def test_same_file_again(path: str, store: MemoryStore) -> None:
    """A file that the vault holds costs an entry and a few notes, and no pack."""
    vault = Vault.at(store)
    before, packs = vault.stats(), pack_bytes(store)

    write(vault, path, safetensors(MODEL))

    after = vault.stats()
    assert pack_bytes(store) == packs
    assert after.stored - before.stored < 3 * KIB
    assert after.by_coding == before.by_coding


def test_same_tensors_elsewhere(store: MemoryStore) -> None:
    """Tensors that another file holds, under wrapped names, in other places, are named again."""
    wrapped = {f"model.{name}": array for name, array in reversed(MODEL.items())}

    assert _cost(store, ELSEWHERE, safetensors({"new": weights(9, 5_000), **wrapped})) < 0.1


def test_same_tensor_twice(tmp_path: Path) -> None:
    """What two files of one folder share is stored once."""
    store = MemoryStore()
    vault = Vault.init_at(store)
    (tmp_path / "a.safetensors").write_bytes(safetensors(MODEL))
    (tmp_path / "b.safetensors").write_bytes(safetensors({**MODEL, "more": weights(9, 1_000)}))
    renamed = {"x": MODEL["layer.weight"], "y": MODEL["embed.weight"]}
    (tmp_path / "c.safetensors").write_bytes(safetensors(renamed))

    vault.write_folder(tmp_path, "m")

    assert pack_bytes(store) < 1.1 * len(safetensors(MODEL))
    assert vault.verify().is_whole


def test_one_deep_across_relatives(tmp_path: Path) -> None:
    """A chunk that one relative holds as a delta and another whole is a base only as the whole."""
    store = MemoryStore()
    vault = Vault.init_at(store)
    first = weights(0, 90_000)
    second = trained(first, 1)
    third = trained(second, 2, 1e-6)
    files = {
        "2/artifacts/whole": {"t2": second},
        "1/artifacts/first": {"t1": first},
        "1/artifacts/delta": {"t1": second},
        "3/artifacts/both": {"t1": second, "t2": third, "new": weights(9, 100_000)},
    }
    parents = {
        "1/artifacts/delta": ["1/artifacts/first"],
        "3/artifacts/both": ["1/artifacts/delta", "2/artifacts/whole"],
    }
    for path, tensors in files.items():
        file = tmp_path / "file"
        file.write_bytes(safetensors(tensors))
        vault.write_file(file, path, parents=parents.get(path, []))

    by_path = {entry.path: entry for entry in entries(store)}
    assert max(depths(by_path["1/artifacts/delta"].rows)) == 1
    assert not any(row.base for row in by_path["2/artifacts/whole"].rows)
    both = by_path["3/artifacts/both"]
    rows = {row.digest: row for row in both.rows}
    (part,) = rows[Digest.of(third.tobytes())].base
    assert both.rows[part.row].digest == Digest.of(second.tobytes())
    assert max(depths(both.rows)) == 1
    assert vault.verify().is_whole


def test_drift() -> None:
    """A model that drifts away is stored whole again in time, and then its deltas are small."""
    store = MemoryStore()
    vault = Vault.init_at(store)
    array = weights(0, 90_000)
    ages, costs = [], []
    for version in range(14):
        before = pack_bytes(store)
        write(vault, RUN, safetensors({"w": array}))
        costs.append(pack_bytes(store) - before)
        ages.append(entry_of(store, RUN).tensors[0].age)
        array = array + np.float32(2e-2) * weights(100 + version, 90_000)

    again = [at for at, age in enumerate(ages) if age == 1]
    assert len(again) > 1
    for at, age in enumerate(ages):
        assert age in {1, ages[at - 1] + 1}
    for at in again[1:]:
        since = costs[again[again.index(at) - 1] : at]
        assert costs[at] < sum(since)
    assert sum(costs) < 0.95 * costs[0] * len(costs)
    assert vault.verify().is_whole


def test_unchanged_tensor_does_not_age(store: MemoryStore) -> None:
    """A frozen tensor costs nothing and gets no older, whatever is trained beside it."""
    model = dict(MODEL)
    for version in range(3):
        model["layer.weight"] = trained(model["layer.weight"], version)
        write(Vault.at(store), RUN, safetensors(model))

    tensors = {tensor.name: tensor for tensor in entry_of(store, RUN).tensors}
    assert tensors["embed.weight"].age == 1
    assert tensors["layer.weight"].age == 4


def test_more_than_a_window() -> None:
    """A tensor larger than what is coded at once is deltas from end to end."""
    size = 17 * MIB + 12
    store = MemoryStore()
    vault = Vault.init_at(store)
    array = weights(0, size // 4)
    write(vault, RUN, npy(array))

    assert _cost(store, NEXT, npy(trained(array, 1))) < 0.55
    rows = entry_of(store, NEXT).rows
    assert sum(row.codec == Codec.DELTA for row in rows) == size // GRID


def test_empty_file() -> None:
    """A file without bytes is a file."""
    store = MemoryStore()
    vault = Vault.init_at(store)

    write(vault, "a/empty", b"")

    assert read(vault, "a/empty") == vault.read_span("a/empty", 0, 10) == b""
    assert [item.size for item in vault.list("a")] == [0]
    assert pack_bytes(store) == 0


def test_payloads_are_forgotten(store: MemoryStore) -> None:
    """What was fetched and decoded for one window is held until told to let go, and no longer."""
    write(Vault.at(store), NEXT, safetensors(_tuned(MODEL, 10)))
    entry = entry_of(store, NEXT)
    rows = [entry.rows[index] for index in entry.sequence]
    with ThreadPoolExecutor(2) as pool:
        payloads = Payloads(store, pool, pool)
        needed = closure(rows, entry.rows)

        payloads.fetch(rows, entry.rows)
        plain = payloads.decode_all(rows, entry.rows)

        assert b"".join(plain) == safetensors(_tuned(MODEL, 10))
        assert len(needed) > len(rows)
        assert sum(map(len, payloads._fetched.values())) == sum(row.stored for row in needed)
        payloads.keep_only(set())
        assert not payloads._fetched
        assert not payloads._plain
