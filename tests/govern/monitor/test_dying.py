"""Whoever dies while rolling back, and whoever comes at the same time: it happens once, wholly."""

from __future__ import annotations

import json
from contextlib import suppress
from itertools import count
from threading import Barrier, Thread
from typing import TYPE_CHECKING, Any, Final

import pytest

from mlflow_vault.engine.world import World
from mlflow_vault.errors import VaultError
from mlflow_vault.format.log import Actor
from mlflow_vault.govern.release.caller import Caller
from mlflow_vault.testing.stores import Fault, FaultKind, FaultyStore, Killed
from mlflow_vault.testing.vaults import objects, store_of
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from mlflow_vault.testing.receiver import Receiver

Ward = Any  # conftest's
KINDS: Final = tuple(kind for kind in FaultKind if kind is not FaultKind.TRUNCATE)


def told(receiver: Receiver) -> list[str]:
    """Which events somebody was alerted of."""
    return [json.loads(sent.body)["event"] for sent in receiver.sent]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name.lower())
def test_every_request(kind: FaultKind, ward: Ward, receiver: Receiver) -> None:
    """Whichever request of the store fails, later looks roll back, once, and alert somebody."""
    for _ in range(2):
        ward.log(0.5)
        ward.look()
    held, began = objects(ward.store), ward.time

    for at in count(1):
        ward.store, ward.time = store_of(held), began
        ward.registry.set_alias("credit", "production", 2)
        receiver.sent.clear()
        ward.log(0.5)
        faulty = FaultyStore(ward.store, [Fault(kind, at)])
        ward.time += 60
        with suppress(VaultError, Killed):
            ward.monitor(ward.at(faulty)).look()
        if not faulty.struck:
            assert at > 20
            break
        for _ in range(2):
            ward.log(0.5)
            ward.look(minutes=0.1)

        assert ward.standing() == 1
        assert len({one["decision"] for one in ward.logged("roll_back")}) == 1
        events = told(receiver)
        assert 1 <= events.count("rolled_back") <= 2
        assert set(events) <= {"rolled_back", "rollback_failed"}


def test_an_alert_that_nobody_got(ward: Ward, receiver: Receiver) -> None:
    """An alert of a rollback is tried at later looks until it arrives; then never again."""
    receiver.answer(404)
    looks = []
    for _ in range(4):
        ward.log(0.5)
        looks.append(ward.look())
    receiver.answer(200)
    looks += [ward.look(), ward.look()]

    assert [bool(look.looks[0].problems) for look in looks] == [False] * 2 + [True] * 2 + [
        False
    ] * 2
    assert looks[3].exit_code == 1
    assert told(receiver).count("rolled_back") == 3
    assert "rolled back to credit/1: credit-production says" in receiver.sent[2].body.decode()
    assert len(ward.logged("alert")) == 1
    last = ward.kept(2)[-1].body
    assert (last["condition"], last["alerts"]) == ("failing", {"rolled_back": {"webhook": True}})


def test_a_person_was_first(ward: Ward, receiver: Receiver) -> None:
    """Where a person rolled back, nobody is alerted of what they know."""
    ward.apply(
        "metadata: {name: frozen}\ntransition: {to: production, kind: rollback}\n"
        "require: \"tags.cleared = 'yes'\"\n"
    )
    for _ in range(3):
        ward.log(0.5)
        ward.look()
    ward.vault.policies.withdraw("frozen", "admin")
    ward.vault.rollback("credit", reason="I saw it")

    ward.look()

    assert told(receiver) == ["rollback_failed"]


def test_threads(ward: Ward, receiver: Receiver) -> None:
    """Of four monitors that look at the same time one rolls back, and people are told once."""
    for _ in range(2):
        ward.log(0.5)
        ward.look()
    ward.log(0.5)
    ward.time += 60
    start, reports = Barrier(4), list[Any]()

    def look() -> None:
        start.wait()
        try:
            reports.append(ward.monitor(ward.vault).look())
        except VaultError as error:
            reports.append(error)

    threads = [Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    events = [look.event for report in reports for look in report.looks]
    assert events.count("rolled_back") == 1
    assert set(events) <= {"rolled_back", "lost", ""}
    assert len({one["decision"] for one in ward.logged("roll_back")}) == 1
    assert ward.standing() == 1
    assert 1 <= len(receiver.sent) <= 2


class Inside:
    """The registry as the server sees it that governs it."""

    def __init__(self, registry: Any) -> None:
        self._registry = registry

    def __getattr__(self, name: str) -> Any:
        return getattr(self._registry, name)

    def governs(self, _: str) -> bool:
        """Nobody else does."""
        return False


def test_where_the_server_decides(ward: Ward, receiver: Receiver) -> None:
    """A registry that governs is asked, as whom it authenticates, and told what to undo."""
    world = World(now=lambda: ward.time)
    server = Vault(ward.store, ward.vault.identity, world, lambda: Inside(ward.registry))
    asked = list[dict[str, Any]]()

    def perform(number: int, verb: str, body: dict[str, Any]) -> None:
        asked.append({"number": number, "verb": verb, **body})
        caller = Caller(Actor("monitor", verified=True))
        server.releases.rollback("credit", caller=caller, **body)

    ward.registry.performs["credit"] = perform
    for _ in range(3):
        ward.log(0.5)
        report = ward.look()

    assert report.looks[0].outcome == "rolled back to credit/1"
    assert [(one["number"], one["verb"], one["undoes"]) for one in asked] == [(2, "rollback", 1)]
    assert next(iter(ward.vault.releases.decisions("credit"))).actor == Actor(
        "monitor", verified=True
    )
    assert told(receiver) == ["rolled_back"]
