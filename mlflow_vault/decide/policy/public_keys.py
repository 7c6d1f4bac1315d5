"""Public keys of approvers, in PEM: Ed25519, and ECDSA on P-256; nothing else is read.

A key of these kinds has one encoding of a fixed length (RFC 5480, RFC 8410), so that it can be
judged without a library, where a policy is checked: a point that is not on the curve, and one of
the few of Ed25519 under which a signature proves nothing, are refused.

Pure: no I/O, no cryptography.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Final, Literal

_PEM: Final = re.compile(
    r"\s*-----BEGIN PUBLIC KEY-----\s+([A-Za-z0-9+/=\s]{40,400})-----END PUBLIC KEY-----\s*"
)
_LINE: Final = 64  # letters of base64
_ED25519: Final = bytes.fromhex("302a300506032b6570032100")
_P256: Final = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
_PRIME: Final = 2**256 - 2**224 + 2**192 + 2**96 - 1
_B: Final = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
# The y of the points of Ed25519 whose order is at most 8, as they may be spelled; RFC 7748, 6.
_FIELD: Final = 2**255 - 19
_ORDER_8: Final = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_SMALL: Final = frozenset({0, 1, _FIELD - 1, _FIELD, _FIELD + 1, _ORDER_8, _FIELD - _ORDER_8})


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key.

    Attributes:
        der: Its one encoding, a SubjectPublicKeyInfo.
    """

    der: bytes

    def __repr__(self) -> str:
        return f"PublicKey({self.kind!r}, {self.fingerprint[:12]!r})"

    @property
    def kind(self) -> Literal["ed25519", "p256"]:
        """Which kind."""
        return "ed25519" if self.der.startswith(_ED25519) else "p256"

    @property
    def pem(self) -> str:
        """The key as ``openssl pkey -pubout`` writes it."""
        text = base64.b64encode(self.der).decode()
        lines = [text[at : at + _LINE] for at in range(0, len(text), _LINE)]
        return "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""])

    @property
    def fingerprint(self) -> str:
        """The key's name: ``sha256sum`` of its file."""
        return hashlib.sha256(self.pem.encode()).hexdigest()


def read_public_key(text: object) -> PublicKey:
    """Read a key in PEM.

    Raises:
        ValueError: It is none, or of another kind.
    """
    if isinstance(text, str) and "PRIVATE KEY" in text:
        raise ValueError("this is a private key: keep it to yourself, and give its public half")
    found = _PEM.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError("expected a public key in PEM: -----BEGIN PUBLIC KEY----- ...")
    try:
        der = base64.b64decode("".join(found[1].split()), validate=True)
    except binascii.Error as cause:
        raise ValueError(f"the key is no base64: {cause}") from cause
    return from_der(der)


def from_der(der: bytes) -> PublicKey:
    """Take a key by its encoding.

    Raises:
        ValueError: It is none, or of another kind.
    """
    if der.startswith(_ED25519) and len(der) == len(_ED25519) + 32:
        y = int.from_bytes(der[len(_ED25519) :], "little") & ((1 << 255) - 1)
        if y in _SMALL:
            raise ValueError("under this key any signature would hold: make another")
        return PublicKey(der)
    if der.startswith(_P256) and len(der) == len(_P256) + 64:
        point = der[len(_P256) :]
        x, y = int.from_bytes(point[:32], "big"), int.from_bytes(point[32:], "big")
        if max(x, y) >= _PRIME or (y * y - (x * x * x - 3 * x + _B)) % _PRIME:
            raise ValueError("the key is no point of P-256")
        return PublicKey(der)
    raise ValueError("a key is Ed25519, or ECDSA on P-256: openssl genpkey -algorithm ed25519")
