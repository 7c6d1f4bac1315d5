"""JSON of stored objects is read strictly: one meaning, numbers within range, little memory."""

from __future__ import annotations

import tracemalloc

import pytest

from mlflow_vault.errors import CorruptionError, InvalidInputError
from mlflow_vault.format.record import Identity, Kind, Outcome, frame, frame_json, unframe_json
from mlflow_vault.format.stored_json import read_json


def test_plain() -> None:
    """What writers make is read."""
    assert read_json(b'{"a":[1,2.5,null,true,"\\u00e4"]}') == {"a": [1, 2.5, None, True, "ä"]}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"\xff",
        b'{"a":1,"a":2}',
        b'[{"b":{"a":1,"a":1}}]',
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"1e999",
        b"-1e999",
        b"9" * 10_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b"[" + b"[]," * 2_000_000 + b"[]]",
    ],
    ids=lambda text: repr(text[:20]),
)
def test_strict(text: bytes) -> None:
    """Ambiguous, endless, nested and overflowing JSON is refused as one kind of error."""
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"\w"):
            read_json(text)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("body", [b'{"a":1e999}', b'{"a":1,"a":1}', b"[]", b"[" * 50_000])
def test_framed(body: bytes) -> None:
    """In an object it is damage, which names the key."""
    with pytest.raises(CorruptionError, match="hints/x"):
        unframe_json(Kind.HINT, frame(Kind.HINT, body), "hints/x")


def test_pack_ids() -> None:
    """An outcome names packs by sixteen bytes."""
    body = {"transaction": "a", "nonce": "b", "committed": True, "packs": ["00"]}
    with pytest.raises(CorruptionError):
        Outcome.from_bytes(frame_json(Kind.OUTCOME, body), "k")


@pytest.mark.parametrize("name", ["", "x", "6e02" * 7 + "6e0`", "6E02" * 8, "6e02" * 9])
def test_id_of_a_vault(name: str) -> None:
    """An id that no vault has is damage: the audit log and every checkpoint carry it."""
    with pytest.raises(CorruptionError, match=r"no vault\.json"):
        Identity.from_bytes(Identity(name).to_bytes(), "vault.json")


@pytest.mark.parametrize("seed", [-1, 1 << 63])
def test_seed(seed: int) -> None:
    """A seed that no cutter takes is damage when the vault is opened, not when it is written to."""
    with pytest.raises(CorruptionError, match="cut seed"):
        Identity.from_bytes(Identity("6e02" * 8, cut_seed=seed).to_bytes(), "vault.json")


def test_swelling() -> None:
    """A body that is enormous for its object is refused on both ways: what is made can be read."""
    with pytest.raises(InvalidInputError, match="too many"):
        frame(Kind.HINT, bytes(40 << 20))
