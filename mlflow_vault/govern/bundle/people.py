"""Approvals and evidence of a bundle: whether the statements say what was counted, and who signed.

What a decision counted is in its verdicts.  A statement shows that somebody said it; that it was
this very person is proven only where their own key signed it.  So the policy's rule is asked once
more, with those approvals alone (`again`).

No I/O but cryptography's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlflow_vault.decide.policy.verdict import State
from mlflow_vault.errors import InvalidInputError, UntrustedError
from mlflow_vault.format.canonical import plain
from mlflow_vault.format.statement import Kind
from mlflow_vault.govern.bundle.again import APPROVALS
from mlflow_vault.govern.bundle.claims import Claim, Standing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mlflow_vault.decide.policy.evidence import Approval, Evidence
    from mlflow_vault.decide.policy.public_keys import PublicKey
    from mlflow_vault.format.decision import Decision
    from mlflow_vault.format.statement import Statement
    from mlflow_vault.govern.bundle.again import Question

    Spoken = tuple[str, str, int]  # kind, by whom, when


@dataclass(frozen=True, slots=True)
class Said:
    """What was said of the version that was decided about.

    Attributes:
        decision: The decision.
        statements: What was said.
        keys: Public keys by user: whose signatures count.
        worth: What the decision is worth.
    """

    decision: Decision
    statements: Sequence[Statement]
    keys: Mapping[str, Sequence[PublicKey]]
    worth: Standing


def judge_people(question: Question, said: Said) -> Iterator[Claim]:
    """Judge who approved, and which evidence there was, under one policy."""
    if question.policy.approvals is not None:
        yield _approvals(question, said)
    for asked in question.policy.evidence:
        about = (asked.type, asked.name)
        found = [one for one in question.context.evidence if (one.type, one.name) == about]
        if found:
            yield _evidence(max(found, key=lambda one: one.time), said)


def _approvals(question: Question, said: Said) -> Claim:
    about = f"approvals {question.policy.name}"
    votes = question.context.approvals
    stated: dict[Spoken, list[Statement]] = {}
    for spoken in said.statements:
        stated.setdefault((spoken.kind, spoken.actor.name, spoken.time), []).append(spoken)
    given = {id(one): _stated(one, stated) for one in votes}
    proven = [one for one in votes if _is_signed(given[id(one)], one, said)]
    told = []
    for one in votes:
        how = "signed" if one in proven else "told" if given[id(one)] else "not in the bundle"
        told.append(f"{one.actor} {'rejects' if one.rejects else 'approves'} ({how})")
    said_then = question.recorded.get(APPROVALS, {})
    ruled = f"{said_then.get('state')}, {said_then.get('text')}"
    text = f"{ruled}: {', '.join(told) or 'nobody said anything'}"
    if not said.keys:
        return Claim(about, Standing.TOLD, f"{text}; no approver's key is trusted")
    # A no counts whether or not anybody signed it.
    refusals = [one for one in votes if one.rejects and one not in proven]
    result = question.approved([*proven, *refusals])
    if result is not None and result.state is State.PASSED:
        return Claim(about, said.worth, text)
    return Claim(about, Standing.MISSING, f"{text}; signed by trusted keys are {len(proven)}")


def _stated(vote: Approval, stated: Mapping[Spoken, Sequence[Statement]]) -> Statement | None:
    """The statement of a vote that was counted."""
    kind = Kind.REJECTION if vote.rejects else Kind.APPROVAL
    for one in stated.get((kind, vote.actor, vote.time), ()):
        same = (one.roles, one.reason, bool(one.factor)) == (vote.roles, vote.reason, vote.mfa)
        if same and (vote.policy in one.policies or not one.policies):
            return one
    return None


def _is_signed(statement: Statement | None, vote: Approval, said: Said) -> bool:
    """Whether the speaker's own key signed this vote, for this stage and policy."""
    keys = said.keys.get(vote.actor, ())
    if statement is None or statement.envelope is None or not keys:
        return False
    from mlflow_vault.govern.release.approving.signed_approvals import (  # noqa: PLC0415 - an extra
        AHEAD,
        OLDEST,
        open_approval,
    )

    try:
        signed = open_approval(statement.envelope, {vote.actor: keys})
    except (InvalidInputError, UntrustedError):
        return False
    proposal, decision = signed.proposal, said.decision
    return (
        (proposal.vault, proposal.model, proposal.number, proposal.digest, proposal.to)
        == (decision.vault, decision.model, decision.number, decision.digest, decision.to)
        and signed.said.rejects == vote.rejects
        and -AHEAD <= vote.time - signed.said.time <= OLDEST
        and (vote.rejects or vote.policy in proposal.policies)
    )


def _evidence(piece: Evidence, said: Said) -> Claim:
    about = f"evidence {piece.name}"
    text = f"{piece.type} {'passed' if piece.passed is True else 'did not pass'}"
    for one in said.statements:
        if one.kind == Kind.EVIDENCE and one.time == piece.time and _says(one.body, piece):
            return Claim(about, Standing.TOLD, f"{text}, by {one.actor}")
    return Claim(about, Standing.TOLD, f"{text}; it is not in the bundle")


def _says(body: Mapping[str, Any], piece: Evidence) -> bool:
    wanted = {"type": piece.type, "name": piece.name, "passed": piece.passed}
    values = plain(dict(piece.values))
    return (
        all(body.get(key) == value for key, value in wanted.items())
        and (body.get("values") or {}) == values
    )
