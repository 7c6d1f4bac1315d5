"""Appending leaves no gap and no entry behind another history, whoever races, fails or dies."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

import pytest

from mlflow_vault.engine.world import World
from mlflow_vault.errors import (
    ConflictError,
    CorruptionError,
    InvalidInputError,
    NotFoundError,
    StorageError,
    UnsupportedError,
    VaultError,
)
from mlflow_vault.format import layout
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.log import Action, Actor, Subject
from mlflow_vault.format.record import Identity, Kind, frame_json
from mlflow_vault.govern.audit.finding import fetch, newest
from mlflow_vault.govern.audit.log import Log
from mlflow_vault.govern.audit.verifying import verify
from mlflow_vault.store.local import LocalStore
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.stores import CountingStore, Fault, FaultKind, FaultyStore, Killed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlflow_vault.format.log import LogEntry
    from mlflow_vault.store.protocol import Store

    Open = Callable[[Store], Log]
    Append = Callable[..., LogEntry]

FAULTS = tuple(kind for kind in FaultKind if kind is not FaultKind.TRUNCATE)
PROCESS = """
import sys
from pathlib import Path
from mlflow_vault.engine.world import World
from mlflow_vault.format.log import Action, Actor, Subject
from mlflow_vault.format.record import Identity
from mlflow_vault.govern.audit.log import Log
from mlflow_vault.store.local import LocalStore

log = Log(LocalStore(Path(sys.argv[1])), World(), Identity(id="6e02" * 8))
for number in range(int(sys.argv[3])):
    log.append(Action.COMMIT, Actor(sys.argv[2]), Subject("version", str(number)))
