"""Collects what is known when a version is to be moved: what policies are asked with.

    where it stands     the ledger says; MLflow only of models about which nothing was decided yet
    approvals           statements of this very version; used up once it moved there
    evidence            statements of this very version
    integrity           read if a policy asks and nothing else denies (`govern.policies.judging`)

A vote counts once: what was said before the last decision that moved these very files to the same
stage is used up.  A no stays until whoever said it says yes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.decide.actors import same
from mlflow_vault.decide.policy.evidence import Approval, Context, Evidence, Finding, Stay
from mlflow_vault.decide.transitions import ARCHIVED, STAGES
from mlflow_vault.errors import CorruptionError, NotFoundError
from mlflow_vault.format.statement import Kind
from mlflow_vault.govern.index.known import STAGE
from mlflow_vault.govern.policies.judging import Question
from mlflow_vault.govern.policies.subjects import subject
from mlflow_vault.govern.release.approving.proving import KEY, shown_again

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mlflow_vault.decide.policy import Policy
    from mlflow_vault.decide.policy.evidence import Subject
    from mlflow_vault.format.decision import Decision, Stand
    from mlflow_vault.format.statement import Statement
    from mlflow_vault.format.version import Version
    from mlflow_vault.govern.host import Held
    from mlflow_vault.govern.references import Reference
    from mlflow_vault.govern.release.keeping.ledger import Ledger
    from mlflow_vault.govern.release.surroundings import Surroundings

ROLLBACK: Final = "rollback"
_VOTES: Final = {Kind.APPROVAL, Kind.REJECTION}


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to happen to a version.

    Attributes:
        version: The version.
        to: The stage.
        kind: ``promotion``, ``archival`` or ``rollback``.
        requester: The name of who asks; empty if nobody knows.
        baseline: What it is compared with, if it is not what the policy says.
        shown: Whether it only makes sense if MLflow has the version.
    """

    version: Version
    to: str
    kind: str
    requester: str = ""
    baseline: Reference = ""
    shown: bool = False


def questions(
    around: Surroundings, wish: Wish, policies: Sequence[Policy], head: Decision | None
) -> tuple[Question, ...]:
    """Return what each of *policies* is to be asked.

    Args:
        around: Where it happens.
        wish: What is wanted.
        policies: Those that are asked.
        head: The newest decision about the model.

    Raises:
        NotFoundError: MLflow has not the version, or a baseline was asked for that is not there.
    """
    version = wish.version
    held = held_of(around, version)
    if wish.shown and held is None:
        raise NotFoundError(
            f"MLflow at {around.host().uri} has no {version.label} that is {version.digest}, so "
            f"it cannot show it in {wish.to}: register it again, or promote another one"
        )
    said = around.statements.of(version.name, version.digest) if version.name else ()
    votes = shown_again(around, wish, unspent(around, wish, said, head), head)
    candidate = _standing(subject(version, held), version, head)
    common = Context(
        now=around.now(),
        requester=wish.requester,
        signed=around.signed(version),
        evidence=tuple(_evidence(one) for one in said if one.kind == Kind.EVIDENCE),
        stays=_stays(around, wish, head),
    )
    found = []
    for policy in policies:
        approvals = tuple(approval(one, str(policy.digest)) for one in votes)
        against = _baseline(around, wish, policy, head)
        context = replace(common, approvals=approvals)
        found.append(Question(policy, candidate, against, context))
    return tuple(found)


def unspent(
    around: Surroundings, wish: Wish, said: Iterable[Statement], head: Decision | None
) -> tuple[Statement, ...]:
    """Those approvals and rejections of *said* that still count for what is wanted."""
    votes = [one for one in said if one.kind in _VOTES]
    if not votes:
        return ()
    ledger = around.ledger(wish.version.name)
    last = _last_move(ledger, wish, head, min(map(_knew, votes)))
    old = [one for one in votes if _knew(one) < last]
    new = [one for one in votes if _knew(one) >= last]
    return tuple([one for one in old if _still_against(one, old)] + new)


def _knew(one: Statement) -> int:
    """The number of the newest decision when *one* was said; -1 if there was none.

    So no clock decides whether it was before a promotion or behind it.
    """
    head: Any = one.body.get("head")
    return head if type(head) is int else -1


def _still_against(one: Statement, votes: Iterable[Statement]) -> bool:
    """Whether *one* is a no that nobody took back."""
    if one.kind != Kind.REJECTION:
        return False
    who = same(one.actor.name)
    return not any(
        other.kind == Kind.APPROVAL
        and same(other.actor.name) == who
        and other.time > one.time  # of a yes and a no at the same time the no counts
        for other in votes
    )


