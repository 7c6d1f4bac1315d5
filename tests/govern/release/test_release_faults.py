"""Promotions that fail, die or race at every step: nothing half done is seen, the next finishes."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from itertools import count
from threading import Barrier, BrokenBarrierError, Thread
from typing import TYPE_CHECKING, Any

import pytest

from mlflow_vault.errors import ConflictError, StorageError, VaultError
from mlflow_vault.format.governed_layout import DECISIONS
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.promotions import STAGING, VOTES, Stage, caller
from mlflow_vault.testing.stores import Fault, FaultKind, FaultyStore, Killed, SlowStore
from mlflow_vault.testing.vaults import objects, store_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlflow_vault.govern.release.telling.promotion import Promotion
    from mlflow_vault.store.protocol import Store
    from mlflow_vault.testing.registry import Registry
    from mlflow_vault.testing.stores import Operation

FAULTS = tuple(kind for kind in FaultKind if kind is not FaultKind.TRUNCATE)
WRITES = {"set_alias", "delete_alias", "tag", "untag"}


class FailingRegistry:
    """A registry of which the *at*-th write fails, before it is done or after."""

    def __init__(
        self, inner: Registry, at: int, error: type[BaseException], *, after: bool
    ) -> None:
        self._inner = inner
        self._left = at
        self._error = error
        self._after = after

    @property
    def struck(self) -> bool:
        """Whether it failed."""
        return self._left <= 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in WRITES:
            return found

        def failing(*args: Any) -> Any:
            self._left -= 1
            if self._left == 0 and not self._after:
                raise self._error("planned")
            answer = found(*args)
            if self._left == 0:
                raise self._error("planned")
            return answer

        return failing


@pytest.fixture
def scene(stage: Stage) -> Stage:
    """Version 1 in production, version 2 approved in staging."""
    first, second = stage.version(), stage.version()
    stage.apply(STAGING, VOTES)
    for version in (first, second):
        stage.time += 1
        stage.releases.promote(version, to="staging")
        stage.releases.approve(version, caller=caller("bob"))
        if version is first:
            stage.releases.promote(version, to="production")
    stage.time += 1
    return stage


def _check(stage: Stage, store: Store) -> None:
    """What is shown is logged; whoever comes next finishes, and then all agree."""
    vault = stage.at(store)
    records = {e.after["record"] for e in vault.audit.search() if e.action == "promote"}
    decided = {str(one.record): one for one in vault.releases.decisions("credit")}
    shown = stage.aliases().get("production")
    logged = [one for record, one in decided.items() if record in records]
    assert shown in {one.number for one in logged if one.to == "production"}

    told = stage.at(store).releases.status("credit")

    stands = {one.stage: one.stand.number for one in told.standing}
    assert stage.aliases() == stands
    assert told.drift == ()
    assert stage.tags(stands["production"]) == "production"
    assert vault.audit.verify().is_whole
    noted = {e.after["record"] for e in vault.audit.search() if e.action == "promote"}
    assert noted == set(decided)
    with suppress(VaultError):  # its approval may be used up
        stage.at(store).releases.promote("credit/2", to="production")
    assert stage.aliases() == {"production": 2}


@pytest.mark.parametrize("kind", FAULTS, ids=lambda kind: kind.name.lower())
def test_every_request_fails(scene: Stage, kind: FaultKind) -> None:
    """Whichever request fails, nothing is shown that is not logged, and the next finishes."""
    held = objects(scene.store)
    tags = {number: scene.tags(number) for number in (1, 2)}
    for at in count(1):
        store = store_of(held)
        faulty = FaultyStore(store, [Fault(kind, at)])
        with suppress(VaultError, Killed):
            scene.at(faulty).releases.promote("credit/2", to="production")
        if not faulty.struck:
            assert at > 10, "a promotion makes more requests than that"
            break
        _check(scene, store)
        _put_back(scene, tags)


@pytest.mark.parametrize("error", [StorageError, Killed])
@pytest.mark.parametrize("after", [False, True])
def test_every_call_of_mlflow_fails(
    scene: Stage,
    error: type[BaseException],
    after: bool,  # noqa: FBT001
) -> None:
    """Whichever call of MLflow fails, the decision stands, and the next one shows it."""
    held = objects(scene.store)
    tags = {number: scene.tags(number) for number in (1, 2)}
    for at in count(1):
        store = store_of(held)
        failing = FailingRegistry(scene.registry, at, error, after=after)
        with suppress(VaultError, Killed):
            scene.at(store, failing).releases.promote("credit/2", to="production")
        if not failing.struck:
            assert at > 3, "a promotion changes more than that"
            break
        _check(scene, store)
        _put_back(scene, tags)


def _put_back(scene: Stage, tags: dict[int, str]) -> None:
    """Let the registry show what it showed."""
    scene.registry.set_alias("credit", "production", 1)
    scene.registry.set_alias("credit", "staging", 2)
    for number, stage in tags.items():
        held = scene.registry.resolve(f"models:/credit/{number}")
        scene.registry.tag(held, {"mlflow_vault.stage": stage})


class Meeting(SlowStore):
    """Lets all who want to decide wait for each other, once."""

    def __init__(self, inner: Store, parties: int) -> None:
        super().__init__(inner, lambda: None)
        self._barrier = Barrier(parties)

    def _around(self, operation: Operation, perform: Callable[[], Any]) -> Any:
        if operation.name == "create" and operation.key.startswith(DECISIONS):
            with suppress(BrokenBarrierError):
                self._barrier.wait(5)
            self._barrier.abort()
        return perform()


def _race(stage: Stage, asked: list[Callable[[Any], Promotion]]) -> list[Promotion | VaultError]:
    store = Meeting(stage.store, len(asked))
    found: list[Promotion | VaultError] = []

    def ask(call: Callable[[Any], Promotion]) -> None:
        try:
            found.append(call(stage.at(store).releases))
        except VaultError as error:
            found.append(error)

    threads = [Thread(target=ask, args=(call,)) for call in asked]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def _decided(stage: Stage) -> list[int]:
    """The decisions in the log; who loses a race may log once more what the winner decided."""
    deeds = {"promote", "roll_back"}
    found = [e.after["decision"] for e in stage.vault.audit.search() if e.action in deeds]
    return list(dict.fromkeys(found))


def test_one_wins(stage: Stage) -> None:
    """Of two promotions to one stage one wins, and the other is told by whom."""
    versions = [stage.version(), stage.version()]
    stage.apply(STAGING)

    found = _race(
        stage,
        [
            lambda r, v=v, n=n: r.promote(v, to="staging", caller=caller(n))  # type: ignore[misc]
            for v, n in zip(versions, ("bob", "cat"), strict=True)
        ],
    )

    (lost,) = [one for one in found if isinstance(one, VaultError)]
    (won,) = [one for one in found if not isinstance(one, VaultError)]
    assert isinstance(lost, ConflictError)
    winner = won.decision and won.decision.actor.name
    assert f"'{winner}' decided first: promote {won.label} to staging" in str(lost)
    assert stage.aliases() == {"staging": won.number}
    assert _decided(stage) == [0]


def test_both_win(stage: Stage) -> None:
    """Whoever loses a race for another stage judges again and goes on."""
    first, second = stage.version(), stage.version()
    stage.apply(STAGING, STAGING.replace("staging", "production"))

    found = _race(
        stage,
        [
            lambda releases: releases.promote(first, to="staging"),
            lambda releases: releases.promote(second, to="production"),
        ],
    )

    assert not any(isinstance(one, VaultError) for one in found)
    assert stage.aliases() == {"staging": 1, "production": 2}
    assert stage.vault.audit.verify().is_whole


def test_one_rollback(scene: Stage) -> None:
    """Of two who roll back from the same version one does."""
    scene.releases.promote("credit/2", to="production")

    found = _race(
        scene, [lambda releases: releases.rollback("credit", reason="bad") for _ in range(2)]
    )

    assert sum(isinstance(one, ConflictError) for one in found) == 1
    assert scene.aliases() == {"production": 1}
    assert _decided(scene) == [*range(5)]


PROCESS = """
import sys
from mlflow_vault.errors import VaultError
from mlflow_vault.govern.host import Held
from mlflow_vault.testing.registry import Registry
from mlflow_vault.vault import Vault

