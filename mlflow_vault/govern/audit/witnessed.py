"""Compares what was said and applied with the log: none of it counts that was put there past it.

    statements/   approvals, rejections and evidence
    policies/     policies and roles

Each is in the log, with its digest, before it is kept.  So what is kept and is not in the log was
put there by somebody else, or changed.  What is in the log and not kept was deleted, or whoever
said it died in between: that is told, and is no flaw.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.errors import CorruptionError, InvalidInputError
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.governed_layout import POLICIES, STATEMENTS, policy_key, statement_key
from mlflow_vault.format.log import Action
from mlflow_vault.format.statement import LARGEST, Kind, Statement
from mlflow_vault.govern.audit.finding import fetch
from mlflow_vault.govern.audit.verification import Flaw

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow_vault.format.log import LogEntry
    from mlflow_vault.govern.audit.log import Log

_BATCH: Final = 4  # objects that one thread reads in a row
_SAID: Final = frozenset({Action.APPROVE, Action.REJECT, Action.EVIDENCE})
_APPLIED: Final = frozenset({Action.POLICY, Action.ROLE})
_LOGGED: Final = frozenset({Kind.APPROVAL, Kind.REJECTION, Kind.EVIDENCE})
_WITHDRAWN: Final = b"null"
_ID: Final = re.compile(r"[0-9a-f]{32}")


class Witnessed:
    """What was said and applied in a vault, as it is when this is made.

    Attributes:
        absent: The keys of what the log tells of and is not there, once `compare` was called.
    """

    def __init__(self, log: Log) -> None:
        self.absent: list[str] = []
        self._log = log
        self._flaws: list[Flaw] = []
        self._there: set[str] = set()
        self._kept: dict[str, str | None] = {}  # digests, by key
        self._told: dict[str, set[str | None]] = {}
        for key, stored in self._read(STATEMENTS):
            if self._is_logged(key, stored):
                self._kept[key] = str(Digest.of(stored))
        for key, stored in self._read(POLICIES):
            self._kept[key] = None if stored == _WITHDRAWN else str(Digest.of(stored))

    def take(self, entry: LogEntry) -> None:
        """Remember what *entry* says, if it is about what is compared here."""
        after = entry.after
        if not isinstance(after, dict):
            return
        key, digest = "", None
        if entry.action in _SAID:
            key, digest = _statement(entry, after.get("statement")), after.get("record")
        elif entry.action in _APPLIED:
            key, digest = _policy(entry, after.get("number")), after.get("digest")
        if key and (digest is None or isinstance(digest, str)):
            self._told.setdefault(key, set()).add(digest)

    def compare(self) -> list[Flaw]:
        """Return what does not agree, once the whole log was taken."""
        for key, digest in self._kept.items():
            if digest not in self._told.get(key, ()):
                told = "not as it is" if key in self._told else "not at all"
                self._flaws.append(Flaw(None, key, f"it is in the log {told}"))
        store = self._log.store
        missing = sorted(self._told.keys() - self._there)
        self.absent = [key for key in missing if store.stat(key) is None]
        return self._flaws

    def _read(self, prefix: str) -> Iterator[tuple[str, bytes]]:
        keys = [found.key for found in self._log.store.list(prefix)]
        self._there.update(keys)
        readers = self._log.world.readers
        found = fetch(self._log.store, readers, keys, LARGEST + 1, batch=_BATCH)
        return ((key, one) for key, one in zip(keys, found, strict=True) if one is not None)

    def _is_logged(self, key: str, stored: bytes) -> bool:
        """Whether there must be an entry of it; a flaw if nobody can say."""
        try:
            return Statement.from_bytes(stored, key).kind in _LOGGED
        except CorruptionError as error:
            self._flaws.append(Flaw(None, key, error.reason))
            return False


def _statement(entry: LogEntry, id_: Any) -> str:
    digest = entry.subject.digest
    if digest is None or not isinstance(id_, str) or not _ID.fullmatch(id_):
        return ""
    try:
        return statement_key(entry.subject.name, digest, id_)
    except InvalidInputError:
        return ""


def _policy(entry: LogEntry, number: Any) -> str:
    if type(number) is not int or number < 0:
        return ""
    try:
        return policy_key(entry.subject.name, number)
    except InvalidInputError:
        return ""
