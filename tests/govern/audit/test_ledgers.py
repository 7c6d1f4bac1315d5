"""What the audit log says of decisions is what the ledgers say, or verifying tells."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mlflow_vault.decide.transitions import Transition, logged
from mlflow_vault.engine.world import World
from mlflow_vault.format import layout
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.governed_layout import decision_key
from mlflow_vault.format.log import Action, Actor, Subject
from mlflow_vault.govern.audit.audit import Audit
from mlflow_vault.govern.audit.log import Log
from mlflow_vault.govern.release.keeping.ledger import Ledger
from mlflow_vault.store.memory import MemoryStore

if TYPE_CHECKING:
    from mlflow_vault.format.decision import Decision
    from mlflow_vault.format.record import Identity

ANN = Actor("ann", verified=True)


class Scene:
    """Two models, with four decisions about the first and one about the second."""

    def __init__(self, identity: Identity) -> None:
        self.store = MemoryStore()
        self.identity = identity
        self.made = [self.decide("fraud", number) for number in range(1, 5)]
        self.decide("credit", 1)

    def ledger(self, model: str = "fraud") -> Ledger:
        """The ledger of a model."""
        return Ledger(self.store, World(), self.identity, model)

    @property
    def audit(self) -> Audit:
        """The audit log."""
        return Audit(self.store, World(), self.identity)

    def decide(self, model: str, number: int, *, is_carried_out: bool = True) -> Decision:
        """Move a version to production."""
        ledger = self.ledger(model)
        asked = Transition(Action.PROMOTE, ANN, number, Digest.of(bytes([number])), "production")
        made = ledger.decide(ledger.carry_out(self.audit, lambda _: None), asked)
        if is_carried_out:
            ledger.carry_out(self.audit, lambda _: None)
        return made

    def note(self, decision: Decision, **changes: object) -> None:
        """Log a decision, saying of it what is changed."""
        before, after = logged(decision)
        subject = Subject("version", decision.model, decision.digest)
        self.audit.note(Action.PROMOTE, subject, ANN, before=before, after={**after, **changes})

    def flaws(self) -> list[tuple[str, int | None]]:
        """Where something is wrong."""
        return [(flaw.key, flaw.sequence) for flaw in self.audit.verify().flaws]


@pytest.fixture
def scene(identity: Identity) -> Scene:
    """Two models."""
    return Scene(identity)


def test_whole(scene: Scene) -> None:
    """Decisions that are logged as they are, are no flaw; nor is an entry that is there twice."""
    scene.note(scene.made[1])
    found = scene.audit.verify()

    assert found.is_whole
    assert (found.decisions, found.pending) == (5, ())
    assert "5 decisions: whole" in str(found)


def test_not_carried_out_yet(scene: Scene) -> None:
    """The last decision may wait for whoever carries it out: that is told, and is no flaw."""
    made = scene.decide("fraud", 9, is_carried_out=False)
    found = scene.audit.verify()

    assert found.is_whole
    assert found.pending == (made.key,)
    assert f"{made.key}: not carried out yet" in str(found)
    assert found.to_dict()["pending"] == [made.key]
    assert "not carried out yet" in found._repr_html_()
    scene.ledger().carry_out(scene.audit, lambda _: None)
    assert scene.audit.verify().pending == ()


def test_decided_while_reading(scene: Scene) -> None:
    """What is decided while the log is read is compared, too."""
    log = Log(scene.store, World(), scene.identity)
    audit = scene.audit
    listed = scene.store.list

    def late(prefix: str) -> object:
        found = list(listed(prefix))
        if prefix == "decisions/":
            scene.store.list = listed  # type: ignore[method-assign]
            scene.decide("fraud", 9)
        return iter(found)

    scene.store.list = late  # type: ignore[method-assign,assignment]

    assert audit.verify().is_whole
    assert log.size() == 6


@pytest.mark.parametrize(
    "changes",
    [
        {"record": "b3:" + "00" * 32},
        {"record": None},
        {"aliases": {"production": 3}},
        {"reason": "another"},
    ],
    ids=str,
)
def test_the_log_says_otherwise(scene: Scene, changes: dict[str, object]) -> None:
    """An entry that says of a decision what its record does not is told."""
    made = scene.decide("fraud", 9, is_carried_out=False)
    scene.note(made, **changes)

    assert scene.flaws() == [(layout.log_key(5), 5)]


def test_logged_twice_otherwise(scene: Scene) -> None:
    """A second entry of a decision says what the first does, or is told."""
    scene.note(scene.made[1], reason="another")

    assert scene.flaws() == [(layout.log_key(5), 5)]


def test_another_record(scene: Scene) -> None:
    """A decision that was replaced is told, whoever forged it and however well."""
    forged = replace(scene.made[1], reason="forged")
    scene.store.put(forged.key, forged.to_bytes())

    assert set(scene.flaws()) == {(layout.log_key(1), 1), (decision_key("fraud", 2), None)}


@pytest.mark.parametrize("stored", [b"noise", None])
def test_damaged_or_gone(scene: Scene, stored: bytes | None) -> None:
    """A decision that is damaged or gone is told once, also if it is the last."""
    for number, sequence in ((3, 3), (1, 1)):
        key = decision_key("fraud", number)
        if stored is None:
            scene.store.delete(key)
        else:
            scene.store.put(key, stored)
        assert (key, None if stored else sequence) in scene.flaws()

    assert len(scene.flaws()) == 2


def test_all_of_it_gone(scene: Scene) -> None:
    """A ledger that is gone is told."""
    scene.store.delete(decision_key("credit", 0))

    assert scene.flaws() == [(decision_key("credit", 0), 4)]


def test_never_logged(scene: Scene) -> None:
    """Decisions behind which others were made, and that are not in the log, are told."""
    ledger = scene.ledger("other")
    head = None
    for number in (1, 2):
        digest = Digest.of(bytes([number]))
        asked = Transition(Action.PROMOTE, ANN, number, digest, "production")
        head = ledger.decide(head, asked)

    found = scene.audit.verify()
    assert [flaw.key for flaw in found.flaws] == [decision_key("other", 0)]
    assert found.pending == (decision_key("other", 1),)


def test_far_ahead(scene: Scene) -> None:
    """A decision that claims a number far ahead does not make who verifies count up to it."""
    forged = replace(scene.made[3], sequence=2**53 - 1)
    scene.store.put(forged.key, forged.to_bytes())

    found = scene.audit.verify()

    assert [flaw.key for flaw in found.flaws] == [
        decision_key("fraud", number) for number in range(4, 105)
    ]
    assert "this decision and 9007199254740886 behind it" in found.flaws[-1].reason
    assert found.pending == (forged.key,)


def test_strangers(scene: Scene) -> None:
    """What is no decision, or another vault's, does not belong there."""
    foreign = replace(scene.made[0], vault="other", model="x")
    scene.store.put("decisions/notes", b"hello")
    scene.store.put(foreign.key, foreign.to_bytes())

    assert set(scene.flaws()) == {("decisions/notes", None), (foreign.key, None)}
