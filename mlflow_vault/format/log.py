"""The audit log's entries: who did what to what, in canonical JSON.

    {"action":"commit","actor":{"name":"ann","verified":true},"after":{"number":3},"before":null,
     "nonce":"...","predecessor":"b3:...","sequence":7,"subject":{"digest":"b3:...",
     "kind":"version","name":"fraud"},"time":1764000000000,"vault":"..."}

An entry has one spelling (RFC 8785), so its bytes can be hashed by whoever holds only what they
say.  It carries its number, its vault and the digest of the entry before it: moved, taken from
another vault, or put behind another history, it does not fit.

*before* and *after* are what a deed changed, as JSON.  Where it moved aliases, both have
``{"aliases": {alias: number or null}}``; where it made a version, *after* has its ``number``.

Pure: no I/O.  Written down in docs/format.md, "Audit log".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.errors import CorruptionError, InvalidInputError
from mlflow_vault.format import layout
from mlflow_vault.format.canonical import read, spell
from mlflow_vault.format.fields import count, nonce, optional_digest, text, time
from mlflow_vault.format.showing import html_table

if TYPE_CHECKING:
    from mlflow_vault.format.digest import Digest

LARGEST: Final = 0xFFFF  # bytes of an entry: C2SP's bundles spell lengths in 16 bits
ACTION: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_FIELDS: Final = frozenset(
    ("action", "actor", "after", "before", "nonce", "predecessor", "sequence", "subject", "time")
) | {"vault"}


class Action(StrEnum):
    """What this release logs.  Later ones log more, which is read all the same."""

    COMMIT = "commit"
    SYNC = "sync"
    SEAL = "seal"
    DELETE = "delete"
    DELETE_REFUSED = "delete_refused"
    WRITE_REFUSED = "write_refused"
    RENAME = "rename"
    ALIAS = "alias"
    PROMOTE = "promote"
    APPROVE = "approve"
    REJECT = "reject"
    EVIDENCE = "evidence"
    DENY = "deny"
    ROLL_BACK = "roll_back"
    ARCHIVE = "archive"
    SIGN = "sign"
    POLICY = "policy"
    ROLE = "role"
    LOGIN_FAILED = "login_failed"
    ALERT = "alert"
    CHECKPOINT = "checkpoint"
    COLLECT = "collect"
    TIER = "tier"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True, order=True)
class Actor:
    """Who did it.

    Attributes:
        name: As whoever authenticated them calls them; empty if nobody knows.
        verified: Whether somebody authenticated them, or it is only what they say.
    """

    name: str = ""
    verified: bool = False

    def __str__(self) -> str:
        name = repr(self.name) if self.name else "somebody"
        return name if self.verified else f"{name} (unverified)"

    def to_dict(self) -> dict[str, Any]:
        """Return this as plain JSON values."""
        return {"name": self.name, "verified": self.verified}

    @classmethod
    def from_dict(cls, body: Any) -> Actor:
        """Undo `to_dict`, believing nothing.

        Raises:
            TypeError: *body* is none.
            ValueError: *body* has other fields.
        """
        if not isinstance(body, dict) or not isinstance(body.get("verified"), bool):
            raise TypeError("an actor has a name, and verified is true or false")
        if body.keys() != {"name", "verified"}:
            raise ValueError("the fields of its actor are other ones")
        return cls(text(body["name"]), body["verified"])


@dataclass(frozen=True, slots=True)
class Subject:
    """What it was done to.

    Attributes:
        kind: ``version``, ``model``, ``path``, ``policy``, ...
        name: Of a version its registered model's; else its own.
        digest: Of its content, where it has one.
    """

    kind: str
    name: str
    digest: Digest | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r}{f' ({self.digest})' if self.digest else ''}"


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One thing that was done, or refused.

    Attributes:
        vault: The id of the vault in whose log it is.
        sequence: Its place there, from 0 and without gaps.
        time: When, in milliseconds since 1970 by the clock of whoever wrote it.
        nonce: Random; tells one's own entry after a lost response.
        action: One of `Action`, or what a later release calls it.
        actor: Who.
        subject: To what.
        predecessor: The digest of the stored bytes of the entry before; None for the first.
        before: What the deed changed, as it was.
        after: As it was then.
    """

    vault: str
    sequence: int
    time: int
    nonce: str
    action: str
    actor: Actor
    subject: Subject
    predecessor: Digest | None = None
    before: Any = field(default=None, hash=False)
    after: Any = field(default=None, hash=False)

    def __repr__(self) -> str:
        return f"LogEntry({self.sequence}, {self.action!r}, {self.subject!s})"

    def _repr_html_(self) -> str:
        told = self.to_dict()
        rows = [("actor", self.actor), ("subject", self.subject)]
        rows += [(name, told[name]) for name in ("before", "after", "predecessor")]
        moment = datetime.fromtimestamp(self.time / 1000, UTC).isoformat(sep=" ")
        return html_table(f"{self.sequence}: {self.action} at {moment}", rows)

    def to_dict(self) -> dict[str, Any]:
        """Return this as plain JSON values."""
        return {
            "vault": self.vault,
            "sequence": self.sequence,
            "time": self.time,
            "nonce": self.nonce,
            "action": str(self.action),
            "actor": self.actor.to_dict(),
            "subject": {
                "kind": self.subject.kind,
                "name": self.subject.name,
                "digest": str(self.subject.digest) if self.subject.digest else None,
            },
            "predecessor": str(self.predecessor) if self.predecessor else None,
            "before": self.before,
            "after": self.after,
        }

    def to_bytes(self) -> bytes:
        """Spell this as it is stored.

        Raises:
            InvalidInputError: It is too large, or *before* or *after* is not what
                `canonical.plain` returns.
        """
        try:
            stored = spell(self.to_dict())
        except ValueError as cause:
            raise InvalidInputError(f"{self!r} cannot be kept as JSON: {cause}") from cause
        if len(stored) > LARGEST:
            raise InvalidInputError(
                f"{self!r} takes {len(stored)} bytes; an entry of the log has at most {LARGEST}. "
                "Store what is large elsewhere and log its digest."
            )
        return stored

    @classmethod
    def from_bytes(cls, stored: bytes, key: str) -> LogEntry:
        """Undo `to_bytes`, believing nothing.

        Raises:
            CorruptionError: *stored* is no entry, or not the one of *key*, or has another spelling.
        """
        if len(stored) > LARGEST:
            raise CorruptionError(key, f"{len(stored)} bytes are too many for an entry")
        try:
            entry = _entry(read(stored))
        except (AttributeError, LookupError, TypeError, ValueError) as cause:
            raise CorruptionError(key, f"it is no entry of the log ({cause})") from cause
        if layout.log_key(entry.sequence) != key:
            raise CorruptionError(key, f"it is entry {entry.sequence} of the log")
        return entry


def _entry(body: Any) -> LogEntry:
    if body.keys() != _FIELDS:
        raise ValueError("its fields are other ones")
    subject = body["subject"]
    if subject.keys() != {"kind", "name", "digest"}:
        raise ValueError("the fields of its subject are other ones")
    if not ACTION.fullmatch(body["action"]):
        raise ValueError("its action is none")
    return LogEntry(
        vault=text(body["vault"]),
        sequence=count(body["sequence"]),
        time=time(body["time"]),
        nonce=nonce(body["nonce"]),
        action=body["action"],
        actor=Actor.from_dict(body["actor"]),
        subject=Subject(
            text(subject["kind"]), text(subject["name"]), optional_digest(subject["digest"])
        ),
        predecessor=optional_digest(body["predecessor"]),
        before=body["before"],
        after=body["after"],
    )
