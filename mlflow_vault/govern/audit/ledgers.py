"""Compares what the audit log says of decisions with the ledgers: neither may say more or less.

Decisions are read before the log is.  So each but the last of its model has its entry by then; the
last one may still wait for whoever carries it out, which is told and is no flaw.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.decide.transitions import decision_of, logged
from mlflow_vault.errors import CorruptionError
from mlflow_vault.format import layout
from mlflow_vault.format.decision import LARGEST, Decision
from mlflow_vault.format.governed_layout import DECISIONS, decision_key
from mlflow_vault.govern.audit.finding import fetch
from mlflow_vault.govern.audit.verification import Flaw

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlflow_vault.format.log import LogEntry
    from mlflow_vault.govern.audit.log import Log

_BATCH: Final = 4  # decisions that one thread reads in a row
_NAMED: Final = 100  # of a row of missing decisions


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is remembered of a decision: not its verdicts, which are large.

    Attributes:
        key: Where it lies.
        record: The digest of its bytes.
        predecessor: What it says of the one before.
        told: What the log should say of it.
    """

    key: str
    record: str
    predecessor: str
    told: tuple[Any, ...]


class Ledgers:
    """The decisions of a vault, as they are when this is made.

    Attributes:
        count: How many there are.
        pending: The keys of those that were not carried out yet.
    """

    def __init__(self, log: Log) -> None:
        self.pending: list[str] = []
        self._log = log
        self._flaws: list[Flaw] = []
        self._kept: dict[str, dict[int, _Kept]] = {}
        self._told: dict[tuple[str, int], LogEntry] = {}
        keys = [found.key for found in log.store.list(DECISIONS)]
        self.count = len(keys)
        self._damaged = set[str]()
        for key, stored in self._read(keys):
            self._keep(key, stored)

    def take(self, entry: LogEntry) -> None:
        """Remember what *entry* says, if it is of a decision."""
        number = decision_of(entry)
        if number is None:
            return
        first = self._told.setdefault((entry.subject.name, number), entry)
        if _told(first) != _told(entry):
            reason = f"it says of decision {number} what entry {first.sequence} does not"
            self._add(layout.log_key(entry.sequence), reason, entry)

    def compare(self) -> list[Flaw]:
        """Return what does not agree, once the whole log was taken."""
        late = [told for told in self._told if told[1] not in self._kept.get(told[0], {})]
        for key, stored in self._read([decision_key(*told) for told in late]):
            if key not in self._damaged:
                self._keep(key, stored)
        for model, kept in self._kept.items():
            self._compare_model(model, kept)
        for (model, number), entry in self._told.items():
            key = decision_key(model, number)
            if number not in self._kept.get(model, {}) and key not in self._damaged:
                reason = f"this decision is gone; entry {entry.sequence} tells of it"
                self._add(key, reason, entry)
        return self._flaws

    def _compare_model(self, model: str, kept: dict[int, _Kept]) -> None:
        last, before = max(kept), _Kept("", "", "", ())
        after = 0  # the number that comes next; not all are walked, as one may claim to be any
        for number, one in sorted(kept.items()):
            if number > after:
                self._add_missing(model, after, number)
            elif before.record and one.predecessor != before.record:
                self._add(one.key, "it was not decided behind the one before it")
            before, after = one, number + 1
            entry = self._told.get((model, number))
            if entry is not None and _told(entry) != one.told:
                reason = f"it is not what {one.key} says"
                self._add(layout.log_key(entry.sequence), reason, entry)
            elif entry is None and number == last:
                self.pending.append(one.key)
            elif entry is None:
                self._add(one.key, "the log has no entry of this decision")

    def _add_missing(self, model: str, start: int, stop: int) -> None:
        """Tell of the decisions from *start* up to *stop*, which are not there."""
        few = range(start, min(stop, start + _NAMED))
        for key in (decision_key(model, one) for one in few if (model, one) not in self._told):
            if key not in self._damaged:
                self._add(key, "this decision is missing")
        if stop > few.stop:
            key = decision_key(model, few.stop)
            self._add(key, f"missing are this decision and {stop - few.stop - 1} behind it")

    def _read(self, keys: list[str]) -> Iterator[tuple[str, bytes | None]]:
        readers = self._log.world.readers
        found: Iterable[bytes | None] = ()
        if keys:
            found = fetch(self._log.store, readers, keys, LARGEST + 1, batch=_BATCH)
        return zip(keys, found, strict=True)

    def _keep(self, key: str, stored: bytes | None) -> None:
        if stored is None:
            return  # gone: whoever tells of it says so
        try:
            decision = self._parsed(key, stored)
        except CorruptionError as error:
            self._damaged.add(key)
            self._add(key, error.reason)
            return
        told = (decision.action, decision.actor, decision.digest, *logged(decision))
        predecessor = str(decision.predecessor or "")
        kept = _Kept(key, str(decision.record), predecessor, told)
        self._kept.setdefault(decision.model, {})[decision.sequence] = kept

    def _parsed(self, key: str, stored: bytes) -> Decision:
        decision = Decision.from_bytes(stored, key)
        if decision.vault != self._log.vault:
            raise CorruptionError(key, f"it is from another vault, {decision.vault[:80]!r}")
        return decision

    def _add(self, key: str, reason: str, entry: LogEntry | None = None) -> None:
        self._flaws.append(Flaw(entry.sequence if entry else None, key, reason))


def _told(entry: LogEntry) -> tuple[Any, ...]:
    return (entry.action, entry.actor, entry.subject.digest, entry.before, entry.after)
