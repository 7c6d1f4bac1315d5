"""The gate before one call: what is in force for its model, who asks, and what they are told.

A refusal is PERMISSION_DENIED, names the policies and the rule or the right that is lacking, and
is an entry of the audit log.  What cannot be decided, as the vault cannot be read, is
TEMPORARILY_UNAVAILABLE: nothing was changed, and asking again may help.
"""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED, TEMPORARILY_UNAVAILABLE

from mlflow_vault.errors import DeniedError, StorageError, VaultError
from mlflow_vault.format.log import Action, Subject
from mlflow_vault.plugin.governing.scoping import plain
from mlflow_vault.plugin.guard import HostPolicy
from mlflow_vault.plugin.translate import translated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow_vault.decide.policy.roles import Right
    from mlflow_vault.format.log import Actor
    from mlflow_vault.govern.release.caller import Caller
    from mlflow_vault.plugin.governing.law import Law

_LONGEST: Final = 2000  # letters of a reason that the log keeps: an entry has 65,535 bytes

_logger = logging.getLogger(__name__)


class RefusedError(DeniedError):
    """The gate refuses a call by itself, before anybody else has judged it."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What stands before one call.

    Attributes:
        law: What is in force for the model.
        caller: Who asks, and what they may.
        call: What MLflow calls it.
    """

    law: Law
    caller: Caller
    call: str

    def need(self, right: Right, what: str) -> None:
        """Refuse the call, unless who asks has *right*.

        Args:
            right: The right.
            what: What it is needed for.

        Raises:
            RefusedError: They have not.
        """
        try:
            self.caller.need(right, what)
        except DeniedError as cause:
            raise self.refuse(str(cause)) from cause

    def refuse(self, reason: str) -> RefusedError:
        """Return what says why the call is refused, and by whom."""
        return RefusedError(f"{self._by}: {reason}")

    def note(self, action: Action, *, before: Any = None, after: Any = None) -> None:
        """Log what is done."""
        subject = Subject("model", self.law.model)
        self.law.vault.audit.note(action, subject, self.caller.actor, before=before, after=after)

    @contextmanager
    def answering(self, name: str) -> Iterator[None]:
        """Raise what goes wrong in the words of MLflow; log what the gate itself refuses.

        Args:
            name: What the call calls the model: no other spelling will do.

        Raises:
            MlflowException: Whatever the block raises.
        """
        with translated(HostPolicy.from_environment(os.environ).hidden()):
            try:
                if self.law.governs and name != (known := plain(self.law.model)):
                    raise self.refuse(f"{name!r} is no name of its: ask for {known}")
                yield
            except RefusedError as error:  # whatever else is refused, whoever refused it logged
                self._log_refusal(str(error))
                raise

    @property
    def _by(self) -> str:
        name = self.law.model
        if self.law.governs:
            return f"{self.call} of {name}, which is governed by {self.law.names}, is refused"
        return f"{self.call} of {name} is refused"

    def _log_refusal(self, reason: str) -> None:
        after = {"call": self.call, "reason": reason[:_LONGEST]}
        try:
            self.note(Action.DENY, after=after)
        except VaultError:  # it is refused all the same
            _logger.exception("A refusal is not in the audit log: %s", reason)


def unreadable(call: str, name: str, cause: VaultError) -> MlflowException:
    """Return what a client hears when nobody can tell what is in force."""
    with_hint = isinstance(cause, StorageError)
    _logger.error("%s of %s is refused, as what is in force cannot be read: %s", call, name, cause)
    return MlflowException(
        f"{call} of {name} is refused: which policies are in force cannot be read from the vault "
        f"({type(cause).__name__}; the server's log says more). Nothing was changed.",
        error_code=TEMPORARILY_UNAVAILABLE if with_hint else PERMISSION_DENIED,
    )


def unauthorized(call: str, name: str, actor: Actor, cause: Exception) -> MlflowException:
    """Return what a client hears whom MLflow's auth no longer knows."""
    _logger.error("%s of %s is refused: %s", call, name, cause)
    return MlflowException(
        f"{call} of {name} is refused: MLflow does not say which roles {actor} has",
        error_code=PERMISSION_DENIED,
    )
