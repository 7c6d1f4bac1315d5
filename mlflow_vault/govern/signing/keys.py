"""EC keys: read from files, sign and check.

P-256, P-384 and P-521, each with the hash of its size, as Sigstore has them.  The hash follows from
the curve and never from the signature, so that nobody who forges one can choose it.

The only place of this package that reads files.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mlflow_vault.config import MIB
from mlflow_vault.errors import InvalidInputError, NotFoundError
from mlflow_vault.govern.signing.bundle import MOST_CERTIFICATES, Signature

if TYPE_CHECKING:
    from collections.abc import Iterable

_HASHES: Final[dict[str, type[hashes.HashAlgorithm]]] = {
    "secp256r1": hashes.SHA256,
    "secp384r1": hashes.SHA384,
    "secp521r1": hashes.SHA512,
}
_LARGEST: Final = MIB  # bytes of a file of keys or certificates


@dataclass(frozen=True, slots=True)
class Key:
    """A private key, with the certificates that say whose it is.

    Attributes:
        fingerprint: SHA-256 of the public half in PEM.
        certificates: In DER, the key's own first; empty for a bare key.
    """

    _private: ec.EllipticCurvePrivateKey = field(repr=False)
    fingerprint: str
    certificates: tuple[bytes, ...] = field(default=(), repr=False)

    @classmethod
    def from_files(
        cls,
        private: str | Path,
        *,
        password: str | None = None,
        certificates: Iterable[str | Path] = (),
    ) -> Key:
        """Read a key, and the certificates to put into its signatures.

        Args:
            private: A file in PEM.
            password: What the file is encrypted with.
            certificates: Files in PEM: the key's own certificate first, then those above it.
                Roots are left out of signatures: whoever verifies has to bring them.

        Raises:
            NotFoundError: There is no such file.
            InvalidInputError: The password is wrong, or a file is not what it should be.
        """
        pem = read_pem(private)
        try:
            key = serialization.load_pem_private_key(pem, password.encode() if password else None)
        except (TypeError, ValueError, UnsupportedAlgorithm) as cause:
            if b"ENCRYPTED" not in pem:
                hint = "it is no private key in PEM, or it has no password"
            else:
                hint = "the password is wrong" if password else "it needs a password"
            raise InvalidInputError(f"{private} cannot be read: {hint}") from cause
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in _HASHES:
            raise InvalidInputError(f"{private} is no key on P-256, P-384 or P-521: make one")
        public = public_pem(key.public_key())
        return cls(key, fingerprint(public), _chain(public, certificates))

    @property
    def private(self) -> ec.EllipticCurvePrivateKey:
        """The key itself, for what is signed otherwise."""
        return self._private

    def sign(self, payload: bytes) -> Signature:
        """Sign *payload*, a statement."""
        hint = "" if self.certificates else self.fingerprint
        bare = Signature(payload, b"", hint, self.certificates)
        proof = self._private.sign(bare.signed(), ec.ECDSA(_HASHES[self._private.curve.name]()))
        return Signature(payload, proof, hint, self.certificates)


def _chain(public: bytes, paths: Iterable[str | Path]) -> tuple[bytes, ...]:
    """Return the certificates of the key *public* in *paths*, without roots."""
    found = [each for path in paths for each in read_certificates(path)]
    if not found:
        return ()
    own, *above = found
    if public_pem(own.public_key()) != public:
        raise InvalidInputError("the first certificate is not the key's own: name that one first")
    kept = [own, *(each for each in above if not _is_root(each))]
    if len(kept) > MOST_CERTIFICATES:
        raise InvalidInputError(f"{len(kept)} certificates are more than {MOST_CERTIFICATES}")
    return tuple(each.public_bytes(serialization.Encoding.DER) for each in kept)


def _is_root(certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(certificate)
    except (InvalidSignature, TypeError, ValueError):
        return False
    return True


def read_pem(path: str | Path) -> bytes:
    """Return the bytes of a file of keys or certificates.

    Raises:
        NotFoundError: There is no such file.
        InvalidInputError: It cannot be read, or is far too large.
    """
    try:
        with Path(path).open("rb") as file:
            pem = file.read(_LARGEST + 1)
    except FileNotFoundError as cause:
        raise NotFoundError(f"{path} is not there") from cause
    except OSError as cause:
        raise InvalidInputError(f"{path} cannot be read: {cause.strerror}") from cause
    if len(pem) > _LARGEST:
        raise InvalidInputError(f"{path} is too large for keys or certificates")
    return pem


def read_certificates(path: str | Path) -> list[x509.Certificate]:
    """Return the certificates of a file in PEM.

    Raises:
        NotFoundError: There is no such file.
        InvalidInputError: It holds none.
    """
    try:
        return x509.load_pem_x509_certificates(read_pem(path))
    except ValueError as cause:
        raise InvalidInputError(f"{path} holds no certificates in PEM") from cause


def read_public(path: str | Path) -> bytes:
    """Return the public key of a file in PEM, spelled as `public_pem` does.

    Raises:
        NotFoundError: There is no such file.
        InvalidInputError: It holds none, or one of another kind.
    """
    try:
        key = serialization.load_pem_public_key(read_pem(path))
    except (ValueError, UnsupportedAlgorithm) as cause:
        raise InvalidInputError(f"{path} holds no public key in PEM") from cause
    return public_pem(key, str(path))


def public_pem(key: object, whose: str = "the key") -> bytes:
    """Spell a public key.

    Raises:
        InvalidInputError: It is of a kind that signs no models.
    """
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name not in _HASHES:
        raise InvalidInputError(f"{whose} is not on P-256, P-384 or P-521")
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def fingerprint(public: bytes) -> str:
    """Name a public key, as the stock signer does and ``sha256sum`` of its file."""
    return hashlib.sha256(public).hexdigest()


def is_by(public: bytes, signature: Signature) -> bool:
    """Whether *signature* was made with the private half of *public*."""
    key = serialization.load_pem_public_key(public)
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return False
    try:
        key.verify(signature.proof, signature.signed(), ec.ECDSA(_HASHES[key.curve.name]()))
    except InvalidSignature:
        return False
    return True
