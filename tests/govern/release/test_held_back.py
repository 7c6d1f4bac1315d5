"""An approval that was signed and held back does not count after what it was meant for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mlflow_vault.decide.policy.roles import Roles
from mlflow_vault.errors import DeniedError, WaitingError
from mlflow_vault.govern.policies import read
from mlflow_vault.govern.release.approving.approval_payload import Proposal, Said
from mlflow_vault.govern.release.approving.approver_key import ApproverKey
from mlflow_vault.govern.release.approving.signed_approvals import sign_approval
from mlflow_vault.testing.promotions import caller

if TYPE_CHECKING:
    from mlflow_vault.testing.promotions import Stage

POLICY = read(
    "metadata: {name: to-production}\n"
    "transition: {to: production}\n"
    "approvals: {min: 1, roles: risk}\n"
)


def test_held_back(stage: Stage) -> None:
    """Handed in once the version was moved by another's approval, and taken out, it is refused."""
    version = stage.version(author="eve")
    key = ApproverKey.of(Ed25519PrivateKey.generate())
    stage.vault.policies.apply(POLICY, "admin")
    body = {"risk": {"users": ["bob", "cat"]}, "releaser": {"users": ["ann"]}}
    roles = {"kind": "Roles", "roles": body, "keys": {"bob": key.public.pem}}
    stage.vault.policies.apply(Roles.model_validate(roles), "admin")
    proposal = Proposal.of(stage.vault.identity.id, version, [POLICY])
    releaser = caller("ann", "releaser")

    held_back = sign_approval(proposal, Said("bob", int(stage.time * 1000), "5f" * 16), key)
    stage.time += 60
    stage.releases.approve(version, caller=caller("cat", "risk"))
    assert stage.releases.promote(version, to="production", caller=releaser).passed
    stage.releases.archive(version, reason="it was bad", caller=releaser)
    stage.time += 60

    with pytest.raises(DeniedError, match="it was signed before credit/1 moved to production"):
        stage.releases.approve(version, envelope=held_back)
    with pytest.raises(WaitingError):
        stage.releases.promote(version, to="production", caller=releaser)
    anew = sign_approval(proposal, Said("bob", int(stage.time * 1000), "60" * 16), key)
    stage.releases.approve(version, envelope=anew)
    assert stage.releases.promote(version, to="production", caller=releaser).passed
