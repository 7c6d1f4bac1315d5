"""Damage to any stored object is a clear error where it matters, and nothing elsewhere."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_vault.errors import (
    CorruptionError,
    NotFoundError,
    UnsupportedError,
    VaultError,
)
from mlflow_vault.format import layout
from mlflow_vault.format.pack import read_records
from mlflow_vault.format.record import Identity, Kind, frame_json, header
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.models import noise, safetensors, trained, weights
from mlflow_vault.testing.vaults import entry_of, objects, read, store_of, write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlflow_vault.store.protocol import Store

BASE = safetensors({"w": weights(0, 100_000)})
DELTA = safetensors({"w": trained(weights(0, 100_000), 1)})
HELD = {
    "1/artifacts/w.safetensors": BASE,
    "2/artifacts/w.safetensors": DELTA,
    "3/artifacts/noise": noise(2, 300_000),
    "3/artifacts/small": b"small",
    "3/artifacts/other": b"other",
}
DAMAGES: dict[str, Callable[[bytes], bytes | None]] = {
    "delete": lambda _: None,
    "empty": lambda _: b"",
    "cut": lambda body: body[: len(body) // 2],
    "cut by one": lambda body: body[:-1],
    "flip first": lambda body: bytes([body[0] ^ 1]) + body[1:],
    "flip version": lambda body: body[:5] + bytes([body[5] ^ 2]) + body[6:],
    "flip feature": lambda body: body[:9] + bytes([body[9] ^ 4]) + body[10:],
    "flip middle": lambda body: (
        body[: len(body) // 2] + bytes([body[len(body) // 2] ^ 16]) + body[len(body) // 2 + 1 :]
    ),
    "flip last": lambda body: body[:-1] + bytes([body[-1] ^ 128]),
    "zeros": lambda body: bytes(len(body)),
}


@cache
def _sound() -> dict[str, bytes]:
    store = MemoryStore()
    vault = Vault.init_at(store)
    for path, plain in HELD.items():
        write(vault, path, plain)
    # What a transaction that died after its outcome, and a collection, leave about.
    outcome = next(store.list(layout.OUTCOMES)).key
    name = outcome.removeprefix(layout.OUTCOMES)
    store.put(layout.INTENTS + name, frame_json(Kind.INTENT, {"transaction": name}))
    return objects(store)


def _damaged(key: str, damage: str) -> Store:
    body = DAMAGES[damage](_sound()[key])
    held = {other: one for other, one in _sound().items() if other != key}
    return store_of(held if body is None else {**held, key: body})


def _keys(prefix: str) -> list[str]:
    return [key for key in _sound() if key.startswith(prefix)]


def _reads(store: Store, folder: Path) -> dict[str, VaultError | None]:
    """Read every file over one that is there; it is whole afterwards or untouched."""
    vault = Vault.at(store)
    errors: dict[str, VaultError | None] = {}
    for path, plain in HELD.items():
        target = folder / "target"
        target.write_bytes(b"what was there")
        try:
            vault.read_file(path, target)
        except VaultError as error:
            errors[path] = error
            assert target.read_bytes() == b"what was there"
        else:
            errors[path] = None
            assert target.read_bytes() == plain
    assert [file.name for file in folder.iterdir()] == ["target"]
    return errors


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("path", HELD)
def test_entries(path: str, damage: str, tmp_path: Path) -> None:
    """A damaged entry costs its own file, and the error says where."""
    key = layout.tree_key(path)

    errors = _reads(_damaged(key, damage), tmp_path)

    error = errors.pop(path)
    assert isinstance(error, CorruptionError | UnsupportedError | NotFoundError)
    assert (path if damage == "delete" else key) in str(error)
    assert not any(errors.values())


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("place", ["hints", "outcomes", "intents"])
def test_notes(place: str, damage: str, tmp_path: Path) -> None:
    """Damaged hints and records of transactions stop no reader and no writer."""
    for key in _keys(f"{place}/"):
        store = _damaged(key, damage)

        assert not any(_reads(store, tmp_path).values())
        vault = Vault.at(store)
        assert vault.stats().files == len(HELD)
        if place == "hints":
            write(vault, "4/artifacts/w.safetensors", BASE)
            assert read(vault, "4/artifacts/w.safetensors") == BASE
            assert [item.size for item in vault.list("3/artifacts")] == [300_000, 5, 5]


@pytest.mark.parametrize("damage", DAMAGES)
def test_packs(damage: str, tmp_path: Path) -> None:
    """A damaged pack costs the files that need what is damaged, deltas behind it included."""
    for path in ("1/artifacts/w.safetensors", "3/artifacts/noise"):
        pack = next(iter(entry_of(store_of(_sound()), path).packs))
        key = layout.pack_key(pack)
        needing = {
            other
            for other in HELD
            if key in {layout.pack_key(one) for one in entry_of(store_of(_sound()), other).packs}
        }

        errors = _reads(_damaged(key, damage), tmp_path)

        payload_is_hit = damage not in {"cut by one", "flip last", "flip first"}
        payload_is_hit &= damage not in {"flip version", "flip feature"}
        assert {other for other, error in errors.items() if error} == (
            needing if payload_is_hit else set()
        )
        for error in filter(None, errors.values()):
            assert isinstance(error, CorruptionError)
            assert key in str(error)


def test_frames_of_packs() -> None:
    """Readers of files need no frame of a pack; whoever reads the records notices its damage."""
    for key in _keys(layout.PACKS):
        for damage in set(DAMAGES) - {"delete", "flip middle"}:
            body = DAMAGES[damage](_sound()[key])
            assert body is not None
            with pytest.raises((CorruptionError, UnsupportedError)):
                list(read_records(body, key))


@given(at=st.integers(0), bit=st.integers(0, 7), place=st.sampled_from(sorted(_sound())))
def test_any_bit(at: int, bit: int, place: str) -> None:
    """Whichever bit of whichever object flips, what is read is right or an error of ours."""
    body = bytearray(_sound()[place])
    body[at % len(body)] ^= 1 << bit
    store = store_of({**_sound(), place: bytes(body)})

    try:
        vault = Vault.at(store)
    except (CorruptionError, UnsupportedError) as error:
        assert layout.VAULT in str(error)  # noqa: PT017 - not every flip is an error
        return
    for path, plain in HELD.items():
        try:
            found = read(vault, path)
        except (CorruptionError, UnsupportedError) as error:
            assert place in str(error)  # noqa: PT017 - not every flip is an error
        else:
            assert found == plain


@pytest.mark.parametrize("damage", sorted(set(DAMAGES) - {"flip version", "flip feature"}))
def test_vault(damage: str) -> None:
    """A damaged ``vault.json`` is no vault, and the error says which."""
    try:
        vault = Vault.at(_damaged(layout.VAULT, damage))
    except (CorruptionError, NotFoundError, UnsupportedError) as error:
        assert "vault.json" in str(error) or "no vault" in str(error)  # noqa: PT017
    else:
        assert read(vault, "3/artifacts/small") == b"small"


@pytest.mark.parametrize(
    "text",
    [
        b"[]",
        b"7",
        b'{"magic": "other"}',
        b'{"magic": "mlflow-vault", "format": "x"}',
        Identity(id="6e02" * 8).to_bytes().replace(b'"cut_seed": 0', b'"cut_seed": 1e999'),
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_vault_of_someone_else(text: bytes) -> None:
    """JSON that is no vault's is refused as damage."""
    store = MemoryStore()
    store.put(layout.VAULT, text)

    with pytest.raises(CorruptionError, match=r"vault\.json"):
        Vault.at(store)


