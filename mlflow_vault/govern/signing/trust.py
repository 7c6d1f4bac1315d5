"""Whose signatures count: keys, roots of certificates, and how many signers there have to be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding

from mlflow_vault.errors import InvalidInputError
from mlflow_vault.govern.signing.chains import certified
from mlflow_vault.govern.signing.keys import (
    fingerprint,
    is_by,
    read_certificates,
    read_pem,
    read_public,
)

if TYPE_CHECKING:
    from pathlib import Path

    from mlflow_vault.govern.signing.bundle import Signature


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose signatures are believed.

    Attributes:
        keys: Public keys in PEM.
        roots: Certificates in DER; who has one that they vouch for is believed.
        threshold: How many signers have to agree.  A key is one; so are all certificates of one
            subject, whatever their keys.
        moment: When certificates have to be valid; now, if it is None.
        records: Whether the record, too, has to be signed: name, origin, parents, metadata, facts.
    """

    keys: tuple[bytes, ...] = ()
    roots: tuple[bytes, ...] = ()
    threshold: int = 1
    moment: datetime | None = None
    records: bool = False

    def __post_init__(self) -> None:
        if not self.keys and not self.roots:
            raise InvalidInputError("trust needs a public key or a root certificate: name a file")
        if self.threshold < 1:
            raise InvalidInputError(f"at least one signer has to agree, not {self.threshold}")
        if not self.roots and self.threshold > len(set(self.keys)):
            raise InvalidInputError(
                f"{self.threshold} signers can never agree where {len(set(self.keys))} are trusted"
            )
        if self.moment is not None and self.moment.tzinfo is None:
            raise InvalidInputError(f"{self.moment} is in no time zone: give one, such as UTC")

    def __repr__(self) -> str:
        return (
            f"Trust({len(self.keys)} keys, {len(self.roots)} roots, threshold={self.threshold}, "
            f"records={self.records})"
        )

    @classmethod
    def from_files(
        cls,
        *paths: str | Path,
        threshold: int = 1,
        moment: datetime | None = None,
        records: bool = False,
    ) -> Trust:
        """Read public keys and root certificates, in PEM; which of them a file holds, it says.

        Raises:
            NotFoundError: There is no such file.
            InvalidInputError: A file holds neither, or what is asked for can never hold.
        """
        keys, roots = [], []
        for path in paths:
            if b"BEGIN CERTIFICATE" in read_pem(path):
                roots += [each.public_bytes(Encoding.DER) for each in read_certificates(path)]
            else:
                keys.append(read_public(path))
        return cls(tuple(keys), tuple(roots), threshold, moment, records)

    def signer(self, signature: Signature) -> str:
        """Return who made *signature*: the fingerprint of a key, or a certificate's subject.

        Raises:
            InvalidInputError: Nobody who is trusted, or it does not hold.
        """
        known = {fingerprint(key): key for key in self.keys}
        if signature.certificates:
            if not self.roots:
                raise InvalidInputError("it was made with a certificate, and no root is trusted")
            moment = (self.moment or datetime.now(UTC)).astimezone(UTC)
            public, subject = certified(signature.certificates, self.roots, moment)
            who = fingerprint(public)
            return self._held(signature, {who if who in known else subject: public})
        if signature.hint and signature.hint not in known:
            raise InvalidInputError(f"the key {signature.hint[:64]!r} is not trusted")
        if signature.hint:
            known = {signature.hint: known[signature.hint]}
        return self._held(signature, known)

    @staticmethod
    def _held(signature: Signature, candidates: dict[str, bytes]) -> str:
        for who, public in candidates.items():
            if is_by(public, signature):
                return who
        raise InvalidInputError("it was not made with a trusted key, or changed since")
