"""Statements are kept once each, and read all together or not at all."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Final

import pytest

from mlflow_vault.engine.world import World
from mlflow_vault.errors import (
    ConflictError,
    CorruptionError,
    InvalidInputError,
    StorageError,
    UnsupportedError,
    VaultError,
)
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.governed_layout import statement_prefix
from mlflow_vault.format.log import Actor
from mlflow_vault.format.record import Identity
from mlflow_vault.format.statement import Kind, Statement, signed_id
from mlflow_vault.govern.release.keeping.statements import Statements
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.stores import CountingStore, Fault, FaultKind, FaultyStore, Killed

if TYPE_CHECKING:
    from mlflow_vault.store.protocol import Store

IDENTITY: Final = Identity(id="6e02" * 8)
DIGEST: Final = Digest.of(b"3")
FAULTS: Final = tuple(kind for kind in FaultKind if kind is not FaultKind.TRUNCATE)
ENVELOPE: Final = {"payload": "e30=", "payloadType": "t", "signatures": [{"sig": "AA=="}]}


def statements(store: Store) -> Statements:
    """What was said in a store, as a new process finds it."""
    return Statements(store, World(), IDENTITY)


def approval(at: int, **told: object) -> Statement:
    """An approval."""
    made = Statement(
        vault=IDENTITY.id,
        model="fraud",
        number=3,
        digest=DIGEST,
        kind=str(Kind.APPROVAL),
        id=f"{at:032x}",
        time=1_764_000_000_000 + at,
        actor=Actor("ann", verified=True),
    )
    return replace(made, **told)  # type: ignore[arg-type]


def test_add_and_read() -> None:
    """What was said of a version is found by the version and the model, oldest first."""
    kept = statements(store := MemoryStore())
    made = [kept.add(approval(number)) for number in (5, 2, 9)]
    other = kept.add(approval(1, digest=Digest.of(b"4"), number=4))
    kept.add(approval(1, model="other"))

    assert kept.of("fraud", DIGEST) == (made[1], made[0], made[2])
    assert statements(store).all("fraud") == (other, made[1], made[0], made[2])
    assert statements(store).of("none", DIGEST) == ()


def test_found_by_request() -> None:
    """Whoever asked a server finds the statement by the random text of the request."""
    kept = statements(MemoryStore())
    made = kept.add(approval(1, request="abc"))

    assert kept.asked("fraud", DIGEST, "abc") == made
    assert kept.asked("fraud", DIGEST, "other") is None


def test_requests() -> None:
    """Reading is a listing, and a request for each that this process did not see before."""
    store = CountingStore(MemoryStore())
    kept = statements(store)
    for number in range(20):
        kept.add(approval(number))
    store.reset()

    assert len(kept.of("fraud", DIGEST)) == 20
    assert store.counts == {"list": 1}
    inner = CountingStore(store)
    assert len(statements(inner).of("fraud", DIGEST)) == 20
    assert inner.counts == {"list": 1, "get": 20}


def test_a_signed_one_counts_once() -> None:
    """The same signed words cannot be kept twice, whoever brings them and however signed."""
    kept = statements(MemoryStore())
    first = approval(1, id=signed_id(ENVELOPE), envelope=ENVELOPE)
    again = {**ENVELOPE, "signatures": [{"sig": "AQ=="}]}

    assert kept.add(kept.add(first)) == first
    for other in (replace(first, time=first.time + 1), replace(first, envelope=again)):
        with pytest.raises(ConflictError, match="sign it anew"):
            kept.add(other)
    with pytest.raises(InvalidInputError, match="what is signed"):
        kept.add(replace(first, id="00" * 16))
    assert kept.all("fraud") == (first,)


def test_sixteen_at_once() -> None:
    """Of sixteen who bring the same signed words one is kept."""
    store = MemoryStore()

    def bring(number: int) -> bool:
        signed = approval(number, id=signed_id(ENVELOPE), envelope=ENVELOPE)
        try:
            statements(store).add(signed)
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(bring, range(16))) == 1
    assert len(statements(store).all("fraud")) == 1


@pytest.mark.parametrize("kind", FAULTS, ids=lambda kind: kind.name.lower())
def test_every_request_fails(kind: FaultKind) -> None:
    """Whichever request fails: what returned is there, and trying again keeps it once."""
    for at in count(1):
        store = MemoryStore()
        faulty = FaultyStore(store, [Fault(kind, at)])
        failing = statements(faulty)
        returned = []
        try:
            returned.append(failing.add(approval(1)))
            assert len(failing.of("fraud", DIGEST)) == 1
        except (VaultError, Killed):
            pass
        assert set(returned) <= set(statements(store).all("fraud"))
        assert statements(store).add(approval(1)) == approval(1)
        if not faulty.struck:
            assert at > 1
            break


def test_lost_response() -> None:
    """A create whose answer was lost is told for done; one that was not done is an error."""
    fault = Fault(FaultKind.ERROR_AFTER, operation="create")
    assert statements(FaultyStore(MemoryStore(), [fault])).add(approval(1)) == approval(1)

    fault = Fault(FaultKind.ERROR_BEFORE, operation="create")
    with pytest.raises(StorageError):
        statements(FaultyStore(MemoryStore(), [fault])).add(approval(1))


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        (b"noise", "no statement"),
        (b"x" * (2 << 20), "too many"),
        (approval(2).to_bytes(), "it is the statement"),
        (approval(1, vault="other").to_bytes(), "another vault"),
    ],
)
def test_damage(stored: bytes, told: str) -> None:
    """What cannot be read is an error: it may be the one that says no."""
    store = MemoryStore()
    store.put(approval(1).key, stored)

    with pytest.raises(CorruptionError, match=told):
        statements(store).of("fraud", DIGEST)
    with pytest.raises(CorruptionError, match=told):
        statements(store).all("fraud")


def test_strangers() -> None:
    """What is no statement's key was put there by somebody else, and stays."""
    store = MemoryStore()
    for name in ("notes.txt", "a/b/c", "00" * 8):
        store.put(statement_prefix("fraud", DIGEST) + name, b"hello")

    assert statements(store).of("fraud", DIGEST) == ()


def test_odd_words() -> None:
    """Words and values that JSON lacks are spelled."""
    kept = statements(MemoryStore())
    odd = approval(1, reason="\udcff", body={"values": {"f1": float("nan"), "seed": 2**60}})

    assert kept.add(odd).body == {"values": {"f1": "NaN", "seed": str(2**60)}}
    assert kept.of("fraud", DIGEST)[0].reason == "\\udcff"


def test_no_conditional_create() -> None:
    """Where a second create wins, nothing is kept."""
    kept = Statements(MemoryStore(), World(), replace(IDENTITY, conditional_create=False))

    with pytest.raises(UnsupportedError, match="conditional writes"):
        kept.add(approval(1))
