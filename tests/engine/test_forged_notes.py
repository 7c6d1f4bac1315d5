"""Hints, outcomes, intents, seals and ``vault.json`` made up by hand, and keys that nobody made.

What may be wrong is passed over; what must be right is an error that names it.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from mlflow_vault.errors import CorruptionError, UnsupportedError, VaultError
from mlflow_vault.format import layout
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.record import Identity, Kind, Outcome, frame, frame_json
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.models import noise, safetensors, trained, weights
from mlflow_vault.testing.vaults import entry_of, objects, read, store_of, write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from pathlib import Path

FIRST, SECOND = "1/artifacts/w.safetensors", "2/artifacts/w.safetensors"
HELD = {
    FIRST: safetensors({"w": weights(0, 100_000)}),
    "1/artifacts/small": b"small",
    "1/artifacts/noise": noise(2, 300_000),
}
AFTER = safetensors({"w": trained(weights(0, 100_000), 1)})


@cache
def _sound() -> dict[str, bytes]:
    store = MemoryStore()
    vault = Vault.init_at(store)
    for path, plain in HELD.items():
        write(vault, path, plain)
    return objects(store)


DEEP = b'{"paths":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
HINTS: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"paths",
    "a list": b"[]",
    "no paths": b"{}",
    "paths that are text": b'{"paths":"1/artifacts"}',
    "paths that are numbers": b'{"paths":[1,null,[],{}]}',
    "paths that climb": b'{"paths":["../../x","/etc/passwd","a/../b","%2e%2e/x","a\\u0000b"]}',
    "paths that are no text": b'{"paths":["\\ud800"]}',
    "paths to nothing": json.dumps({"paths": ["a" * 5_000, "", ".", "7/none"]}).encode(),
    "a path to a folder": b'{"paths":["1/artifacts"]}',
    "a path to another file": b'{"paths":["1/artifacts/noise"]}',
    "a path to a small file": b'{"paths":["1/artifacts/small"]}',
    "many paths": json.dumps({"paths": [f"x/{index}" for index in range(20_000)]}).encode(),
    "paths twice": b'{"paths":[],"paths":["1/artifacts/noise"]}',
    "prints that are none": b'{"paths":["1/artifacts/noise"],"prints":[1]}',
    "prints of nothing": b'{"paths":["1/artifacts/noise"],"prints":{"a":[null,[1]]}}',
    "sizes that are none": b'{"sizes":[1]}',
    "sizes without tags": b'{"sizes":{"tree/1/artifacts/small!":[1]}}',
    "sizes beyond range": b'{"sizes":{"tree/1/artifacts/small!":["e",1e999]}}',
    "sizes that are no number": b'{"sizes":{"tree/1/artifacts/small!":["e",NaN]}}',
    "nested": DEEP,
}


@pytest.mark.parametrize("name", HINTS)
def test_hints(name: str) -> None:
    """Whatever hints say, files are listed and read, and what is written comes back."""
    forged = frame(Kind.HINT, HINTS[name])
    held = {key: forged if key.startswith(layout.HINTS) else one for key, one in _sound().items()}
    held[layout.listing_key("1/artifacts")] = forged
    held[layout.known_file_key(Digest.of(AFTER))] = forged
    vault = Vault.at(store_of(held))
    sizes = {path: len(plain) for path, plain in HELD.items()}
    assert {item.path: item.size for item in vault.list("1/artifacts")} == sizes

    write(vault, SECOND, AFTER)

    assert read(vault, SECOND) == AFTER
    assert {path: read(vault, path) for path in HELD} == HELD


def test_known_file_of_other_bytes() -> None:
    """A hint that leads to an entry of other bytes is not followed, whatever that entry holds."""
    digest = Digest.of(AFTER)
    hint = frame_json(Kind.HINT, {"paths": ["1/artifacts/noise"]})
    vault = Vault.at(store_of({**_sound(), layout.known_file_key(digest): hint}))

    write(vault, SECOND, AFTER)

    assert read(vault, SECOND) == AFTER


NUMBERS = [b"-1", b"9223372036854775808", b"1e999", b"NaN", b"-Infinity", b'"x"', b"null", b"[]"]
IDENTITY = Identity(id="6e02" * 8).to_bytes()


def _identity(**fields: Any) -> bytes:
    return json.dumps({**json.loads(IDENTITY), **fields}).encode()


@pytest.mark.parametrize(
    "forged",
    [
        *(IDENTITY.replace(b'"cut_seed": 0', b'"cut_seed": ' + number) for number in NUMBERS),
        *(IDENTITY.replace(b'"format": 1', b'"format": ' + one) for one in NUMBERS[2:]),
        _identity(magic="another"),
        _identity(features=None),
        _identity(features=3),
        b"",
        b"[]",
        b"null",
        b'"mlflow-vault"',
        b"\xff\xfe",
        IDENTITY[:-3],
        IDENTITY.replace(b"{", b'{"cut_seed": 5,', 1),
        IDENTITY.replace(b"{", b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b",", 1),
        IDENTITY.replace(b"{", b'{"x": ' + b"9" * 100_000 + b",", 1),
        IDENTITY.replace(b"{", b'{"x": "' + b"x" * (4 << 20) + b'",', 1),
        *(
            json.dumps(
                {key: one for key, one in json.loads(IDENTITY).items() if key != left}
            ).encode()
            for left in json.loads(IDENTITY)
        ),
    ],
    ids=lambda forged: repr(forged[:40]),
)
def test_identity(forged: bytes) -> None:
    """A ``vault.json`` that says nothing is damage, told when the vault is opened."""
    store = store_of({**_sound(), layout.VAULT: forged})

    for use in (Vault.at, Vault.init_at):
        with pytest.raises(CorruptionError) as caught:
            use(store)
        assert "vault.json" in str(caught.value) or store.uri in str(caught.value)

    assert objects(store)[layout.VAULT] == forged


@pytest.mark.parametrize(
    "fields",
    [
        {"format": 2},
        {"format": 10**300},
        {"features": ["x" * 100_000]},
        {"features": [[["x"]]]},
        {"features": "x"},
        {"naming": ["plain"]},
        {"naming": None},
        {"aead": False},
        {"aead": {}},
    ],
    ids=str,
)
def test_newer_identity(fields: dict[str, Any]) -> None:
    """A ``vault.json`` that asks for what we lack is refused, whatever type that is of."""
    store = store_of({**_sound(), layout.VAULT: _identity(**fields)})

    with pytest.raises(UnsupportedError):
        Vault.at(store)


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"[]",
        b'{"transaction":"a","nonce":"b","committed":true}',
        b'{"transaction":"a","nonce":"b","committed":true,"packs":7}',
        b'{"transaction":"a","nonce":"b","committed":true,"packs":["zz"]}',
        b'{"transaction":"a","nonce":"b","committed":true,"packs":["00"]}',
        b'{"transaction":"a","nonce":"b","committed":true,"packs":["../../../x"]}',
        b'{"transaction":"a","nonce":"b","committed":true,"packs":[1e999]}',
        b'{"transaction":"a","nonce":"b","committed":true,"packs":[],"packs":[]}',
        DEEP,
    ],
    ids=lambda body: repr(body[-40:]),
)
def test_outcomes(body: bytes) -> None:
    """An outcome that is none says so, and names nothing but packs."""
    with pytest.raises(CorruptionError, match="outcomes/x"):
        Outcome.from_bytes(frame(Kind.OUTCOME, body), f"{layout.OUTCOMES}x")


@pytest.mark.parametrize("place", [layout.OUTCOMES, layout.INTENTS])
@pytest.mark.parametrize("body", [b"", b"{}", DEEP, noise(1, 5_000)], ids=len)
def test_transactions(place: str, body: bytes) -> None:
    """Outcomes and intents of others, whatever they hold, stop no reader and no writer."""
    forged = {f"{place}{name}": frame(Kind.OUTCOME, body) for name in ("0" * 32, "x", "x/y")}
    vault = Vault.at(store_of({**_sound(), **forged}))

    write(vault, SECOND, AFTER)

    assert read(vault, SECOND) == AFTER


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (f"{layout.seal_unit(SECOND)}x", Kind.SEAL),
        (f"{layout.CONDEMNED}x", Kind.CONDEMNED),
    ],
)
@pytest.mark.parametrize("body", [b"{}", b"[]", DEEP, b'{"packs":[1]}', b'{"path":1e999}'], ids=len)
def test_promises(key: str, kind: Kind, body: bytes) -> None:
    """A seal or a notice that says nothing stops writes, by name, and no reads."""
    store = store_of({**_sound(), key: frame(kind, body)})
    vault = Vault.at(store)

    with pytest.raises(CorruptionError) as caught:
        write(vault, SECOND, AFTER)

    assert caught.value.key == key
    assert {path: read(vault, path) for path in HELD} == HELD
    assert layout.tree_key(SECOND) not in objects(store)


@pytest.mark.parametrize(
    "key",
    [
        "tree/!046!046/x!",
        "tree/!0372e!0372e/x!",
        "tree/a!092!046.!092b!",
        "tree/a!000b!",
        "tree/a!/b!",
        "tree/a!-/b!",
        "tree/a!999!",
        "tree/a",
        "tree/!",
        "tree/A!",
        f"tree/{'a' * 2_000}!",
    ],
)
def test_keys(key: str, tmp_path: Path) -> None:
    """A key that no path has is nobody's file: it is passed over, and nothing climbs out."""
    entry = _sound()[layout.tree_key("1/artifacts/small")]
    vault = Vault.at(store_of({**_sound(), key: entry}))

    assert vault.verify().is_whole
    assert vault.export("", tmp_path / "out").is_whole

    assert set(vault.walk()) == set(HELD)
    assert [one.name for one in tmp_path.iterdir()] == ["out"]
    assert {path: (tmp_path / "out" / path).read_bytes() for path in HELD} == HELD


def test_reused() -> None:
    """A forged relative may lead a writer to chunks that are not there; nobody reads others."""
    entry = entry_of(store_of(_sound()), FIRST)
    key = layout.pack_key(entry.rows[-1].pack)
    vault = Vault.at(store_of({**_sound(), key: _sound()[key][:100] + noise(4, 900_000)}))

    write(vault, SECOND, HELD[FIRST])

    with pytest.raises(VaultError, match="packs/"):
        read(vault, SECOND)
