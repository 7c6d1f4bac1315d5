"""Over a bad network nothing is lost, nothing hangs, and what cannot be done is said."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mlflow_vault.errors import ConflictError, PermissionDeniedError, StorageError
from mlflow_vault.store.remote.retries import Patience
from mlflow_vault.store.remote.s3 import S3Store
from mlflow_vault.testing.proxy import FaultyProxy, Mishap, Trouble
from mlflow_vault.testing.vaults import contents, write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow_vault.store.address import Address

    Settings = Callable[[str], dict[str, str]]

PASSING = [
    Mishap(Trouble.LOST),
    Mishap(Trouble.RESET),
    Mishap(Trouble.TRUNCATED),
    Mishap(Trouble.LATE, seconds=1.5),
    *(Mishap(Trouble.REFUSED, status=status) for status in (408, 429, 500, 502, 503, 504)),
    Mishap(Trouble.REFUSED, times=4),
]


def name_of(mishap: Mishap) -> str:
    """Return a mishap's name in a test's."""
    return f"{mishap.trouble.name}-{mishap.status}-{mishap.times}"


@pytest.fixture
def quick() -> Patience:
    """Return the default's tries, with timeouts that a late answer exceeds."""
    return Patience(first_wait=0.001, longest_wait=0.01, request=1, silence=1)


@pytest.mark.parametrize("mishap", PASSING, ids=name_of)
def test_passing(
    ceph: str, address: Address, settings: Settings, quick: Patience, mishap: Mishap
) -> None:
    """What passes by itself is tried again, and every operation comes out as if nothing was."""
    clean = S3Store(address, settings(ceph))
    body = bytes(range(256)) * 400
    clean.put_many([(f"tree/{n}!", body) for n in range(5)])
    answers = []

    for operation in (
        lambda store: store.get("tree/0!"),
        lambda store: store.get("tree/0!", 1000, 50_000),
        lambda store: store.stat("tree/1!"),
        lambda store: list(store.list("tree/")),
        lambda store: list(store.list_level("")),
        lambda store: store.put("tree/0!", body[::-1]),
        lambda store: store.delete("tree/2!"),
    ):
        with FaultyProxy(ceph, [mishap]) as proxy:
            answers.append(operation(S3Store(address, settings(proxy.url), quick)))
            assert proxy.struck
            assert proxy.counts.total() <= 1 + mishap.times

    stats = [clean.stat(f"tree/{n}!") for n in range(5)]
    assert answers[:2] == [body, body[1000:50_000]]
    assert answers[2] == stats[1]
    assert [found.key for found in answers[3]] == [f"tree/{n}!" for n in range(5)]
    assert [each.key for each in answers[4]] == ["tree/"]
    assert stats[0] is not None
    assert answers[5] == stats[0].etag
    assert clean.get("tree/0!") == body[::-1]
    assert stats[2] is None


@pytest.mark.parametrize("trouble", [Trouble.LOST, Trouble.LATE])
def test_lost_create(
    ceph: str, address: Address, settings: Settings, quick: Patience, trouble: Trouble
) -> None:
    """A create whose answer is lost meets itself: a conflict, with our own body there."""
    with FaultyProxy(ceph, [Mishap(trouble, seconds=1.5)]) as proxy:
        store = S3Store(address, settings(proxy.url), quick)

        with pytest.raises(ConflictError):
            store.create("outcomes/x", b"ours")

        assert store.get("outcomes/x") == b"ours"


@pytest.mark.parametrize("trouble", [Trouble.REFUSED, Trouble.RESET, Trouble.LOST])
def test_lasting(
    ceph: str, address: Address, settings: Settings, quick: Patience, trouble: Trouble
) -> None:
    """What does not pass ends after five tries in an error that says so."""
    with FaultyProxy(ceph, [Mishap(trouble, times=1000)]) as proxy:
        store = S3Store(address, settings(proxy.url), quick)

        with pytest.raises(StorageError, match="tried 5 times"):
            store.get("a")

        assert proxy.counts == {"GET": 5}


