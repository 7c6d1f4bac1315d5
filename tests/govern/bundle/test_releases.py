"""What `Vault.promote` and its kin decide is what a bundle proves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from google.protobuf.json_format import ParseDict  # type: ignore[import-untyped]
from in_toto_attestation.predicates.vsa.v1 import vsa_pb2  # type: ignore[import-untyped]
from in_toto_attestation.v1 import statement_pb2  # type: ignore[import-untyped]
from in_toto_attestation.v1.statement import Statement  # type: ignore[import-untyped]
from promoted import APPROVERS, Fixed, keys, log_signer, private_key, public_pem

from mlflow_vault.decide.policy import Policy
from mlflow_vault.decide.policy.roles import Roles
from mlflow_vault.engine.world import World
from mlflow_vault.format.log import Actor
from mlflow_vault.govern.bundle.claims import Proof, Standing
from mlflow_vault.govern.bundle.verifying import verify_bundle
from mlflow_vault.govern.host import Held
from mlflow_vault.govern.release.approving.approver_key import ApproverKey
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.registry import Registry
from mlflow_vault.testing.vaults import write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from mlflow_vault.govern.bundle.bundle import Bundle
    from mlflow_vault.govern.release.caller import Caller

_POLICY: Final[dict[str, Any]] = {
    "kind": "PromotionPolicy",
    "metadata": {"name": "credit", "models": ["credit"]},
    "transition": {"to": "production"},
    "metrics": {"accuracy": {"threshold": 0.9, "greater_is_better": True}},
    "integrity": {"verified": True},
    "evidence": [{"type": "test-result", "name": "holdout", "max_age": "7d"}],
    "approvals": {"min": 2, "roles": ["risk"], "mfa": True, "expires": "72h"},
}
_ROLES: Final[dict[str, Any]] = {
    "kind": "Roles",
    "roles": {
        "risk": {"users": list(APPROVERS)},
        "releaser": {"users": ["rel"]},
        "contributor": {"users": ["ci"]},
    },
    "keys": {user: public_pem(user).decode() for user in APPROVERS},
}


@pytest.fixture
def vault() -> Vault:
    """A vault with a version of a model that a policy is for."""
    clock, registry, store = Fixed(0), Registry(), MemoryStore("released")
    world = World(random=clock.random, now=clock.now, threads=1, readers=1)
    vault = Vault(store, Vault.init_at(store, world).identity, world, host=lambda: registry)
    model = f"m-{1:032x}"
    write(vault, f"1/models/{model}/artifacts/MLmodel", b"flavors: {}\n")
    location = f"{vault.uri}/1/models/{model}/artifacts"
    registry.told[location] = {"metrics": {"accuracy": 0.95}, "run": {"user": "ann"}}
    registry.known[f"models:/{model}"] = Held(f"models:/{model}", location, model_id=model)
    vault.commit(f"models:/{model}", name="credit")
    vault.policies.apply(Policy.model_validate(_POLICY), "ada")
    vault.policies.apply(Roles.model_validate(_ROLES), "ada")
    return vault


def _caller(vault: Vault, user: str) -> Caller:
    return vault.policies.caller(Actor(user, verified=True))


def _promoted(vault: Vault) -> Bundle:
    releases = vault.releases
    for user in APPROVERS:
        key = ApproverKey.of(private_key(user))
        releases.approve("credit/1", key=key, reason="fine", caller=_caller(vault, user))
    releases.evidence(
        "credit/1",
        type="test-result",
        name="holdout",
        passed=True,
        values={"f1": 0.9},
        caller=_caller(vault, "ci"),
    )
    releases.promote("credit/1", to="production", reason="better", caller=_caller(vault, "rel"))
    vault.audit.checkpoint(log_signer())
    return vault.bundle("credit", stage="production")


def _verify(bundle: Bundle) -> Proof:
    return verify_bundle(bundle.to_bytes(), [log_signer().public], approvers=keys())


def test_promotion(vault: Vault) -> None:
    """A promotion by signed approvals is proven, and all but its metrics is judged again."""
    proof = _verify(_promoted(vault))

    assert proof.holds, str(proof)
    for about in ("decision", "version", "policy credit", "approvals credit"):
        claim = proof.about(about)
        assert claim is not None
        assert claim.standing is Standing.PROVEN, str(proof)
    verdict = proof.about("verdict credit")
    assert verdict is not None
    assert "7 rules, of which 6 were judged again" in verdict.text
    evidence = proof.about("evidence holdout")
    assert evidence is not None
    assert "by 'ci'" in evidence.text


def test_archived(vault: Vault) -> None:
    """A decision that no policy was asked about is proven, and its bundle says so."""
    _promoted(vault)
    vault.releases.archive("credit/1", reason="old", caller=_caller(vault, "rel"))
    vault.audit.checkpoint(log_signer())

    proof = _verify(vault.bundle("credit", decision=1))

    assert proof.holds, str(proof)
    assert proof.decision is not None
    assert proof.decision.to == "archived"
    assert proof.about("verdict") is not None


def test_summaries(vault: Vault) -> None:
    """Its summaries are in-toto statements, as the reference implementation reads them."""
    (told,) = _promoted(vault).summaries

    statement = Statement.copy_from_pb(ParseDict(told, statement_pb2.Statement()))
    # The reference reads one text where the specification has several.
    predicate = {key: one for key, one in told["predicate"].items() if key != "verifiedLevels"}
    read = ParseDict(predicate, vsa_pb2.VerificationSummary())

    statement.validate()
    assert told["predicate"]["verifiedLevels"] == ["MLFLOW_VAULT_POLICY"]
    assert read.verification_result == "PASSED"
    assert len(read.input_attestations) == 3
    assert read.policy.digest["sha256"]
