"""Keys of approvers: Ed25519, or ECDSA on P-256 with SHA-256; the private half lies in a PEM file.

    openssl genpkey -algorithm ed25519 -out bob.pem
    openssl pkey -in bob.pem -pubout                  for `keys` of the roles

The kind of signature follows from the key and never from what is signed.  The only module of signed
approvals that reads files.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from mlflow_vault.decide.policy.public_keys import PublicKey, from_der
from mlflow_vault.errors import InvalidInputError, UnsupportedError

try:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ec import (
        ECDSA,
        EllipticCurvePrivateKey,
        EllipticCurvePublicKey,
    )
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )
    from cryptography.hazmat.primitives.hashes import SHA256
except ImportError as cause:
    raise UnsupportedError(
        'signed approvals need cryptography: pip install "mlflow-vault[sign]"'
    ) from cause

if TYPE_CHECKING:
    from pathlib import Path

_HASH: Final = ECDSA(SHA256())


@dataclass(frozen=True, slots=True)
class ApproverKey:
    """The private half of a key.

    Attributes:
        public: The public half.
    """

    _private: Ed25519PrivateKey | EllipticCurvePrivateKey = field(repr=False)
    public: PublicKey

    @classmethod
    def of(cls, private: object) -> ApproverKey:
        """Take a key of the library `cryptography`.

        Raises:
            InvalidInputError: It is neither Ed25519 nor on P-256.
        """
        if not isinstance(private, Ed25519PrivateKey | EllipticCurvePrivateKey):
            raise InvalidInputError("an approver's key is Ed25519, or ECDSA on P-256")
        der = private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        try:
            return cls(private, from_der(der))
        except ValueError as cause:
            raise InvalidInputError(str(cause)) from cause

    @classmethod
    def from_file(cls, path: str | Path, *, password: str | None = None) -> ApproverKey:
        """Read a private key in PEM.

        Args:
            path: The file.
            password: What it is encrypted with.

        Raises:
            NotFoundError: There is no such file.
            InvalidInputError: It is no such key, or the password is wrong.
        """
        from mlflow_vault.govern.signing.keys import read_pem  # noqa: PLC0415 - not to verify

        pem = read_pem(path)
        try:
            private = serialization.load_pem_private_key(
                pem, password.encode() if password else None
            )
        except (TypeError, ValueError, UnsupportedAlgorithm) as cause:
            hint = "it is no private key in PEM, or it has no password"
            if b"ENCRYPTED" in pem:
                hint = "the password is wrong" if password else "it needs a password"
            raise InvalidInputError(f"{path} cannot be read: {hint}") from cause
        try:
            return cls.of(private)
        except InvalidInputError as cause:
            raise InvalidInputError(f"{path}: {cause}") from cause

    def sign(self, message: bytes) -> bytes:
        """Sign some bytes."""
        if isinstance(self._private, Ed25519PrivateKey):
            return self._private.sign(message)
        return self._private.sign(message, _HASH)


def is_by(public: PublicKey, proof: bytes, message: bytes) -> bool:
    """Whether *proof* is a signature of *message* by the private half of *public*."""
    try:
        key = serialization.load_der_public_key(public.der)
        if isinstance(key, Ed25519PublicKey):
            key.verify(proof, message)
        elif isinstance(key, EllipticCurvePublicKey):
            key.verify(proof, message, _HASH)
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True
