"""Approvals and rejections that their speaker's own key signed: an in-toto statement in DSSE.

    approver_key.py      the keys
    approval_payload.py  what is signed
    envelope.py          what is around it

The key says who it was, whoever brought the envelope, so it counts as somebody whom a server
authenticated and as a second factor.  It holds for one version, one stage, the policies that it
names and one vault, for some days; its id is that of the signed bytes, so it is kept, and counts,
once.  What of it is asked again when it is counted is the statement beside the version:
`agrees_with`.

Signing and verifying ask no store, no MLflow and no network.  Needs the extra ``sign``.  Written
down in docs/policies.md, "Second factors".
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.decide.policy.durations import moment, rough
from mlflow_vault.errors import UntrustedError
from mlflow_vault.format.statement import Kind, signed_id
from mlflow_vault.govern.release.approving.approval_payload import (
    Proposal,
    Said,
    parse_approval,
    spell_approval,
)
from mlflow_vault.govern.release.approving.approver_key import is_by
from mlflow_vault.govern.release.approving.envelope import Envelope, signed_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mlflow_vault.decide.policy.public_keys import PublicKey
    from mlflow_vault.decide.policy.roles import Roles
    from mlflow_vault.format.statement import Statement
    from mlflow_vault.govern.release.approving.approver_key import ApproverKey

OLDEST: Final = 7 * 86_400_000  # milliseconds between signing and keeping
AHEAD: Final = 60_000  # milliseconds that the signer's clock may be ahead


@dataclass(frozen=True, slots=True)
class SignedApproval:
    """What somebody signed; the signature holds.

    Attributes:
        proposal: What it is about.
        said: By whom, when, and what.
        key: The public key that it was signed with.
        id: Of the signed bytes: what a statement that keeps it is called.
        envelope: As it was given.
        roles: Which roles its actor has, by name, in the roles that it was verified with.
    """

    proposal: Proposal
    said: Said
    key: PublicKey
    id: str
    envelope: Mapping[str, Any] = field(hash=False, repr=False)
    roles: tuple[str, ...] = ()

    def agrees_with(self, statement: Statement) -> bool:
        """Whether *statement*, which claims to keep this, says of it nothing that was not signed.

        Its time may be later: it is when it was kept, and a no may be kept as of later still, so
        that it is behind a yes.  Its roles are not signed: ask the roles.
        """
        asked, said = self.proposal, self.said
        waited = statement.time - said.time
        kind = Kind.REJECTION if said.rejects else Kind.APPROVAL
        return (
            statement.envelope == self.envelope
            and statement.id == self.id
            and statement.kind == kind
            and (statement.vault, statement.digest) == (asked.vault, asked.digest)
            and (statement.model, statement.number) == (asked.model, asked.number)
            and (statement.actor.name, statement.reason) == (said.actor, said.reason)
            and set(statement.policies) <= set(asked.policies)
            and waited >= -AHEAD
            and (said.rejects or waited <= OLDEST)
        )


def sign_approval(proposal: Proposal, said: Said, key: ApproverKey) -> dict[str, Any]:
    """Sign what somebody says to a proposal; returns the DSSE envelope, as JSON.

    Args:
        proposal: What it is about.
        said: What is said, and by whom.
        key: The private key of whom *said* names.

    Raises:
        InvalidInputError: It says what nobody would read: no actor, a reason that is too long.
    """
    payload = spell_approval(proposal, said)
    proof = key.sign(signed_bytes(payload))
    return Envelope(payload, key.public.fingerprint, proof).to_dict()


def open_approval(
    envelope: Mapping[str, Any] | bytes | str, keys: Mapping[str, Iterable[PublicKey]]
) -> SignedApproval:
    """Return what an envelope says, if a key of whom it names signed it; believes nothing else.

    Args:
        envelope: From anybody.
        keys: The public keys of each user.

    Raises:
        InvalidInputError: It is no signed approval.
        UntrustedError: No key of its actor signed it, or it was changed since.
    """
    opened = Envelope.parse(envelope)
    proposal, said = parse_approval(opened.payload)
    known = {key.fingerprint: key for key in keys.get(said.actor, ())}
    key = known.get(opened.keyid)
    if key is None:
        raise UntrustedError(
            f"{said.actor!r} has no key {opened.keyid[:64]!r}: name its public half in the `keys` "
            "of the roles"
        )
    if not is_by(key, opened.proof, signed_bytes(opened.payload)):
        raise UntrustedError(
            f"the signature is not by the key of {said.actor!r}, or what it is of was changed since"
        )
    told = opened.to_dict()
    return SignedApproval(proposal, said, key, signed_id(told), told)


def verify_approval(
    envelope: Mapping[str, Any] | bytes | str,
    roles: Roles,
    proposal: Proposal,
    now: int,
    actor: str = "",
) -> SignedApproval:
    """Return what an envelope says to *proposal*, with the roles of whom it names.

    That it was not given before is for whoever keeps it to say: by its `id`.  A rejection may be
    given under other policies, or none, as it holds under all.

    Args:
        envelope: From anybody.
        roles: Who has which keys and roles.
        proposal: What is asked.
        now: When it was handed in, in milliseconds since 1970.
        actor: Who handed it in, if somebody authenticated them: nobody hands in for others.

    Raises:
        InvalidInputError: It is no signed approval.
        UntrustedError: It does not hold, or not for this; the message says why.
    """
    signed = open_approval(envelope, roles.keys)
    objections = [*_objections(signed, proposal, now)]
    if actor not in {"", signed.said.actor}:
        objections.insert(0, f"it is by {signed.said.actor!r}, and {actor!r} handed it in")
    if objections:
        raise UntrustedError(f"the signed approval does not hold here: {'; '.join(objections)}")
    return replace(signed, roles=roles.roles_of(signed.said.actor))


def _objections(signed: SignedApproval, asked: Proposal, now: int) -> Iterator[str]:
    given, said = signed.proposal, signed.said
    if given.vault != asked.vault:
        yield f"it is for the vault {given.vault!r:.80}"
    if (given.label, given.digest) != (asked.label, asked.digest):
        yield f"it is for {given.label} ({given.digest}), not {asked.label} ({asked.digest})"
    if given.to != asked.to:
        yield f"it is for {given.to}, not for {asked.to}"
    if not said.rejects and not given.policies:
        yield "it names no policy"
    if not said.rejects and not set(given.policies) <= set(asked.policies):
        yield "it was given under another policy, or before one was changed"
    if said.time > now + AHEAD:
        yield f"it was signed in the future, at {moment(said.time)}: are the clocks right?"
    if now - said.time > OLDEST:
        yield f"it was signed {rough(now - said.time)} ago, and {rough(OLDEST)} are the most"
