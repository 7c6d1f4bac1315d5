"""Decides transitions: finishes what was left, judges, decides, and carries it out.

    finish      what somebody decided and did not carry out
    judge       by every policy in force for it; whoever is refused is told all that stands against
                what is said or applied while bytes are read and checks asked counts, too
    decide      one wins; who loses looks again, and judges anew unless the winner moved the stage
    carry out   in the audit log, then in MLflow

A refusal is kept beside the version, with all that was seen, and is an entry of the audit log.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from mlflow_vault.decide.policy.durations import moment
from mlflow_vault.decide.policy.roles import Right
from mlflow_vault.decide.policy.rules.case import SKEW
from mlflow_vault.decide.transitions import Transition
from mlflow_vault.errors import (
    ConflictError,
    DeniedError,
    NotFoundError,
    StorageError,
    VaultError,
)
from mlflow_vault.format.log import Action
from mlflow_vault.govern.policies.judging import assume, judge_all
from mlflow_vault.govern.release.context import ROLLBACK, questions, verified
from mlflow_vault.govern.release.refusing import refuse
from mlflow_vault.govern.release.telling.promotion import Promotion, refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlflow_vault.decide.policy.verdict import Verdict
    from mlflow_vault.format.decision import Decision
    from mlflow_vault.govern.release.context import Wish
    from mlflow_vault.govern.release.keeping.ledger import Ledger
    from mlflow_vault.govern.release.order import Order
    from mlflow_vault.govern.release.surroundings import Surroundings

_PATIENCE: Final = 100  # decisions about other stages that others may make first
_ACTIONS: Final = {
    "promotion": Action.PROMOTE,
    "archival": Action.ARCHIVE,
    ROLLBACK: Action.ROLL_BACK,
}

_log = logging.getLogger(__name__)


def judge(
    around: Surroundings, order: Order, head: Decision | None, *, thorough: bool = True
) -> tuple[Verdict, ...]:
    """Ask every policy that is in force for it; none if none is.

    Args:
        around: Where it happens.
        order: What is asked for.
        head: The newest decision about the model.
        thorough: Whether to look at what takes long, if policies ask for it.
    """
    wish = order.wish
    found = around.policies.policies_for(wish.version.name, wish.to, wish.kind)
    policies = {str(policy.digest): policy for policy in (*found, *order.policies)}
    asked = questions(around, wish, tuple(policies.values()), head)
    if not thorough:
        return tuple(map(assume, asked))
    return judge_all(asked, lambda: verified(around, wish.version))


def no_policy(model: str, to: str) -> str:
    """What to tell who asks for what no policy is about."""
    return (
        f"no policy in force is for {model!r} to {to}: apply one with mlflow-vault policy apply "
        "FILE, or name one: policy=..., --policy FILE"
    )


def decide(around: Surroundings, order: Order) -> Promotion:
    """Do what was asked for, if the policies allow it.

    Raises:
        DeniedError: A policy, or a role, does not allow it; or the clock went back.
        WaitingError: Approvals or time are missing.
        NotFoundError: No policy is in force for a promotion.
        ConflictError: Somebody else moved that stage first.
        StorageError: The store or MLflow failed; whoever asks next finishes what was decided.
    """
    wish = order.wish
    version = wish.version
    need(around, order, Right.RELEASE)
    ledger = around.ledger(version.name)
    head = around.carry_out(ledger)
    for _ in range(_PATIENCE):
        _refuse_unseen(order, head)
        refuse_odd(around, order, head)
        verdicts = judge(around, order, head)
        late = _meanwhile(around, order, head, verdicts)
        if late is None:
            continue
        verdicts = late
        if not verdicts and wish.kind == "promotion":
            raise NotFoundError(no_policy(version.name, wish.to))
        if any(one.blocks for one in verdicts):
            raise refuse(around, order, refusal(version.label, order.what, verdicts))
        try:
            made = ledger.decide(head, _transition(order, verdicts))
        except ConflictError as lost:
            before, head = head, around.carry_out(ledger)
            _tell_winner(wish, before, head, lost)
            continue
        _finish(around, ledger, made)
        _logged(order, made)
        return Promotion(version.name, version.number, version.digest, wish.to, verdicts, made)
    raise ConflictError(f"others decided about {version.name} all the time: try again")


def _meanwhile(
    around: Surroundings, order: Order, head: Decision | None, verdicts: tuple[Verdict, ...]
) -> tuple[Verdict, ...] | None:
    """Return what is said now: reading all bytes and asking checks may have taken an hour.

    Returns:
        *verdicts*, or what speaks against it by now; None if other policies are in force.
    """
    looked = any(
        one.asked["answers"] or one.asked["verified"]["holds"] is not None for one in verdicts
    )
    if not looked or any(one.blocks for one in verdicts):
        return verdicts
    now = judge(around, order, head, thorough=False)
    if {one.policy_digest for one in now} != {one.policy_digest for one in verdicts}:
        return None
    return now if any(one.blocks for one in now) else verdicts


def need(around: Surroundings, order: Order, right: Right) -> None:
    """Insist on a right.

    Raises:
        DeniedError: The caller has not.
    """
    try:
        order.caller.need(right, f"{order.wish.version.label} to be {order.what}")
    except DeniedError as error:
        raise refuse(around, order, error) from error


def _refuse_unseen(order: Order, head: Decision | None) -> None:
    """Refuse what was asked for without knowing of what was decided since.

    Raises:
        ConflictError: There is a newer decision than whoever asks knows of.
    """
    newest = head.sequence if head is not None else -1
    if order.seen is not None and order.seen != newest:
        name = order.wish.version.name
        raise ConflictError(f"somebody else decided about {name} meanwhile ({head}): look again")


def refuse_odd(around: Surroundings, order: Order, head: Decision | None) -> None:
    """Refuse what no policy is asked about.

    Raises:
        DeniedError: The clock went back, or production would be left empty.
        ConflictError: Somebody decided something that it does not know of.
    """
    wish, now = order.wish, around.now()
    if wish.kind == ROLLBACK:  # whoever is failing is replaced, whatever the clock says
        if order.expects != (head.after.get(wish.to) if head is not None else None):
            raise ConflictError(f"{wish.version.name}: somebody else moved {wish.to} first: look")
        return
    if head is None:
        return
    if now + SKEW < head.time:
        raise refuse(
            around,
            order,
            DeniedError(
                f"{wish.version.label} is not {order.what}: it is {moment(now)} here, and the last "
                f"decision about {wish.version.name} is of {moment(head.time)}: check the clocks"
            ),
        )
    stands = head.after.get("production")
    if wish.to == "staging" and stands and stands.number == wish.version.number:
        raise refuse(
            around,
            order,
            DeniedError(
                f"{wish.version.label} stands in production, which would be left empty: promote "
                "another one there, roll back, or archive it"
            ),
        )


def _transition(order: Order, verdicts: Sequence[Verdict]) -> Transition:
    wish = order.wish
    return Transition(
        action=_ACTIONS[wish.kind],
        actor=order.caller.actor,
        number=wish.version.number,
        digest=wish.version.digest,
        to=wish.to,
        reason=order.reason,
        verdicts=tuple(one.to_dict() for one in verdicts),
        request=order.request,
    )


def _tell_winner(
    wish: Wish, before: Decision | None, now: Decision | None, lost: ConflictError
) -> None:
    """Say who won, if they moved what this is about; else it may be judged again.

    Raises:
        ConflictError: They did.
    """
    was = before.after if before is not None else {}
    stands = now.after if now is not None else {}
    ours = {wish.to, *(stage for stage, one in was.items() if one.number == wish.version.number)}
    if any(was.get(stage) != stands.get(stage) for stage in ours):
        raise lost


def _finish(around: Surroundings, ledger: Ledger, made: Decision) -> None:
    try:
        around.carry_out(ledger)
    except VaultError as cause:
        raise StorageError(
            f"{made.model}/{made.number} is decided to be in {made.to} (decision "
            f"{made.sequence}), but MLflow does not show it yet: {cause}. Whoever asks next for "
            f"anything about {made.model}, such as its status, finishes it."
        ) from cause


def _logged(order: Order, made: Decision) -> None:
    _log.info("%s is %s by %s", order.wish.version.label, order.what, made.actor)
