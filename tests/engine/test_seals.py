"""Sealed paths no longer change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlflow_vault.engine.seals import Seals, covers
from mlflow_vault.engine.world import World
from mlflow_vault.errors import CorruptionError, SealedError
from mlflow_vault.format import layout
from mlflow_vault.format.record import Kind, frame_json
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.models import noise
from mlflow_vault.testing.stores import CountingStore
from mlflow_vault.testing.vaults import contents, write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlflow_vault.store.protocol import Store

RUN = "7/" + "0" * 32 + "/artifacts"
HELD = {
    f"{RUN}/model/MLmodel": b"flavors",
    f"{RUN}/model/data/weights": noise(0, 300_000),
    f"{RUN}/models": b"a name that only begins alike",
    f"{RUN}/plot.png": b"plot",
    "7/" + "1" * 32 + "/artifacts/model/MLmodel": b"another run",
    "8/notes": b"no run at all",
    "8/deep/notes": b"no run either",
}


def _seal(store: Store, path: str) -> None:
    body = {"path": path, "version": "models:/fraud/3"}
    store.put(layout.seal_key(path), frame_json(Kind.SEAL, body))


@pytest.fixture
def store() -> MemoryStore:
    """A vault's store, unsealed."""
    store = MemoryStore()
    vault = Vault.init_at(store)
    for path, plain in HELD.items():
        write(vault, path, plain)
    return store


SEALS = {
    f"{RUN}/model": [f"{RUN}/model/MLmodel", f"{RUN}/model/data/weights"],
    f"{RUN}/model/data": [f"{RUN}/model/data/weights"],
    f"{RUN}/plot.png": [f"{RUN}/plot.png"],
    RUN: [f"{RUN}/model/MLmodel", f"{RUN}/model/data/weights", f"{RUN}/models", f"{RUN}/plot.png"],
    "8/deep": ["8/deep/notes"],
    "8": ["8/notes", "8/deep/notes"],
}


@pytest.mark.parametrize("plain", [b"small", noise(1, 300_000)], ids=["small", "large"])
@pytest.mark.parametrize("sealed", SEALS)
def test_writes(sealed: str, plain: bytes, store: MemoryStore) -> None:
    """No path at or below a seal is written, and every other is."""
    _seal(store, sealed)
    vault = Vault.at(store)
    refused = SEALS[sealed]

    for path in [*HELD, f"{sealed}/new"]:
        if path in refused or path == f"{sealed}/new":
            with pytest.raises(SealedError, match=r"belongs to models:/fraud/3, which is sealed"):
                write(vault, path, plain)
        else:
            write(vault, path, plain)

    expected = {path: HELD[path] if path in refused else plain for path in HELD}
    assert contents(vault) == expected


@pytest.mark.parametrize("sealed", SEALS)
@pytest.mark.parametrize("path", ["", "7", "8", RUN, f"{RUN}/model", f"{RUN}/model/data", *HELD])
def test_deletes(path: str, sealed: str, store: MemoryStore) -> None:
    """A delete at, above or below a seal keeps what is sealed, removes the rest and tells."""
    _seal(store, sealed)
    vault = Vault.at(store)
    asked = [one for one in HELD if covers(path, one)]
    kept = [one for one in asked if one in SEALS[sealed]]

    reasons = vault.delete(path)

    assert reasons == ((sealed,) if kept else ())
    assert sorted(vault.walk()) == sorted({*HELD} - {*asked} | {*kept})


def test_folder(store: MemoryStore, tmp_path: Path) -> None:
    """A folder that reaches into a seal is refused; what was sealed is as it was."""
    _seal(store, f"{RUN}/model/data")
    vault = Vault.at(store)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "weights").write_bytes(noise(3, 400_000))
    (tmp_path / "big").write_bytes(noise(4, 400_000))

    with pytest.raises(SealedError, match="model/data/weights"):
        vault.write_folder(tmp_path, f"{RUN}/model")

    assert contents(vault) == HELD