uri, me = sys.argv[1], int(sys.argv[2])
registry = Registry()
for _ in range(4):
    registry.register("credit", Held("", ""))
at = Vault.open(uri)
vault = Vault(at.store, at.identity, host=lambda: registry)
sys.stdin.readline()
made = 0
for turn in range(6):
    try:
        moved = vault.promote(f"credit/{(me + turn) % 4 + 1}", to="staging")
    except VaultError as error:
        assert "decided first" in str(error), error
    else:
        made += 1
print(made, flush=True)
"""


def test_processes(tmp_path: Path) -> None:
    """Processes that promote at the same time leave one ledger without gaps, all of it logged."""
    from mlflow_vault.vault import Vault  # noqa: PLC0415 - of another store than the others

    uri = f"vault-file://{tmp_path}"
    scene = Stage(store=MemoryStore("models"))
    for _ in range(4):
        scene.version()
    scene.apply(STAGING)
    vault = Vault.init(uri)
    for key, stored in objects(scene.store).items():
        vault.store.put(key, stored)
    command = [sys.executable, "-c", PROCESS, uri]
    started = [
        subprocess.Popen(
            [*command, str(me)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for me in range(3)
    ]
    told = [one.communicate("go\n", timeout=120)[0] for one in started]

    vault = Vault.open(uri)
    decisions = list(vault.releases.decisions("credit"))

    assert [one.returncode for one in started] == [0, 0, 0]
    assert [one.sequence for one in decisions] == list(range(len(decisions) - 1, -1, -1))
    assert sum(json.loads(one) for one in told) >= len(decisions) > 5
    noted = [e.after["record"] for e in vault.audit.search() if e.action == "promote"]
    assert set(noted) == {str(one.record) for one in decisions}
    assert vault.audit.verify().is_whole
