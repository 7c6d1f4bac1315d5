"""A certificate counts where a trusted root vouches for it, then, as one that signs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier
from smithy import AUTHORITY, FILES, SIGNER, Certified, Extensions, Smith, usage, version_of

from mlflow_vault.govern.signing.bundle import Signature
from mlflow_vault.govern.signing.judge import Verdict, sign, verify_signature
from mlflow_vault.govern.signing.keys import Key
from mlflow_vault.govern.signing.trust import Trust

VERSION: Final = version_of(FILES)
ODD: Final = x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00")
WEB: Final = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
ADA: Final = x509.DirectoryName(x509.Name.from_rfc4514_string("CN=ada"))
LIMITED: Final = x509.NameConstraints([ADA], None)


def judged(root: Certified, *chain: Certified, **how: Any) -> Verdict:
    """What a signature with this chain is worth where *root* is trusted."""
    key = Key.from_files(chain[0].private, certificates=[each.certificate for each in chain])
    trust = Trust.from_files(root.certificate, **how)
    return verify_signature(VERSION, sign(VERSION, key).to_bytes(), trust)


def test_chains(smith: Smith) -> None:
    """A root vouches over several certificates, of other kinds of keys too, in any order."""
    root = smith.certificate("root", key=smith.rsa(), extensions=AUTHORITY)
    upper = smith.certificate("upper", root, key=smith.rsa(), extensions=AUTHORITY)
    lower = smith.certificate("lower", upper, extensions=AUTHORITY)
    own = smith.certificate("ada", lower)

    assert judged(root, own, lower, upper).signer == "CN=ada"
    assert judged(root, own, upper, lower, root)
    assert judged(upper, own, lower)
    assert not judged(root, own, lower)
    assert not judged(smith.certificate("root", extensions=AUTHORITY), own, lower, upper)


def test_pinned(smith: Smith) -> None:
    """A certificate that is itself trusted needs no root above."""
    own = smith.certificate("ada", extensions=(AUTHORITY[0], *SIGNER[1:]))

    assert judged(own, own)
    assert not judged(smith.certificate("ada", extensions=AUTHORITY), own)


@pytest.mark.parametrize("days", [(-9, -1), (1, 9)])
def test_dates(smith: Smith, days: tuple[int, int]) -> None:
    """It has to be valid: now, or at the moment that the trust names."""
    root = smith.certificate("root", extensions=AUTHORITY, days=(-99, 99))
    own = smith.certificate("ada", root, days=days)
    then = datetime.now(UTC) + timedelta(days=sum(days) / 2)

    assert "not valid" in judged(root, own).reasons[0]
    assert judged(root, own, moment=then)
    assert judged(root, own, moment=then.astimezone(timezone(timedelta(hours=14))))


SIGNERS: Final[dict[str, tuple[bool, Extensions]]] = {
    "it may sign": (True, (SIGNER[0], SIGNER[1])),
    "it signs code": (True, (SIGNER[0], SIGNER[2])),
    "odd, not critical": (True, (*SIGNER, (ODD, False))),
    "odd and critical": (False, (*SIGNER, (ODD, True))),
    "it says nothing": (False, (SIGNER[0],)),
    "it only issues": (False, (SIGNER[0], (usage("key_cert_sign"), True))),
    "it is for the web": (False, (*SIGNER[:2], (WEB, False))),
    "it signs code, but not so": (False, (SIGNER[0], (usage("key_agreement"), True), SIGNER[2])),
}


@pytest.mark.parametrize("what", SIGNERS)
def test_uses(smith: Smith, what: str) -> None:
    """A signer's certificate has to allow signing, and signing code if it limits its uses."""
    holds, extensions = SIGNERS[what]
    root = smith.certificate("root", extensions=AUTHORITY)

    assert judged(root, smith.certificate("ada", root, extensions=extensions)).holds == holds


AUTHORITIES: Final[dict[str, Extensions]] = {
    "it is a signer's": SIGNER,
    "it is nobody's": (),
    "it is no authority": (SIGNER[0], AUTHORITY[1]),
    "it does not say that it is one": (AUTHORITY[1],),
    "it may not issue": (AUTHORITY[0], (usage("digital_signature"), True)),
    "it is for the web": (*AUTHORITY, (WEB, False)),
    "odd and critical": (*AUTHORITY, (ODD, True)),
    "limited to names": (*AUTHORITY, (LIMITED, True)),
    "limited to names, not critical": (*AUTHORITY, (LIMITED, False)),
}


@pytest.mark.parametrize("what", AUTHORITIES)
def test_authorities(smith: Smith, what: str) -> None:
    """Who issues certificates has to be allowed to, for this use, with no limit on names."""
    root = smith.certificate("root", extensions=AUTHORITY)
    middle = smith.certificate("middle", root, extensions=AUTHORITIES[what])

    assert not judged(root, smith.certificate("ada", middle), middle)


def test_lengths(smith: Smith) -> None:
    """A root that allows none between it and a signer is obeyed."""
    short = ((x509.BasicConstraints(ca=True, path_length=0), True), AUTHORITY[1])
    root = smith.certificate("root", extensions=short)
    middle = smith.certificate("middle", root, extensions=AUTHORITY)

    assert judged(root, smith.certificate("ada", root))
    assert not judged(root, smith.certificate("ada", middle), middle)


def test_names(smith: Smith) -> None:
    """A signer may be called as its issuer is; one without a name is known by its key."""
    root = smith.certificate("same", extensions=AUTHORITY)
    own = smith.certificate("same", root)
    nameless = smith.certificate("", root)

    assert judged(root, own).signer == "CN=same"
    assert judged(root, nameless).signer == Key.from_files(nameless.private).fingerprint


def test_other_curves(smith: Smith) -> None:
    """A certified key of another kind proves nothing."""
    root = smith.certificate("root", extensions=AUTHORITY)
    own = smith.certificate("ada", root)
    odd = smith.certificate("ada", root, key=ec.generate_private_key(ec.SECP256K1()))
    rsa = smith.certificate("ada", root, key=smith.rsa())
    signature = sign(VERSION, Key.from_files(own.private, certificates=[own.certificate]))

    for other in (odd, rsa):
        der = other.own.public_bytes(Encoding.DER)
        forged = Signature(signature.payload, signature.proof, "", (der,))
        verdict = verify_signature(VERSION, forged.to_bytes(), Trust.from_files(root.certificate))
        assert not verdict


def test_one_byte(smith: Smith) -> None:
    """A byte that changes in a certificate is noticed, or says nothing: DER pads bits in a byte."""
    root = smith.certificate("root", extensions=AUTHORITY)
    middle = smith.certificate("middle", root, extensions=AUTHORITY)
    own = smith.certificate("ada", middle)
    key = Key.from_files(own.private, certificates=[own.certificate, middle.certificate])
    signature = sign(VERSION, key)
    trust = Trust.from_files(root.certificate)
    assert verify_signature(VERSION, signature.to_bytes(), trust)

    for number, der in enumerate(signature.certificates):
        for at in range(len(der)):
            chain = list(signature.certificates)
            chain[number] = der[:at] + bytes([der[at] ^ 1 << at % 8]) + der[at + 1 :]
            forged = replace(signature, certificates=tuple(chain))
            if verify_signature(VERSION, forged.to_bytes(), trust):
                assert _said(chain[number]) == _said(der), (number, at)


def _said(der: bytes) -> tuple[bytes, bytes]:
    certificate = x509.load_der_x509_certificate(der)
    return certificate.tbs_certificate_bytes, certificate.signature
