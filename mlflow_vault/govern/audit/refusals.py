"""Logs what a seal refused, a hot loop of it as few entries.

A program that tries again and again would bury the log, and each entry is a request.  So of one
sealed path a process logs one refusal of each kind in ten minutes, and 64 of all paths; the next
entry tells how many there were since.  What a process did not log when it ends was of a path that
it had logged, or came after 64 others.

There is no lock: a fork would copy it locked.  Two threads may log one refusal each.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from mlflow_vault.errors import SealedError, VaultError
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.log import Action, Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlflow_vault.engine.seals import Seals
    from mlflow_vault.format.log import Actor
    from mlflow_vault.govern.audit.audit import Audit

QUIET: Final = 600.0  # seconds
MOST: Final = 64  # entries of a process in that time

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Window:
    """Ten minutes of refusals.

    Attributes:
        began: On the monotonic clock.
        told: The kinds and paths that have an entry.
    """

    began: float = float("-inf")
    told: set[tuple[Action, str]] = field(default_factory=set)


class Refusals:
    """What seals refused in one process.

    Args:
        audit: Makes the log, when something is refused.
        seals: What is sealed.
        monotonic: Seconds since some moment.
        actor: Says who asks.
    """

    def __init__(
        self,
        audit: Callable[[], Audit],
        seals: Seals,
        monotonic: Callable[[], float],
        actor: Callable[[], Actor | str],
    ) -> None:
        self._make_audit = audit
        self._audit: Audit | None = None
        self._seals = seals
        self._monotonic = monotonic
        self._actor = actor
        self._window = _Window()
        self._unsaid = 0  # refusals since the last entry

    @contextmanager
    def logged(self, path: str) -> Iterator[None]:
        """Log it if what is done here is a write at *path* that a seal refuses.

        The refusal stands whether or not it can be logged.
        """
        try:
            yield
        except SealedError as error:
            try:
                self.note(Action.WRITE_REFUSED, error.sealed or path, path)
            except (VaultError, ImportError, OSError) as cause:  # the log's code comes with it
                _log.warning("a refused write at %s is not in the audit log: %s", path, cause)
            raise

    def note(self, action: Action, sealed: str, asked: str) -> None:
        """Log that something was refused, unless that was just logged.

        Args:
            action: What was refused.
            sealed: The path that is sealed.
            asked: The path that was to be changed.

        Raises:
            VaultError: It cannot be logged.
        """
        now = self._monotonic()
        if now - self._window.began >= QUIET:
            self._window = _Window(now)
        told = self._window.told
        self._unsaid += 1
        if (action, sealed) in told or len(told) >= MOST:
            return
        told.add((action, sealed))
        refused, self._unsaid = self._unsaid, 0
        digest = (self._seals.get(sealed) or {}).get("digest")
        subject = Subject("path", sealed, Digest.parse(digest) if digest else None)
        before, after = {"asked": asked}, {"refused": refused}
        self._audit = self._audit or self._make_audit()
        self._audit.note(action, subject, self._actor(), before=before, after=after)