"""


def test_append_and_read(log: Log, append: Append) -> None:
    """What is appended is read back, in order, each behind the one before."""
    made = [append(log, number) for number in range(1, 6)]

    assert list(log.entries()) == made == [log.read(number) for number in range(5)]
    assert log.size() == 5
    assert [entry.sequence for entry in made] == list(range(5))
    assert [entry.predecessor for entry in made[1:]] == [
        Digest.of(entry.to_bytes()) for entry in made[:-1]
    ]
    assert made[0].predecessor is None
    assert list(log.entries(1, 3)) == made[1:3]


def test_what_is_odd_is_logged(log: Log, append: Append) -> None:
    """Names and values that JSON lacks are spelled: a refusal is logged whatever it is about."""
    entry = append(
        log,
        action=Action.DELETE_REFUSED,
        actor=Actor("\udcff"),
        subject=Subject("path", "a\udc80\n"),
        after={"loss": float("nan"), "seed": 2**60, 1: (2,)},
    )

    assert log.read(0) == entry
    assert entry.subject.name == "a\\udc80\n"
    assert entry.after == {"loss": "NaN", "seed": str(2**60), "1": [2]}


def test_too_much(log: Log, append: Append) -> None:
    """What is too large leaves nothing behind."""
    with pytest.raises(InvalidInputError, match="log its digest"):
        append(log, after="x" * 70_000)

    assert log.size() == 0


def test_no_conditional_create() -> None:
    """Where a second create wins, there is no log."""
    log = Log(MemoryStore(), World(), Identity(id="00", conditional_create=False))

    with pytest.raises(UnsupportedError, match="conditional writes"):
        log.append(Action.COMMIT, Actor("ann"), Subject("version", "fraud"))


def test_nothing_there(log: Log) -> None:
    """An empty log is no error."""
    assert log.size() == 0
    assert list(log.entries()) == []
    with pytest.raises(NotFoundError):
        log.read(0)


def test_requests(open_log: Open, append: Append) -> None:
    """An entry is one request in a process that goes on, and four in a new one."""
    store = CountingStore(MemoryStore())
    first = open_log(store)
    append(first)
    assert store.total == 4  # no hint, no entry; create, hint

    costs = []
    for _ in range(16):
        store.reset()
        append(first)
        costs.append(store.total)
    assert sorted(costs) == [1] * 15 + [2]  # every 16th leaves a hint

    store.reset()
    append(open_log(store))
    assert store.counts == {"get": 2, "create": 1, "put": 1}


def test_requests_with_an_old_hint(open_log: Open, append: Append) -> None:
    """The head of a long log is found in a number of requests that does not grow with it."""
    store = CountingStore(MemoryStore())
    log = open_log(store)
    for _ in range(3000):
        append(log)
    store.reset()
    append(open_log(store))
    assert store.total <= 16

    for wrong in (0, 10**9, -5, 2**70):
        store.put(layout.LOG_HEAD, frame_json(Kind.HINT, {"sequence": wrong}))
        store.reset()
        append(open_log(store))
        assert store.total <= 70, wrong
    store.put(layout.LOG_HEAD, b"noise")
    append(open_log(store))
    store.delete(layout.LOG_HEAD)
    store.reset()
    append(open_log(store))

    assert store.total <= 30
    assert verify(log).is_whole
    assert log.size() == 3007


def test_far_behind(open_log: Open, append: Append) -> None:
    """A process that slept while others appended catches up without reading all of it."""
    store = CountingStore(MemoryStore())
    sleeper, other = open_log(store), open_log(store)
    append(sleeper)
    for _ in range(1000):
        append(other)
    store.reset()

    assert append(sleeper).sequence == 1001
    assert store.total <= 30


@pytest.mark.parametrize("kind", FAULTS, ids=lambda kind: kind.name.lower())
@pytest.mark.parametrize("held", [0, 5])
def test_every_request_fails(open_log: Open, append: Append, kind: FaultKind, held: int) -> None:
    """Whichever request fails: no gap, nothing twice, and what returned is there."""
    for at in count(1):
        store = MemoryStore()
        for _ in range(held):
            append(open_log(store))
        faulty = FaultyStore(store, [Fault(kind, at)])
        failing = open_log(faulty)
        made = []
        with suppress(VaultError, Killed):
            made = [append(failing, 100), append(failing, 101)]
        if not faulty.struck:
            assert at > 4
            break
        log = open_log(store)
        append(log, 102)

        found = list(log.entries())
        assert [entry for entry in found if entry in made] == made
        assert len({entry.nonce for entry in found}) == len(found)
        assert held + 1 <= len(found) <= held + 3
        assert verify(log).is_whole


def test_lost_response(open_log: Open, append: Append) -> None:
    """A create that was done and whose answer was lost is told for done, without a second entry."""
    fault = Fault(FaultKind.ERROR_AFTER, operation="create")
    log = open_log(FaultyStore(MemoryStore(), [fault]))

    entry = append(log)

    assert list(log.entries()) == [entry]


def test_lost_race_after_an_error(open_log: Open, append: Append) -> None:
    """A create that failed where another's entry is goes on behind that one."""
    store = MemoryStore()
    fault = Fault(FaultKind.ERROR_BEFORE, operation="create", at=2)
    log = open_log(FaultyStore(store, [fault]))
    append(log)
    append(open_log(store), 2)

    assert append(log, 3).sequence == 2


def test_sixteen_threads(open_log: Open) -> None:
    """Sixteen threads, half of them sharing one log, leave no gap."""
    store = MemoryStore()
    shared = open_log(store)

    def work(worker: int) -> None:
        log = shared if worker % 2 else open_log(store)
        for number in range(20):
            log.append(Action.COMMIT, Actor(str(worker)), Subject("version", str(number)))

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))

    found = list(open_log(store).entries())
    assert len(found) == 320
    for worker in range(16):
        mine = [entry.subject.name for entry in found if entry.actor.name == str(worker)]
        assert mine == [str(number) for number in range(20)]
    assert verify(shared).is_whole