@pytest.mark.parametrize(
    "act", [lambda vault: write(vault, f"{RUN}/x", b"x"), lambda vault: vault.delete(RUN)]
)
@pytest.mark.parametrize(
    "body", [b"", b"damaged", frame_json(Kind.SEAL, {}), frame_json(Kind.HINT, {"path": "x"})]
)
def test_damaged_seal(body: bytes, act: Callable[[Vault], object], store: MemoryStore) -> None:
    """A seal that cannot be read might cover anything: nothing is written or removed."""
    store.put(layout.seal_key(f"{RUN}/model"), body)

    with pytest.raises(CorruptionError, match="seals/"):
        act(Vault.at(store))

    assert contents(Vault.at(store)) == HELD


def test_remembered() -> None:
    """What was asked holds for a few seconds, for new small files; then it is asked."""
    now = [0.0]
    store = CountingStore(MemoryStore())
    vault = Vault.init_at(store, World(monotonic=lambda: now[0]))
    for number in range(5):
        write(vault, f"{RUN}/{number}", b"small")
    assert store.counts["list"] == 2
    _seal(store, RUN)
    now[0] = 6.0

    with pytest.raises(SealedError):
        write(vault, f"{RUN}/6", b"small")


@pytest.mark.parametrize("plain", [b"small", noise(5, 300_000)], ids=["small", "large"])
def test_not_remembered(plain: bytes, store: MemoryStore) -> None:
    """What would replace a file asks anew, however lately that was, and so does a folder."""
    vault = Vault.at(store)
    write(vault, f"{RUN}/new", b"new")
    _seal(store, f"{RUN}/model")

    with pytest.raises(SealedError):
        write(vault, f"{RUN}/model/MLmodel", plain)

    assert contents(vault) == HELD | {f"{RUN}/new": b"new"}


def test_not_remembered_of_folders(store: MemoryStore, tmp_path: Path) -> None:
    """A folder asks anew, even if all that is in it is new."""
    vault = Vault.at(store)
    write(vault, f"{RUN}/new", b"new")
    _seal(store, f"{RUN}/model")
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)

    with pytest.raises(SealedError):
        vault.write_folder(tmp_path, f"{RUN}/model/more")

    assert contents(vault) == HELD | {f"{RUN}/new": b"new"}


def test_sealed_meanwhile(store: MemoryStore, tmp_path: Path) -> None:
    """What is sealed while a large file is coded is not replaced by it, and no pack is left."""
    now = [0.0]
    vault = Vault.at(store, World(monotonic=lambda: now[0]))
    (tmp_path / "weights").write_bytes(noise(6, 400_000))
    packs = [found.key for found in store.list(layout.PACKS)]

    def seal(_: int) -> None:
        _seal(store, f"{RUN}/model")
        now[0] += 6.0

    with pytest.raises(SealedError):
        vault.write_file(tmp_path / "weights", f"{RUN}/model/data/weights", progress=seal)

    assert contents(vault) == HELD
    assert [found.key for found in store.list(layout.PACKS)] == packs


def test_own_seals(store: MemoryStore) -> None:
    """What this process sealed, all of its vaults know at once."""
    vault = Vault.at(store)
    write(vault, f"{RUN}/new", b"new")
    Seals(store, World()).put(f"{RUN}/model", version="fraud/3", digest="b3:", commit="c")

    with pytest.raises(SealedError, match="fraud/3"):
        write(vault, f"{RUN}/model/new", b"small")


@pytest.mark.parametrize(
    "path", [RUN, f"{RUN}/a/artifacts/b", "a", "a/b", "artifacts/x", "x/artifacts"]
)
def test_one_listing_tells(path: str) -> None:
    """The seal of a path lies where a look for it, and for all below it, finds it."""
    assert layout.seal_key(path).startswith(layout.seal_unit(path))
    assert layout.seal_unit(f"{path}/below") == layout.seal_unit(path)
