"""Statements: what somebody said of one version, kept beside it and never changed.

    approval, rejection    of a version under a policy
    evidence               a test's result, an evaluation's metrics
    verdict                a policy did not let it pass, and why
    health                 what monitoring saw of it in production

A statement that its speaker signed carries the DSSE envelope over the same words; the key it lies
under is then made from the signed payload, so that the same envelope cannot be put there twice.

Pure: no I/O.  Written down in docs/format.md, "Statements".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.errors import CorruptionError, InvalidInputError
from mlflow_vault.format import fields
from mlflow_vault.format.canonical import read, spell
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.governed_layout import statement_key
from mlflow_vault.format.log import ACTION, Actor
from mlflow_vault.format.showing import html_table

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST: Final = 1 << 20  # bytes of a statement


class Kind(StrEnum):
    """What a statement is."""

    APPROVAL = "approval"
    REJECTION = "rejection"
    EVIDENCE = "evidence"
    VERDICT = "verdict"
    HEALTH = "health"


@dataclass(frozen=True, slots=True)
class Statement:
    """What somebody said of a version.

    Attributes:
        vault: The id of the vault in which it is.
        model: The registered model.
        number: The model version's.
        digest: Of the version.
        kind: What it is.
        id: 32 hexadecimal digits: random, or of the digest of the signed payload.
        time: Milliseconds since 1970, by the clock of whoever kept it.
        actor: Who said it, and whether somebody authenticated them.
        roles: Which roles they had then.
        factor: The second factor that was checked: empty, ``totp`` or ``key``.
        policies: Of an approval or rejection, the digests of the policies it was given under.
        reason: Why, in words.
        body: What else it says, as JSON: of evidence ``type``, ``name``, ``passed``, ``values``.
        envelope: The DSSE envelope, as JSON; None if it is not signed.
        request: The random text by which whoever asked a server for it finds it again.
    """

    vault: str
    model: str
    number: int
    digest: Digest
    kind: str
    id: str
    time: int
    actor: Actor
    roles: tuple[str, ...] = ()
    factor: str = ""
    policies: tuple[str, ...] = ()
    reason: str = ""
    body: Mapping[str, Any] = field(default_factory=dict, hash=False)
    envelope: Mapping[str, Any] | None = field(default=None, hash=False)
    request: str = ""
    _stored: bytes | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def record(self) -> Digest:
        """The digest of the stored bytes."""
        return Digest.of(self.to_bytes())

    @property
    def key(self) -> str:
        """Where it lies."""
        return statement_key(self.model, self.digest, self.id)

    def __repr__(self) -> str:
        return f"Statement({self.kind!s}, {self.model}/{self.number}, by {self.actor})"

    def __str__(self) -> str:
        what = f"{self.kind} of {self.model}/{self.number} by {self.actor}"
        proven = f", shown by {self.factor}" if self.factor else ""
        why = f": {self.reason}" if self.reason else ""
        return f"{_moment(self.time)}: {what}{proven}{why}"

    def _repr_html_(self) -> str:
        rows: list[tuple[str, object]] = [
            ("version", f"{self.model}/{self.number} ({self.digest})"),
            ("actor", self.actor),
            ("roles", ", ".join(self.roles)),
            ("factor", self.factor),
            ("signed", "no" if self.envelope is None else "yes"),
            ("reason", self.reason),
            *sorted((str(key), value) for key, value in self.body.items()),
        ]
        return html_table(f"{self.kind} at {_moment(self.time)}", rows)

    def to_dict(self) -> dict[str, Any]:
        """Return this as plain JSON values."""
        return {
            "vault": self.vault,
            "model": self.model,
            "number": self.number,
            "digest": str(self.digest),
            "kind": str(self.kind),
            "id": self.id,
            "time": self.time,
            "actor": self.actor.to_dict(),
            "roles": list(self.roles),
            "factor": self.factor,
            "policies": list(self.policies),
            "reason": self.reason,
            "body": dict(self.body),
            "envelope": None if self.envelope is None else dict(self.envelope),
            "request": self.request,
        }

    def to_bytes(self) -> bytes:
        """Spell this as it is stored.

        Raises:
            InvalidInputError: It is too large, its body is not what `canonical.plain` returns, or
                its id is not that of what its envelope signs.
        """
        if self._stored is not None:
            return self._stored
        try:
            _check_id(self)
            stored = spell(self.to_dict())
        except ValueError as cause:
            raise InvalidInputError(f"{self!r} cannot be kept: {cause}") from cause
        if len(stored) > LARGEST:
            raise InvalidInputError(
                f"{self!r} takes {len(stored)} bytes; a statement has at most {LARGEST}. Keep what "
                "is large with the model and name it here."
            )
        object.__setattr__(self, "_stored", stored)
        return stored

    @classmethod
    def from_bytes(cls, stored: bytes, key: str) -> Statement:
        """Undo `to_bytes`, believing nothing; whether a signature holds is for others to say.

        Raises:
            CorruptionError: *stored* is no statement, or not that of *key*, or has another
                spelling.
        """
        if len(stored) > LARGEST:
            raise CorruptionError(key, f"{len(stored)} bytes are too many for a statement")
        try:
            statement = _statement(read(stored))
            object.__setattr__(statement, "_stored", stored)
            lies = statement.key
        except (AttributeError, LookupError, TypeError, ValueError) as cause:
            raise CorruptionError(key, f"it is no statement ({cause})") from cause
        if lies != key:
            raise CorruptionError(key, f"it is the statement {lies}")
        return statement


_FIELDS: Final = frozenset(Statement.__dataclass_fields__) - {"_stored"}


def signed_id(envelope: Mapping[str, Any]) -> str:
    """The id of a statement with this DSSE envelope: of what is signed, however it is wrapped.

    Signatures are not part of it, since the same key can sign the same words in many ways.  So
    the signed words must say who says them: else whoever comes second could not say the same.

    >>> signed_id({"payload": "e30=", "payloadType": "application/vnd.in-toto+json"})
    '28eb0e4d65cc0a795a9bad14b7aa8c03'

    Raises:
        ValueError: *envelope* is none, or its payload is not the base64 that is usual.
    """
    plain, kind = fields.octets(envelope["payload"]), fields.text(envelope["payloadType"])
    return Digest.of(b"%d %s %s" % (len(kind.encode()), kind.encode(), plain)).raw.hex()[:32]


def _check_id(statement: Statement) -> None:
    if statement.envelope is not None and signed_id(statement.envelope) != statement.id:
        raise ValueError("its id is not that of what is signed")


def _statement(body: Any) -> Statement:
    if fields.mapping(body).keys() != _FIELDS:
        raise ValueError("its fields are other ones")
    if not ACTION.fullmatch(body["kind"]):
        raise ValueError("its kind is none")
    envelope = body["envelope"]
    statement = Statement(
        vault=fields.text(body["vault"]),
        model=fields.text(body["model"]),
        number=fields.count(body["number"]),
        digest=fields.digest(body["digest"]),
        kind=body["kind"],
        id=fields.nonce(body["id"]),
        time=fields.time(body["time"]),
        actor=Actor.from_dict(body["actor"]),
        roles=fields.texts(body["roles"]),
        factor=fields.text(body["factor"]),
        policies=fields.texts(body["policies"]),
        reason=fields.text(body["reason"]),
        body=fields.mapping(body["body"]),
        envelope=None if envelope is None else fields.mapping(envelope),
        request=fields.text(body["request"]),
    )
    _check_id(statement)
    return statement


def _moment(time: int) -> str:
    return datetime.fromtimestamp(time / 1000, UTC).isoformat(sep=" ", timespec="seconds")
