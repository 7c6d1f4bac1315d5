"""DSSE: an envelope around what is signed.

    {"payload": base64, "payloadType": "application/vnd.in-toto+json",
     "signatures": [{"keyid": "fingerprint", "sig": base64}]}

What is signed is the payload's bytes with their type before them, so no reader has to spell JSON as
the signer did.  Here an envelope has one signature, by whom the payload names.

Pure: no I/O, no cryptography.  Written down in docs/format.md, "Statements".
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.errors import InvalidInputError
from mlflow_vault.format import fields
from mlflow_vault.format.stored_json import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST: Final = 64 << 10  # bytes; one with the longest reason has a quarter of that
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
_FIELDS: Final = frozenset({"payload", "payloadType", "signatures"})
_SIGNATURE: Final = frozenset({"keyid", "sig"})


@dataclass(frozen=True, slots=True)
class Envelope:
    """What is signed, and the proof; not yet believed.

    Attributes:
        payload: What is signed.
        keyid: The fingerprint of the key that it claims.
        proof: The signature.
    """

    payload: bytes
    keyid: str
    proof: bytes

    def to_dict(self) -> dict[str, Any]:
        """This envelope as plain JSON values."""
        return {
            "payload": _to_text(self.payload),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"keyid": self.keyid, "sig": _to_text(self.proof)}],
        }

    @classmethod
    def parse(cls, given: Mapping[str, Any] | bytes | str) -> Envelope:
        """Read an envelope, as JSON or as the values that it holds, believing nothing.

        Raises:
            InvalidInputError: It is none, or has not one signature.
        """
        try:
            raw = given if isinstance(given, str | bytes) else json.dumps(dict(given))
            raw = raw.encode() if isinstance(raw, str) else raw
            if len(raw) > LARGEST:
                raise InvalidInputError(f"a signed approval has at most {LARGEST} bytes")
            return _envelope(read_json(raw))
        except (LookupError, RecursionError, TypeError, ValueError) as cause:
            raise InvalidInputError(f"it is no signed approval: {cause!s:.200}") from cause


def signed_bytes(payload: bytes) -> bytes:
    """What a signature is over: DSSE's pre-authentication encoding.

    >>> signed_bytes(b"{}")
    b'DSSEv1 28 application/vnd.in-toto+json 2 {}'
    """
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def _envelope(body: Any) -> Envelope:
    if not isinstance(body, dict) or body.keys() != _FIELDS:
        raise ValueError(f"an envelope has the fields {', '.join(sorted(_FIELDS))}")
    if body["payloadType"] != PAYLOAD_TYPE:
        raise ValueError(f"its payload is not {PAYLOAD_TYPE}")
    signatures = body["signatures"]
    if not isinstance(signatures, list) or len(signatures) != 1:
        raise ValueError("it does not hold one signature")
    (signature,) = signatures
    if not isinstance(signature, dict) or signature.keys() != _SIGNATURE:
        raise ValueError("its signature does not have keyid and sig")
    if not isinstance(signature["keyid"], str):
        raise TypeError("its keyid is no text")
    return Envelope(
        fields.octets(body["payload"]), signature["keyid"], fields.octets(signature["sig"])
    )


def _to_text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
