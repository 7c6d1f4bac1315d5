"""What was put into the store past the log does not pass for said or applied."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from mlflow_vault.engine.world import World
from mlflow_vault.format import layout
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.governed_layout import policy_key
from mlflow_vault.format.log import Action, Actor, Subject
from mlflow_vault.format.statement import Kind, Statement
from mlflow_vault.govern.audit.audit import Audit
from mlflow_vault.govern.release.keeping.statements import Statements
from mlflow_vault.store.memory import MemoryStore

if TYPE_CHECKING:
    from mlflow_vault.format.record import Identity

ANN = Actor("ann", verified=True)
DIGEST = Digest.of(b"3")
ACTIONS = {
    Kind.APPROVAL: Action.APPROVE,
    Kind.REJECTION: Action.REJECT,
    Kind.EVIDENCE: Action.EVIDENCE,
}


class Scene:
    """A version of which something was said, and two policies."""

    def __init__(self, identity: Identity) -> None:
        self.store = MemoryStore()
        self.identity = identity
        self.audit = Audit(self.store, World(), identity)
        self.said = [self.say(self.statement(kind, at)) for at, kind in enumerate(ACTIONS)]
        self.apply("strict", 0, b'{"name":"strict"}')
        self.apply("strict", 1, b"null")

    def statement(self, kind: Kind, at: int = 9) -> Statement:
        """Something that ann says."""
        return Statement(
            vault=self.identity.id,
            model="Fraud",
            number=3,
            digest=DIGEST,
            kind=str(kind),
            id=f"{at:032x}",
            time=at,
            actor=ANN,
        )

    def say(self, statement: Statement, *, is_kept: bool = True) -> Statement:
        """Log it, then keep it."""
        subject = Subject("version", statement.model, statement.digest)
        after = {"statement": statement.id, "record": str(statement.record)}
        self.audit.note(ACTIONS[Kind(statement.kind)], subject, ANN, after=after)
        if is_kept:
            Statements(self.store, World(), self.identity).add(statement)
        return statement

    def apply(self, name: str, number: int, stored: bytes, *, is_kept: bool = True) -> str:
        """Log it, then keep it."""
        digest = None if stored == b"null" else Digest.of(stored)
        after = {"digest": str(digest) if digest else None, "number": number}
        self.audit.note(Action.POLICY, Subject("policy", name, digest), ANN, after=after)
        key = policy_key(name, number)
        if is_kept:
            self.store.create(key, stored)
        return key

    def flaws(self) -> list[str]:
        """Where something is wrong."""
        found = self.audit.verify()
        assert found.is_whole == (not found.flaws)
        return [flaw.key for flaw in found.flaws]


@pytest.fixture
def scene(identity: Identity) -> Scene:
    """Something was said and applied."""
    return Scene(identity)


def test_whole(scene: Scene) -> None:
    """What is in the log as it is kept is no flaw; nor is what need not be logged."""
    Statements(scene.store, World(), scene.identity).add(scene.statement(Kind.HEALTH))
    found = scene.audit.verify()

    assert found.is_whole
    assert found.absent == ()


@pytest.mark.parametrize("kind", ACTIONS)
def test_said_past_the_log(scene: Scene, kind: Kind) -> None:
    """What somebody put there as said is told, and so is what was changed."""
    forged = scene.statement(kind)
    Statements(scene.store, World(), scene.identity).add(forged)
    assert scene.flaws() == [forged.key]
    scene.say(forged)
    assert scene.flaws() == []

    scene.store.put(forged.key, replace(forged, body={"passed": True}).to_bytes())
    assert scene.flaws() == [forged.key]
    scene.store.put(forged.key, b"noise")
    assert scene.flaws() == [forged.key]


@pytest.mark.parametrize("stored", [b"null", b'{"name":"lax"}'])
def test_applied_past_the_log(scene: Scene, stored: bytes) -> None:
    """A policy that somebody put there, changed or withdrew past the log is told."""
    key = policy_key("strict", 2)
    scene.store.put(key, stored)
    assert scene.flaws() == [key]
    scene.store.delete(key)
    scene.store.put(policy_key("strict", 0), stored)
    assert scene.flaws() == [policy_key("strict", 0)]


def test_lost_races(scene: Scene) -> None:
    """Of two who logged a policy under one number that one counts which is there."""
    scene.apply("strict", 2, b'{"name":"a"}', is_kept=False)
    scene.apply("strict", 2, b'{"name":"b"}')

    assert scene.flaws() == []


def test_in_the_log_alone(scene: Scene) -> None:
    """What is in the log and nowhere else is told: it was never kept, or somebody deleted it."""
    died = scene.say(scene.statement(Kind.APPROVAL), is_kept=False)
    scene.store.delete(scene.said[1].key)
    scene.store.delete(policy_key("strict", 1))
    found = scene.audit.verify()

    assert found.is_whole
    assert set(found.absent) == {died.key, scene.said[1].key, policy_key("strict", 1)}
    assert f"{died.key}: in the log and not there" in str(found)
    assert died.key in found.to_dict()["absent"]
    assert died.key in found._repr_html_()


@pytest.mark.parametrize("action", [Action.APPROVE, Action.POLICY])
@pytest.mark.parametrize(
    "after",
    [
        None, 3, {"statement": 3}, {"statement": "x"}, {"statement": "0" * 32, "record": 3},
        {"number": -1}, {"number": "1"}, {"number": 7, "digest": 3},
    ],
    ids=str,
)  # fmt: skip
def test_odd_entries(scene: Scene, action: Action, after: Any) -> None:
    """Whatever an entry says, verifying is no error; it vouches for nothing."""
    for name in ("x" * 900, "Fraud"):
        scene.audit.note(action, Subject("version", name, DIGEST), ANN, after=after)

    assert scene.flaws() == []
    assert layout.log_key(5) not in scene.audit.verify().absent
