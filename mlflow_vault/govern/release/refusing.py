"""Keeps and logs what was refused, and why: beside the version, and in the audit log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.errors import InvalidInputError, VaultError
from mlflow_vault.format.log import Action
from mlflow_vault.format.statement import Kind, Statement
from mlflow_vault.govern.audit.subjects import subject_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlflow_vault.decide.policy.verdict import Verdict
    from mlflow_vault.errors import DeniedError
    from mlflow_vault.format.log import Actor
    from mlflow_vault.format.version import Version
    from mlflow_vault.govern.release.caller import Caller
    from mlflow_vault.govern.release.order import Order
    from mlflow_vault.govern.release.surroundings import Surroundings

_TOLD: Final = 20  # reasons in an entry of the log; the statement has them all
_LONGEST: Final = 300  # letters of one

_log = logging.getLogger(__name__)


def refuse(around: Surroundings, order: Order, error: DeniedError) -> DeniedError:
    """Keep why it is refused, and log it; return *error*, to be raised."""
    version = order.wish.version
    verdicts: Sequence[Verdict] = error.verdicts
    reasons = [reason for one in verdicts if one.blocks for reason in one.reasons] or [str(error)]
    after = {
        "to": order.wish.to,
        "version": version.number,
        "policies": [one.policy for one in verdicts[:_TOLD]],
        "reasons": [reason[:_LONGEST] for reason in reasons[:_TOLD]],
    }
    try:
        if verdicts:
            _keep(around, order, verdicts, reasons)
        actor = order.caller.actor
        around.vault.audit.note(Action.DENY, subject_of(version), actor, after=after)
    except VaultError:  # it is refused all the same
        _log.exception("why %s is not %s could not be kept", version.label, order.what)
    return error


def log_refusal(
    around: Surroundings, version: Version, actor: Actor, error: DeniedError
) -> DeniedError:
    """Log what is refused without asking a policy; return *error*, to be raised."""
    after = {"version": version.number, "reasons": [str(error)[:_LONGEST]]}
    try:
        around.vault.audit.note(Action.DENY, subject_of(version), actor, after=after)
    except VaultError:  # it is refused all the same
        _log.exception("a refusal is not in the audit log: %s", error)
    return error


def statement(
    around: Surroundings, version: Version, caller: Caller, kind: Kind, **more: Any
) -> Statement:
    """Return what somebody says of *version* now; it is not kept yet."""
    return Statement(
        vault=around.vault.identity.id,
        model=version.name,
        number=version.number,
        digest=version.digest,
        kind=kind,
        time=around.now(),
        actor=caller.actor,
        roles=caller.roles,
        **{"id": around.world.random(16).hex(), **more},
    )


def _keep(
    around: Surroundings, order: Order, verdicts: Sequence[Verdict], reasons: Sequence[str]
) -> None:
    wish = order.wish
    body = {
        "to": wish.to,
        "kind": wish.kind,
        "reasons": list(reasons[:_TOLD]),
        "verdicts": [one.to_dict() for one in verdicts],
    }
    made = statement(
        around,
        wish.version,
        order.caller,
        Kind.VERDICT,
        reason=order.reason,
        body=body,
        request=order.request,
    )
    try:
        around.statements.add(made)
    except InvalidInputError:  # what was looked at is too large to be kept
        short = {**body, "verdicts": [{**one.to_dict(), "asked": {}} for one in verdicts]}
        around.statements.add(
            statement(
                around, wish.version, order.caller, Kind.VERDICT, body=short, request=order.request
            )
        )
