"""The audit log as people ask it: what was done, by whom, and whether that can be proven."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.decide.anomalies import anomalies
from mlflow_vault.errors import CorruptionError, InvalidInputError
from mlflow_vault.format.log import Actor
from mlflow_vault.govern.audit.checkpoints import Checkpoints
from mlflow_vault.govern.audit.log import Log
from mlflow_vault.govern.audit.proofs import include
from mlflow_vault.govern.audit.searching import Query, search, to_csv, to_jsonl
from mlflow_vault.govern.audit.standing import at
from mlflow_vault.govern.audit.verifying import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from datetime import datetime

    from mlflow_vault.decide.anomalies import Anomaly, Limits
    from mlflow_vault.engine.world import World
    from mlflow_vault.format.checkpoint import PublicKey, SignedCheckpoint
    from mlflow_vault.format.log import Action, LogEntry, Subject
    from mlflow_vault.format.record import Identity
    from mlflow_vault.govern.audit.keys import Signer
    from mlflow_vault.govern.audit.proofs import Inclusion
    from mlflow_vault.govern.audit.standing import Standing
    from mlflow_vault.govern.audit.verification import LogVerification
    from mlflow_vault.store.protocol import Store

_FORMATS: Final = {"jsonl": to_jsonl, "csv": to_csv}
_RECENT: Final = 256  # entries


class Audit:
    """What was done in one vault.

    Attributes:
        is_kept: Whether the store can keep a log in which no entry vanishes.
    """

    def __init__(self, store: Store, world: World, identity: Identity) -> None:
        self.is_kept = identity.conditional_create
        self._log = Log(store, world, identity)
        self._checkpoints = Checkpoints(self._log)

    def note(
        self,
        action: Action,
        subject: Subject,
        actor: Actor | str,
        *,
        before: Any = None,
        after: Any = None,
    ) -> None:
        """Add what was done, if the store can keep a log.

        Args:
            action: What.
            subject: To what.
            actor: Who did it; as text who says so, and nobody has proven it.
            before: As it was.
            after: As it is now.

        Raises:
            CorruptionError: The log's last entry is damaged.
            StorageError: The store failed.
        """
        if self.is_kept:
            who = Actor(actor, verified=False) if isinstance(actor, str) else actor
            self._log.append(action, who, subject, before=before, after=after)

    def noted(self, records: Collection[str]) -> frozenset[str]:
        """Which of these decisions the log's last 256 entries are about, as well as they are read.

        Args:
            records: The digests of decisions, as text.
        """
        size = self._log.size()
        found = set()
        for sequence, stored in self._log.fetch(range(max(size - _RECENT, 0), size)):
            with suppress(CorruptionError):
                after = self._log.parse(sequence, stored or b"").after
                if isinstance(after, dict) and after.get("record") in records:
                    found.add(str(after["record"]))
        return frozenset(found)

    def verify(
        self,
        trusted: Iterable[PublicKey] = (),
        known: Iterable[SignedCheckpoint] = (),
        *,
        progress: Callable[[int], None] = lambda _: None,
    ) -> LogVerification:
        """Read the whole log and compare everything.

        Args:
            trusted: Keys that may sign checkpoints; without any, signatures are not judged.
            known: Checkpoints that were kept elsewhere; the log must go on from each.
            progress: Told the entries as they are read.
        """
        return verify(self._log, trusted, known, progress)

    def search(self, query: Query | None = None, limit: int | None = None) -> Iterator[LogEntry]:
        """Yield the entries that fit *query*, all of them without one, oldest first."""
        return search(self._log, query or Query(), limit)

    def export(self, form: str = "jsonl") -> Iterator[str]:
        """Yield the lines of the log as ``jsonl``, whose lines are the stored bytes, or ``csv``.

        Raises:
            InvalidInputError: There is no such form.
        """
        if form not in _FORMATS:
            raise InvalidInputError(f"{form!r} is no form; know {sorted(_FORMATS)}")
        return _FORMATS[form](self._log.entries())

    def at(self, moment: datetime) -> Standing:
        """Return which versions and aliases there were at *moment*, and who made them."""
        return at(self._log.entries(), moment)

    def checkpoint(self, signer: Signer, trusted: Iterable[PublicKey] = ()) -> SignedCheckpoint:
        """Sign what the log holds: keep what this returns elsewhere, to verify the log with.

        Args:
            signer: The key.
            trusted: Keys that may have signed earlier ones, besides *signer*'s.
        """
        return self._checkpoints.make(signer, trusted)

    def prove(self, sequence: int, trusted: Iterable[PublicKey]) -> Inclusion:
        """Return a proof that an entry is in the log, which holds without the vault.

        Raises:
            InvalidInputError: No checkpoint covers it yet.
        """
        signed = self._checkpoints.latest(trusted)
        if signed is None:
            raise InvalidInputError("there is no checkpoint yet: make one, then prove")
        return include(self._log, self._checkpoints, sequence, signed)

    def anomalies(self, limits: Limits | None = None) -> Iterator[Anomaly]:
        """Yield what looks odd in the log: new actors, bursts, odd hours, no checkpoints."""
        return anomalies(self._log.entries(), self._log.world.now(), limits)
