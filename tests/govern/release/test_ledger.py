"""A ledger has one winner for each number, and what was decided is carried out, whoever dies."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Final

import pytest

from mlflow_vault.decide.transitions import Showing, Transition
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
from mlflow_vault.format.decision import LONGEST_REASON
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.governed_layout import decision_key, ledger_hint_key
from mlflow_vault.format.log import Action, Actor
from mlflow_vault.format.record import Identity, Kind, frame_json
from mlflow_vault.govern.audit.audit import Audit
from mlflow_vault.govern.release.keeping.ledger import Ledger
from mlflow_vault.store.local import LocalStore
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.stores import (
    CountingStore,
    Fault,
    FaultKind,
    FaultyStore,
    Killed,
    SlowStore,
)

if TYPE_CHECKING:
    from pathlib import Path

    from mlflow_vault.format.decision import Decision
    from mlflow_vault.store.protocol import Store

IDENTITY: Final = Identity(id="6e02" * 8)
FAULTS: Final = tuple(kind for kind in FaultKind if kind is not FaultKind.TRUNCATE)
PROCESS: Final = """
import sys
from pathlib import Path
from mlflow_vault.decide.transitions import Transition
from mlflow_vault.engine.world import World
from mlflow_vault.errors import ConflictError
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.log import Action, Actor
from mlflow_vault.format.record import Identity
from mlflow_vault.govern.audit.audit import Audit
from mlflow_vault.govern.release.keeping.ledger import Ledger
from mlflow_vault.store.local import LocalStore

store, identity = LocalStore(Path(sys.argv[1])), Identity(id="6e02" * 8)
ledger, audit = Ledger(store, World(), identity, "fraud"), Audit(store, World(), identity)
for number in range(1, 9):
    while True:
        head = ledger.carry_out(audit, lambda showing: None)
        asked = Transition(
            Action.PROMOTE, Actor(sys.argv[2]), number, Digest.of(b"%d" % number), "production"
        )
        try:
            ledger.decide(head, asked)
            break
        except ConflictError:
            pass
    ledger.carry_out(audit, lambda showing: None)
