"""Makes a vote of what somebody says to a version: who it was, and whether it would count.

    who         whom a server authenticated, or whose key signed; a code is a second factor
    on what     every policy in force that asks for approvals of a move to that stage
    counts      under one of these at least, else it is refused

A signed vote counts as its key's owner's, whoever brings it, and is asked again each time it is
counted (`proving.shown_again`): a key that the roles no longer name speaks for nobody.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.decide.actors import same
from mlflow_vault.decide.policy.evidence import Context
from mlflow_vault.decide.policy.roles import Right
from mlflow_vault.decide.policy.rules.approvals import objection
from mlflow_vault.decide.policy.rules.case import Case
from mlflow_vault.errors import DeniedError, InvalidInputError, NotFoundError, UntrustedError
from mlflow_vault.format.log import Actor
from mlflow_vault.format.statement import Kind
from mlflow_vault.govern.policies.subjects import subject
from mlflow_vault.govern.release.approving.proving import KEY, moved_since
from mlflow_vault.govern.release.caller import Caller
from mlflow_vault.govern.release.context import approval
from mlflow_vault.govern.release.refusing import statement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mlflow_vault.decide.policy import Policy
    from mlflow_vault.decide.policy.roles import Roles
    from mlflow_vault.format.statement import Statement
    from mlflow_vault.format.version import Version
    from mlflow_vault.govern.release.approving.approver_key import ApproverKey
    from mlflow_vault.govern.release.surroundings import Surroundings
    from mlflow_vault.govern.signing.keys import Key

TOTP: Final = "totp"  # a second factor, as KEY is


@dataclass(frozen=True, slots=True)
class Given:
    """What somebody says to a version, and how they show who they are; see `Sayings.approve`."""

    kind: Kind
    to: str = ""
    reason: str = ""
    code: str = ""
    key: ApproverKey | Key | None = None
    envelope: Mapping[str, Any] | None = None
    caller: Caller | None = None
    request: str = ""


def asking(around: Surroundings, version: Version, to: str) -> tuple[Policy, ...]:
    """The policies that a vote is given under: those in force that ask for approvals.

    Raises:
        NotFoundError: None does.
        InvalidInputError: They lead to several stages, and nobody said to which.
    """
    found = [
        policy
        for policy in around.policies.policies_for(version.name, to)
        if policy.approvals is not None
    ]
    if not found:
        where = f" to {to}" if to else ""
        raise NotFoundError(
            f"no policy in force asks for approvals of {version.name!r}{where}: there is nothing "
            "to vote on"
        )
    stages = sorted({policy.transition.to for policy in found})
    if len(stages) > 1:
        raise InvalidInputError(f"say to which stage: to={' or to='.join(stages)}")
    return tuple(found)


def vote(
    around: Surroundings, version: Version, given: Given, policies: Sequence[Policy]
) -> Statement:
    """Return the vote; it is not kept yet.

    Raises:
        DeniedError: Who gives it may not, or it would count under none of *policies*.
        UntrustedError: What was signed does not hold, or not for this.
        InvalidInputError: It makes no sense.
    """
    caller = given.caller or around.caller()
    envelope = given.envelope or signed_here(around, version, given, policies)
    more: dict[str, Any] = {"policies": tuple(str(policy.digest) for policy in policies)}
    more["reason"] = given.reason
    if envelope is not None:
        caller, signed = _signed(around, version, envelope, given, policies)
        more |= signed
    elif given.code:
        more["factor"] = TOTP
    if not (given.kind == Kind.REJECTION and _is_author(version, caller.actor.name)):
        caller.need(Right.APPROVE, f"a vote about {version.label}")
    head = around.ledger(version.name).head()
    body = {"to": policies[0].transition.to, "head": head.sequence if head is not None else -1}
    made = statement(around, version, caller, given.kind, body=body, request=given.request, **more)
    made = _in_order(around, made)
    _refuse_vain(version, made, policies)
    if made.factor == TOTP:  # last, as it is used up
        _use(around, caller, given.code)
    return made


def signed_here(
    around: Surroundings, version: Version, given: Given, policies: Sequence[Policy]
) -> Mapping[str, Any] | None:
    """Sign with the key that was given; return the envelope that was given if none was.

    Raises:
        InvalidInputError: The roles in force do not say whose key it is.
    """
    if given.key is None:
        return given.envelope
    from mlflow_vault.govern.release.approving.approval_payload import Proposal, Said  # noqa: PLC0415
    from mlflow_vault.govern.release.approving.approver_key import ApproverKey  # noqa: PLC0415
    from mlflow_vault.govern.release.approving.signed_approvals import (  # noqa: PLC0415 - extra: sign
        sign_approval,
    )
    from mlflow_vault.govern.signing.keys import Key  # noqa: PLC0415 - extra: sign

    key = ApproverKey.of(given.key.private) if isinstance(given.key, Key) else given.key
    owners = [user for user, keys in _roles(around).keys.items() if key.public in keys]
    if not owners:
        raise InvalidInputError(
            "the roles in force do not say whose key this is: put its public half under `keys`"
        )
    said = Said(
        owners[0],
        around.now(),
        around.world.random(16).hex(),
        rejects=given.kind == Kind.REJECTION,
        reason=given.reason,
    )
    proposal = Proposal.of(around.vault.identity.id, version, policies)
    return sign_approval(proposal, said, key)


def _signed(
    around: Surroundings,
    version: Version,
    envelope: Mapping[str, Any],
    given: Given,
    policies: Sequence[Policy],
) -> tuple[Caller, dict[str, Any]]:
    from mlflow_vault.govern.release.approving.approval_payload import Proposal  # noqa: PLC0415
    from mlflow_vault.govern.release.approving.signed_approvals import (  # noqa: PLC0415 - extra: sign
        verify_approval,
    )

    roles, actor = _roles(around), given.caller.actor if given.caller else Actor()
    signed = verify_approval(
        envelope,
        roles,
        Proposal.of(around.vault.identity.id, version, policies),
        around.now(),
        actor.name if actor.verified else "",
    )
    said = signed.said
    if said.rejects is not (given.kind == Kind.REJECTION):
        raise InvalidInputError("what was signed is the opposite of what is asked for")
    if not said.rejects:
        _refuse_old(around, version, signed.proposal.to, said.time)
    who = Caller(Actor(said.actor, verified=True), signed.roles, roles.rights_of(signed.roles))
    return who, {
        "id": signed.id,
        "envelope": dict(signed.envelope),
        "policies": signed.proposal.policies,
        "reason": said.reason,
        "factor": KEY,
    }


def _refuse_old(around: Surroundings, version: Version, to: str, signed: int) -> None:
    """Refuse an approval that was signed before the version moved there last, and held back.

    Raises:
        UntrustedError: It was: it would let the version move there again.
    """
    ledger = around.ledger(version.name)
    if moved_since(ledger, ledger.head(), version.digest, to, signed):
        raise UntrustedError(
            f"it was signed before {version.label} moved to {to} the last time, and an approval "
            "counts once: sign it anew"
        )


def _use(around: Surroundings, caller: Caller, code: str) -> None:
    """Insist that a one-time code is right, and use it up.

    Raises:
        DeniedError: It is not, or nobody authenticated who gives it.
    """
    from mlflow_vault.govern.release.approving.factors import Codes  # noqa: PLC0415 - extra: mfa

    if not caller.actor.verified:
        raise DeniedError(f"nobody authenticated {caller.actor}, so a code shows nothing")
    vault = around.vault
    codes = Codes.from_environment(vault.store, around.world, vault.identity, around.environment)
    codes.use(caller.actor.name, code)


def _roles(around: Surroundings) -> Roles:
    roles = around.policies.roles()
    if roles is None:
        raise InvalidInputError(
            "no roles are in force, so nobody says whose key it is: mlflow-vault policy apply"
        )
    return roles


def _refuse_vain(version: Version, made: Statement, policies: Sequence[Policy]) -> None:
    candidate = subject(version)
    why: list[str] = []
    for policy in policies:
        digest = str(policy.digest)
        case = Case(policy, digest, candidate, None, Context(now=made.time))
        reason = policy.approvals and objection(case, policy.approvals, approval(made, digest))
        if not reason:
            return
        why.append(f"{policy.name}, approvals: {reason}")
    raise DeniedError(f"the {made.kind} by {made.actor} does not count: {'; '.join(why)}")


def _in_order(around: Surroundings, made: Statement) -> Statement:
    """Return a vote that comes behind what the same person said before, by whatever clock."""
    rejects, who = made.kind == Kind.REJECTION, same(made.actor.name)
    opposite = Kind.APPROVAL if rejects else Kind.REJECTION
    said = around.statements.of(made.model, made.digest)
    # Of a yes and a no at the same time the no counts.
    before = [
        one.time + (not rejects)
        for one in said
        if one.kind == opposite and same(one.actor.name) == who
    ]
    return replace(made, time=max([made.time, *before]))


def _is_author(version: Version, name: str) -> bool:
    return same(name) in {same(one) for one in subject(version).authors if one}
