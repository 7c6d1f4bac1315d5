"""Releases beside a dictionary: whatever is asked of both, they say the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mlflow_vault.decide.policy.roles import EVERYTHING
from mlflow_vault.engine.world import World
from mlflow_vault.errors import DeniedError, NotFoundError, VaultError, WaitingError
from mlflow_vault.format.log import Actor
from mlflow_vault.govern.host import Held
from mlflow_vault.govern.policies import read
from mlflow_vault.govern.release.caller import Caller
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.registry import Registry
from mlflow_vault.testing.stores import Fault, FaultKind, FaultyStore, Killed
from mlflow_vault.testing.vaults import write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from mlflow_vault.govern.release.releases import Releases
    from mlflow_vault.store.protocol import Store

MODEL = "credit"
VERSIONS = 3
POLICIES = (
    "metadata: {name: to-staging}\ntransition: {to: staging}\n",
    (
        "metadata: {name: to-production}\ntransition: {from: staging, to: production}\n"
        "approvals: {min: 1}\n"
    ),
)
KILLS = (FaultKind.KILL_BEFORE, FaultKind.KILL_AFTER, FaultKind.ERROR_BEFORE, FaultKind.ERROR_AFTER)
numbers = st.integers(1, VERSIONS)
people = st.sampled_from(["bob", "cat"])
stages = st.sampled_from(["staging", "production"])


class ReleaseMachine(RuleBasedStateMachine):
    """Every rule does the same to the vault and to the dictionaries."""

    def __init__(self) -> None:
        super().__init__()
        self.time = 1_767_225_600.0
        self.store = MemoryStore("released")
        self.registry = Registry()
        self.stands: dict[str, int] = {}
        self.left: list[int] = []  # who left production, the latest last
        self.failed: set[int] = set()
        self.archived: set[int] = set()
        self.yes: dict[int, set[str]] = {number: set() for number in range(1, VERSIONS + 1)}
        self.no: dict[int, set[str]] = {number: set() for number in range(1, VERSIONS + 1)}
        self.decisions = 0

    @initialize()
    def start(self) -> None:
        """Commit a few versions, and let policies be in force."""
        vault = Vault.init_at(self.store, World(now=lambda: self.time))
        for number in range(1, VERSIONS + 1):
            uri, place = f"models:/m-{number:032x}", f"1/models/m-{number:032x}/artifacts"
            write(vault, f"{place}/model.bin", b"%d" % number)
            held = Held(uri, f"{vault.uri}/{place}", model_id=uri[8:], author="ann")
            self.registry.known[uri] = held
            self._open(self.store).commit(uri, name=MODEL)
        for text in POLICIES:
            vault.policies.apply(read(text), "admin")

    @rule(number=numbers, to=stages)
    def promote(self, number: int, to: str) -> None:
        """Promote a version, or be refused."""
        expected = self._refusal(number, to)
        if expected is not None:
            with pytest.raises(expected) as caught:
                self._releases().promote(f"{MODEL}/{number}", to=to)
            assert type(caught.value) is expected
            return
        moved = self._releases().promote(f"{MODEL}/{number}", to=to)
        assert moved.number == number
        if self.stands.get(to) != number:
            self._moved(number, to)

    @rule(number=numbers, to=stages, kind=st.sampled_from(KILLS), at=st.integers(1, 40))
    def promote_and_die(self, number: int, to: str, kind: FaultKind, at: int) -> None:
        """Die while a version is promoted; whoever comes next knows what was decided."""
        allowed = self._refusal(number, to) is None and self.stands.get(to) != number
        faulty = FaultyStore(self.store, [Fault(kind, at)])
        try:
            self._releases(faulty).promote(f"{MODEL}/{number}", to=to)
        except (VaultError, Killed):
            pass
        finally:
            made = len(list(self._releases().decisions(MODEL))) - self.decisions
        assert made <= allowed
        if made:
            self._moved(number, to)
        if self.decisions:
            self._releases().status(MODEL)  # finishes it

    @rule(number=numbers, who=people)
    def approve(self, number: int, who: str) -> None:
        """Say yes."""
        self._releases().approve(f"{MODEL}/{number}", caller=self._caller(who))
        self.yes[number].add(who)
        self.no[number].discard(who)

    @rule(number=numbers, who=st.sampled_from(["bob", "cat", "ann"]))
    def reject(self, number: int, who: str) -> None:
        """Say no."""
        self._releases().reject(f"{MODEL}/{number}", caller=self._caller(who))
        self.no[number].add(who)
        self.yes[number].discard(who)

    @rule(number=numbers)
    def archive(self, number: int) -> None:
        """Take a version out of service."""
        self._releases().archive(f"{MODEL}/{number}", reason="over")
        self._leave(number)
        self.archived.add(number)
        self.decisions += 1

    @precondition(lambda self: self.decisions > 0)
    @rule()
    def roll_back(self) -> None:
        """Go back to the last that stood in production, and nobody rolled back from."""
        now = self.stands.get("production")
        healthy = [one for one in reversed(self.left) if one != now and one not in self.failed]
        try:
            moved = self._releases().rollback(MODEL, reason="bad")
        except NotFoundError:
            assert not healthy
            return
        assert moved.number == healthy[0]
        if now is not None:
            self.failed.add(now)
        self._moved(healthy[0], "production")

    @invariant()
    def is_shown(self) -> None:
        """The registry shows who stands where."""
        assert self.registry.aliases(MODEL) == self.stands
        places = {number: stage for stage, number in self.stands.items()}
        for number in range(1, VERSIONS + 1) if self.decisions else ():
            tag = self.registry.resolve(f"models:/{MODEL}/{number}").tags.get("mlflow_vault.stage")
            assert tag == places.get(number, "archived" if number in self.archived else None)

    @invariant()
    def is_decided(self) -> None:
        """The vault says the same."""
        if self.decisions:
            standing = self._releases().standing(MODEL)
            assert {stage: one.number for stage, one in standing.items()} == self.stands

    def teardown(self) -> None:
        """In the end all of it is in the audit log, in order."""
        if not self.decisions:
            return
        vault = self._open(self.store)
        noted: dict[int, None] = {}
        for entry in vault.audit.search():
            if entry.action in {"promote", "archive", "roll_back"}:
                noted.setdefault(entry.after["decision"])
        assert list(noted) == list(range(self.decisions))
        assert vault.audit.verify().is_whole

    def _refusal(self, number: int, to: str) -> type[VaultError] | None:
        """What a promotion should be refused with."""
        if self.stands.get(to) == number:
            return None
        if to == "staging":
            return DeniedError if self.stands.get("production") == number else None
        if self.stands.get("staging") != number or self.no[number]:
            return DeniedError
        return None if self.yes[number] else WaitingError

    def _moved(self, number: int, to: str) -> None:
        displaced = self.stands.get(to)
        self._leave(number)
        if to == "production":
            if displaced is not None and displaced != number:
                self._leave(displaced)
            self.yes[number].clear()
        self.stands[to] = number
        self.archived.discard(number)
        self.decisions += 1

    def _leave(self, number: int) -> None:
        for stage in [stage for stage, one in self.stands.items() if one == number]:
            del self.stands[stage]
            if stage == "production":
                self.left = [*(one for one in self.left if one != number), number]

    def _open(self, store: Store) -> Vault:
        world = World(now=self._tick)
        return Vault(store, Vault.at(self.store).identity, world, lambda: self.registry)

    def _releases(self, store: Store | None = None) -> Releases:
        return self._open(store or self.store).releases

    def _tick(self) -> float:
        self.time += 0.01
        return self.time

    @staticmethod
    def _caller(name: str) -> Caller:
        return Caller(Actor(name, verified=True), (), EVERYTHING)


TestReleases = ReleaseMachine.TestCase
TestReleases.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