def test_processes(open_log: Open, tmp_path: Path) -> None:
    """Processes on one disk leave no gap."""
    LocalStore(tmp_path).put("any", b"")
    command = [sys.executable, "-c", PROCESS, str(tmp_path)]
    running = [subprocess.Popen([*command, str(number), "15"]) for number in range(4)]
    assert [process.wait(120) for process in running] == [0] * 4

    log = open_log(LocalStore(tmp_path))
    found = list(log.entries())
    assert len(found) == 60
    assert verify(log).is_whole
    for name in "0123":
        mine = [entry.subject.name for entry in found if entry.actor.name == name]
        assert mine == [str(number) for number in range(15)]


def test_damaged_head(open_log: Open, append: Append) -> None:
    """Behind an entry that is damaged nothing is written: repairing it would break the chain."""
    store = MemoryStore()
    append(open_log(store))
    for damaged in (b"noise", b"x" * 200_000):
        store.put(layout.log_key(0), damaged)
        with pytest.raises(CorruptionError, match=layout.log_key(0)):
            append(open_log(store))
        assert store.stat(layout.log_key(1)) is None


def test_damaged_before_the_head(open_log: Open, append: Append) -> None:
    """An entry that is damaged further back stops nobody, though they knew or hoped it the last."""
    store = MemoryStore()
    sleeper, other = open_log(store), open_log(store)
    for _ in range(3):
        append(sleeper)
    for _ in range(5):
        append(other)
    for sequence in (0, 3):
        store.put(layout.log_key(sequence), b"noise")
        store.put(layout.LOG_HEAD, frame_json(Kind.HINT, {"sequence": sequence}))
        append(open_log(store))

    assert append(sleeper).sequence == 10
    assert {flaw.sequence for flaw in verify(sleeper).flaws} == {0, 3}


def test_another_vault(open_log: Open, append: Append, identity: Identity) -> None:
    """A log that was copied from another vault is not gone on with, nor read."""
    store = MemoryStore()
    append(open_log(store))
    other = Log(store, World(), replace(identity, id="other"))

    with pytest.raises(CorruptionError, match="another vault"):
        append(other)
    with pytest.raises(CorruptionError, match="another vault"):
        other.read(0)


def test_reading_stops_at_damage(log: Log, append: Append) -> None:
    """Entries are yielded up to one that is damaged, missing or behind another history."""
    made = [append(log, number) for number in range(4)]
    store = log.store
    forged = replace(made[1], after={"number": 9})

    store.put(layout.log_key(1), forged.to_bytes())
    with pytest.raises(CorruptionError, match="not written behind"):
        list(log.entries())
    store.delete(layout.log_key(1))
    with pytest.raises(CorruptionError, match="missing"):
        list(log.entries())


def test_never_an_end(open_log: Open, append: Append) -> None:
    """A store that always says somebody was first is given up."""

    class Contrary(MemoryStore):
        def create(self, key: str, body: bytes | bytearray | memoryview) -> str:  # noqa: ARG002
            raise ConflictError(key)

    with pytest.raises(ConflictError, match="1000 times"):
        append(open_log(Contrary()))


@pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 8, 100, 100_000])
@pytest.mark.parametrize("guess", [-1, 0, 1, 6, 99, 100, 99_999, 10**12])
def test_newest(size: int, guess: int) -> None:
    """The newest is found from any guess, in about 2 log2 steps."""
    asked: list[int] = []

    def exists(number: int) -> bool:
        asked.append(number)
        return number < size

    assert newest(exists, guess) == size - 1
    assert len(asked) <= 2 * max(abs(guess - size), 2).bit_length() + 2


def test_fetch_fails(log: Log, append: Append) -> None:
    """A store that fails while entries are read ahead is told."""
    append(log)
    store = FaultyStore(log.store, [Fault(FaultKind.ERROR_BEFORE)])

    with pytest.raises(StorageError):
        list(fetch(store, 2, [layout.log_key(0)], 10))