"""


class Shown:
    """A registry that shows what it is told."""

    def __init__(self) -> None:
        self.aliases: dict[str, int | None] = {}
        self.stages: dict[int, str | None] = {}

    def apply(self, showing: Showing) -> None:
        """Show it."""
        self.aliases |= showing.aliases
        self.stages |= showing.stages


def open_ledger(store: Store) -> tuple[Ledger, Audit]:
    """Open the ledger and the audit log in a store, as a new process would."""
    world = World()
    return Ledger(store, world, IDENTITY, "fraud"), Audit(store, world, IDENTITY)


def ask(number: int, to: str = "production", reason: str = "") -> Transition:
    """Ann asks that a version moves."""
    action = Action.ARCHIVE if to == "archived" else Action.PROMOTE
    digest = Digest.of(str(number).encode())
    return Transition(action, Actor("ann", verified=True), number, digest, to, reason)


def move(store: Store, shown: Shown, transition: Transition) -> Decision:
    """Do all that a promotion does."""
    ledger, audit = open_ledger(store)
    decision = ledger.decide(ledger.carry_out(audit, shown.apply), transition)
    ledger.carry_out(audit, shown.apply)
    return decision


def noted(store: Store) -> list[int]:
    """The numbers of the decisions that the audit log tells of, each once, in its order."""
    audit = open_ledger(store)[1]
    return list(dict.fromkeys(entry.after["decision"] for entry in audit.search()))


def test_moving() -> None:
    """Who moves leaves the stage that it stood in, and who stood where it goes is displaced."""
    store, shown = MemoryStore(), Shown()
    first = move(store, shown, ask(1, "staging"))
    assert shown.aliases == {"staging": 1, "production": None}
    assert shown.stages == {1: "staging"}
    second = move(store, shown, ask(1))
    third = move(store, shown, ask(2))
    last = move(store, shown, ask(1, "archived"))
    ledger = open_ledger(store)[0]

    assert shown.aliases == {"staging": None, "production": 2}
    assert shown.stages == {1: "archived", 2: "production"}
    assert [one.sequence for one in (first, second, third, last)] == [0, 1, 2, 3]
    assert list(ledger.history()) == [last, third, second, first]
    assert ledger.head() == last
    assert ledger.get(1) == second
    assert third.before == second.after
    assert third.after["production"].decision == 2
    assert last.after == third.after
    assert ledger.carried_out() == 3
    with pytest.raises(NotFoundError, match="no decision 4"):
        ledger.get(4)


def test_nothing_decided() -> None:
    """A model about which nothing was decided has an empty ledger, and nothing is to be done."""
    ledger, audit = open_ledger(MemoryStore())

    assert ledger.head() is None
    assert list(ledger.history()) == []
    assert ledger.carried_out() == -1
    assert ledger.carry_out(audit, Shown().apply) is None


def test_logged() -> None:
    """The audit log says what changed, which decision it was, and why."""
    store, shown = MemoryStore(), Shown()
    move(store, shown, ask(1, "staging"))
    move(store, shown, ask(1))
    decision = move(store, shown, ask(2, reason="better"))
    entry = list(open_ledger(store)[1].search())[-1]

    named = {"decision": 2, "record": str(decision.record)}
    assert entry.action == "promote"
    assert entry.actor == Actor("ann", verified=True)
    assert entry.subject.digest == decision.digest
    assert entry.before == {"aliases": {"production": 1}, **named}
    assert entry.after == {
        "aliases": {"production": 2}, **named, "policies": [], "reason": "better",
        "to": "production", "version": 2,
    }  # fmt: skip


def test_requests() -> None:
    """A decision takes a fixed number of requests, however many there were before."""
    store, shown = CountingStore(MemoryStore()), Shown()
    for number in range(1, 12):
        move(store, shown, ask(number))
    ledger, audit = open_ledger(store)
    store.reset()
    head = ledger.carry_out(audit, shown.apply)
    assert store.counts == {"get": 1, "stat": 1}  # the hint, and that nothing is newer
    store.reset()
    ledger.decide(head, ask(12))
    assert store.counts == {"create": 1}
    store.reset()
    ledger.carry_out(audit, shown.apply)

    # The hint and that nothing is newer; where the log ends, twice; the entry; the hints.
    assert store.total <= 10


def test_second_comes_too_late() -> None:
    """Of two who judged the same head one decides; the other is told who did."""
    ledger, other = open_ledger(store := MemoryStore())[0], open_ledger(MemoryStore())[0]
    other = open_ledger(store)[0]
    ledger.decide(None, ask(1))

    with pytest.raises(ConflictError, match=r"'ann' decided first: promote fraud/1 to production"):
        other.decide(None, ask(2))


def test_lost_response() -> None:
    """A create whose answer was lost is recognised; one that was another's is a conflict."""
    store = MemoryStore()
    faulty = FaultyStore(store, [Fault(FaultKind.ERROR_AFTER, operation="create")])
    decision = open_ledger(faulty)[0].decide(None, ask(1))
    assert open_ledger(store)[0].head() == decision

    faulty = FaultyStore(store, [Fault(FaultKind.ERROR_BEFORE, operation="create")])
    with pytest.raises(ConflictError):
        open_ledger(faulty)[0].decide(None, ask(2))
    faulty = FaultyStore(store, [Fault(FaultKind.ERROR_BEFORE, operation="create")])
    with pytest.raises(StorageError):
        open_ledger(faulty)[0].decide(decision, ask(2))


@pytest.mark.parametrize("kind", FAULTS, ids=lambda kind: kind.name.lower())
def test_every_request_fails(kind: FaultKind) -> None:
    """Whichever request fails, whoever comes next finishes; nothing is shown that is not logged."""
    for at in count(1):
        store, shown = MemoryStore(), Shown()
        move(store, shown, ask(1))
        faulty = FaultyStore(store, [Fault(kind, at)])
        with suppress(VaultError, Killed):
            move(faulty, shown, ask(2))
        if not faulty.struck:
            assert at > 8
            break
        ledger, audit = open_ledger(store)
        numbers = [one.number for one in ledger.history()]
        assert numbers in ([1], [2, 1])
        assert shown.aliases["production"] == 1 or noted(store) == [0, 1]

        head = ledger.carry_out(audit, shown.apply)
        assert head is not None
        assert shown.aliases["production"] == head.number == numbers[0]
        assert noted(store) == list(range(len(numbers)))
        assert ledger.carried_out() == head.sequence
        assert move(store, shown, ask(3)).sequence == len(numbers)
        assert shown.stages == {**dict.fromkeys(numbers), 3: "production"}
        assert audit.verify().is_whole


