"""Votes that are made up, come by a wrong clock, or while somebody looks: what counts of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mlflow_vault.decide.policy.roles import Roles
from mlflow_vault.errors import DeniedError, WaitingError
from mlflow_vault.format import layout
from mlflow_vault.format.log import Actor
from mlflow_vault.format.statement import Kind, Statement, signed_id
from mlflow_vault.govern.policies import read
from mlflow_vault.govern.release.approving.approval_payload import Proposal, Said
from mlflow_vault.govern.release.approving.approver_key import ApproverKey
from mlflow_vault.govern.release.approving.signed_approvals import sign_approval
from mlflow_vault.testing.promotions import HOUR, VOTES, caller
from mlflow_vault.testing.stores import SlowStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow_vault.decide.policy import Policy
    from mlflow_vault.format.version import Version
    from mlflow_vault.testing.promotions import Stage
    from mlflow_vault.testing.stores import Operation, T

TEXT = (
    "metadata: {name: to-production}\n"
    "transition: {to: production}\n"
    "approvals: {min: 1, roles: risk, mfa: MFA}\n"
)
RELEASER = caller("ann", "releaser")


def _setting(stage: Stage, mfa: str) -> tuple[Version, Policy, ApproverKey]:
    key, policy = ApproverKey.of(Ed25519PrivateKey.generate()), read(TEXT.replace("MFA", mfa))
    version = stage.version(author="eve")
    stage.vault.policies.apply(policy, "admin")
    body = {"risk": {"users": ["bob", "cat"]}, "releaser": {"users": ["ann"]}}
    roles = {"kind": "Roles", "roles": body, "keys": {"bob": key.public.pem}}
    stage.vault.policies.apply(Roles.model_validate(roles), "admin")
    return version, policy, key


def _made_up(stage: Stage, version: Version, policy: Policy) -> Statement:
    return Statement(
        vault=stage.vault.identity.id,
        model=version.name,
        number=version.number,
        digest=version.digest,
        kind=Kind.APPROVAL,
        id="0f" * 16,
        time=int(stage.time * 1000),
        actor=Actor("cat", verified=True),
        roles=("risk",),
        factor="totp",
        policies=(str(policy.digest),),
        body={"to": "production", "head": -1},
    )


def test_made_up(stage: Stage) -> None:
    """An approval that claims a one-time code is believed by `mfa: true`, never by `mfa: key`."""
    version, policy, key = _setting(stage, "key")
    stage.releases.around.statements.add(_made_up(stage, version, policy))

    with pytest.raises(WaitingError, match="cat: not signed by a key of theirs"):
        stage.releases.promote(version, to="production", caller=RELEASER)
    with pytest.raises(DeniedError, match="without a second factor"):
        stage.releases.approve(version, caller=caller("cat", "risk"))
    stage.releases.approve(version, key=key)
    assert stage.releases.promote(version, to="production", caller=RELEASER).passed


def test_held_back_and_put_there(stage: Stage) -> None:
    """What was signed before a move and put into the store behind it, past all verbs, is no yes."""
    version, policy, key = _setting(stage, "true")
    proposal = Proposal.of(stage.vault.identity.id, version, [policy])
    then = int(stage.time * 1000)
    held_back = sign_approval(proposal, Said("bob", then, "5f" * 16), key)
    stage.time += 60
    stage.releases.approve(version, key=key)
    stage.releases.promote(version, to="production", caller=RELEASER)
    stage.releases.archive(version, reason="it was bad", caller=RELEASER)

    made = replace(
        _made_up(stage, version, policy),
        id=signed_id(held_back),
        actor=Actor("bob", verified=True),
        factor="key",
        envelope=held_back,
        body={"to": "production", "head": 10**6},
    )
    stage.releases.around.statements.add(made)

    with pytest.raises(WaitingError, match="0 of 1"):
        stage.releases.promote(version, to="production", caller=RELEASER)


@pytest.mark.parametrize("ahead", [30, HOUR, 10 * 24 * HOUR])
def test_no_by_a_slower_clock(stage: Stage, ahead: float) -> None:
    """A no that is said after a yes counts, though the clock by which the yes was said is ahead."""
    version, _, key = _setting(stage, "true")
    stage.time += ahead
    stage.releases.approve(version, key=key)
    stage.time -= ahead - 1

    stage.releases.reject(version, key=key, reason="it learned the test set")

    for _ in range(2):
        with pytest.raises(DeniedError, match="rejected by bob"):
            stage.releases.promote(version, to="production", caller=RELEASER)
        stage.time += ahead + 1
    stage.releases.approve(version, key=key, reason="it did not")
    assert stage.releases.promote(version, to="production", caller=RELEASER).passed


class Meanwhile(SlowStore):
    """A store in which something happens once, while the bytes of a version are read."""

    def _around(self, operation: Operation, perform: Callable[[], T]) -> T:
        if operation.name == "get" and operation.key.startswith(
            (layout.PACKS, "versions/content/")
        ):
            happens, self._wait = self._wait, lambda: None
            happens()
        return perform()


VERIFIED = VOTES.replace("from: staging, ", "") + "integrity: {verified: true}\n"


def test_no_while_bytes_are_read(stage: Stage) -> None:
    """Who says no while somebody reads all bytes of a version is heard."""
    version = stage.version()
    stage.apply(VERIFIED)
    stage.releases.approve(version, caller=caller("bob"))
    stage.time += 1

    def refuse() -> None:
        stage.releases.reject(version, reason="it learned the test set", caller=caller("cat"))

    with pytest.raises(DeniedError, match="rejected by cat"):
        stage.at(Meanwhile(stage.store, refuse)).releases.promote(version, to="production")
    assert stage.aliases() == {}


def test_policy_while_bytes_are_read(stage: Stage) -> None:
    """What is applied while somebody reads all bytes of a version holds."""
    version = stage.version()
    stage.apply(VERIFIED)
    stage.releases.approve(version, caller=caller("bob"))

    def apply() -> None:
        strict = VERIFIED.replace("to-production", "strict")
        stage.apply(strict + "checks: [{python: 'no_such:check'}]\n")

    with pytest.raises(DeniedError, match="strict, "):
        stage.at(Meanwhile(stage.store, apply)).releases.promote(version, to="production")
    assert stage.aliases() == {}


def test_back_to_another_model(stage: Stage) -> None:
    """Nothing of another model is gone back to, though its files stood in production."""
    first, second, other = stage.version(), stage.version(), stage.version("fraud")
    stage.apply("metadata: {name: p}\ntransition: {to: production}\n")
    for version in (first, second, other):
        stage.releases.promote(version, to="production")

    with pytest.raises(DeniedError, match="fraud/1 is no version of credit"):
        stage.releases.rollback("credit", reason="bad", to="fraud/1")
    assert (stage.aliases(), stage.aliases("fraud")) == ({"production": 2}, {"production": 1})
