"""Releases: promote, archive, roll back, and say how things stand.

Each verb asks first whether the registry itself decides (`Host.governs`): then it is asked, as the
user whom it authenticates, and what it decided is read from the vault.  Else this process decides,
in the name of who runs it, whom nobody authenticated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlflow_vault.decide.policy.roles import Right
from mlflow_vault.decide.transitions import ARCHIVED, STAGES, showing
from mlflow_vault.errors import ConflictError, InvalidInputError, NotFoundError
from mlflow_vault.govern.release.asking import ask, outcome, promotion_of
from mlflow_vault.govern.release.context import (
    ROLLBACK,
    Wish,
    is_of,
    numbered,
)
from mlflow_vault.govern.release.deciding import decide, need
from mlflow_vault.govern.release.going_back import back_to
from mlflow_vault.govern.release.keeping.showing import show
from mlflow_vault.govern.release.order import Order
from mlflow_vault.govern.release.telling.views import Views

if TYPE_CHECKING:
    from pathlib import Path

    from mlflow_vault.decide.policy import Policy
    from mlflow_vault.format.decision import Stand
    from mlflow_vault.govern.references import Reference
    from mlflow_vault.govern.release.caller import Caller
    from mlflow_vault.govern.release.telling.promotion import Promotion

PRODUCTION: Final = "production"


class Releases(Views):
    """Which version of each registered model stands where, and how that changes."""

    def promote(  # noqa: PLR0913 - each is a word of the verb
        self,
        reference: Reference,
        *,
        to: str,
        policy: Policy | str | Path | None = None,
        reason: str = "",
        caller: Caller | None = None,
        request: str = "",
        seen: int | None = None,
    ) -> Promotion:
        """Move a version to a stage, if every policy that is in force for that agrees.

        Args:
            reference: The version.
            to: ``staging`` or ``production``.
            policy: One that is asked besides: itself, the name of one in force, or a file.
            reason: Why, in words.
            caller: Who asks, as a server knows them; None for who runs this process.
            request: By which a client finds the answer.
            seen: The number of the newest decision about the model that who asks knows of, -1 if
                of none: a newer one is a conflict.

        Returns:
            What was decided.  A version that stands there already stays so, and MLflow shows it.

        Raises:
            DeniedError: A policy, or a role, does not allow it; `.verdicts` has every rule.
            WaitingError: Approvals or time are missing.
            NotFoundError: There is no such version, or no policy is in force for it.
            ConflictError: Somebody else moved that stage first.
        """
        if to == ARCHIVED:
            return self.archive(reference, reason=reason, caller=caller, request=request, seen=seen)
        if to not in STAGES:
            raise InvalidInputError(f"{to!r} is no stage: {', '.join(STAGES)} or {ARCHIVED}")
        around, version = self.around, self._named(reference)
        if caller is None and around.governs(version.name):
            if policy is not None:
                raise InvalidInputError("the registry decides by the policies in force alone")
            body = {"to": to, "reason": reason, "seen": seen}
            request = ask(around, version, "promote", body, request)
            return outcome(around, version, to, request)
        who = caller or around.caller()
        order = Order(
            Wish(version, to, "promotion", who.actor.name, shown=True),
            who,
            reason,
            request,
            self._named_policies(policy, to, "promotion", version.name),
            seen=seen,
        )
        standing = self._standing_already(order) if seen is None else None
        return standing or decide(around, order)

    def archive(
        self,
        reference: Reference,
        *,
        reason: str,
        caller: Caller | None = None,
        request: str = "",
        seen: int | None = None,
    ) -> Promotion:
        """Take a version out of service; its bytes stay, and may be moved to where they cost less.

        Args:
            reference: The version.
            reason: Why, in words.
            caller: Who asks, as a server knows them; None for who runs this process.
            request: By which a client finds the answer.
            seen: As `promote` has it.

        Raises:
            DeniedError: A policy that is in force for archival, or a role, does not allow it.
            WaitingError: Approvals or time are missing.
            ConflictError: Somebody else moved it first.
        """
        around, version = self.around, self._named(reference)
        if caller is None and around.governs(version.name):
            request = ask(around, version, "archive", {"reason": reason, "seen": seen}, request)
            return outcome(around, version, ARCHIVED, request)
        who = caller or around.caller()
        wish = Wish(version, ARCHIVED, "archival", who.actor.name)
        return decide(around, Order(wish, who, reason, request, seen=seen))

    def rollback(  # noqa: PLR0913 - each is a word of the verb
        self,
        name: str,
        *,
        reason: str,
        to: Reference = "",
        undoes: int | None = None,
        caller: Caller | None = None,
        request: str = "",
    ) -> Promotion:
        """Put the last healthy version that stood in production back, at once.

        What somebody rolled back from is never gone back to, nor what monitoring saw failing.

        Args:
            name: The registered model.
            reason: Why, in words.
            to: Another version that stood there.
            undoes: The number of the decision by which the version that is to go came there; if
                another one stands there by now, nothing is done.
            caller: Who asks, as a server knows them; None for who runs this process.
            request: By which a client finds the answer.

        Raises:
            NotFoundError: There is nothing to go back to.
            DeniedError: A policy that is in force for rollbacks, or a role, does not allow it.
            ConflictError: Somebody else moved production first.
        """
        around = self.around
        ledger = around.ledger(name)
        if caller is None and around.governs(name):
            head = ledger.head()
            stands = head.after.get(PRODUCTION) if head is not None else None
            if head is None or stands is None:
                raise NotFoundError(f"no version of {name} stands in production")
            _expected(name, stands, undoes)
            failing = numbered(around, name, stands)
            target = {"to": str(to) if to else "", "reason": reason, "undoes": undoes}
            made = around.ledger(name).asked(ask(around, failing, "rollback", target, request))
            return promotion_of(failing, made, PRODUCTION)
        head = around.carry_out(ledger)
        stands = head.after.get(PRODUCTION) if head is not None else None
        _expected(name, stands, undoes)
        version = back_to(around, ledger, self._named(to) if to else None)
        who = caller or around.caller()
        order = Order(
            Wish(version, PRODUCTION, ROLLBACK, who.actor.name),
            who,
            reason,
            request,
            expects=stands,
        )
        return decide(around, order)

    def _standing_already(self, order: Order) -> Promotion | None:
        """Let MLflow show a version that stands where it is wanted; None if it does not."""
        around, wish = self.around, order.wish
        version = wish.version
        ledger = around.ledger(version.name)
        head = ledger.head()
        stand = head.after.get(wish.to) if head is not None else None
        if head is None or stand is None or not is_of(stand, version):
            return None
        need(around, order, Right.RELEASE)
        head = around.carry_out(ledger) or head
        if head.after.get(wish.to) != stand:
            return None
        show(around.host(), version.name, showing([head]))
        return promotion_of(version, ledger.get(stand.decision), wish.to)


def _expected(model: str, stands: Stand | None, undoes: int | None) -> None:
    """Insist that what decision *undoes* put in production still stands there.

    Raises:
        ConflictError: It does not.
    """
    if undoes is not None and (stands is None or stands.decision != undoes):
        raise ConflictError(f"{model}: what decision {undoes} put in production is not there")
