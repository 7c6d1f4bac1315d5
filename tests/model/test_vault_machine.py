"""A vault beside a dict: whatever is done to both, they say the same."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mlflow_vault.engine.tree import Item
from mlflow_vault.format import layout
from mlflow_vault.format.pack import cost, read_records
from mlflow_vault.format.soundness import depths
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.models import bfloat16, noise, npy, safetensors, trained, weights
from mlflow_vault.testing.vaults import entries, objects, read, write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from mlflow_vault.testing.models import Array

RUN = "7/" + "ab" * 16 + "/artifacts"
PATHS = [
    "a",  # a file, and the folder of the next
    "a/b",
    "a/B",
    "a/b/c.npy",
    f"{RUN}/model/MLmodel",
    f"{RUN}/model/w.safetensors",
    "8/models/m-" + "cd" * 16 + "/artifacts/w.safetensors",
    f"{RUN}/" + "Ä long name " * 12 + "/x",
    f"{RUN}/" + "Ä long name " * 12 + "/y.npy",
]
FOLDERS = sorted({"/".join(path.split("/")[:stop]) for path in PATHS for stop in range(4)} | {"no"})
paths = st.sampled_from(PATHS)
folders = st.sampled_from(FOLDERS)
seeds = st.integers(0, 3)
contents = st.one_of(
    st.binary(max_size=200),
    st.builds(lambda piece, times: piece * times, st.binary(max_size=40), st.integers(0, 80_000)),
    st.builds(noise, seeds, st.sampled_from([262_000, 262_143, 262_144, 300_000, 1_200_000])),
)


def retyped(arrays: dict[str, Array], seed: int) -> dict[str, Array]:
    """Return copies of half the width, of one kind or the other."""
    floats = {name: array for name, array in arrays.items() if array.dtype.kind == "f"}
    cast = bfloat16 if seed % 2 else lambda array: array.astype("<f2")
    return {name: cast(array.astype("<f4")) for name, array in floats.items()}


class VaultMachine(RuleBasedStateMachine):
    """Every rule does the same to the vault and to the dict."""

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore()
        self.vault = Vault.init_at(self.store)
        self.held: dict[str, bytes] = {}
        self.arrays: dict[str, Array] = {}

    @initialize(seed=seeds)
    def start(self, seed: int) -> None:
        """Begin with a model whose tensors lie on both sides of the grid."""
        self.arrays = {
            "embed.weight": weights(seed, 300, 256),
            "layer.weight": weights(seed + 10, 280_000),
            "bias": weights(seed + 20, 64),
        }

    @rule(path=paths, plain=contents)
    def write_bytes(self, path: str, plain: bytes) -> None:
        """Any bytes at any path."""
        write(self.vault, path, plain)
        self.held[path] = plain

    @rule(path=paths, seed=seeds, named=st.booleans())
    def write_model(self, path: str, seed: int, *, named: bool) -> None:
        """The model as it is now, whole or one tensor of it."""
        arrays = list(self.arrays.values())
        plain = safetensors(self.arrays) if named else npy(arrays[seed % len(arrays)])
        write(self.vault, path, plain)
        self.held[path] = plain

    @rule(seed=seeds, step=st.sampled_from([1e-5, 1e-3, 1.0]))
    def train(self, seed: int, step: float) -> None:
        """Move every weight, a little or beyond recognition."""
        self.arrays = {
            name: trained(array, seed, step) if array.dtype.kind == "f" else array
            for name, array in self.arrays.items()
        }

    @rule(seed=seeds, share=st.floats(0, 1))
    def change_rows(self, seed: int, share: float) -> None:
        """Write over some of the rows of the embedding."""
        table = self.arrays["embed.weight"].copy()
        rows = np.random.default_rng(seed).random(len(table)) < share
        table[rows] = table[rows][::-1]
        self.arrays["embed.weight"] = table

    @rule(seed=seeds, rows=st.integers(200, 400))
    def resize(self, seed: int, rows: int) -> None:
        """Give the embedding more rows or fewer."""
        table = self.arrays["embed.weight"]
        more = weights(seed, 400, 256).astype(table.dtype)
        self.arrays["embed.weight"] = np.concatenate([table, more])[:rows]

    @rule(seed=seeds)
    def add_in_front(self, seed: int) -> None:
        """Shift every tensor by a new one before it."""
        self.arrays = {"head": weights(seed, seed * 9_000 + 1), **self.arrays}

    @rule(path=paths, seed=seeds)
    def write_half_precision(self, path: str, seed: int) -> None:
        """A copy of the model in fewer bits."""
        plain = safetensors(retyped(self.arrays, seed))
        write(self.vault, path, plain)
        self.held[path] = plain

    @precondition(lambda self: self.held)
    @rule(path=paths, chosen=st.data())
    def copy(self, path: str, chosen: st.DataObject) -> None:
        """A file that the vault has already."""
        plain = self.held[chosen.draw(st.sampled_from(sorted(self.held)))]
        write(self.vault, path, plain)
        self.held[path] = plain

    @precondition(lambda self: self.held)
    @rule(path=paths, chosen=st.data(), piece=st.binary(max_size=50), share=st.floats(0, 1))
    def insert(self, path: str, chosen: st.DataObject, piece: bytes, share: float) -> None:
        """A file that the vault has already, with something put into it."""
        old = self.held[chosen.draw(st.sampled_from(sorted(self.held)))]
        at = int(len(old) * share)
        plain = old[:at] + piece + old[at:]
        write(self.vault, path, plain)
        self.held[path] = plain

    @rule(folder=folders, plains=st.lists(contents, min_size=1, max_size=20), seed=seeds)
    def write_folder(self, folder: str, plains: list[bytes], seed: int) -> None:
        """A folder of files, with a model among them."""
        files = {f"sub/{number}": plain for number, plain in enumerate(plains)}
        files["model.safetensors"] = safetensors(self.arrays)
        files["other.npy"] = npy(weights(seed, 90_000))
        with tempfile.TemporaryDirectory() as name:
            for path, plain in files.items():
                file = Path(name, path)
                file.parent.mkdir(exist_ok=True)
                file.write_bytes(plain)
            self.vault.write_folder(Path(name), folder)
        self.held |= {layout.join(folder, path): plain for path, plain in files.items()}

    @rule(path=st.one_of(paths, folders.filter(bool)))
    def delete(self, path: str) -> None:
        """A file or a folder goes."""
        assert self.vault.delete(path) == ()

        inside = [one for one in self.held if one == path or one.startswith(f"{path}/")]
        for one in inside:
            del self.held[one]

    @rule()
    def open_again(self) -> None:
        """Another process opens the vault."""
        self.vault = Vault.at(self.store)

    @rule(chosen=st.data(), how=st.sampled_from(["delete", "flip", "cut", "swap"]))
    def damage_hints(self, chosen: st.DataObject, how: str) -> None:
        """Hints may be lost, damaged or mixed up: nothing depends on them."""
        keys = [found.key for found in self.store.list(layout.HINTS)]
        if not keys:
            return
        key = chosen.draw(st.sampled_from(keys))
        body = self.store.get(key)
        if how == "delete":
            self.store.delete(key)
        elif how == "flip":
            at = chosen.draw(st.integers(0, len(body) - 1))
            self.store.put(key, body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :])
        elif how == "cut":
            self.store.put(key, body[: len(body) // 2])
        else:
            self.store.put(key, self.store.get(chosen.draw(st.sampled_from(keys))))

    @precondition(lambda self: self.held)
    @rule(chosen=st.data(), share=st.floats(0, 1), size=st.integers(0, 2_000_000))
    def read_span(self, chosen: st.DataObject, share: float, size: int) -> None:
        """Any part of a file is that part."""
        path = chosen.draw(st.sampled_from(sorted(self.held)))
        plain = self.held[path]
        start = int(len(plain) * share)

        assert self.vault.read_span(path, start, start + size) == plain[start : start + size]

    @rule(path=paths)
    def read_whole(self, path: str) -> None:
        """A file goes to disk as it was written, or is not there."""
        with tempfile.TemporaryDirectory() as name:
            target = Path(name, "file")
            if path in self.held:
                self.vault.read_file(path, target)
                assert target.read_bytes() == self.held[path]
            else:
                assert self.vault.stat(path) is None or self.vault.stat(path) == Item(path, None)

    @invariant()
    def walks(self) -> None:
        """The vault knows the paths of the dict, and no others."""
        assert sorted(self.vault.walk()) == sorted(self.held)

    @rule()
    def lists(self) -> None:
        """Every level lists as the dict would, and says the same of each name."""
        for folder in FOLDERS:
            start = f"{folder}/" if folder else ""
            inside = [path.removeprefix(start) for path in self.held if path.startswith(start)]
            expected = {
                Item(
                    start + path.split("/")[0],
                    None if "/" in path else len(self.held[start + path]),
                )
                for path in inside
            }

            found = self.vault.list(folder)

            assert len(found) == len(expected)
            assert set(found) == expected
            assert [item.path for item in found] == sorted(item.path for item in found)
            for item in found:
                shown = self.vault.stat(item.path)
                assert shown == item or (shown in found and item.is_folder)
        assert self.vault.stat("no/such") is None

    @rule()
    def measures(self) -> None:
        """Statistics are what the objects and the records in the packs add up to."""
        stats = self.vault.stats()
        stored = objects(self.store)

        assert stats.files == len(self.held)
        assert stats.logical == sum(map(len, self.held.values()))
        assert stats.stored == sum(map(len, stored.values()))
        assert stats.stored == stats.unreferenced + stats.overhead + sum(stats.by_coding.values())
        assert stats.by_experiment == {
            first: (
                count,
                sum(len(self.held[path]) for path in self.held if path.split("/")[0] == first),
            )
            for first, count in Counter(path.split("/")[0] for path in self.held).items()
        }
        rows = {(row.pack, row.digest) for entry in entries(self.store) for row in entry.rows}
        waste = 0
        for key, body in stored.items():
            if not key.startswith(layout.PACKS):
                continue
            pack = layout.pack_of(key)
            records = list(read_records(body, key))
            unused = [record for record in records if (pack, record.digest) not in rows]
            gone = len(unused) == len(records)
            waste += (
                len(body) if gone else sum(cost(len(one.payload), len(one.links)) for one in unused)
            )
        assert stats.unreferenced == waste

    def teardown(self) -> None:
        """At the end all is whole, one delta deep, and packs say what entries say."""
        self.lists()
        self.measures()
        assert self.vault.verify().is_whole
        assert {path: read(Vault.at(self.store), path) for path in self.held} == self.held
        records = {
            (layout.pack_of(key), record.digest): record
            for key, body in objects(self.store).items()
            if key.startswith(layout.PACKS)
            for record in read_records(body, key)
        }
        for entry in entries(self.store):
            deep = depths(entry.rows)
            assert max(deep, default=0) <= 1
            for row, depth in zip(entry.rows, deep, strict=True):
                record = records[row.pack, row.digest]
                links = [(entry.rows[part.row].digest, part.start, part.stop) for part in row.base]
                assert (record.size, record.codec, record.depth) == (row.size, row.codec, depth)
                assert [(one.digest, one.start, one.stop) for one in record.links] == links
        assert not list(self.store.list(layout.INTENTS))


TestVault = VaultMachine.TestCase
TestVault.settings = settings(max_examples=25, stateful_step_count=15)
