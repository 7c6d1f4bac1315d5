"""Sign a version, and judge what claims to sign it.

A signature is over SHA-256 digests, and what reads a version checks BLAKE3.  A record that tells
both could be forged to tell the signed one of the first beside an evil one of the second.  Signers
of ours annotate the version's BLAKE3 digest; a signature without that holds only where somebody
has just computed SHA-256 from the bytes themselves, and says so (`rehashed`).
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlflow_vault.errors import InvalidInputError, UntrustedError
from mlflow_vault.govern.signing.bundle import Signature
from mlflow_vault.govern.signing.statement import Statement, state

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlflow_vault.format.version import Version
    from mlflow_vault.govern.signing.keys import Key
    from mlflow_vault.govern.signing.trust import Trust


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a signature of a version is worth.

    Attributes:
        holds: Whether somebody who is trusted signed exactly these files.
        signer: The fingerprint of the key, or the subject of the certificate; empty if nobody who
            is trusted made it.
        reasons: Why it does not hold; empty if it does.
        record: Whether it vouches for the record, too.
    """

    holds: bool
    signer: str = ""
    reasons: tuple[str, ...] = ()
    record: bool = False

    def __bool__(self) -> bool:
        return self.holds

    def __str__(self) -> str:
        if self.holds:
            return f"signed by {self.signer!r}{' with its record' if self.record else ''}"
        return f"not signed: {'; '.join(self.reasons)}"

    def _repr_html_(self) -> str:
        return f"<code>{html.escape(str(self))}</code>"

    def to_dict(self) -> dict[str, Any]:
        """This verdict as plain values."""
        return {
            "holds": self.holds,
            "signer": self.signer,
            "reasons": list(self.reasons),
            "record": self.record,
        }


def sign(version: Version, key: Key) -> Signature:
    """Sign *version* from the digests it has, reading none of its bytes.

    Raises:
        InvalidInputError: It has nothing to sign, too many files, or a name that is no UTF-8.
    """
    signature = key.sign(state(version))
    signature.to_bytes()
    return signature


def verify_signature(
    version: Version, stored: bytes, trust: Trust, *, rehashed: bool = False
) -> Verdict:
    """Judge whether *stored* is a signature of *version* by somebody who is trusted.

    Args:
        version: As it is recorded; of its files only the digests are looked at.
        stored: A bundle, believed in nothing.
        trust: Who is trusted.
        rehashed: Whether the SHA-256 of each file was just computed from its bytes.
    """
    try:
        signature = Signature.from_bytes(stored)
        signer = trust.signer(signature)
        statement = Statement.parse(signature.payload)
    except InvalidInputError as cause:
        return Verdict(holds=False, reasons=(str(cause),))
    reasons = statement.differences(version)
    covered = statement.covers_record(version)
    if statement.algorithm == "sha256" and statement.digest is None and not rehashed:
        reasons.append(
            "it vouches for SHA-256 alone, which nobody compared with the bytes: "
            "verify the version's files with it, or sign it here"
        )
    if trust.records and not covered:
        reasons.append("its record is not signed: sign this version here")
    return Verdict(not reasons, signer, tuple(reasons), covered and not reasons)


def require(
    version: Version, bundles: Iterable[bytes], trust: Trust, *, rehashed: bool = False
) -> tuple[Verdict, ...]:
    """Return the verdicts that show that enough who are trusted signed *version*.

    Args:
        version: What is about to be used.
        bundles: What claims to sign it; no more are taken than are needed.
        trust: Who is trusted, and how many of them have to agree.
        rehashed: As `verify_signature` has it.

    Raises:
        UntrustedError: They are too few.
    """
    held: dict[str, Verdict] = {}
    refused = []
    for stored in bundles:
        verdict = verify_signature(version, stored, trust, rehashed=rehashed)
        if verdict:
            held.setdefault(verdict.signer, verdict)
        else:
            refused.append(str(verdict))
        if len(held) >= trust.threshold:
            return tuple(held.values())
    reasons = ". ".join([f"{len(held)} of {trust.threshold} signers agree", *refused])
    raise UntrustedError(
        f"{version.label} is not signed as it has to be: {reasons}. Sign it, or trust its key"
    )
