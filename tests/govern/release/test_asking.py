"""Where the registry decides by itself it is asked, and what it decided is read from the vault."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mlflow_vault.decide.policy.roles import Right
from mlflow_vault.errors import DeniedError, InvalidInputError, NotFoundError, WaitingError
from mlflow_vault.format.log import Actor
from mlflow_vault.govern.release.caller import Caller
from mlflow_vault.testing.promotions import STAGING, VOTES, Stage, caller
from mlflow_vault.testing.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Mapping


class Server:
    """A registry that governs, on the same vault; it knows who asks.

    Attributes:
        asks: Who asks, as it authenticated them.
        heard: What it was asked.
    """

    def __init__(self, stage: Stage) -> None:
        self.asks = caller("bob")
        self.heard: list[tuple[int, str, Mapping[str, Any]]] = []
        self._stage = stage
        self._plain = Registry()
        vars(self._plain).update(vars(stage.registry) | {"performs": {}})

    def perform(self, number: int, verb: str, body: Mapping[str, Any]) -> None:
        """Do what a client asks for; a refusal has no verdicts on its way to the client."""
        self.heard.append((number, verb, body))
        releases = self._stage.at(self._stage.store, self._plain).releases
        said = {**body, "caller": self.asks}
        try:
            if verb == "rollback":
                releases.rollback("credit", **said)
            else:
                getattr(releases, verb)(f"credit/{number}", **said)
        except DeniedError as error:
            raise DeniedError(f"MLflow says: {error}") from None


@pytest.fixture
def server(stage: Stage) -> Server:
    """Two versions, and a registry that governs them."""
    stage.version()
    stage.version()
    stage.apply(STAGING, VOTES)
    made = Server(stage)
    stage.registry.performs["credit"] = made.perform
    return made


def test_story(stage: Stage, server: Server) -> None:
    """Each verb is done by the registry, in the name of whom it knows; its verdicts are told."""
    moved = stage.releases.promote("credit/1", to="staging", reason="good")
    with pytest.raises(WaitingError, match="0 of 1") as caught:
        stage.releases.promote("credit/1", to="production")
    vote = stage.releases.approve("credit/1", reason="I looked")
    evidence = stage.releases.evidence("credit/1", type="t", name="n", passed=True)
    stage.releases.promote("credit/1", to="production")
    again = stage.releases.promote("credit/1", to="production")
    stage.releases.promote("credit/2", to="staging")
    stage.releases.approve("credit/2")
    stage.releases.promote("credit/2", to="production")
    back = stage.releases.rollback("credit", reason="bad")
    gone = stage.releases.archive("credit/2", reason="bad")

    assert moved.decision is not None
    assert moved.decision.actor == Actor("bob", verified=True)
    assert moved.decision.reason == "good"
    assert moved.verdicts[0].passed
    assert caught.value.verdicts[0].policy == "to-production"
    assert (vote.actor.name, vote.reason) == ("bob", "I looked")
    assert evidence.body["passed"] is True
    assert again.decision is not None
    assert again.decision.sequence == 1
    assert (back.number, gone.to) == (1, "archived")
    assert stage.aliases() == {"production": 1}
    assert all(len(body["request"]) == 32 for _, _, body in server.heard)


def test_refused(stage: Stage, server: Server) -> None:
    """Where there is no verdict to read, the registry's own words are told."""
    server.asks = Caller(Actor("eve", verified=True), (), frozenset({Right.READ}))

    with pytest.raises(DeniedError, match=r"MLflow says: .* right to release"):
        stage.releases.promote("credit/1", to="staging")
    with pytest.raises(DeniedError, match=r"MLflow says: .* right to approve"):
        stage.releases.approve("credit/1")
    with pytest.raises(NotFoundError, match="stands in production"):
        stage.releases.rollback("credit", reason="bad")
    with pytest.raises(InvalidInputError, match="policies in force alone"):
        stage.releases.promote("credit/1", to="staging", policy="to-staging")

    assert stage.aliases() == {}
