"""Ground that gives way: a vault whose disk is gone, files that lie about their size, clashes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mlflow_vault.engine.world import World
from mlflow_vault.engine.write import encoding
from mlflow_vault.errors import StorageError
from mlflow_vault.format import layout
from mlflow_vault.format.coding.codec import Coded
from mlflow_vault.store.local import LocalStore
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.models import noise, npy, weights
from mlflow_vault.testing.stores import Fault, FaultKind, FaultyStore
from mlflow_vault.testing.vaults import read, write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from mlflow_vault.format.elements import Element


@pytest.mark.parametrize("size", [10, 3_000_000])
@pytest.mark.parametrize("keeps_root", [True, False])
def test_vanished(tmp_path: Path, size: int, *, keeps_root: bool) -> None:
    """A vault that is gone, as an unmounted disk's is, takes no writes and is not made anew."""
    root = tmp_path / "vault"
    seconds = iter(range(0, 1000, 10))
    world = World(monotonic=lambda: float(next(seconds)))
    vault = Vault.init_at(LocalStore(root), world)
    write(vault, "1/artifacts/a", b"a")
    shutil.rmtree(root)
    if keeps_root:
        root.mkdir()

    with pytest.raises(StorageError, match="mounted"):
        write(vault, "1/artifacts/b", noise(1, size))

    assert not root.exists() or not list(root.rglob("*!"))


def test_size_unknown() -> None:
    """A file that claims to be empty and is not, as in /proc, is stored whole."""
    source = Path("/proc/self/maps")
    vault = Vault.init_at(MemoryStore())

    vault.write_file(source, "1/artifacts/maps")

    assert len(read(vault, "1/artifacts/maps")) > 0 or source.stat().st_size == 0


def test_failed_write_leaves_no_packs() -> None:
    """What a write uploaded before it failed is taken away again: nothing can name it."""
    store = FaultyStore(MemoryStore(), [])
    vault = Vault.init_at(store)
    inner = MemoryStore()
    Vault.init_at(inner)
    failing = Vault.at(FaultyStore(inner, [Fault(FaultKind.ERROR_BEFORE, 3, prefix=layout.PACKS)]))

    with pytest.raises(StorageError):
        write(failing, "1/artifacts/a", noise(1, 90_000_000))

    assert not list(inner.list(layout.PACKS))
    assert not list(inner.list(layout.INTENTS))
    assert vault.stats().unreferenced == 0


@pytest.mark.parametrize("at", [1, 5_000], ids=["structure", "number"])
def test_coding_that_loses(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """What does not decode to what was coded is not stored, be it the codec's fault or memory's."""
    store = MemoryStore()
    vault = Vault.init_at(store)
    write(vault, "1/artifacts/a", b"before")
    sound = encoding.encode_whole

    def flipping(plain: bytes, element: Element | None) -> Coded:
        coded = sound(plain, element)
        payload = bytearray(coded.payload)
        payload[at : at + 1] = bytes(255 - byte for byte in payload[at : at + 1])
        return Coded(coded.codec, bytes(payload))

    monkeypatch.setattr(encoding, "encode_whole", flipping)
    with pytest.raises(StorageError, match="did not come back"):
        write(vault, "1/artifacts/a", npy(weights(0, 300_000)))

    assert read(vault, "1/artifacts/a") == b"before"
    assert not list(store.list(layout.PACKS))


def test_file_and_folder_of_one_name(tmp_path: Path) -> None:
    """An export names what no disk can hold beside the rest, and writes the rest."""
    vault = Vault.init_at(MemoryStore())
    for path in ("1/artifacts/real", "1/artifacts/real/inner", "2/artifacts/after"):
        write(vault, path, path.encode())

    found = vault.export("", tmp_path / "out")

    assert [damage.path for damage in found.damaged] == ["1/artifacts/real/inner"]
    assert (tmp_path / "out/2/artifacts/after").read_bytes() == b"2/artifacts/after"