@pytest.mark.parametrize("dies", [False, True], ids=["finishes", "dies"])
def test_another_at_every_request(dies: bool) -> None:  # noqa: FBT001 - a parameter of pytest
    """Whenever somebody else decides in between, finished or not: one of two orders comes out."""
    for at in count(1):
        store, shown = MemoryStore(), Shown()
        move(store, shown, ask(1))
        asked = count(1)

        def slip_in(
            store: MemoryStore = store,
            shown: Shown = shown,
            at: int = at,
            asked: count[int] = asked,
        ) -> None:
            if next(asked) != at:
                return
            if dies:
                ledger, audit = open_ledger(store)
                ledger.decide(ledger.carry_out(audit, shown.apply), ask(3))
            else:
                move(store, shown, ask(3))

        with suppress(ConflictError):
            move(SlowStore(store, slip_in), shown, ask(2))
        if next(asked) <= at:
            assert at > 8
            break
        ledger, audit = open_ledger(store)
        head = ledger.carry_out(audit, shown.apply)
        numbers = [one.number for one in ledger.history()]

        assert head is not None
        assert numbers in ([2, 3, 1], [3, 2, 1], [3, 1])
        assert shown.aliases["production"] == numbers[0]
        assert [number for number, stage in shown.stages.items() if stage] == numbers[:1]
        assert noted(store) == list(range(len(numbers)))
        assert audit.verify().is_whole


def test_the_registry_fails() -> None:
    """Where the registry fails, the decision stays and is shown by whoever comes next, once."""
    store, shown = MemoryStore(), Shown()
    ledger, audit = open_ledger(store)
    ledger.decide(None, ask(1))

    def fail(_: Showing) -> None:
        raise StorageError("the registry is away")

    for _ in range(3):
        with pytest.raises(StorageError):
            open_ledger(store)[0].carry_out(audit, fail)
    assert ledger.carried_out() == -1
    open_ledger(store)[0].carry_out(audit, shown.apply)

    assert shown.aliases["production"] == 1
    assert len(list(audit.search())) == 1


def test_who_slept_shows_what_is_decided_now() -> None:
    """A process that was asleep before the registry ends by showing the newest decision."""
    store, shown = MemoryStore(), Shown()
    ledger, audit = open_ledger(store)
    ledger.decide(None, ask(1))
    slept = False

    def late(showing: Showing) -> None:
        nonlocal slept
        if not slept:
            slept = True
            for number in (2, 3):
                move(store, shown, ask(number))
        shown.apply(showing)

    ledger.carry_out(audit, late)

    assert shown.aliases["production"] == 3
    assert shown.stages == {1: None, 2: None, 3: "production"}
    assert ledger.carried_out() == 2


@pytest.mark.parametrize(
    "hint",
    [
        b"noise", {"sequence": -5}, {"sequence": 2**70}, {"sequence": "1"}, {"sequence": 500},
        {"sequence": 3}, {"sequence": 0, "record": "b3:"}, None,
    ],
    ids=str,
)  # fmt: skip
def test_wrong_hints(hint: bytes | dict[str, object] | None) -> None:
    """A hint that is wrong costs requests; nothing is lost, and nothing is logged twice."""
    store, shown = MemoryStore(), Shown()
    for number in range(1, 5):
        move(store, shown, ask(number))
    key = ledger_hint_key("fraud")
    if hint is None:
        store.delete(key)
    else:
        store.put(key, hint if isinstance(hint, bytes) else frame_json(Kind.HINT, hint))
    shown.aliases.clear()
    ledger, audit = open_ledger(store)

    assert ledger.carry_out(audit, shown.apply) == ledger.head()
    assert shown.aliases["production"] == 4
    assert [entry.after["decision"] for entry in audit.search()] == [0, 1, 2, 3]
    assert move(store, shown, ask(5)).sequence == 4


def test_sixteen_threads() -> None:
    """Sixteen who decide at once: no gap, one winner for each number, all of it logged in order."""
    store, shown = MemoryStore(), Shown()

    def work(worker: int) -> int:
        ledger, audit = open_ledger(store)
        lost = 0
        for number in range(1, 5):
            while True:
                head = ledger.carry_out(audit, shown.apply)
                with suppress(ConflictError):
                    ledger.decide(head, ask(worker * 10 + number))
                    break
                lost += 1
            ledger.carry_out(audit, shown.apply)
        return lost

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(1, 17)))
    ledger, audit = open_ledger(store)
    history = list(ledger.history())

    assert [one.sequence for one in history] == list(range(63, -1, -1))
    assert len({one.number for one in history}) == 64
    assert noted(store) == list(range(64))
    assert shown.aliases["production"] == history[0].number
    assert [number for number, stage in shown.stages.items() if stage] == [history[0].number]
    assert audit.verify().is_whole


