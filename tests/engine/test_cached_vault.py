"""A vault with a cache: what was decoded or written here before is not asked of the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlflow_vault.engine.cache import Cache
from mlflow_vault.engine.world import World
from mlflow_vault.format import layout
from mlflow_vault.format.digest import Digest
from mlflow_vault.store.address import Address
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.models import safetensors, trained, weights
from mlflow_vault.testing.stores import CountingStore
from mlflow_vault.testing.vaults import contents, entry_of, read, write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from pathlib import Path


def path(version: int) -> str:
    """Where a version lies."""
    return f"7/{version:032d}/artifacts/model/w.safetensors"


BODY = weights(0, 2_000, 500)
PLAIN = [
    safetensors({"w": trained(BODY, 9, 1e-5 * version), "fixed": weights(1, 1_000)})
    for version in (1, 2, 3)
]
ANYTHING = {
    path(0): PLAIN[0],
    path(1): PLAIN[1],
    path(2): PLAIN[2],
    "7/log": b"one line and another\n" * 60_000,
}


class MeasuringStore(CountingStore):
    """Counts the bytes of packs that are read, too."""

    fetched = 0

    def get(self, key: str, start: int = 0, stop: int | None = None) -> bytes:
        """Do `Store.get`."""
        found = super().get(key, start, stop)
        self.fetched += len(found) if key.startswith(layout.PACKS) else 0
        return found


@pytest.fixture
def store() -> MeasuringStore:
    """A vault's store with three versions, written without a cache."""
    store = MeasuringStore(MemoryStore())
    vault = Vault.init_at(store)
    for version, plain in enumerate(PLAIN):
        write(vault, path(version), plain)
    store.fetched = 0
    return store


def cached(store: MeasuringStore, folder: Path, limit: int = 1 << 30) -> Vault:
    """Open the vault in *store* with a cache."""
    return Vault.at(store, World(cache=Cache(folder, limit)))


def held(folder: Path) -> int:
    """How many bytes are kept in *folder*."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def test_next_version(store: MeasuringStore, tmp_path: Path) -> None:
    """Where a version was read, the next costs what differs, and the same again nothing."""
    assert read(cached(store, tmp_path), path(1)) == PLAIN[1]
    store.fetched = 0
    entry = entry_of(store, path(2))
    deltas = sum(row.stored for row in entry.rows if row.base)

    assert read(cached(store, tmp_path), path(2)) == PLAIN[2]

    assert 0 < store.fetched <= deltas * 1.1
    assert deltas < sum(row.stored for row in entry.rows) / 2
    store.fetched = 0
    assert read(cached(store, tmp_path), path(2)) == PLAIN[2]
    assert store.fetched == 0


def test_what_is_kept(store: MeasuringStore, tmp_path: Path) -> None:
    """Anchors are kept plain, deltas as they are stored: writing is what a cache costs."""
    entry = entry_of(store, path(2))
    plain = sum(row.size for row in entry.rows if not row.base)
    deltas = [row for row in entry.rows if row.base]

    read(cached(store, tmp_path), path(2))

    assert held(tmp_path) == plain + sum(row.stored + 32 for row in deltas)


def test_needed_again(store: MeasuringStore, tmp_path: Path) -> None:
    """A version that is read a second time is kept plain, once, and not decoded any more."""
    size = sum(row.size for row in entry_of(store, path(2)).rows)
    for _ in range(2):
        assert read(cached(store, tmp_path), path(2)) == PLAIN[2]
    assert held(tmp_path) == size
    kept = sorted(tmp_path.rglob("*/*"))

    store.fetched = 0
    assert read(cached(store, tmp_path), path(2)) == PLAIN[2]

    assert store.fetched == 0
    assert sorted(tmp_path.rglob("*/*")) == kept


def test_logging(tmp_path: Path) -> None:
    """Versions logged one after another on one machine are coded against what is here."""
    store = MeasuringStore(MemoryStore())
    Vault.init_at(store)

    for version, plain in enumerate(PLAIN):
        write(cached(store, tmp_path), path(version), plain)

    assert store.fetched == 0
    assert any(row.base for row in entry_of(store, path(2)).rows)
    assert contents(Vault.at(store)) == {path(at): plain for at, plain in enumerate(PLAIN)}


def test_same_objects(tmp_path: Path) -> None:
    """A cache changes nothing of what is stored."""
    rows = []
    for number in range(2):
        store = MeasuringStore(MemoryStore())
        Vault.init_at(store)
        vault = cached(store, tmp_path) if number else Vault.at(store)
        for name, plain in ANYTHING.items():
            write(vault, name, plain)
        found = [entry_of(store, name).rows for name in ANYTHING]
        rows.append(
            [[(row.digest, row.codec, row.stored, row.base) for row in one] for one in found]
        )

    assert rows[0] == rows[1]


@pytest.mark.parametrize(
    "harm",
    [b"", b"other bytes", Digest.of(b"planted").raw + b"planted"],
    ids=["empty", "other bytes", "a note of other bytes"],
)
def test_damaged_cache(store: MeasuringStore, tmp_path: Path, harm: bytes) -> None:
    """Whatever becomes of the cache, what is read is right, and it is mended by that."""
    assert read(cached(store, tmp_path), path(1)) == PLAIN[1]
    for file in [file for file in tmp_path.rglob("*") if file.is_file()]:
        file.write_bytes(harm)

    assert read(cached(store, tmp_path), path(1)) == PLAIN[1]
    assert read(cached(store, tmp_path), path(2)) == PLAIN[2]

    store.fetched = 0
    assert read(cached(store, tmp_path), path(1)) == PLAIN[1]
    assert store.fetched == 0


def test_small_cache(store: MeasuringStore, tmp_path: Path) -> None:
    """A cache with room for less than one file breaks nothing."""
    vault = cached(store, tmp_path, limit=1 << 20)

    assert contents(vault) == {path(at): plain for at, plain in enumerate(PLAIN)}


def test_verify(store: MeasuringStore, tmp_path: Path) -> None:
    """Verifying asks the store: what the cache still knows does not hide that it is damaged."""
    vault = cached(store, tmp_path)
    assert len(contents(vault)) == len(PLAIN)
    assert vault.verify().is_whole
    for found in list(store.list(layout.PACKS)):
        store.put(found.key, bytes(found.size))

    assert read(vault, path(1)) == PLAIN[1]
    assert len(vault.verify().damaged) == len(PLAIN)


def test_which_vaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies behind a network has a cache, unless the user wants none."""
    monkeypatch.setenv("MLFLOW_VAULT_CACHE", str(tmp_path))
    monkeypatch.delenv("MLFLOW_VAULT_CACHE_LIMIT")

    assert World.around(Address.parse("vault-s3://bucket/models")).cache is not None
    assert World.around(Address.parse("vault-gs://bucket/models")).cache is not None
    assert World.around(Address.parse(f"vault-file://{tmp_path}")).cache is None
    assert World.around(Address.parse("vault-memory://models")).cache is None
    monkeypatch.setenv("MLFLOW_VAULT_CACHE_LIMIT", "0")
    assert World.around(Address.parse("vault-s3://bucket/models")).cache is None


def test_near(tmp_path: Path) -> None:
    """What lies on this machine is asked in turn, what lies behind a network by many threads."""
    assert World.around(Address.parse(f"vault-file://{tmp_path}")).near
    assert World.around(Address.parse("vault-memory://models")).near
    assert not World.around(Address.parse("vault-s3://bucket/models")).near
