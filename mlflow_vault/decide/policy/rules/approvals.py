"""Whether enough people agreed: distinct ones, none of whom made the version.

An approval counts if it is of this version and under this policy (so one that is replayed for
others does not), by somebody who was authenticated, is no author of the version, has one of the
roles, used a second factor where the policy wants that, and gave it neither too long ago nor in the
future.  A no by somebody with one of the roles, or by an author, denies until that person says yes;
it never expires.

Names that differ in case or in how Unicode spells them are one person.  Pure: no I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlflow_vault.decide.actors import same
from mlflow_vault.decide.policy.durations import moment, rough, spell
from mlflow_vault.decide.policy.verdict import Result, State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow_vault.decide.policy.evidence import Approval
    from mlflow_vault.decide.policy.rules.case import Case
    from mlflow_vault.decide.policy.schema import Approvals


def judge_approvals(case: Case) -> Iterator[Result]:
    """Judge the rule ``approvals``, if the policy has it."""
    asked = case.policy.approvals
    if asked is None:
        return
    given = sorted(case.context.approvals, key=lambda one: (one.time, one.rejects, repr(one)))
    counted: dict[str, Approval] = {}
    refused: dict[str, Approval] = {}
    ignored: list[str] = []
    for one in given:
        why = objection(case, asked, one)
        if why:
            ignored.append(f"{_name(one)}: {why}")
            continue
        who = same(one.actor)
        if one.rejects:
            counted.pop(who, None)
            refused[who] = one
        else:
            refused.pop(who, None)
            counted[who] = one
    seen = {
        "now": case.context.now,
        "authors": list(case.candidate.authors),
        "requester": case.context.requester,
        "counted": [_told(one) for one in counted.values()],
        "rejected": [_told(one) for one in refused.values()],
        "ignored": ignored,
    }
    yield _result(asked, seen, sorted(map(_name, counted.values())), sorted(refused.items()))


def _result(
    asked: Approvals, seen: dict[str, Any], names: list[str], refused: list[tuple[str, Approval]]
) -> Result:
    text = _text(asked)
    reason = f"{len(names)} of {asked.min}" + (f": {', '.join(names)}" if names else "")
    if seen["ignored"]:
        reason += f"; not counted: {'; '.join(seen['ignored'])}"
    if refused:
        told = ", ".join(f"{_name(one)} ({one.reason or 'no reason'})" for _, one in refused)
        return Result("approvals", text, State.DENIED, f"rejected by {told}; {reason}", seen)
    if len(names) < asked.min:
        roles = f" by {' or '.join(asked.roles)}" if asked.roles else ""
        lacking = (f"{asked.min - len(names)} more{roles}",)
        return Result("approvals", text, State.WAITING, reason, seen, lacking)
    return Result("approvals", text, State.PASSED, reason, seen)


def objection(case: Case, asked: Approvals, one: Approval) -> str:
    """Say why *one* does not count; empty if it does."""
    return next(_objections(case, asked, one), "")


def _objections(case: Case, asked: Approvals, one: Approval) -> Iterator[str]:
    who = same(one.actor)
    author = who in {same(name) for name in case.candidate.authors if name}
    role = not asked.roles or bool(set(asked.roles) & set(one.roles))
    if not who:
        yield "has no name"
    if not one.authenticated:
        yield "nobody checked who it was"
    if one.digest != case.candidate.digest:
        yield "given for another version"
    if not (role or (one.rejects and author)):
        yield "has none of the roles"
    if not one.rejects:
        yield from _objections_to_yes(case, asked, one, author=author)


def _objections_to_yes(
    case: Case, asked: Approvals, one: Approval, *, author: bool
) -> Iterator[str]:
    if not any(map(same, case.candidate.authors)):
        yield "who made the version is not known, so it may have been the same person"
    if author:
        yield "made the version"
    if "requester" in asked.not_ and same(one.actor) == same(case.context.requester):
        yield "asks for the transition"
    if one.policy != case.digest:
        yield "given under another policy, or before it was changed"
    if asked.mfa and one.mfa is not True:
        yield "without a second factor"
    elif asked.mfa == "key" and one.signed is not True:
        yield "not signed by a key of theirs"
    if ahead := case.ahead(one.time):
        yield f"given {ahead}"
    if asked.expires is not None and case.age(one.time) >= asked.expires:
        yield f"expired {rough(case.age(one.time) - asked.expires)} ago"


def _text(asked: Approvals) -> str:
    people = "1 person agrees" if asked.min == 1 else f"{asked.min} people agree"
    roles = f" ({' or '.join(asked.roles)})" if asked.roles else ""
    excluded = " and ".join(dict.fromkeys(("author", *asked.not_)))
    text = f"{people}{roles}, {excluded} excepted"
    if asked.mfa:
        text += ", signed by a key of theirs" if asked.mfa == "key" else ", with a second factor"
    return text + (f", for {spell(asked.expires)}" if asked.expires is not None else "")


def _name(one: Approval) -> str:
    return one.actor[:100] or "somebody"


def _told(one: Approval) -> dict[str, Any]:
    return {
        "actor": one.actor,
        "time": one.time,
        "at": moment(one.time),
        "roles": list(one.roles),
        "mfa": one.mfa,
        "digest": one.digest,
        "policy": one.policy,
        "reason": one.reason,
    }
