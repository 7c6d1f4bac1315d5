"""A vault in which a version was promoted, with fixed keys, so that its bundle can be made.

The policy asks for two approvals by ``risk`` and for evidence; ``bob`` and ``cat`` approve.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from mlflow_vault.decide.policy import Approval, Context, Evidence, Policy, Subject, judge
from mlflow_vault.decide.transitions import Transition
from mlflow_vault.engine.world import World
from mlflow_vault.format.log import Action, Actor
from mlflow_vault.format.statement import Kind, Statement, signed_id
from mlflow_vault.govern.audit.keys import Signer
from mlflow_vault.govern.bundle.making import Ground, make
from mlflow_vault.govern.host import Held
from mlflow_vault.govern.policies.force import Force
from mlflow_vault.govern.records import Records
from mlflow_vault.govern.release.approving.approval_payload import Proposal, Said
from mlflow_vault.govern.release.approving.approver_key import ApproverKey
from mlflow_vault.govern.release.approving.signed_approvals import sign_approval
from mlflow_vault.govern.release.keeping.ledger import Ledger
from mlflow_vault.govern.release.keeping.statements import Statements
from mlflow_vault.govern.signing.judge import sign
from mlflow_vault.govern.signing.keys import Key, fingerprint
from mlflow_vault.govern.signing.trust import Trust
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.registry import Registry
from mlflow_vault.testing.vaults import write
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from mlflow_vault.decide.transitions import Showing
    from mlflow_vault.format.version import Version
    from mlflow_vault.govern.bundle.bundle import Bundle

FILES: Final = {"MLmodel": b"flavors: {}\n", "model/weights.bin": bytes(range(256))}
MODEL: Final = "credit"
APPROVERS: Final = ("bob", "cat")
POLICY: Final[dict[str, Any]] = {
    "kind": "PromotionPolicy",
    "metadata": {"name": "credit-production", "models": ["credit*"]},
    "transition": {"to": "production"},
    "evidence": [{"type": "test-result", "name": "holdout"}],
    "approvals": {"min": 2, "roles": ["risk"]},
}


class Fixed:
    """A clock that goes a second each time it is asked, and bytes that only look random."""

    def __init__(self, seed: int) -> None:
        self.time, self.drawn = 1_800_000_000.0 + 1000 * seed, 1_000_000 * seed

    def now(self) -> float:
        """Say what time it is."""
        self.time += 1
        return self.time

    def random(self, count: int) -> bytes:
        """Draw some bytes."""
        self.drawn += 1
        return sha256(b"drawn %d" % self.drawn).digest()[:count]


def private_key(user: str) -> ed25519.Ed25519PrivateKey:
    """A user's key, for tests alone."""
    return ed25519.Ed25519PrivateKey.from_private_bytes(sha256(user.encode()).digest())


def public_pem(user: str) -> bytes:
    """The public half of it."""
    return public_text(private_key(user).public_key())


def public_text(key: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey) -> bytes:
    """Spell a public key in PEM."""
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def model_key() -> ec.EllipticCurvePrivateKey:
    """The key that signs models, for tests alone."""
    return ec.derive_private_key(int.from_bytes(sha256(b"models").digest()[1:]), ec.SECP256R1())


def model_pem() -> bytes:
    """The public half of it."""
    return public_text(model_key().public_key())


def trust() -> Trust:
    """Whose signatures of models count."""
    return Trust((model_pem(),))


def keys() -> dict[str, list[str]]:
    """The public keys of approvers."""
    return {user: [public_pem(user).decode()] for user in APPROVERS}


def log_signer() -> Signer:
    """Who signs checkpoints."""
    return Signer("audit.example.com", private_key("log"))


@dataclass
class Promoted:
    """A vault with a promotion in it.

    Attributes:
        vault: The vault.
        version: What was promoted.
        ground: What its bundle is made from.
    """

    vault: Vault
    version: Version
    ground: Ground

    def bundle(self) -> Bundle:
        """Make the bundle of who stands in production."""
        return make(self.ground, MODEL, stage="production")


