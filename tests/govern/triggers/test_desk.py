"""Rounds over a real vault: what they move, what they leave behind, and what two of them do."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest

from mlflow_vault.decide.policy import Policy
from mlflow_vault.decide.policy.roles import Roles
from mlflow_vault.errors import ConflictError
from mlflow_vault.format.governed_layout import decision_key
from mlflow_vault.format.log import Actor
from mlflow_vault.govern.release.caller import Caller
from mlflow_vault.govern.triggers.choosing import Candidate
from mlflow_vault.govern.triggers.desk import VaultDesk
from mlflow_vault.testing.vaults import objects
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mlflow_vault.govern.triggers.rounds import Round
    from mlflow_vault.testing.registry import Registry

    Log = Callable[..., str]


def policy(name: str, to: str, **more: Any) -> Policy:
    """A policy that is automatic."""
    rules = {key: value for key, value in more.items() if key not in {"from_", "automatic"}}
    transition = {"to": to, "automatic": more.get("automatic", True)}
    transition |= {"from": more["from_"]} if "from_" in more else {}
    return Policy.model_validate({"metadata": {"name": name}, "transition": transition, **rules})


STAGING = policy("staged", "staging", require="tags.reviewed = 'yes'")
PRODUCTION = policy("live", "production", require="tags.approved = 'yes'")
ARCHIVE = policy("old", "archived")


@pytest.fixture
def make(vault: Vault, registry: Registry, log: Log) -> Callable[..., int]:
    """Commit a version of a model; return its number."""
    made: list[int] = []

    def make_(name: str, **tags: str) -> int:
        made.append(0)
        uri = log(len(made), {"MLmodel": b"a", "weights": bytes([len(made)])})
        number = vault.commit(uri, name=name).number
        tell(registry, name, number, **tags)
        return number

    return make_


def tell(registry: Registry, name: str, number: int, **tags: str) -> None:
    """Tag a version."""
    registry.tag(registry.resolve(f"models:/{name}/{number}"), tags)


def apply(vault: Vault, *policies: Policy | Roles) -> None:
    """Let policies be in force."""
    for one in policies:
        vault.policies.apply(one, "ann")


def told(found: Round) -> list[tuple[str, str, str]]:
    """What became of whom."""
    return [(one.label, one.to, one.fate.value) for one in found.candidates]


def test_table(vault: Vault, registry: Registry, make: Callable[..., int]) -> None:
    """A version goes up as it is let, and what it replaces goes to the archive, in one round."""
    apply(vault, STAGING, PRODUCTION, ARCHIVE)
    make("m", reviewed="yes", approved="yes")
    make("m", reviewed="yes")

    first = vault.promote_candidates()
    tell(registry, "m", 2, approved="yes")
    second = vault.promote_candidates()

    assert told(first) == [("m/2", "staging", "moved"), ("m/2", "production", "denied")]
    assert told(second) == [("m/2", "production", "moved")]
    make("m", reviewed="yes", approved="yes")
    assert told(vault.promote_candidates()) == [
        ("m/3", "staging", "moved"),
        ("m/3", "production", "moved"),
        ("m/2", "archived", "moved"),
    ]
    assert registry.aliases("m") == {"production": 3}
    assert told(vault.promote_candidates()) == []


def test_many(vault: Vault, registry: Registry, make: Callable[..., int]) -> None:
    """All that was replaced goes to the archive in one round, however much it is."""
    live = policy("live", "production", automatic=False)
    apply(vault, live, policy("next", "staging"))
    for number in range(1, 9):
        make("m")
        vault.releases.promote(f"m/{number}", to="production")
    make("m")
    apply(vault, ARCHIVE)

    found = vault.promote_candidates()

    assert told(found) == [
        ("m/9", "staging", "moved"),
        *((f"m/{number}", "archived", "moved") for number in range(1, 8)),
    ]
    assert registry.aliases("m") == {"production": 8, "staging": 9}


def test_leaves_no_trace(vault: Vault, make: Callable[..., int]) -> None:
    """A candidate that does not pass may be looked at for ever, and nothing is written."""
    apply(vault, STAGING, policy("two", "staging", automatic=False, approvals={"min": 2}))
    make("m")
    make("n", reviewed="yes")
    before = objects(vault.store)

    for _ in range(3):
        found = vault.promote_candidates()

    assert told(found) == [("m/1", "staging", "denied"), ("n/1", "staging", "waiting")]
    assert objects(vault.store) == before
    assert found.candidates[0].reasons[0].startswith("staged, require[0]: ")


def test_damaged(vault: Vault, make: Callable[..., int]) -> None:
    """A version whose bytes are damaged is denied, and leaves no trace either."""
    apply(vault, policy("whole", "staging", integrity={"verified": True}))
    make("m")
    records = [key for key in objects(vault.store) if key.startswith("versions/content/")]
    for key in records:
        body = bytearray(vault.store.get(key))
        body[-1] ^= 1
        vault.store.put(key, bytes(body))
    before = objects(vault.store)

    found = vault.promote_candidates()

    assert told(found) == [("m/1", "staging", "denied")]
    assert objects(vault.store) == before


def test_other_models_go_on(vault: Vault, make: Callable[..., int]) -> None:
    """A model whose ledger is damaged is told as failed, and the next one is moved."""
    apply(vault, STAGING)
    for name in ("a", "b"):
        make(name, reviewed="yes")
    vault.store.put(decision_key("a", 0), b"{}")

    found = vault.promote_candidates()

    assert told(found) == [("a", "", "failed"), ("b/1", "staging", "moved")]
    assert "is damaged" in found.failed[0].reasons[0]


def test_rolled_back(vault: Vault, registry: Registry, make: Callable[..., int]) -> None:
    """What was rolled back from is not promoted again, until a newer version comes."""
    apply(vault, policy("live", "production", from_="none"))
    make("m")
    vault.promote_candidates()
    make("m")
    vault.promote_candidates()
    vault.releases.rollback("m", reason="it is bad")
    assert registry.aliases("m") == {"production": 1}

    assert told(vault.promote_candidates()) == []
    make("m")
    assert told(vault.promote_candidates()) == [("m/3", "production", "moved")]


def test_back_from_the_archive(vault: Vault, registry: Registry, make: Callable[..., int]) -> None:
    """What was archived by itself may be rolled back to; what failed then goes to the archive."""
    apply(vault, policy("live", "production", from_="none"), ARCHIVE)
    for _ in range(2):
        make("m")
        vault.promote_candidates()
    assert next(vault.releases.decisions("m")).to == "archived"

    vault.releases.rollback("m", reason="it is bad")

    assert registry.aliases("m") == {"production": 1}
    assert told(vault.promote_candidates()) == [("m/2", "archived", "moved")]
    assert told(vault.promote_candidates()) == []


def test_together(vault: Vault, registry: Registry, make: Callable[..., int]) -> None:
    """Rounds at the same time move each version once."""
    apply(vault, STAGING, PRODUCTION, ARCHIVE)
    for name in ("m", "n"):
        make(name, reviewed="yes", approved="yes")
    start = Barrier(4)

    def round_(_: int) -> Round:
        mine = Vault(vault.store, vault.identity, host=lambda: registry)
        start.wait()
        return mine.promote_candidates()

    with ThreadPoolExecutor(4) as pool:
        rounds = list(pool.map(round_, range(4)))

    assert not [one for found in rounds for one in found.failed]
    moved = sorted((one.label, one.to) for found in rounds for one in found.moved)
    assert moved == [(f"{name}/1", to) for name in "mn" for to in ("production", "staging")]
    fates = {fate for found in rounds for _, _, fate in told(found)}
    assert fates <= {"moved", "overtaken"}
    for name in ("m", "n"):
        assert [one.to for one in vault.releases.decisions(name)] == ["production", "staging"]
        assert registry.aliases(name) == {"production": 1}


def test_never_back(vault: Vault, registry: Registry, make: Callable[..., int]) -> None:
    """Who planned before a newer version moved does not put the older one over it."""
    apply(vault, STAGING)
    make("m", reviewed="yes")
    slow = VaultDesk(vault.releases, vault.policies, lambda: registry, Caller(Actor("ann")))
    old = Candidate("m", 1, str(vault.version("m/1").digest), "staging", "it is new")
    make("m", reviewed="yes")
    vault.promote_candidates()
    before = objects(vault.store)

    for to in ("staging", "archived"):
        with pytest.raises(ConflictError, match="somebody else decided about m meanwhile"):
            slow.move(replace(old, to=to), "because")

    assert registry.aliases("m") == {"staging": 2}
    assert objects(vault.store) == before


def test_governed(
    vault: Vault, attach: Callable[..., Vault], registry: Registry, make: Callable[..., int]
) -> None:
    """A registry that decides by itself is asked, and told which decision was the newest known."""
    apply(vault, STAGING, ARCHIVE)
    make("m", reviewed="yes")
    asked: list[tuple[str, Mapping[str, Any]]] = []

    def perform(number: int, verb: str, body: Mapping[str, Any]) -> None:
        asked.append((verb, body))
        server = attach(vault.store)
        registry.performs.clear()  # the server's own registry is the plain database
        try:
            verbs: dict[str, Callable[..., object]] = {
                "promote": server.releases.promote,
                "archive": server.releases.archive,
            }
            verbs[verb](f"m/{number}", caller=Caller(Actor("ann", verified=True)), **body)
        finally:
            registry.performs["m"] = perform

    registry.performs["m"] = perform
    first = vault.promote_candidates()
    make("m", reviewed="yes")
    second = vault.promote_candidates()

    assert told(first) == [("m/1", "staging", "moved")]
    assert told(second) == [("m/2", "staging", "moved"), ("m/1", "archived", "moved")]
    assert [(verb, body["seen"]) for verb, body in asked] == [
        ("promote", -1),
        ("promote", 0),
        ("archive", 1),
    ]
    assert registry.aliases("m") == {"staging": 2}
    assert next(vault.releases.decisions("m")).actor == Actor("ann", verified=True)


def test_no_right(vault: Vault, make: Callable[..., int]) -> None:
    """Who may not release moves nothing, and is not noted at every round."""
    roles = {"kind": "Roles", "metadata": {"name": "us"}, "roles": {"releaser": {"users": ["bob"]}}}
    apply(vault, STAGING, Roles.model_validate(roles))
    make("m", reviewed="yes")
    before = objects(vault.store)

    found = vault.promote_candidates()

    assert told(found) == [("m/1", "staging", "denied")]
    assert "needs the right" in found.candidates[0].reasons[0]
    assert objects(vault.store) == before


def test_reason(vault: Vault, make: Callable[..., int]) -> None:
    """The decision says that it was automatic, and by which policy."""
    apply(vault, STAGING)
    make("m", reviewed="yes")

    vault.promote_candidates("m")

    (made,) = vault.releases.decisions("m")
    assert made.reason == "automatic, the newest version without a stage: staged"
    assert told(vault.promote_candidates("other")) == []
