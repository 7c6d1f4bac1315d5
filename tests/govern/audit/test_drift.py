"""Whoever changes MLflow's registry past the vault is noticed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlflow_vault.decide.transitions import Transition
from mlflow_vault.engine.world import World
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.log import Action, Actor, Subject
from mlflow_vault.govern.host import Held
from mlflow_vault.govern.release.keeping.ledger import Ledger
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.registry import Registry
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from mlflow_vault.decide.transitions import Showing

ANN = Actor("ann", verified=True)


class Scene:
    """Three versions of a model; 2 was decided to be in production, 3 is called best."""

    def __init__(self) -> None:
        self.host = Registry()
        self.vault = Vault(
            (made := Vault.init_at(MemoryStore())).store, made.identity, World(), lambda: self.host
        )
        for number in range(1, 4):
            held = self.host.register("fraud", Held("m", "vault-memory://x/1"))
            self.host.tag(held, {"mlflow_vault.digest": str(self.digest(number))})
            subject = Subject("version", "fraud", self.digest(number))
            self.vault.audit.note(Action.COMMIT, subject, ANN, after={"number": number})
        self.decide(2)
        self.host.set_alias("fraud", "best", 3)
        self.vault.audit.note(
            Action.ALIAS, Subject("model", "fraud"), ANN, after={"aliases": {"best": 3}}
        )

    @staticmethod
    def digest(number: int) -> Digest:
        """Of a version."""
        return Digest.of(bytes([number]))

    def decide(self, number: int, *, is_carried_out: bool = True) -> None:
        """Move a version to production."""
        ledger = Ledger(self.vault.store, World(), self.vault.identity, "fraud")

        def show(wanted: Showing) -> None:
            for alias, shown in wanted.aliases.items():
                if shown is None:
                    self.host.delete_alias("fraud", alias)
                else:
                    self.host.set_alias("fraud", alias, shown)

        head = ledger.carry_out(self.vault.audit, show)
        asked = Transition(Action.PROMOTE, ANN, number, self.digest(number), "production")
        ledger.decide(head, asked)
        if is_carried_out:
            ledger.carry_out(self.vault.audit, show)

    def found(self) -> list[str]:
        """Where the registry differs."""
        return [str(one) for one in self.vault.drift()]


@pytest.fixture
def scene() -> Scene:
    """A registry that shows what the vault has."""
    return Scene()


def test_nothing_differs(scene: Scene) -> None:
    """A registry that shows what was decided and logged does not differ."""
    assert scene.found() == []
    scene.decide(1)
    assert scene.found() == []


def test_an_alias_was_moved(scene: Scene) -> None:
    """Aliases that somebody moved, set or took away past the vault are told."""
    scene.host.set_alias("fraud", "production", 3)
    assert scene.found() == [
        "fraud: production shows version 3, and version 2 was decided (up to decision 0)"
    ]
    scene.host.delete_alias("fraud", "production")
    assert "production shows nobody" in scene.found()[0]
    scene.decide(2)
    scene.host.set_alias("fraud", "staging", 1)
    assert "staging shows version 1, and nobody was decided" in scene.found()[0]
    scene.host.delete_alias("fraud", "staging")
    scene.host.delete_alias("fraud", "best")
    assert scene.found() == ["fraud: 'best' shows nobody; 'ann' let it show 3 (entry 4)"]


def test_a_version_was_deleted(scene: Scene) -> None:
    """Versions that are gone without a delete in the log are told, and who stood where."""
    for number in (1, 2):
        scene.host.unregister(scene.host.resolve(f"models:/fraud/{number}"))

    assert scene.found() == [
        "fraud: version 2, which stands in production, is gone",
        "fraud: version 1 is gone, and the log tells of no delete (entry 0)",
        "fraud: version 2 is gone, and the log tells of no delete (entry 1)",
    ]
    scene.vault.audit.note(Action.DELETE, Subject("version", "fraud"), ANN, before={"number": 1})
    assert len(scene.found()) == 2


def test_the_model_is_gone(scene: Scene) -> None:
    """A model that is gone is one line."""
    scene.host.forget("fraud")

    assert scene.found() == [
        "fraud: the registry has no version of it, and the log tells of no delete"
    ]


def test_another_version(scene: Scene) -> None:
    """A number that is called another version by now is told."""
    held = scene.host.resolve("models:/fraud/1")
    scene.host.tag(held, {"mlflow_vault.digest": str(Digest.of(b"other"))})

    assert "version 1 is called b3:" in scene.found()[0]


def test_not_carried_out_yet(scene: Scene) -> None:
    """A decision that is on its way is told as that, whatever the registry shows."""
    scene.decide(3, is_carried_out=False)

    assert scene.found() == ["fraud: decision 1 is not carried out yet: it is on its way"]


def test_told(scene: Scene) -> None:
    """What differs is told as one of what looks odd, and as JSON."""
    scene.host.delete_alias("fraud", "best")
    (found,) = scene.vault.drift()

    assert found.anomaly.rule == "drift"
    assert found.anomaly.sequences == (4,)
    assert found.to_dict()["sequence"] == 4
