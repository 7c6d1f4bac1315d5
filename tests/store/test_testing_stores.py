"""The stores around stores count, fail and wait exactly as told, and else keep the contract."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from mlflow_vault.errors import StorageError
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.contract import StoreContract
from mlflow_vault.testing.stores import (
    CountingStore,
    Fault,
    FaultKind,
    FaultyStore,
    Killed,
    Operation,
    SlowStore,
)


class TestCountingStore(StoreContract):
    """Counting changes nothing."""

    @pytest.fixture
    def store(self) -> CountingStore:
        """Return a counting store."""
        return CountingStore(MemoryStore())


class TestFaultyStore(StoreContract):
    """Without a plan nothing fails."""

    @pytest.fixture
    def store(self) -> FaultyStore:
        """Return a store that has no faults to strike."""
        return FaultyStore(MemoryStore())


def test_counts() -> None:
    """Every operation is one request, and an item of a put_many is a put."""
    store = CountingStore(MemoryStore())

    store.put("a", b"body")
    store.put_many([("b", b""), ("c", b"")])
    store.create("d", b"")
    store.get("a", 1, 2)
    store.stat("a")
    store.stat("no")
    store.delete("a")

    assert store.counts == Counter(put=3, create=1, get=1, stat=2, delete=1)
    assert store.total == 8
    store.reset()
    assert store.total == 0


@pytest.mark.parametrize(
    ("keys", "pages"), [(0, 1), (1, 1), (1000, 1), (1001, 2), (2000, 2), (2001, 3)]
)
def test_pages(keys: int, pages: int) -> None:
    """A listing is a request per thousand keys, at least one."""
    store = CountingStore(MemoryStore())
    store.put_many((f"a/{n}", b"") for n in range(keys))
    store.reset()

    assert len(list(store.list("a/"))) == len(list(store.list_level("a/"))) == keys
    assert store.counts == Counter(list=pages, list_level=pages)


def test_pages_are_lazy() -> None:
    """Pages that nobody takes cost nothing but the first."""
    store = CountingStore(MemoryStore())
    store.put_many((f"a/{n}", b"") for n in range(3000))
    store.reset()

    next(store.list("a/"))

    assert store.counts == Counter(list=1)


def test_counts_of_threads() -> None:
    """No request of any thread is lost."""
    store = CountingStore(MemoryStore())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: store.put(f"a/{n}", b""), range(2000)))

    assert store.counts == Counter(put=2000)


def test_error_before() -> None:
    """An error before the n-th operation leaves it undone, and the next one works."""
    inner = MemoryStore()
    store = FaultyStore(inner, [Fault(FaultKind.ERROR_BEFORE, at=2)])
    store.put("a", b"1")

    with pytest.raises(StorageError):
        store.put("a", b"2")

    assert inner.get("a") == b"1"
    store.put("a", b"3")
    assert inner.get("a") == b"3"
    assert store.log == [Operation("put", "a")] * 3


def test_error_after() -> None:
    """An error after an operation is a lost response: it was done."""
    inner = MemoryStore()
    fault = Fault(FaultKind.ERROR_AFTER)
    store = FaultyStore(inner, [fault])

    with pytest.raises(StorageError):
        store.create("a", b"1")

    assert inner.get("a") == b"1"
    assert store.struck == [fault]


@pytest.mark.parametrize(
    ("kind", "done"), [(FaultKind.KILL_BEFORE, []), (FaultKind.KILL_AFTER, ["a"])]
)
def test_killed(kind: FaultKind, done: list[str]) -> None:
    """Nothing happens after the process died, and `except Exception` does not catch its death."""
    inner = MemoryStore()
    store = FaultyStore(inner, [Fault(kind)])

    with pytest.raises(Killed):
        store.put("a", b"")
    for operation in (store.get, store.stat, store.delete, store.list, store.list_level):
        with pytest.raises(Killed):
            operation("a")
    with pytest.raises(Killed):
        store.put_many([("b", b"")])

    assert store.dead
    assert [found.key for found in inner.list("")] == done
    assert not issubclass(Killed, Exception)
    assert store.log == [Operation("put", "a")]


def test_killed_in_put_many() -> None:
    """A put_many dies between its items."""
    inner = MemoryStore()
    store = FaultyStore(inner, [Fault(FaultKind.KILL_AFTER, at=2)])

    with pytest.raises(Killed):
        store.put_many((f"a/{n}", b"") for n in range(5))

    assert [found.key for found in inner.list("")] == ["a/0", "a/1"]


def test_truncated() -> None:
    """A truncated get returns half of its bytes, once."""
    store = FaultyStore(MemoryStore(), [Fault(FaultKind.TRUNCATE, operation="get")])
    store.put("a", b"0123456789")

    assert store.get("a") == b"01234"
    assert store.get("a") == b"0123456789"


def test_broken_listing() -> None:
    """A listing whose response is lost yields its first half, then raises."""
    store = FaultyStore(MemoryStore(), [Fault(FaultKind.ERROR_AFTER, operation="list")])
    store.put_many((f"a/{n}", b"") for n in range(4))

    listing = store.list("a/")

    assert [next(listing).key, next(listing).key] == ["a/0", "a/1"]
    with pytest.raises(StorageError):
        next(listing)


def test_chosen_operations() -> None:
    """A fault can wait for an operation of one name below one prefix."""
    fault = Fault(FaultKind.ERROR_BEFORE, at=2, operation="create", prefix="outcomes/")
    store = FaultyStore(MemoryStore(), [fault])

    store.create("outcomes/1", b"")
    store.create("intents/1", b"")
    store.put("outcomes/2", b"")
    with pytest.raises(StorageError):
        store.create("outcomes/3", b"")

    assert store.struck == [fault]


def test_every_place() -> None:
    """Dying at every request in turn ends when the story has no more requests."""
    deaths = 0
    while True:
        store = FaultyStore(MemoryStore(), [Fault(FaultKind.KILL_BEFORE, at=deaths + 1)])
        try:
            store.put("a", b"")
            list(store.list(""))
            store.delete("a")
        except Killed:
            deaths += 1
        else:
            break

    assert deaths == 3


def test_slow() -> None:
    """A slow store waits before every operation."""
    waits: list[None] = []
    store = SlowStore(MemoryStore(), lambda: waits.append(None))

    store.put("a", b"")
    store.get("a")
    list(store.list(""))

    assert len(waits) == 3
