"""Real keys, certificates and models to sign, made anew for every test."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mlflow_vault.format.digest import Digest
from mlflow_vault.format.version import File, Origin, Version, digest_of

if TYPE_CHECKING:
    from pathlib import Path

CURVES: Final[dict[str, ec.EllipticCurve]] = {
    "p256": ec.SECP256R1(),
    "p384": ec.SECP384R1(),
    "p521": ec.SECP521R1(),
}
FILES: Final = {
    "MLmodel": b"flavors: {}\n",
    "model.safetensors": bytes(range(256)) * 40,
    "data/weights (copy).bin": b"\x00\x01",
    "data/Gewichte \u00fc\u6a21\u578b.bin": b"unicode",
    "data-2/empty": b"",
    "data/deeper/.hidden": b"hidden",
}


def version_of(files: dict[str, bytes], **changes: Any) -> Version:
    """The version that these files make."""
    told = tuple(
        File(path, len(plain), Digest.of(plain), hashlib.sha256(plain).digest())
        for path, plain in sorted(files.items())
    )
    version = Version(
        digest=digest_of(told),
        id="0c" * 16,
        name="fraud",
        number=3,
        created=1_700_000_000_000,
        author="ada",
        origin=Origin("runs:/1/model", "1/run/artifacts/model"),
        files=told,
        facts={"metrics": {"f1": 0.9, "loss": float("nan")}},
        content="0c" * 16,
    )
    return replace(version, **changes)


def write(folder: Path, files: dict[str, bytes]) -> Path:
    """Put files where a checkout puts them."""
    for path, plain in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(plain)
    return folder


@dataclass(frozen=True)
class Pair:
    """A private key and its public half, in files."""

    private: Path
    public: Path
    key: ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Certified:
    """A certificate with its key, in files."""

    private: Path
    certificate: Path
    key: Any
    own: x509.Certificate


class Smith:
    """Makes keys and certificates in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made = 0

    def _file(self, content: bytes) -> Path:
        self._made += 1
        path = self._folder / f"{self._made}.pem"
        path.write_bytes(content)
        return path

    def private(self, key: Any, password: str = "") -> Path:
        """A private key in a file."""
        how: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if password:
            how = serialization.BestAvailableEncryption(password.encode())
        form = serialization.PrivateFormat.PKCS8
        return self._file(key.private_bytes(serialization.Encoding.PEM, form, how))

    def public(self, key: Any) -> Path:
        """The public half of a key in a file."""
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self._file(key.public_key().public_bytes(serialization.Encoding.PEM, form))

    def pair(self, curve: str = "p256", password: str = "") -> Pair:
        """A key pair."""
        key = ec.generate_private_key(CURVES[curve])
        return Pair(self.private(key, password), self.public(key), key)

    def rsa(self) -> rsa.RSAPrivateKey:
        """A key of another kind."""
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def certificate(self, name: str, above: Certified | None = None, **how: Any) -> Certified:
        """A certificate, of *above* or of itself.

        Args:
            name: Its subject.
            above: Who issues it.
            how: ``key``; ``days``, from and until when it is valid; ``extensions``.
        """
        key = how.get("key") or ec.generate_private_key(ec.SECP256R1())
        first, last = how.get("days", (-1, 30))
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(above.own.subject if above else _name(name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=first))
            .not_valid_after(now + timedelta(days=last))
        )
        for extension, critical in how.get("extensions", SIGNER):
            builder = builder.add_extension(extension, critical=critical)
        own = builder.sign(above.key if above else key, hashes.SHA256())
        pem = own.public_bytes(serialization.Encoding.PEM)
        return Certified(self.private(key), self._file(pem), key, own)


def usage(*allowed: str) -> x509.KeyUsage:
    """What a key may be used for."""
    every = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
        *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**{name: name in allowed for name in every})


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)] if common else [])


Extensions = tuple[tuple[x509.ExtensionType, bool], ...]
AUTHORITY: Final[Extensions] = (
    (x509.BasicConstraints(ca=True, path_length=None), True),
    (usage("key_cert_sign"), True),
)
SIGNER: Final[Extensions] = (
    (x509.BasicConstraints(ca=False, path_length=None), True),
    (usage("digital_signature"), True),
    (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), False),
)
