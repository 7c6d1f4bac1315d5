"""What every store promises, as tests: a store that passes may hold a vault.

For us and for authors of other stores::

    class TestMyStore(StoreContract):
        @pytest.fixture
        def store(self) -> Store:
            return MyStore(...)  # empty

It is `ObjectsContract` and `ListingsContract`, and here what is left: deletes and keys.  To see
values in failures, name the three modules in ``pytest.register_assert_rewrite`` in
``conftest.py`` before importing this one.
"""

from __future__ import annotations

from functools import partial

import pytest

from mlflow_vault.errors import InvalidInputError
from mlflow_vault.store.protocol import Store
from mlflow_vault.testing.listings_contract import ListingsContract
from mlflow_vault.testing.objects_contract import ObjectsContract, race

HOSTILE_KEYS = [
    "",
    "/",
    "/etc/passwd",
    "a/",
    "a//b",
    ".",
    "..",
    "../a",
    "a/..",
    "a/../b",
    "a/./b",
    "./a",
    "a\0b",
    "a\\b",
    "a\nb",
    "a\n",
    "\u00e4",
    "\udc80",
    "tmp/a",
    "TMP/a",
    "tmp",
]


class StoreContract(ObjectsContract, ListingsContract):
    """One fact a test; subclass it and give the fixture `store`."""

    @pytest.fixture
    def store(self) -> Store:
        """Return the store to test, empty."""
        raise NotImplementedError("give the fixture 'store' in your subclass")

    def test_protocol(self, store: Store) -> None:
        """A store has every operation of the protocol, and says where it lies."""
        assert isinstance(store, Store)
        assert store.uri

    def test_delete(self, store: Store) -> None:
        """A deleted object is gone, its neighbours are not, and the folder it was alone in is."""
        store.put("tree/a/b!", b"")
        store.put("tree/a!", b"a")
        store.put("tree/c!", b"c")

        store.delete("tree/a/b!")

        assert store.stat("tree/a/b!") is None
        assert [each.key for each in store.list_level("tree/")] == ["tree/a!", "tree/c!"]

    @pytest.mark.parametrize("key", ["tree/no", "no/such/folder", "tree", "tree/a", "tree/a/b!/c"])
    def test_delete_nothing(self, store: Store, key: str) -> None:
        """Deleting what is no object is no error and deletes nothing."""
        store.put("tree/a/b!", b"")

        store.delete(key)
        store.delete(key)

        assert [found.key for found in store.list("")] == ["tree/a/b!"]

    def test_puts_among_deletes(self, store: Store) -> None:
        """Puts succeed while deletes empty the folder they put into."""

        def work(number: int) -> None:
            for turn in range(15):
                key = f"tree/a/b/c/{number}-{turn}!"
                put = store.create if turn % 2 else store.put
                put(key, b"body")
                assert store.get(key) == b"body"
                store.delete(key)

        race([partial(work, number) for number in range(8)])

        assert list(store.list("")) == []

    # keys

    @pytest.mark.parametrize("key", HOSTILE_KEYS)
    def test_hostile_keys(self, store: Store, key: str) -> None:
        """Every operation refuses a key that could mean something outside the store."""
        for operation in (
            lambda: store.get(key),
            lambda: store.put(key, b""),
            lambda: store.create(key, b""),
            lambda: store.put_many([(key, b"")]),
            lambda: store.stat(key),
            lambda: store.delete(key),
        ):
            with pytest.raises(InvalidInputError):
                operation()

        assert list(store.list("")) == []

    @pytest.mark.parametrize(
        "key",
        [
            "vault.json",
            "a/...",
            "a/..b",
            "a/.b",
            "a/b..",
            "tmpx/a",
            "a/tmp/b",
            "a b/c",
            "~/$HOME",
            "%2e%2e/a",
            "-rf",
        ],
    )
    def test_odd_keys(self, store: Store, key: str) -> None:
        """What only looks dangerous is an ordinary key."""
        store.put(key, b"body")

        assert store.get(key) == b"body"
        assert [found.key for found in store.list("")] == [key]

    def test_long_key(self, store: Store) -> None:
        """The longest key that the layout makes is taken: 900 bytes, 180 a component."""
        key = "/".join(letter * 180 for letter in "abcde")[:900]

        store.create(key, b"body")

        assert store.get(key) == b"body"
        assert [found.key for found in store.list("")] == [key]
