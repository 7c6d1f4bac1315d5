"""The file: canonical JSON that holds each object as the very text that was stored or signed.

    {"decision": "...", "files": [...], "log": {"checkpoint", "entry", "proof", "sequence"},
     "mediaType": "...", "policies": ["..."], "signatures": ["..."], "statements": ["..."],
     "summaries": [{...}]}

A digest or a signature is over bytes, so what has one is kept as text inside, not as JSON that
would have to be spelled again in the same way.  The file itself has one spelling (RFC 8785).

Pure: no I/O.  Nothing here is believed: `verifying` judges it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.config import MIB
from mlflow_vault.errors import CorruptionError, InvalidInputError
from mlflow_vault.format import fields
from mlflow_vault.format.canonical import read, spell
from mlflow_vault.format.digest import from_hex
from mlflow_vault.format.version import File
from mlflow_vault.govern.audit.proofs import Inclusion

if TYPE_CHECKING:
    from collections.abc import Mapping

MEDIA_TYPE: Final = "application/vnd.mlflow-vault.promotion-bundle.v1+json"
LARGEST: Final = 64 * MIB  # bytes: a hundred times what a model of 5,000 files takes
_SHA256: Final = 32  # bytes
_FILE: Final = frozenset({"path", "size", "b3", "sha256"})
_LOG: Final = frozenset({"checkpoint", "entry", "proof", "sequence"})


@dataclass(frozen=True, slots=True)
class Bundle:
    """What proves one decision.

    Attributes:
        decision: The stored decision.
        files: Of the version that moved, sorted by path.
        log: That the decision is in the audit log, and the signed checkpoint.
        policies: Each policy that was judged by, as its digest is over.
        signatures: Of the version, as Sigstore's bundles.
        statements: Stored ones about the version: approvals, rejections, evidence.
        summaries: What each policy said, as `summaries` makes it of all this.
    """

    decision: str
    files: tuple[File, ...]
    log: Inclusion
    policies: tuple[str, ...] = ()
    signatures: tuple[str, ...] = ()
    statements: tuple[str, ...] = ()
    summaries: tuple[Mapping[str, Any], ...] = ()

    def __repr__(self) -> str:
        return f"Bundle({len(self.files)} files, {self.log!r})"

    def __hash__(self) -> int:
        return hash(self.to_bytes())

    def to_dict(self) -> dict[str, Any]:
        """This bundle as plain JSON values."""
        return {
            "mediaType": MEDIA_TYPE,
            "decision": self.decision,
            "files": [file.to_dict() for file in self.files],
            "log": self.log.to_dict(),
            "policies": list(self.policies),
            "signatures": list(self.signatures),
            "statements": list(self.statements),
            "summaries": [dict(one) for one in self.summaries],
        }

    def to_bytes(self) -> bytes:
        """Spell this as the file.

        Raises:
            InvalidInputError: A path is no UTF-8, or it is too large.
        """
        try:
            stored = spell(self.to_dict())
        except ValueError as cause:  # of which a UnicodeEncodeError is one
            raise InvalidInputError(f"this version cannot be told in a bundle: {cause}") from cause
        if len(stored) > LARGEST:
            raise InvalidInputError(
                f"the bundle would take {len(stored)} bytes, and {LARGEST} are the most: its "
                "version has too many files, or too much was said of it"
            )
        return stored

    @classmethod
    def from_bytes(cls, stored: bytes) -> Bundle:
        """Undo `to_bytes`, believing nothing.

        Raises:
            CorruptionError: It is no bundle, or has another spelling.
        """
        if len(stored) > LARGEST:
            raise CorruptionError("the bundle", f"{len(stored)} bytes are too many")
        try:
            return _bundle(fields.mapping(read(stored)))
        except (AttributeError, LookupError, TypeError, ValueError) as cause:
            raise CorruptionError("the bundle", f"it is no bundle ({cause})") from cause


def _bundle(body: dict[str, Any]) -> Bundle:
    if body.get("mediaType") != MEDIA_TYPE:
        raise ValueError(f"its mediaType is not {MEDIA_TYPE}")
    if body.keys() != {"mediaType", *Bundle.__dataclass_fields__}:
        raise ValueError("its fields are other ones")
    log = fields.mapping(body["log"])
    if log.keys() != _LOG or type(log["sequence"]) is not int:
        raise ValueError("the fields of its proof are other ones")
    found = Bundle(
        decision=fields.text(body["decision"]),
        files=tuple(map(_file, _several(body["files"]))),
        log=Inclusion.from_dict(log),
        policies=fields.texts(body["policies"]),
        signatures=fields.texts(body["signatures"]),
        statements=fields.texts(body["statements"]),
        summaries=tuple(map(fields.mapping, _several(body["summaries"]))),
    )
    if found.to_dict() != body:
        raise ValueError("a part of it has another spelling")
    for texts in (found.policies, found.signatures, found.statements):
        if len(set(texts)) != len(texts):
            raise ValueError("a part of it is there twice")
    return found


def _several(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("a part of it is no array")
    return value


def _file(value: Any) -> File:
    told = fields.mapping(value)
    if told.keys() != _FILE:
        raise ValueError("the fields of a file are other ones")
    fields.text(told["path"])
    fields.count(told["size"])
    if len(from_hex(fields.text(told["sha256"]))) != _SHA256:
        raise ValueError("a SHA-256 is none")
    return File.from_dict(told)
