"""The file that holds one signature: Sigstore's bundle, as OpenSSF Model Signing uses it.

    {mediaType, verificationMaterial: who,  dsseEnvelope: {payload: what, signatures: [the proof]}}

What is signed is not the JSON around but the payload's bytes with their type before them (DSSE), so
no reader has to spell JSON as the signer did.  A bundle may come from anyone: each field is either
checked here or told to nobody, and unknown ones are refused, as they might matter.

Pure: no I/O, no cryptography.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any, Final

from mlflow_vault.config import MIB
from mlflow_vault.errors import InvalidInputError
from mlflow_vault.format import fields
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.stored_json import read_json

LARGEST: Final = MIB  # bytes of a bundle: about 5,000 files
MOST_CERTIFICATES: Final = 10  # in one chain
_MEDIA_TYPE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
_PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
# With a key older signers stored the key itself; it is not believed, so it is not read.
_KEY_FIELDS: Final = frozenset({"hint", "rawBytes", "keyDetails"})


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature, parsed but not yet believed.

    Attributes:
        payload: The statement that is signed, as bytes of JSON.
        proof: The ECDSA signature in DER.
        hint: The fingerprint of the key that it claims; empty if it has certificates.
        certificates: In DER, the signer's first; empty if it was made with a bare key.
    """

    payload: bytes
    proof: bytes
    hint: str = ""
    certificates: tuple[bytes, ...] = ()

    def __repr__(self) -> str:
        return f"Signature({self.method!r}, {self.name[:12]!r})"

    @property
    def method(self) -> str:
        """How its signer is known: ``key`` or ``certificate``."""
        return "certificate" if self.certificates else "key"

    @property
    def name(self) -> str:
        """What it is stored as: 32 hex digits that its bytes make."""
        return Digest.of(self.to_bytes()).raw.hex()[:32]

    def signed(self) -> bytes:
        """The bytes that the proof is over: DSSE's pre-authentication encoding."""
        return b"DSSEv1 %d %s %d %s" % (
            len(_PAYLOAD_TYPE),
            _PAYLOAD_TYPE.encode(),
            len(self.payload),
            self.payload,
        )

    def to_dict(self) -> dict[str, Any]:
        """The bundle as plain values, laid out as the stock signer does."""
        who: dict[str, Any] = {"publicKey": {"hint": self.hint}}
        if self.certificates:
            chain = [{"rawBytes": _to_text(each)} for each in self.certificates]
            who = {"x509CertificateChain": {"certificates": chain}}
        return {
            "mediaType": _MEDIA_TYPE,
            "verificationMaterial": {**who, "tlogEntries": []},
            "dsseEnvelope": {
                "payload": _to_text(self.payload),
                "payloadType": _PAYLOAD_TYPE,
                "signatures": [{"sig": _to_text(self.proof), "keyid": ""}],
            },
        }

    def to_bytes(self) -> bytes:
        """Spell it as the file that the stock verifier reads.

        Raises:
            InvalidInputError: It is larger than any reader of ours takes.
        """
        stored = json.dumps(self.to_dict(), separators=(",", ":")).encode()
        if len(stored) > LARGEST:
            raise InvalidInputError(
                f"a signature of {len(stored)} bytes is too large: "
                f"{LARGEST} are the most, which is about 5,000 files"
            )
        return stored

    @classmethod
    def from_bytes(cls, stored: bytes) -> Signature:
        """Read a bundle, of whichever signer, believing nothing.

        Raises:
            InvalidInputError: It is no bundle, or of a kind that this release does not judge.
        """
        if len(stored) > LARGEST:
            raise InvalidInputError(f"a signature is at most {LARGEST} bytes, this is more")
        try:
            return _parse(read_json(stored))
        except (KeyError, TypeError, ValueError) as cause:
            raise InvalidInputError(f"it is no signature: {cause}") from cause


def _parse(bundle: Any) -> Signature:
    _fields(bundle, {"mediaType", "verificationMaterial", "dsseEnvelope"})
    if bundle["mediaType"] != _MEDIA_TYPE:
        raise ValueError(f"its media type is not {_MEDIA_TYPE}")
    hint, certificates = _parse_signer(bundle["verificationMaterial"])
    envelope = bundle["dsseEnvelope"]
    _fields(envelope, {"payload", "payloadType", "signatures"})
    if envelope["payloadType"] != _PAYLOAD_TYPE:
        raise ValueError(f"its payload is not {_PAYLOAD_TYPE}")
    signatures = envelope["signatures"]
    # The stock verifier looks at the first alone, so a second would mean nothing to it.
    if not isinstance(signatures, list) or len(signatures) != 1:
        raise ValueError("it does not hold one signature")
    _fields(signatures[0], {"sig"}, {"keyid"})
    return Signature(
        payload=fields.octets(envelope["payload"]),
        proof=fields.octets(signatures[0]["sig"]),
        hint=hint,
        certificates=certificates,
    )


def _parse_signer(who: Any) -> tuple[str, tuple[bytes, ...]]:
    """Return the claimed fingerprint and certificates."""
    if not isinstance(who, dict):
        raise TypeError("it does not say who signed")
    if "certificate" in who or who.get("tlogEntries"):
        raise ValueError("it was signed without a key, by Sigstore, which is asked over a network")
    aside = {"tlogEntries", "timestampVerificationData"}
    if "x509CertificateChain" not in who:
        _fields(who, {"publicKey"}, aside)
        _fields(who["publicKey"], set(), _KEY_FIELDS)
        hint = who["publicKey"].get("hint") or ""
        if not isinstance(hint, str):
            raise TypeError("its key's fingerprint is no text")
        return hint, ()
    _fields(who, {"x509CertificateChain"}, aside)
    _fields(who["x509CertificateChain"], {"certificates"})
    chain = who["x509CertificateChain"]["certificates"]
    if not isinstance(chain, list) or not 0 < len(chain) <= MOST_CERTIFICATES:
        raise ValueError(f"it does not hold 1 to {MOST_CERTIFICATES} certificates")
    for each in chain:
        _fields(each, {"rawBytes"})
    return "", tuple(fields.octets(each["rawBytes"]) for each in chain)


def _fields(found: Any, needed: set[str], allowed: set[str] | frozenset[str] = frozenset()) -> None:
    if not isinstance(found, dict):
        raise TypeError("a part of it is no object")
    if missing := needed - found.keys():
        raise ValueError(f"{min(missing)!r} is missing")
    if unknown := found.keys() - needed - allowed:
        raise ValueError(f"{min(unknown)[:40]!r} is not known")


def _to_text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