def promoted(*, signed: bool = True, checkpoint: bool = True, seed: int = 0) -> Promoted:
    """Make a model, approve it, and promote it.

    Args:
        signed: Whether the approvals are.
        checkpoint: Whether there is one.
        seed: Makes another vault, with another model and another policy.
    """
    clock, registry = Fixed(seed), Registry()
    world = World(random=clock.random, now=clock.now, threads=1, readers=1)
    store = MemoryStore("bundles")
    identity = Vault.init_at(store, world).identity
    vault = Vault(store, identity, world, host=lambda: registry)
    version = _committed(vault, registry, seed)
    force = Force(store, world, identity, vault.audit)
    made = Promoted(vault, version, Ground(store, world, identity, Records(store), force))
    described = {**POLICY["metadata"], **({"description": str(seed)} if seed else {})}
    policy = Policy.model_validate({**POLICY, "metadata": described})
    force.apply(policy, "ada")
    statements = Statements(store, world, identity)
    for user in APPROVERS:
        statements.add(_approval(made, policy, user, signed=signed))
    statements.add(_evidence(made))
    signature = sign(version, Key(model_key(), fingerprint(model_pem())))
    made.ground.records.put_signature(version, signature.name, signature.to_bytes())
    _promote(made, policy)
    if checkpoint:
        vault.audit.checkpoint(log_signer())
    return made


def _committed(vault: Vault, registry: Registry, seed: int) -> Version:
    model = f"m-{1:032x}"
    for path, plain in FILES.items():
        write(vault, f"1/models/{model}/artifacts/{path}", plain + b"\0" * seed)
    uri = f"models:/{model}"
    location = f"{vault.uri}/1/models/{model}/artifacts"
    registry.known[uri] = Held(uri, location, model_id=model, run_id=f"{1:032x}", experiment_id="1")
    return vault.commit(uri, name=MODEL)


def _approval(promoted: Promoted, policy: Policy, user: str, *, signed: bool) -> Statement:
    ground, version = promoted.ground, promoted.version
    made = Statement(
        vault=ground.identity.id,
        model=version.name,
        number=version.number,
        digest=version.digest,
        kind=Kind.APPROVAL,
        id=ground.world.random(16).hex(),
        time=int(ground.world.now() * 1000),
        actor=Actor(user, verified=True),
        roles=("risk",),
        policies=(str(policy.digest),),
        reason="looks good",
    )
    return seal(made, user) if signed else made


def seal(statement: Statement, user: str) -> Statement:
    """Sign what *statement* says with the key of *user*."""
    proposal = Proposal(
        statement.vault,
        statement.model,
        statement.number,
        statement.digest,
        "production",
        policies=statement.policies,
    )
    said = Said(statement.actor.name, statement.time, statement.id, reason=statement.reason)
    envelope = sign_approval(proposal, said, ApproverKey.of(private_key(user)))
    return replace(statement, id=signed_id(envelope), factor="key", envelope=envelope)


def _evidence(promoted: Promoted) -> Statement:
    ground, version = promoted.ground, promoted.version
    body = {"type": "test-result", "name": "holdout", "passed": True, "values": {"f1": 0.93}}
    return Statement(
        vault=ground.identity.id,
        model=version.name,
        number=version.number,
        digest=version.digest,
        kind=Kind.EVIDENCE,
        id=ground.world.random(16).hex(),
        time=int(ground.world.now() * 1000),
        actor=Actor("ci"),
        body=body,
    )


def _promote(promoted: Promoted, policy: Policy) -> None:
    ground, version = promoted.ground, promoted.version
    said = Statements(ground.store, ground.world, ground.identity).of(MODEL, version.digest)
    context = Context(
        now=int(ground.world.now() * 1000),
        requester="rel",
        approvals=tuple(_vote(one) for one in said if one.kind == Kind.APPROVAL),
        evidence=tuple(_result(one) for one in said if one.kind == Kind.EVIDENCE),
    )
    candidate = Subject(version.label, str(version.digest), MODEL, ("ann",), version.created)
    verdict = judge(policy, candidate, None, context)
    assert verdict.passed, str(verdict)
    decide(promoted, verdict.to_dict())


def decide(promoted: Promoted, *verdicts: dict[str, Any]) -> None:
    """Decide that the version is promoted, whatever the verdicts say; carry it out."""
    ground, version = promoted.ground, promoted.version
    ledger = Ledger(ground.store, ground.world, ground.identity, MODEL)
    transition = Transition(
        Action.PROMOTE,
        Actor("rel", verified=True),
        version.number,
        version.digest,
        "production",
        "it is better",
        verdicts,
    )
    ledger.decide(ledger.carry_out(promoted.vault.audit, _nothing), transition)
    ledger.carry_out(promoted.vault.audit, _nothing)


def _nothing(_: Showing) -> None:
    """Show it to nobody."""


def _vote(one: Statement) -> Approval:
    return Approval(
        one.actor.name,
        str(one.digest),
        one.policies[0],
        one.time,
        one.roles,
        authenticated=True,
        mfa=bool(one.factor),
        reason=one.reason,
    )


def _result(one: Statement) -> Evidence:
    told = one.body
    digest, passed = str(one.digest), told["passed"]
    return Evidence(told["type"], told["name"], digest, one.time, passed, told["values"], one.key)
