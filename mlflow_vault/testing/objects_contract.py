"""The part of the stores' contract about single objects: get, put, create, put_many, etags."""

from __future__ import annotations

import sys
import threading
from array import array
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import pytest

from mlflow_vault.config import MIB
from mlflow_vault.errors import ConflictError, InvalidInputError, NotFoundError
from mlflow_vault.store.protocol import Stat

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mlflow_vault.store.protocol import Store

T = TypeVar("T")

RACERS = 16
LONGEST_ETAG = 100  # characters: entries and hints carry etags


def race(racers: Sequence[Callable[[], T]]) -> list[T]:
    """Return what *racers* return, each in a thread of its own, all started at once."""
    start = threading.Barrier(len(racers))

    def run(racer: Callable[[], T]) -> T:
        start.wait()
        return racer()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # seconds: let threads interrupt each other anywhere
    try:
        with ThreadPoolExecutor(len(racers)) as pool:
            return list(pool.map(run, racers))
    finally:
        sys.setswitchinterval(interval)


class ObjectsContract:
    """One fact a test about single objects."""

    @pytest.mark.parametrize("body", [b"", b"x", bytes(range(256)) * 300])
    def test_round_trip(self, store: Store, body: bytes) -> None:
        """What was put is got, to the byte, also when it is nothing."""
        store.put("packs/aa/one", body)

        assert store.get("packs/aa/one") == body

    @pytest.mark.parametrize(
        ("start", "stop"),
        [
            (0, 10),
            (0, 0),
            (3, 7),
            (3, None),
            (3, 10),
            (3, 11),
            (3, 1 << 60),
            (10, 12),
            (11, 12),
            (10, None),
        ],
    )
    def test_spans(self, store: Store, start: int, stop: int | None) -> None:
        """A span is what slicing the bytes gives; past the end there is nothing."""
        body = b"0123456789"
        store.put("packs/aa/one", body)

        assert store.get("packs/aa/one", start, stop) == body[start:stop]

    @pytest.mark.parametrize(("start", "stop"), [(-1, None), (-2, 5), (5, 4), (0, -1)])
    def test_impossible_spans(self, store: Store, start: int, stop: int) -> None:
        """A span that begins before the object, or ends before it begins, is refused."""
        store.put("packs/aa/one", b"0123456789")

        with pytest.raises(InvalidInputError):
            store.get("packs/aa/one", start, stop)

    @pytest.mark.parametrize(
        "key", ["packs/no", "no/such/folder", "packs", "packs/aa", "packs/aa/one/x"]
    )
    def test_missing(self, store: Store, key: str) -> None:
        """Neither a missing key nor a folder nor what would lie below an object is an object."""
        store.put("packs/aa/one", b"body")

        assert store.stat(key) is None
        with pytest.raises(NotFoundError):
            store.get(key)
        with pytest.raises(NotFoundError):
            store.get(key, 1, 1)

    def test_large(self, store: Store) -> None:
        """A pack of 32 MiB comes back whole, and so does its last byte."""
        body = bytes(range(256)) * (32 * MIB // 256)
        store.put("packs/aa/large", body)

        assert store.get("packs/aa/large") == body
        assert store.get("packs/aa/large", len(body) - 1) == body[-1:]

    def test_bytes(self, store: Store) -> None:
        """What is got is `bytes`, which nobody can change behind the store's back."""
        store.put("packs/aa/one", bytearray(b"body"))

        assert type(store.get("packs/aa/one")) is bytes
        assert type(store.get("packs/aa/one", 1, 3)) is bytes

    # put

    def test_replaced(self, store: Store) -> None:
        """The last put wins, also when it is shorter."""
        store.put("tree/a!", b"a long body")
        store.put("tree/a!", b"short")

        assert store.get("tree/a!") == b"short"

    @pytest.mark.parametrize("operation", ["put", "create"])
    def test_buffers(self, store: Store, operation: str) -> None:
        """Any bytes-like body is stored as its bytes, and not looked at again."""
        give = store.put if operation == "put" else store.create
        changing = bytearray(b"0123456789")
        numbers = array("I", [1, 2, 3])
        give("a/bytearray", changing)
        give("a/view", memoryview(changing)[2:5])
        give("a/empty", memoryview(changing)[5:5])
        give("a/backwards", memoryview(bytes(changing))[::-2])
        give("a/numbers", memoryview(numbers))
        changing[:] = b"----------"

        assert store.get("a/bytearray") == b"0123456789"
        assert store.get("a/view") == b"234"
        assert store.get("a/empty") == b""
        assert store.get("a/backwards") == b"97531"
        assert store.get("a/numbers") == numbers.tobytes()

    def test_atomic(self, store: Store) -> None:
        """Readers during puts see an old body or a new one, never a mixture or nothing."""
        sizes = [100_000, 3, 50_000, 200_000]
        store.put("tree/a!", b"\0" * sizes[0])
        done = threading.Event()

        def read() -> set[tuple[int, frozenset[int]]]:
            seen = set()
            while not done.is_set():
                body = store.get("tree/a!")
                seen.add((len(body), frozenset(body)))
            return seen

        with ThreadPoolExecutor(4) as readers:
            reading = [readers.submit(read) for _ in range(4)]
            try:
                for number in range(40):
                    store.put("tree/a!", bytes([number]) * sizes[number % len(sizes)])
            finally:
                done.set()
            seen = set().union(*(each.result() for each in reading))

        assert seen <= {(sizes[n % len(sizes)], frozenset([n])) for n in range(40)}

    def test_racing_puts(self, store: Store) -> None:
        """Puts of one key race to one of their bodies, and none of them fails."""
        bodies = [bytes([number]) * 10_000 for number in range(RACERS)]

        race([partial(store.put, "tree/a!", body) for body in bodies])

        assert store.get("tree/a!") in bodies

    # create

    def test_create(self, store: Store) -> None:
        """A create stores its body; a second one is refused and changes nothing."""
        etag = store.create("outcomes/1", b"committed")

        with pytest.raises(ConflictError):
            store.create("outcomes/1", b"aborted")

        assert store.get("outcomes/1") == b"committed"
        assert store.stat("outcomes/1") == Stat("outcomes/1", 9, etag)

    def test_create_after_put(self, store: Store) -> None:
        """What was put is there for a create, and what was created can be put over."""
        store.put("a/1", b"put")

        with pytest.raises(ConflictError):
            store.create("a/1", b"created")
        store.create("a/2", b"created")
        store.put("a/2", b"put")

        assert store.get("a/1") == store.get("a/2") == b"put"

    def test_create_after_delete(self, store: Store) -> None:
        """A deleted key is free again."""
        store.create("a/1", b"old")
        store.delete("a/1")

        store.create("a/1", b"new")

        assert store.get("a/1") == b"new"

    def test_one_winner(self, store: Store) -> None:
        """Of racing creates exactly one wins, its body stays, and the rest get a conflict."""
        for turn in range(20):
            key = f"outcomes/{turn}/x"

            def create(body: bytes, key: str = key) -> bytes | None:
                try:
                    store.create(key, body)
                except ConflictError:
                    return None
                return body

            outcomes = race([partial(create, b"racer %d" % n) for n in range(RACERS)])

            assert [body for body in outcomes if body is not None] == [store.get(key)]

    # etags

    def test_etag(self, store: Store) -> None:
        """The etag that a put returns is what `stat` and both listings say."""
        etag = store.put("tree/a!", b"body")

        assert store.stat("tree/a!") == Stat("tree/a!", 4, etag)
        assert list(store.list("tree/")) == [Stat("tree/a!", 4, etag)]
        assert list(store.list_level("tree/")) == [Stat("tree/a!", 4, etag)]
        assert 0 < len(etag) <= LONGEST_ETAG

    def test_etags_change(self, store: Store) -> None:
        """Every put of other bytes gives another etag, however fast, also of the same length."""
        etags = [store.put("tree/a!", b"%02d" % number) for number in range(50)]

        assert len(set(etags)) == len(etags)

    def test_etags_rest(self, store: Store) -> None:
        """Nothing but a put changes an etag."""
        etag = store.put("tree/a!", b"body")

        store.get("tree/a!")
        store.put("tree/b!", b"body")
        store.delete("tree/b!")

        found = store.stat("tree/a!")
        assert found is not None
        assert found.etag == etag

    # put_many

    def test_put_many(self, store: Store) -> None:
        """Each item is put, old ones replaced, and etags come in the order of the items."""
        store.put("tree/3!", b"old")
        items = [(f"tree/{n}!", b"body %d" % n) for n in range(30)][::-1]

        etags = store.put_many(iter(items))

        assert {found.key: found.etag for found in store.list("tree/")} == {
            key: etag for (key, _), etag in zip(items, etags, strict=True)
        }
        assert all(store.get(key) == body for key, body in items)

    def test_put_many_lengths(self, store: Store) -> None:
        """There may be no items, thousands, and empty or large ones."""
        items = [(f"tree/{n % 7}/{n}!", b"%d" % n) for n in range(1500)]
        items += [("tree/empty!", b""), ("tree/large!", b"x" * MIB)]

        assert store.put_many([]) == []
        assert len(store.put_many(items)) == len(items)
        assert {s.key: s.size for s in store.list("")} == {k: len(body) for k, body in items}

    def test_put_many_interrupted(self, store: Store) -> None:
        """When the items themselves fail, that failure comes out, and no object is damaged."""

        def items() -> object:
            yield "tree/a!", b"a"
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            store.put_many(items())  # type: ignore[arg-type]

        assert [store.get(found.key) for found in store.list("")] in ([], [b"a"])
