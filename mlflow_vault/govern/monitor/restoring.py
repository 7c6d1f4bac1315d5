"""Rolls back what is failing, if the policy says so, and says how far that came.

The rollback names the decision that it undoes: a version that was replaced meanwhile stays, and of
two that roll back one is told.  One that was refused is not asked for at every look, since each
refusal is kept and logged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mlflow_vault.decide.policy.durations import rough
from mlflow_vault.decide.policy.health.judge import Condition
from mlflow_vault.errors import ConflictError, DeniedError, VaultError

if TYPE_CHECKING:
    from mlflow_vault.govern.monitor.taken import Look
    from mlflow_vault.govern.release.releases import Releases

PRODUCTION: Final = "production"
OURS: Final = "monitor-"  # what the requests of our rollbacks start with
AGAIN: Final = 900_000  # milliseconds until a rollback that was refused is asked for again
_REASON: Final = 1000  # characters


@dataclass(frozen=True, slots=True)
class Deed:
    """What was done because a limit was reached.

    Attributes:
        event: What to call it; empty if there was nothing to do.
        outcome: It, in words.
        refused: Whether a rollback was refused just now.
    """

    event: str = ""
    outcome: str = ""
    refused: bool = False


def do(releases: Releases, look: Look, limit: Condition | None, refused: int) -> Deed:
    """Do what the policy says once a limit is reached.

    Args:
        releases: Rolls back.
        look: What was seen.
        limit: Which one it is; None for neither.
        refused: When a rollback was refused last, in milliseconds since 1970; 0 if none was.
    """
    if limit is None:
        return Deed()
    if limit is Condition.INCONCLUSIVE:
        often = look.health.inconclusive_limit
        return Deed("inconclusive", f"{often} times in a row nobody can say")
    asked = look.policy.on_failure
    if asked is None or asked.rollback_to is None:
        return Deed("failing", "the policy does not roll back")
    if look.policy.mode != "enforce":
        return Deed("failing", f"{look.policy.mode}: nothing is rolled back")
    ago = look.now - refused
    if 0 <= ago < AGAIN:
        said = f"a rollback was refused {rough(ago)} ago: it is asked for every {rough(AGAIN)}"
        return Deed("rollback_failed", said)
    return _roll_back(releases, look)


def _roll_back(releases: Releases, look: Look) -> Deed:
    name, decision = look.seen.held.name, look.seen.stand.decision
    why = f"{look.policy.name} says that {look.seen.label} fails: {'; '.join(look.reasons)}"
    request = OURS + releases.around.world.random(16).hex()
    try:
        made = releases.rollback(name, reason=why[:_REASON], undoes=decision, request=request)
    except ConflictError as error:
        return Deed("lost", f"somebody else was first: {error}")
    except DeniedError as error:
        return Deed("rollback_failed", f"it was not rolled back: {error}", refused=True)
    except VaultError as error:
        return _half_done(releases, look, request, error)
    return Deed("rolled_back", f"rolled back to {made.label}")


def _half_done(releases: Releases, look: Look, request: str, error: VaultError) -> Deed:
    """Say how far a rollback came that ended with *error*."""
    try:
        head = releases.around.ledger(look.seen.held.name).head()
    except VaultError:
        head = None
    if head is None or head.after.get(look.seen.stage) == look.seen.stand:
        return Deed("rollback_failed", f"it was not rolled back: {error}")
    if head.request == request:
        return Deed("rolled_back", f"rolled back to {head.model}/{head.number}; but: {error}")
    return Deed("lost", f"somebody else was first, {head.actor}: {head.action} to {head.number}")