def test_silence(ceph: str, address: Address, settings: Settings) -> None:
    """A server that never answers is given up, in the time that was allowed."""
    patience = Patience(tries=2, first_wait=0.01, request=0.5, silence=0.5)
    with FaultyProxy(ceph, [Mishap(Trouble.LATE, times=1000, seconds=5)]) as proxy:
        store = S3Store(address, settings(proxy.url), patience)
        began = time.monotonic()

        for operation in (lambda: store.get("a"), lambda: store.put("a", b"x" * 100_000)):
            with pytest.raises(StorageError, match="tried 2 times"):
                operation()

        assert time.monotonic() - began < 4


@pytest.mark.parametrize("status", [401, 403])
def test_denied(
    ceph: str, address: Address, settings: Settings, quick: Patience, status: int
) -> None:
    """What is not allowed is asked once, and the error names the permission."""
    plan = [Mishap(Trouble.REFUSED, times=1000, status=status)]
    with FaultyProxy(ceph, plan) as proxy:
        store = S3Store(address, settings(proxy.url), quick)

        for operation, permission in (
            (lambda: store.get("a"), "s3:GetObject"),
            (lambda: store.stat("a"), "s3:GetObject"),
            (lambda: store.put("a", b""), "s3:PutObject"),
            (lambda: store.create("a", b""), "s3:PutObject"),
            (lambda: list(store.list("")), "s3:ListBucket"),
            (lambda: store.list_level(""), "s3:ListBucket"),
            (lambda: store.delete("a"), "s3:DeleteObject"),
        ):
            with pytest.raises(PermissionDeniedError, match=permission):
                operation()

        assert proxy.counts.total() == 7


def test_other_region(ceph: str, address: Address, settings: Settings, quick: Patience) -> None:
    """A redirect to another region says which setting is wrong."""
    with FaultyProxy(ceph, [Mishap(Trouble.REFUSED, status=301)]) as proxy:
        store = S3Store(address, settings(proxy.url), quick)

        with pytest.raises(StorageError, match="AWS_DEFAULT_REGION"):
            store.get("a")


def test_conflict_under_way(
    ceph: str, address: Address, settings: Settings, quick: Patience
) -> None:
    """A 409 says that someone is at the key, not who wins: the create is tried again."""
    with FaultyProxy(ceph, [Mishap(Trouble.REFUSED, status=409)]) as proxy:
        store = S3Store(address, settings(proxy.url), quick)

        store.create("outcomes/x", b"ours")

        assert store.get("outcomes/x") == b"ours"
        assert proxy.counts["PUT"] == 2


def test_no_conditions(
    moto: str,
    address: Address,
    settings: Settings,
    quick: Patience,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A server that refuses conditions is written to without, and that is said once."""
    plan = [Mishap(Trouble.REFUSED, status=501, at=at) for at in (1, 3)]
    with FaultyProxy(moto, plan) as proxy:
        store = S3Store(address, settings(proxy.url), quick)

        store.create("a", b"1")
        store.create("a", b"2")

        assert store.get("a") == b"2"
    assert len([r for r in caplog.records if "If-None-Match" in r.getMessage()]) == 1


@pytest.mark.parametrize("seed", range(4))
def test_vault(ceph: str, address: Address, settings: Settings, quick: Patience, seed: int) -> None:
    """Files logged over a bad network are there, each whole, when the write returned."""
    rng = np.random.default_rng(seed)
    troubles = [Trouble.LOST, Trouble.RESET, Trouble.TRUNCATED, Trouble.REFUSED]
    plan = [
        Mishap(
            troubles[rng.integers(len(troubles))],
            at=int(at),
            status=int(rng.choice([429, 500, 503])),
        )
        for at in rng.choice(range(9, 90), 30, replace=False)
    ]
    Vault.init_at(S3Store(address, settings(ceph)))
    weights = rng.normal(size=700_000).astype(np.float32)
    files = {
        "a/small.txt": b"small",
        "a/one.bin": weights.tobytes(),
        "a/two.bin": (weights * np.float32(1.0001)).tobytes(),
    }

    with FaultyProxy(ceph, plan) as proxy:
        vault = Vault.at(S3Store(address, settings(proxy.url), quick))
        for _ in range(2):
            for path, plain in files.items():
                write(vault, path, plain)
        assert contents(vault) == files
        assert len(proxy.struck) >= 10

    clean = Vault.at(S3Store(address, settings(ceph)))
    assert contents(clean) == files
    assert not clean.verify().damaged
