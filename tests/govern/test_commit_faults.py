"""Commits that fail, die or race at every request: a version that is named is whole."""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from threading import Barrier, Thread
from typing import TYPE_CHECKING

import pytest

from mlflow_vault.errors import SealedError, VaultError
from mlflow_vault.format import layout
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.models import noise
from mlflow_vault.testing.registry import Registry
from mlflow_vault.testing.stores import Fault, FaultKind, FaultyStore, Killed, SlowStore
from mlflow_vault.testing.vaults import objects, read, store_of, write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from mlflow_vault.format.version import Version
    from mlflow_vault.store.protocol import Store

ROOT = "1/models/m-" + "0" * 32 + "/artifacts"
FILES = {"MLmodel": b"flavors: {}\n", "weights.bin": noise(1, 300_000), "more.bin": noise(2, 9)}
FAULTS = tuple(kind for kind in FaultKind if kind is not FaultKind.TRUNCATE)


def _open(store: Store) -> Vault:
    registry = Registry()
    return Vault(store, Vault.at(store).identity, host=lambda: registry)


def _commit(vault: Vault) -> Version:
    return vault.commit(f"mlflow-artifacts:/{ROOT}", name="fraud")


@pytest.fixture(scope="module")
def logged() -> dict[str, bytes]:
    """The objects of a vault with one model."""
    store = MemoryStore("scene")
    vault = Vault.init_at(store)
    for path, plain in FILES.items():
        write(vault, f"{ROOT}/{path}", plain)
    return objects(store)


@pytest.mark.parametrize("kind", FAULTS, ids=lambda kind: kind.name.lower())
def test_every_request_fails(logged: dict[str, bytes], kind: FaultKind) -> None:
    """Whichever request fails, what is named is whole, and the next commit succeeds."""
    for at in count(1):
        store = store_of(logged)
        faulty = FaultyStore(store, [Fault(kind, at)])
        with suppress(VaultError, Killed):
            _commit(_open(faulty))
        if not faulty.struck:
            assert at > 10, "a commit makes more requests than that"
            break
        vault = _open(store)
        assert {f: read(vault, f"{ROOT}/{f}") for f in FILES} == FILES
        for version in vault.versions("fraud"):
            assert vault.verify(str(version.digest)).is_whole

        again = _commit(vault)

        assert vault.versions("fraud")[-1] == again, at
        assert vault.verify(str(again.digest)).is_whole
        with pytest.raises(SealedError, match="fraud/1"):
            write(_open(store), f"{ROOT}/MLmodel", b"other")


def test_a_write_at_every_request(logged: dict[str, bytes]) -> None:
    """A write that slips in at any moment is in the version or refused, never beside it."""
    outcomes = set()
    for at in count(1):
        store = store_of(logged)
        asked = count(1)

        def slip_in(store: MemoryStore = store, at: int = at, asked: count[int] = asked) -> None:
            if next(asked) != at:
                return
            try:
                write(_open(store), f"{ROOT}/MLmodel", b"slipped in")
            except SealedError:
                outcomes.add("refused")
            else:
                outcomes.add("written")

        slow = SlowStore(store, slip_in)
        version = _commit(_open(slow))
        vault = _open(store)
        held = read(vault, f"{ROOT}/MLmodel")
        (file,) = (file for file in version.files if file.path == "MLmodel")
        assert vault.verify(str(version.digest)).is_whole, at
        assert file.size == len(held)
        if next(asked) <= at:
            break
    assert outcomes == {"refused", "written"}


def test_races(logged: dict[str, bytes]) -> None:
    """Of commits at once all return whole versions of the same files."""
    store = store_of(logged)
    barrier = Barrier(6)
    made: list[Version | BaseException] = []

    def commit() -> None:
        vault = _open(store)
        barrier.wait()
        try:
            made.append(vault.commit(f"mlflow-artifacts:/{ROOT}"))
        except BaseException as error:  # noqa: BLE001 - shown below
            made.append(error)

    threads = [Thread(target=commit) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    digests = {one.digest for one in made if not isinstance(one, BaseException)}
    assert len(made) == 6
    assert len(digests) == 1, made
    assert not [one for one in made if isinstance(one, BaseException)]
    assert _open(store).verify(str(digests.pop())).is_whole


def test_nothing_is_left_of_what_was_given_up(logged: dict[str, bytes]) -> None:
    """After a commit that failed there is no intent, name or seal."""
    for at in count(1):
        store = store_of(logged)
        fault = Fault(FaultKind.ERROR_BEFORE, at, prefix="versions/")
        faulty = FaultyStore(store, [fault])
        with suppress(VaultError):
            _commit(_open(faulty))
        if not faulty.struck:
            break
        assert not list(store.list(layout.NAMES))
    assert at > 3


@pytest.mark.parametrize("moment", range(1, 9))
def test_a_seal_that_another_went_by(logged: dict[str, bytes], moment: int) -> None:
    """Of two commits with a write between them one may die whenever it likes: the seal holds."""
    store = store_of(logged)
    asked = count(1)
    sealed_at = 0

    def interfere() -> None:
        nonlocal sealed_at
        now = next(asked)
        if not sealed_at and any(found.key for found in store.list(layout.SEALS)):
            sealed_at = now
            _commit(_open(store))  # goes by the seal that is there
        if sealed_at and now == sealed_at + moment:
            raise Killed

    class Early(SlowStore):
        """Slips a write in just before the seal is put."""

        def create(self, key: str, body: bytes | bytearray | memoryview) -> str:
            if key.startswith(layout.SEALS):
                write(_open(store), f"{ROOT}/MLmodel", b"slipped in")
            return super().create(key, body)

    with suppress(Killed, VaultError):
        _commit(_open(Early(store, interfere)))

    vault = _open(store)
    version = vault.versions("fraud")[-1]
    assert sealed_at
    assert vault.verify(str(version.digest)).is_whole
    assert vault.version(f"mlflow-artifacts:/{ROOT}").digest == version.digest
    with pytest.raises(SealedError):
        write(vault, f"{ROOT}/MLmodel", b"other")


def test_no_version_without_its_entry(logged: dict[str, bytes]) -> None:
    """Wherever a commit dies, what is a version is in the audit log."""
    for at in count(1):
        store = store_of(logged)
        faulty = FaultyStore(store, [Fault(FaultKind.KILL_BEFORE, at)])
        with suppress(Killed):
            _commit(_open(faulty))
        vault = _open(store)
        logged_digests = {entry.subject.digest for entry in vault.audit.search()}
        assert {version.digest for version in vault.versions("fraud")} <= logged_digests
        assert vault.audit.verify().is_whole
        if not faulty.struck:
            break
    assert logged_digests
