"""Searches the log and exports it.

What is exported as JSON lines are the stored bytes, so that it can be verified elsewhere.  A
spreadsheet takes a cell that begins with ``=`` for a formula, and names are anybody's text: in CSV
such cells get a ``'`` before them.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from mlflow_vault.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlflow_vault.format.log import LogEntry
    from mlflow_vault.govern.audit.log import Log

COLUMNS: Final = (
    *("sequence", "time", "action", "actor", "verified", "kind", "name", "digest"),
    *("before", "after", "predecessor", "nonce", "vault"),
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for: entries that fit all that is given.

    Attributes:
        action: One action, such as ``delete_refused``.
        actor: The name of who did it.
        subject: The name of what it was done to, or its digest.
        since: Not before this moment.
        until: Before this moment.
        text: Somewhere in the entry, upper and lower case alike.
    """

    action: str | None = None
    actor: str | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None

    def __post_init__(self) -> None:
        for moment in (self.since, self.until):
            if moment is not None and moment.tzinfo is None:
                raise InvalidInputError(f"{moment} needs a time zone: 2026-03-01T12:00Z has one")

    def fits(self, entry: LogEntry) -> bool:
        """Whether *entry* is what is looked for."""
        subject = entry.subject
        if self.action is not None and entry.action != self.action:
            return False
        if self.actor is not None and entry.actor.name != self.actor:
            return False
        if self.subject is not None and self.subject not in {subject.name, str(subject.digest)}:
            return False
        if self.since is not None and entry.time < self.since.timestamp() * 1000:
            return False
        if self.until is not None and entry.time >= self.until.timestamp() * 1000:
            return False
        return self.text is None or self.text.casefold() in _text(entry).casefold()


def search(log: Log, query: Query, limit: int | None = None) -> Iterator[LogEntry]:
    """Yield the entries that fit, oldest first; reads the whole log unless *limit* stops it.

    Raises:
        CorruptionError: An entry before is damaged or missing.
    """
    found = (entry for entry in log.entries() if query.fits(entry))
    for count, entry in enumerate(found, 1):
        yield entry
        if count == limit:
            return


def to_jsonl(entries: Iterable[LogEntry]) -> Iterator[str]:
    """Yield a line for each entry: exactly what is stored."""
    for entry in entries:
        yield entry.to_bytes().decode() + "\n"


def to_csv(entries: Iterable[LogEntry]) -> Iterator[str]:
    """Yield a line of `COLUMNS`, then a line for each entry, as RFC 4180 has them."""
    yield _line(COLUMNS)
    for entry in entries:
        subject = entry.subject
        yield _line(
            (
                str(entry.sequence),
                datetime.fromtimestamp(entry.time / 1000, UTC).isoformat(timespec="milliseconds"),
                entry.action,
                _cell(entry.actor.name),
                str(entry.actor.verified).lower(),
                _cell(subject.kind),
                _cell(subject.name),
                str(subject.digest or ""),
                _cell("" if entry.before is None else _json(entry.before)),
                _cell("" if entry.after is None else _json(entry.after)),
                str(entry.predecessor or ""),
                entry.nonce,
                entry.vault,
            )
        )


def _line(cells: Iterable[str]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _text(entry: LogEntry) -> str:
    return _json(entry.to_dict())