def _last_move(ledger: Ledger, wish: Wish, head: Decision | None, since: int) -> int:
    """The number of the last decision that moved these files to that stage; at least *since*."""
    for sequence in range(head.sequence if head is not None else -1, since, -1):
        decision = ledger.get(sequence)
        if decision.to == wish.to and decision.digest == wish.version.digest:
            return sequence
    return since


def approval(one: Statement, policy: str) -> Approval:
    """Return an approval or rejection as the policy with the digest *policy* sees it."""
    given = policy if policy in one.policies else next(iter(one.policies), "")
    return Approval(
        actor=one.actor.name,
        digest=str(one.digest),
        policy=given,
        time=one.time,
        roles=one.roles,
        authenticated=one.actor.verified,
        mfa=bool(one.factor),
        rejects=one.kind == Kind.REJECTION,
        reason=one.reason,
        source=one.id,
        signed=one.factor == KEY,
    )


def _evidence(one: Statement) -> Evidence:
    told: Any = one.body
    passed, values = told.get("passed"), told.get("values")
    return Evidence(
        type=str(told.get("type", "")),
        name=str(told.get("name", "")),
        digest=str(one.digest),
        time=one.time,
        passed=passed if isinstance(passed, bool) else None,
        values=values if isinstance(values, dict) else {},
        source=one.key,
    )


def _stays(around: Surroundings, wish: Wish, head: Decision | None) -> tuple[Stay, ...]:
    """Where the candidate stands; to roll back, also where it stood."""
    version = wish.version
    now = tuple(
        Stay(stage, stand.since)
        for stage, stand in (head.after.items() if head is not None else ())
        if is_of(stand, version)
    )
    return (*now, *_past_stays(around, version)) if wish.kind == ROLLBACK else now


def _past_stays(around: Surroundings, version: Version) -> list[Stay]:
    found = {}
    for decision in around.ledger(version.name).history():
        for stage, stand in decision.before.items():
            left = decision.after.get(stage) != stand
            if left and is_of(stand, version):
                found[stage] = Stay(stage, stand.since, decision.time)
        if len(found) == len(STAGES):
            break
    return list(found.values())


def is_of(stand: Stand, version: Version) -> bool:
    """Whether it is *version* that stands there."""
    return stand.digest == version.digest and stand.number == version.number


def _standing(candidate: Subject, version: Version, head: Decision | None) -> Subject:
    """*candidate* as the ledger has it: what MLflow shows may be changed around us."""
    if head is None:
        return candidate
    stages = {stage for stage, stand in head.after.items() if is_of(stand, version)}
    if not stages:
        stages = {ARCHIVED} & set(candidate.stages)
    return replace(candidate, values={**candidate.values, STAGE: tuple(sorted(stages))})


def _baseline(
    around: Surroundings, wish: Wish, policy: Policy, head: Decision | None
) -> Subject | None:
    version, said = wish.version, policy.baseline or ""
    stage = said[1:] if said[:1] == "@" else ""
    if wish.baseline:
        found = around.vault.version(wish.baseline)
    elif not said:
        return None
    elif head is not None and stage in STAGES:
        if stage not in head.after:
            return None
        found = numbered(around, version.name, head.after[stage])
    else:
        try:
            found = around.vault.version(f"models:/{version.name}{said}" if stage else said)
        except NotFoundError:
            return None  # the first version that ever comes so far; the policy says what then
    return subject(found, held_of(around, found))


def numbered(around: Surroundings, model: str, stand: Stand) -> Version:
    """Return the version that stands somewhere, by its digest: numbers may be used again.

    Raises:
        NotFoundError: The vault does not hold it, or only as another model's.
    """
    found = around.vault.known(model, stand.number, stand.digest)
    found = found or around.vault.version(stand.digest)
    if found.name != model:
        raise NotFoundError(f"{stand.digest} is no version of {model!r} any more")
    return found


def held_of(around: Surroundings, version: Version) -> Held | None:
    """What MLflow says of *version* now."""
    if not version.number:
        return None
    held = around.vault.held(f"models:/{version.label}")
    return held if held is not None and held.digest in {"", str(version.digest)} else None


def verified(around: Surroundings, version: Version) -> Finding:
    """Read all bytes of *version*, and say whether they are what its digest says."""
    try:
        found = around.vault.verify(str(version.digest))
    except CorruptionError as error:
        return Finding(holds=False, reason=str(error))
    if found.is_whole:
        return Finding(holds=True, reason=f"{found.files} files, {found.size:,} bytes read")
    return Finding(holds=False, reason="; ".join(one.reason for one in found.damaged[:3]))