def test_processes(tmp_path: Path) -> None:
    """Processes on one disk leave no gap either."""
    LocalStore(tmp_path).put("any", b"")
    command = [sys.executable, "-c", PROCESS, str(tmp_path)]
    running = [subprocess.Popen([*command, str(number)]) for number in range(3)]
    assert [process.wait(120) for process in running] == [0] * 3

    store = LocalStore(tmp_path)
    assert len(list(open_ledger(store)[0].history())) == 24
    assert noted(store) == list(range(24))


def test_damage() -> None:
    """Damaged, missing, moved and foreign decisions are refused; the key is named."""
    store, shown = MemoryStore(), Shown()
    made = [move(store, shown, ask(number)) for number in (1, 2, 3)]
    key = decision_key("fraud", 1)

    forged = replace(made[1], reason="forged").to_bytes()
    foreign = replace(made[1], vault="other").to_bytes()
    for stored, told in ((forged, "not decided behind"), (foreign, "another vault"), (b"", key)):
        copy = MemoryStore()
        for found in store.list(""):
            copy.put(found.key, stored if found.key == key else store.get(found.key))
        with pytest.raises(CorruptionError, match=told):
            list(open_ledger(copy)[0].history())
    store.delete(key)
    with pytest.raises(CorruptionError, match="missing"):
        list(open_ledger(copy := _copied(store))[0].history())
    copy.put(decision_key("fraud", 2), b"noise")
    with pytest.raises(CorruptionError, match=decision_key("fraud", 2)):
        open_ledger(_copied(copy))[0].head()


def _copied(store: Store) -> MemoryStore:
    copy = MemoryStore()
    for found in store.list(""):
        copy.put(found.key, store.get(found.key))
    return copy


def test_too_much() -> None:
    """What could never be logged is not decided."""
    store = MemoryStore()
    ledger = open_ledger(store)[0]
    loud = replace(ask(1), actor=Actor("x" * 65_000))

    with pytest.raises(InvalidInputError, match="say less"):
        ledger.decide(None, loud)
    with pytest.raises(InvalidInputError, match="say less"):
        ledger.decide(None, ask(1, reason="x" * (LONGEST_REASON + 1)))
    assert list(store.list("decisions/")) == []
    ledger.decide(None, ask(1, reason="\x01" * LONGEST_REASON))
    ledger.carry_out(open_ledger(store)[1], Shown().apply)


def test_odd_words() -> None:
    """Words and values that JSON lacks are spelled, so that a decision is made whatever is said."""
    ledger = open_ledger(MemoryStore())[0]
    odd = replace(ask(1, reason="\udcff"), verdicts=({"seen": {"f1": float("nan")}},))

    assert ledger.decide(None, odd).reason == "\\udcff"
    assert ledger.head() is not None
    with pytest.raises(InvalidInputError, match="no text"):
        Ledger(MemoryStore(), World(), IDENTITY, "\ud800")


def test_found_by_request() -> None:
    """Whoever asked a server finds the decision by the random text of the request."""
    ledger = open_ledger(MemoryStore())[0]
    made = ledger.decide(None, replace(ask(1), request="abc"))

    assert ledger.asked("abc") == made
    assert ledger.asked("other") is None


def test_clock_goes_back() -> None:
    """A clock that goes back does not make a version stand somewhere before it came there."""
    times = iter([200.0, 100.0])
    world = World(now=lambda: next(times))
    ledger = Ledger(MemoryStore(), world, IDENTITY, "fraud")

    head = ledger.decide(None, ask(1))
    assert ledger.decide(head, ask(2)).time == head.time


def test_no_conditional_create() -> None:
    """Where a second create wins, nothing is decided."""
    identity = Identity(id="00", conditional_create=False)

    with pytest.raises(UnsupportedError, match="conditional writes"):
        Ledger(MemoryStore(), World(), identity, "fraud").decide(None, ask(1))


def test_the_log_is_damaged() -> None:
    """Where nothing can be logged, nothing is shown."""
    store, shown = MemoryStore(), Shown()
    move(store, shown, ask(1))
    store.put(layout.log_key(0), b"noise")

    with pytest.raises(CorruptionError, match=layout.log_key(0)):
        move(store, shown, ask(2))
    assert shown.aliases["production"] == 1
