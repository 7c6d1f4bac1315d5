"""What is in force is what was applied last, whoever raced, died or lied."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlflow_vault.decide.policy.roles import Right, Roles
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
from mlflow_vault.format.governed_layout import policy_key
from mlflow_vault.format.log import Actor
from mlflow_vault.format.record import Identity
from mlflow_vault.govern.audit.audit import Audit
from mlflow_vault.govern.policies import read, read_document
from mlflow_vault.govern.policies.force import Force
from mlflow_vault.govern.policies.shelf import parse, spelled
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.stores import CountingStore, Fault, FaultKind, FaultyStore, Killed
from mlflow_vault.vault import Vault

ADA: Final = Actor("ada", verified=True)
ROLES: Final = "kind: Roles\nroles: {risk: {users: bob}, admin: {users: ada}}\n"


def force_at(store: Any = None) -> Force:
    """What is in force in a store."""
    return Vault.init_at(store if store is not None else MemoryStore("models")).policies


def policy(name: str = "p", threshold: float = 0.5, **more: Any) -> Any:
    """A policy; the threshold tells one from another."""
    text = (
        f"metadata: {{name: {name}, models: {more.get('models', 'credit-*')}}}\n"
        f"transition: {more.get('transition', '{to: production}')}\n"
        f"metrics: {{f1: {{threshold: {threshold}, greater_is_better: true}}}}\n"
    )
    return read(text + more.get("examples", ""))


def logged(vault: Vault) -> list[tuple[str, str, Any, Any]]:
    """What the audit log has."""
    return [
        (str(one.action), one.subject.name, one.before, one.after) for one in vault.audit.search()
    ]


def test_apply() -> None:
    """What is applied is in force, in place of what was; the log has digests before and after."""
    vault = Vault.init_at(MemoryStore("models"))
    force, first, second = vault.policies, policy(), policy(threshold=0.6)

    assert force.policies() == ()
    assert force.roles() is None
    assert force.apply(first, ADA).number == 0
    assert force.apply(second, "bob").number == 1

    assert vault.policies.policies() == (second,)
    assert force.get(first.digest) == first
    assert [one.document for one in force.history("p")] == [first, second]
    assert logged(vault) == [
        (
            "policy",
            "p",
            {"digest": None, "number": None},
            {"digest": str(first.digest), "number": 0},
        ),
        (
            "policy",
            "p",
            {"digest": str(first.digest), "number": 0},
            {"digest": str(second.digest), "number": 1},
        ),
    ]
    assert [one.actor for one in vault.audit.search()] == [ADA, Actor("bob", verified=False)]


def test_again() -> None:
    """What is in force already stays as it is, and nothing is logged."""
    vault = Vault.init_at(MemoryStore("models"))
    vault.policies.apply(policy(), ADA)

    again = vault.policies.apply(policy(), ADA)

    assert (again.changed, again.number) == (False, 0)
    assert len(logged(vault)) == 1


def test_withdraw() -> None:
    """What is withdrawn is in force no longer, can be read still, and applied again."""
    vault = Vault.init_at(MemoryStore("models"))
    force = vault.policies
    force.apply(policy(), ADA)

    assert force.withdraw("p", ADA).changed
    assert not force.withdraw("p", ADA).changed

    assert force.documents() == ()
    assert force.get(policy().digest) == policy()
    assert force.apply(policy(), ADA).number == 2
    assert [after["digest"] for _, _, _, after in logged(vault)] == [
        str(policy().digest),
        None,
        str(policy().digest),
    ]
    with pytest.raises(NotFoundError, match="nothing was ever applied under the name 'q'"):
        force.withdraw("q", ADA)
    with pytest.raises(NotFoundError, match="nothing was ever applied"):
        force.history("q")
    with pytest.raises(NotFoundError, match="was ever applied in"):
        force.get("b3:" + "0" * 64)


def test_roles() -> None:
    """Roles are in force beside policies, logged as such, and say who has which."""
    vault = Vault.init_at(MemoryStore("models"))
    force = vault.policies
    force.apply(policy(), ADA)
    force.apply(read_document(ROLES), ADA)

    assert force.policies() == (policy(),)
    assert isinstance(force.roles(), Roles)
    assert force.caller(Actor("bob", verified=True)).roles == ("risk",)
    assert force.caller(Actor("bob", verified=False)).roles == ()
    assert Right.ADMINISTER in force.claimed("ada").rights
    assert logged(vault)[-1][:2] == ("role", "roles")
    force.withdraw("roles", ADA)
    assert force.roles() is None
    assert logged(vault)[-1][:2] == ("role", "roles")


def test_one_document_of_roles() -> None:
    """There are no two roles in force, and no name is both a policy's and roles'."""
    force = force_at()
    force.apply(read_document(ROLES), ADA)

    with pytest.raises(InvalidInputError, match="the roles 'roles' are in force, and there are no"):
        force.apply(read_document(ROLES + "metadata: {name: others}"), ADA)
    with pytest.raises(InvalidInputError, match="'roles' is in force as Roles: withdraw it"):
        force.apply(policy("roles"), ADA)
    force.withdraw("roles", ADA)
    force.apply(policy("roles"), ADA)


def test_two_roles_by_a_race() -> None:
    """If two documents of roles came about at once, nobody has any until one is withdrawn."""
    store = MemoryStore("models")
    force = force_at(store)
    force.apply(read_document(ROLES), ADA)
    other = read_document(ROLES + "metadata: {name: others}")
    store.create(policy_key("others", 0), spelled(other))

    with pytest.raises(ConflictError, match="two roles are in force, 'others' and 'roles'"):
        force.caller(ADA)
    force.withdraw("others", ADA)
    assert force.roles() is not None


def test_policies_for() -> None:
    """Policies are found by model, stage and kind; in every workspace unless they name one."""
    force = force_at()
    for one in (
        policy("a"),
        policy("b", models="'risk:*'", transition="{to: staging}"),
        policy("c", models="'*'", transition="{to: production, kind: rollback}"),
    ):
        force.apply(one, ADA)

    def names(*asked: str) -> list[str]:
        return [one.name for one in force.policies_for(*asked)]

    assert names("credit-x") == names("team:credit-x") == ["a", "c"]
    assert names("risk:credit-x") == ["a", "b", "c"]
    assert names("risk:credit-x", "production") == ["a", "c"]
    assert names("risk:credit-x", "production", "rollback") == ["c"]
    assert names("fraud") == ["c"]


def test_failing_examples() -> None:
    """A policy that does not say what its examples expect is not applied, nor logged."""
    vault = Vault.init_at(MemoryStore("models"))
    wrong = policy(
        examples="examples: [{name: n, given: {candidate: {metrics: {f1: .nan}}}, expect: passed}]"
    )

    with pytest.raises(InvalidInputError, match="1 of its 1 examples fail: 'n': expected passed"):
        vault.policies.apply(wrong, ADA)

    assert vault.policies.documents() == ()
    assert logged(vault) == []


def test_unspellable() -> None:
    """What would not read back as it is, is not applied, nor logged."""
    vault = Vault.init_at(MemoryStore("models"))

    with pytest.raises(InvalidInputError, match="cannot be kept"):
        vault.policies.apply(policy(threshold=1e300), ADA)

    assert logged(vault) == []


def test_names() -> None:
    """Names that differ in case alone are two, as keys have it too."""
    force = force_at()
    force.apply(policy("P"), ADA)
    force.apply(policy("p"), ADA)

    assert [one.name for one in force.policies()] == ["P", "p"]


@settings(deadline=None, max_examples=30)
@given(
    deeds=st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([None, 0.1, 0.2])), max_size=12)
)
def test_last_one_counts(deeds: list[tuple[str, float | None]]) -> None:
    """Whatever was applied and withdrawn: what is in force is what a dictionary would hold."""
    store = MemoryStore("models")
    Vault.init_at(store)
    held: dict[str, float] = {}
    known: set[str] = set()
    for name, threshold in deeds:
        force = force_at(store)
        if threshold is not None:
            force.apply(policy(name, threshold), ADA)
            held[name] = threshold
            known.add(name)
        elif name in known:
            force.withdraw(name, ADA)
            held.pop(name, None)

    found = {one.name: one.metrics["f1"].threshold for one in force_at(store).policies()}
    assert found == held


def test_race() -> None:
    """Of those who apply at the same time one wins each number, and the others are told."""
    store = MemoryStore("models")
    Vault.init_at(store)
    ends: list[str] = []
    start = threading.Barrier(8)

    def apply(threshold: float) -> None:
        force = force_at(store)
        start.wait()
        try:
            force.apply(policy(threshold=threshold), ADA)
        except ConflictError:
            ends.append("lost")
        else:
            ends.append("won")

    threads = [threading.Thread(target=apply, args=(0.1 + each / 100,)) for each in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    history = force_at(store).history("p")
    assert len(history) == ends.count("won") >= 1
    assert len(ends) == 8
    digests = {(one.number, str(one.digest)) for one in history}
    entries = {(one.after["number"], one.after["digest"]) for one in Vault.at(store).audit.search()}
    assert digests <= entries  # nothing is in force that the log does not have


@pytest.mark.parametrize("kind", list(FaultKind))
@pytest.mark.parametrize("step", range(1, 13))
def test_every_request_fails(step: int, kind: FaultKind) -> None:
    """Whichever request fails: what is in force is logged, and applying again succeeds."""
    store = MemoryStore("models")
    Vault.init_at(store)
    faulty = FaultyStore(store, [Fault(kind, step)])
    with suppress(VaultError, Killed):
        force_at(faulty).apply(policy(), ADA)

    vault = Vault.at(store)
    entries = {one.after["digest"] for one in vault.audit.search()}
    assert {str(one.digest) for one in vault.policies.documents()} <= entries
    assert vault.policies.apply(policy(), ADA).digest == policy().digest
    assert vault.policies.policies() == (policy(),)


def test_store_without_conditional_create() -> None:
    """Where what is created could be replaced, nothing is applied."""
    store = MemoryStore("models")
    identity = Identity(id="0" * 32, conditional_create=False)
    force = Force(store, World(), identity, Audit(store, World(), identity))

    with pytest.raises(UnsupportedError, match="a policy could vanish there"):
        force.apply(policy(), ADA)


def test_requests() -> None:
    """A look costs one listing once a process has read what is in force."""
    store = CountingStore(MemoryStore("models"))
    force = force_at(store)
    for name in ("a", "b", "c"):
        force.apply(policy(name), ADA)
    Vault.at(store).policies.policies()
    store.reset()

    Vault.at(store).policies.policies_for("credit-x")

    assert store.total == 2  # a listing, and vault.json to open it


ODD: Final = {
    b"": "it is no canonical JSON",
    b"{": "it is no canonical JSON",
    b' {"kind":"Roles"}': "it is no canonical JSON",
    b'{"kind":"Roles","kind":"Roles"}': "it is no canonical JSON",
    b"x" * 300_000: "too many for a policy",
}


@pytest.mark.parametrize("stored", ODD)
def test_damaged(stored: bytes) -> None:
    """What is damaged is an error, and never passed over."""
    store = MemoryStore("models")
    force = force_at(store)
    store.create(policy_key("p", 0), stored)

    with pytest.raises(CorruptionError, match=ODD[stored]):
        force.policies()
    with pytest.raises(CorruptionError):
        force.apply(policy("q"), ADA)


def test_of_a_later_release() -> None:
    """What this release does not understand is an error, too: it may be what forbids."""
    for stored in (b'{"kind":"Quota"}', b"[]", b"1", spelled(policy())[:-1] + b',"zeal":1}'):
        with pytest.raises(UnsupportedError, match=r"needs a newer release|upgrade"):
            parse(stored, "p", "policies/p!/0")


def test_another_spelling() -> None:
    """A document under another name, or that is spelled otherwise than it would be, is damaged."""
    with pytest.raises(CorruptionError, match="it is called 'p'"):
        parse(spelled(policy()), "q", "policies/q!/0")
    spelled_out = spelled(policy()).replace(b'"transition"', b'"mode":"enforce","transition"')
    with pytest.raises(CorruptionError, match="it has another spelling"):
        parse(spelled_out, "p", "policies/p!/0")


def test_missing() -> None:
    """One that was taken away, or put among policies, is noticed."""
    store = MemoryStore("models")
    force = force_at(store)
    force.apply(policy(), ADA)
    force.apply(policy(threshold=0.7), ADA)
    store.delete(policy_key("p", 0))

    with pytest.raises(CorruptionError, match="what was applied before it is missing"):
        force.policies()
    store.create(policy_key("p", 0), spelled(policy()))
    store.create("policies/readme", b"x")
    with pytest.raises(CorruptionError, match="it is no key of a policy"):
        force.policies()


def test_store_down() -> None:
    """A store that fails is an error: nothing is taken for not in force."""
    store = MemoryStore("models")
    force_at(store).apply(policy(), ADA)
    vault = Vault.at(FaultyStore(store, [Fault(FaultKind.ERROR_BEFORE, operation="list")]))

    with pytest.raises(StorageError):
        vault.policies.policies()
