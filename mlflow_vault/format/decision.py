"""Decisions: which version of a registered model moved to which stage, by whom and why.

The decisions about one model are numbered from 0 without gaps: its ledger.  Each says who stood
where before and after, so the last one tells all there is to know, and carries the digest of the
one before it.  Whoever creates a number decides; whoever comes second looks again.

    {"action":"promote","actor":{...},"after":{"production":{...}},"before":{...},"digest":"b3:...",
     "id":"...","model":"fraud","number":3,"predecessor":"b3:...","reason":"...","request":"",
     "sequence":7,"time":...,"to":"production","vault":"...","verdicts":[...]}

Pure: no I/O.  Written down in docs/format.md, "Decisions".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.errors import CorruptionError, InvalidInputError
from mlflow_vault.format import fields
from mlflow_vault.format.canonical import read, spell
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.governed_layout import decision_key
from mlflow_vault.format.log import Action, Actor
from mlflow_vault.format.showing import html_table

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST: Final = 4 << 20  # bytes of a decision: verdicts hold every value that was seen
ACTIONS: Final = frozenset({Action.PROMOTE, Action.ARCHIVE, Action.ROLL_BACK})
LONGEST_REASON: Final = 4096  # characters: it goes into an entry of the audit log, too


@dataclass(frozen=True, slots=True)
class Stand:
    """Which version stands in a stage, since when, and by which decision.

    Attributes:
        number: The model version's.
        digest: Of the version.
        since: Milliseconds since 1970.
        decision: The number of the decision that put it there.
    """

    number: int
    digest: Digest
    since: int
    decision: int

    def to_dict(self) -> dict[str, Any]:
        """Return this as plain JSON values."""
        return {
            "number": self.number,
            "digest": str(self.digest),
            "since": self.since,
            "decision": self.decision,
        }


@dataclass(frozen=True, slots=True)
class Decision:
    """One transition that was decided.

    Attributes:
        vault: The id of the vault in which it was.
        model: The registered model.
        sequence: Its place in the model's ledger, from 0.
        time: Milliseconds since 1970, by the clock of whoever decided.
        id: Random, 32 hexadecimal digits; tells one's own after a lost response.
        action: ``promote``, ``archive`` or ``roll_back`` (`format.log.Action`).
        actor: Who asked for it.
        number: Of the version that moved.
        digest: Of the version that moved.
        to: The stage that it moved to.
        reason: Why, in words.
        before: Who stood in ``staging`` and ``production``, by stage; no key where nobody did.
        after: Who stands there now.
        verdicts: What each policy said (`decide.policy.Verdict.to_dict`).
        predecessor: The digest of the decision before; None for the first.
        request: The random text by which whoever asked a server for it finds it again.
    """

    vault: str
    model: str
    sequence: int
    time: int
    id: str
    action: str
    actor: Actor
    number: int
    digest: Digest
    to: str
    reason: str = ""
    before: Mapping[str, Stand] = field(default_factory=dict, hash=False)
    after: Mapping[str, Stand] = field(default_factory=dict, hash=False)
    verdicts: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)
    predecessor: Digest | None = None
    request: str = ""
    _stored: bytes | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def record(self) -> Digest:
        """The digest of the stored bytes, by which what comes after names it."""
        return Digest.of(self.to_bytes())

    @property
    def key(self) -> str:
        """Where it lies."""
        return decision_key(self.model, self.sequence)

    def __repr__(self) -> str:
        return f"Decision({self.sequence}, {self.action!r}, {self.model}/{self.number}, {self.to})"

    def __str__(self) -> str:
        by = f"{self.action} {self.model}/{self.number} to {self.to} by {self.actor}"
        why = f": {self.reason}" if self.reason else ""
        lines = [f"decision {self.sequence}, {_moment(self.time)}: {by}{why}"]
        for stage in sorted({*self.before, *self.after}):
            was, now = self.before.get(stage), self.after.get(stage)
            if was != now:
                lines.append(f"  {stage}: {_told(was)} -> {_told(now)}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows: list[tuple[str, object]] = [
            ("version", f"{self.model}/{self.number} ({self.digest})"),
            ("actor", self.actor),
            ("reason", self.reason),
        ]
        for stage in sorted({*self.before, *self.after}):
            was, now = _told(self.before.get(stage)), _told(self.after.get(stage))
            rows.append((stage, f"{was} -> {now}"))
        rows += [(str(one.get("policy", "policy")), one.get("state", "")) for one in self.verdicts]
        title = f"{self.sequence}: {self.action} to {self.to} at {_moment(self.time)}"
        return html_table(title, rows)

    def to_dict(self) -> dict[str, Any]:
        """Return this as plain JSON values."""
        return {
            "vault": self.vault,
            "model": self.model,
            "sequence": self.sequence,
            "time": self.time,
            "id": self.id,
            "action": str(self.action),
            "actor": self.actor.to_dict(),
            "number": self.number,
            "digest": str(self.digest),
            "to": self.to,
            "reason": self.reason,
            "before": {stage: stand.to_dict() for stage, stand in self.before.items()},
            "after": {stage: stand.to_dict() for stage, stand in self.after.items()},
            "verdicts": [dict(one) for one in self.verdicts],
            "predecessor": str(self.predecessor) if self.predecessor else None,
            "request": self.request,
        }

    def to_bytes(self) -> bytes:
        """Spell this as it is stored.

        Raises:
            InvalidInputError: It is too large, or its verdicts are not what `canonical.plain`
                returns.
        """
        if self._stored is not None:  # spelling takes a millisecond or more
            return self._stored
        if len(self.reason) > LONGEST_REASON:
            raise InvalidInputError(
                f"the reason has {len(self.reason)} characters; {LONGEST_REASON} fit: say less, "
                "and where the rest is"
            )
        if self.action not in ACTIONS:
            raise InvalidInputError(f"{self.action!r} is no decision: know {sorted(ACTIONS)}")
        try:
            stored = spell(self.to_dict())
        except ValueError as cause:
            raise InvalidInputError(f"{self!r} cannot be kept as JSON: {cause}") from cause
        if len(stored) > LARGEST:
            raise InvalidInputError(
                f"{self!r} takes {len(stored)} bytes; a decision has at most {LARGEST}: judge by "
                "fewer policies, or by ones that look at less"
            )
        object.__setattr__(self, "_stored", stored)
        return stored

    @classmethod
    def from_bytes(cls, stored: bytes, key: str) -> Decision:
        """Undo `to_bytes`, believing nothing.

        Raises:
            CorruptionError: *stored* is no decision, or not that of *key*, or has another spelling.
        """
        if len(stored) > LARGEST:
            raise CorruptionError(key, f"{len(stored)} bytes are too many for a decision")
        try:
            decision = _decision(read(stored))
            object.__setattr__(decision, "_stored", stored)
            lies = decision.key
        except (AttributeError, LookupError, TypeError, ValueError) as cause:
            raise CorruptionError(key, f"it is no decision ({cause})") from cause
        if lies != key:
            raise CorruptionError(
                key, f"it is decision {decision.sequence} about {decision.model!r}"
            )
        return decision


_FIELDS: Final = frozenset(Decision.__dataclass_fields__) - {"_stored"}


def _decision(body: Any) -> Decision:
    if fields.mapping(body).keys() != _FIELDS:
        raise ValueError("its fields are other ones")
    if body["action"] not in ACTIONS:
        raise ValueError("its action is none")
    sequence, predecessor = fields.count(body["sequence"]), body["predecessor"]
    if (sequence == 0) != (predecessor is None):
        raise ValueError("every decision but the first has a predecessor")
    if len(fields.text(body["reason"])) > LONGEST_REASON:
        raise ValueError("its reason is too long")
    if not isinstance(body["verdicts"], list):
        raise TypeError("its verdicts are no array")
    return Decision(
        vault=fields.text(body["vault"]),
        model=fields.text(body["model"]),
        sequence=sequence,
        time=fields.time(body["time"]),
        id=fields.nonce(body["id"]),
        action=body["action"],
        actor=Actor.from_dict(body["actor"]),
        number=fields.count(body["number"]),
        digest=fields.digest(body["digest"]),
        to=fields.text(body["to"]),
        reason=body["reason"],
        before=_stands(body["before"], sequence - 1),
        after=_stands(body["after"], sequence),
        verdicts=tuple(map(fields.mapping, body["verdicts"])),
        predecessor=fields.optional_digest(predecessor),
        request=fields.text(body["request"]),
    )


def _stands(body: Any, last: int) -> dict[str, Stand]:
    """Who stands where, by decisions up to number *last*."""
    return {stage: _stand(one, last) for stage, one in fields.mapping(body).items()}


def _stand(body: Any, last: int) -> Stand:
    if fields.mapping(body).keys() != Stand.__dataclass_fields__.keys():
        raise ValueError("the fields of a stand are other ones")
    if fields.count(body["decision"]) > last:
        raise ValueError("a version stands somewhere by a decision that was not made yet")
    return Stand(
        fields.count(body["number"]),
        fields.digest(body["digest"]),
        fields.time(body["since"]),
        body["decision"],
    )


def _told(stand: Stand | None) -> str:
    return "nobody" if stand is None else f"{stand.number} (since {_moment(stand.since)})"


def _moment(time: int) -> str:
    return datetime.fromtimestamp(time / 1000, UTC).isoformat(sep=" ", timespec="seconds")
