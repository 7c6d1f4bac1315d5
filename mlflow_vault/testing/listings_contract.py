"""The part of the stores' contract about listings: complete, in order, one level or all."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from mlflow_vault.errors import InvalidInputError
from mlflow_vault.store.protocol import Folder

if TYPE_CHECKING:
    from mlflow_vault.store.protocol import Store

# Where "a" with something after it sorts is where listings go wrong: "!" and "-" come before
# "/", "0" comes after.  In this order.
SORTED_KEYS = [
    "a!",
    "a!b/!",
    "a-b",
    "a.b/c",
    "a/!",
    "a/b!",
    "a/b-c/d",
    "a/b/c",
    "a/b0",
    "a0",
    "b/c/d/e/f",
]


class ListingsContract:
    """One fact a test about listings."""

    def test_list(self, store: Store) -> None:
        """A listing has every object below its prefix, once, in order of keys."""
        for key in reversed(SORTED_KEYS):
            store.put(key, key.encode())

        listed = list(store.list(""))

        assert [found.key for found in listed] == SORTED_KEYS == sorted(SORTED_KEYS)
        assert [found.size for found in listed] == [len(key) for key in SORTED_KEYS]
        assert all(store.stat(found.key) == found for found in listed)

    @pytest.mark.parametrize(
        "prefix", ["a/", "a/b/", "a!/", "a!b/", "a.b/", "b/c/", "no/", "a0/", "b/c/d/e/f/"]
    )
    def test_prefixes(self, store: Store, prefix: str) -> None:
        """A prefix selects what starts with it, and nothing of its neighbours."""
        for key in SORTED_KEYS:
            store.put(key, b"")

        listed = [found.key for found in store.list(prefix)]

        assert listed == [key for key in SORTED_KEYS if key.startswith(prefix)]

    @pytest.mark.parametrize("prefix", ["", "a/", "a/b/", "a/b-c/", "b/", "no/", "a0/"])
    def test_level(self, store: Store, prefix: str) -> None:
        """One level has its objects and, once each, its folders, in order of keys."""
        for key in SORTED_KEYS:
            store.put(key, b"")

        level = list(store.list_level(prefix))

        expected = set()
        for key in SORTED_KEYS:
            if key.startswith(prefix):
                name, slash, _ = key[len(prefix) :].partition("/")
                expected.add((prefix + name + slash, bool(slash)))
        assert [(each.key, isinstance(each, Folder)) for each in level] == sorted(expected)

    def test_many(self, store: Store) -> None:
        """A listing longer than any page is complete and in order."""
        keys = sorted(f"hints/{n % 3}/{n}" for n in range(2500))
        store.put_many((key, b"") for key in keys)

        assert [found.key for found in store.list("")] == keys
        assert [found.key for found in store.list("hints/1/")] == [
            key for key in keys if key.startswith("hints/1/")
        ]
        assert len(list(store.list_level("hints/1/"))) == len(list(store.list("hints/1/")))

    def test_nothing(self, store: Store) -> None:
        """An empty store lists nothing."""
        assert list(store.list("")) == list(store.list_level("")) == []
        assert list(store.list("tree/")) == list(store.list_level("tree/")) == []

    def test_listing_during_writes(self, store: Store) -> None:
        """A listing shows all that was there throughout, in order, whatever else comes and goes."""
        lasting = [f"tree/{n:02}/a!" for n in range(30)]
        store.put_many((key, b"") for key in lasting)
        done = threading.Event()

        def churn() -> None:
            while not done.is_set():
                for number in range(0, 30, 3):
                    store.put(f"tree/{number:02}/b!", b"")
                    store.put(f"tree/{number:02}x/b!", b"")
                    store.put(lasting[number], b"again")
                    store.delete(f"tree/{number:02}/b!")
                    store.delete(f"tree/{number:02}x/b!")

        with ThreadPoolExecutor(1) as writer:
            churning = writer.submit(churn)
            try:
                listings = [[found.key for found in store.list("tree/")] for _ in range(20)]
                levels = [[each.key for each in store.list_level("tree/")] for _ in range(20)]
            finally:
                done.set()
            churning.result()

        for keys in listings:
            assert set(keys) >= set(lasting)
        for keys in levels:
            assert set(keys) >= {key.removesuffix("a!") for key in lasting}
        for keys in listings + levels:
            assert all(before < after for before, after in pairwise(keys))

    @pytest.mark.parametrize(
        "prefix", ["a", "/", "a//", "../", "a/../", "./", "a\\/", "tmp/", "\0/"]
    )
    def test_hostile_prefixes(self, store: Store, prefix: str) -> None:
        """A prefix that is neither empty nor a key and a slash is refused at the call."""
        with pytest.raises(InvalidInputError):
            store.list(prefix)
        with pytest.raises(InvalidInputError):
            store.list_level(prefix)
