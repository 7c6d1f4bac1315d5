"""Ed25519 keys that sign checkpoints.

A key has a name, which is part of what its signatures say.  The private half lies in a PEM file
that any tool makes (``openssl genpkey -algorithm ed25519``); the public half is one line of text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlflow_vault.errors import InvalidInputError, UnsupportedError
from mlflow_vault.format.checkpoint import NoteSignature, PublicKey, SignedCheckpoint

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from mlflow_vault.format.checkpoint import Checkpoint


class Signer:
    """The private half of a key.

    Args:
        name: What its signatures say who signed.
        private: The key.
    """

    def __init__(self, name: str, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = PublicKey(name, private.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        return f"Signer({self.public.name!r})"

    @classmethod
    def generate(cls, name: str) -> Signer:
        """Make a new key."""
        return cls(name, _ed25519().Ed25519PrivateKey.generate())

    @classmethod
    def from_pem(cls, name: str, pem: bytes, password: bytes | None = None) -> Signer:
        """Read a key as `to_pem` and other tools write it.

        Raises:
            InvalidInputError: It is no Ed25519 key, or *password* does not open it.
        """
        ed25519 = _ed25519()
        from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - extra: sign
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - extra: sign

        try:
            private = serialization.load_pem_private_key(pem, password)
        except (TypeError, ValueError, UnsupportedAlgorithm) as cause:
            raise InvalidInputError(
                f"the key of {name!r} cannot be read: {cause}. Is its password right?"
            ) from cause
        if not isinstance(private, ed25519.Ed25519PrivateKey):
            raise InvalidInputError(
                f"the key of {name!r} is no Ed25519 key; make one: openssl genpkey -algorithm "
                "ed25519"
            )
        return cls(name, private)

    def to_pem(self, password: bytes | None = None) -> bytes:
        """Spell the private half, encrypted if there is a password."""
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - extra: sign

        return self._private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(password)
            if password
            else serialization.NoEncryption(),
        )

    def sign(self, checkpoint: Checkpoint) -> SignedCheckpoint:
        """Vouch for *checkpoint*."""
        proof = self._private.sign(checkpoint.text.encode())
        signature = NoteSignature(self.public.name, self.public.id, proof)
        return SignedCheckpoint(checkpoint, (signature,))


def signers(signed: SignedCheckpoint, trusted: Iterable[PublicKey]) -> tuple[PublicKey, ...]:
    """Which of the *trusted* keys signed it.

    A signature that names a trusted key and does not hold is none.
    """
    return tuple(
        key for key in trusted if any(_holds(signed, one, key) for one in signed.signatures)
    )


def _holds(signed: SignedCheckpoint, signature: NoteSignature, key: PublicKey) -> bool:
    if not signature.claims(key):
        return False
    ed25519 = _ed25519()
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - extra: sign

    try:
        public = ed25519.Ed25519PublicKey.from_public_bytes(key.raw)
        public.verify(signature.proof, signed.checkpoint.text.encode())
    except (InvalidSignature, ValueError):
        return False
    return True


def _ed25519() -> Any:
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415 - extra: sign
    except ImportError as cause:
        raise UnsupportedError(
            'signed checkpoints need cryptography: pip install "mlflow-vault[sign]"'
        ) from cause
    return ed25519