def test_swapped(tmp_path: Path) -> None:
    """Objects in each other's places are noticed: entries by their path, chunks by their digest."""
    small, other = (layout.tree_key(f"3/artifacts/{name}") for name in ("small", "other"))
    first, second = _keys(layout.PACKS)[:2]
    sound = _sound()

    entries = _reads(store_of({**sound, small: sound[other], other: sound[small]}), tmp_path)
    packs = _reads(store_of({**sound, first: sound[second], second: sound[first]}), tmp_path)

    assert "is the entry of '3/artifacts/other'" in str(entries["3/artifacts/small"])
    assert "is the entry of '3/artifacts/small'" in str(entries["3/artifacts/other"])
    assert sum(error is None for error in entries.values()) == 3
    assert any(packs.values())
    assert all(isinstance(error, CorruptionError) for error in packs.values() if error)


def test_moved() -> None:
    """An entry that was copied to another path is no file there, and is counted as damage."""
    sound = _sound()
    moved = layout.tree_key("9/artifacts/moved")
    vault = Vault.at(store_of({**sound, moved: sound[layout.tree_key("3/artifacts/small")]}))

    with pytest.raises(CorruptionError, match="entry of '3/artifacts/small'"):
        read(vault, "9/artifacts/moved")
    assert (vault.stats().files, vault.stats().damaged) == (5, 1)
    assert [damage.path for damage in vault.verify().damaged] == ["9/artifacts/moved"]


def test_stray_keys() -> None:
    """What others put under ``tree/`` is passed over, whatever is asked, and stays."""
    names = sorted(Vault.at(store_of(_sound())).walk())
    for stray in ("tree/!046!046/evil!", "tree/readme", "tree/a!047b!", "tree/!097!", "tree/!000!"):
        store = store_of({**_sound(), stray: b"stray", "packs/.DS_Store": b"stray"})
        vault = Vault.at(store)

        assert sorted(vault.walk()) == names
        assert vault.stats().files == len(names)
        assert vault.verify().is_whole
        assert {item.path for item in vault.list()} == {name.partition("/")[0] for name in names}
        assert not vault.delete("")
        assert store.get(stray) == b"stray"
        assert not list(vault.walk())


def test_foreign_pack_keys() -> None:
    """The header of an object says what it is: a pack is no entry, wherever it lies."""
    key = layout.tree_key("3/artifacts/small")
    vault = Vault.at(store_of({**_sound(), key: header(Kind.PACK) + bytes(64)}))

    with pytest.raises(CorruptionError, match="entry objects"):
        read(vault, "3/artifacts/small")
