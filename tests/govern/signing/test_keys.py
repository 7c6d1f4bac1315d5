"""Keys are read from files, tell nothing of themselves, and are of the right kind."""

from __future__ import annotations

import hashlib
import traceback
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from smithy import AUTHORITY, CURVES, FILES, Smith, version_of

from mlflow_vault.errors import InvalidInputError, NotFoundError
from mlflow_vault.govern.signing.judge import sign, verify_signature
from mlflow_vault.govern.signing.keys import Key, is_by, read_public
from mlflow_vault.govern.signing.trust import Trust

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "correct horse battery"


@pytest.mark.parametrize("curve", CURVES)
def test_passwords(smith: Smith, curve: str) -> None:
    """A key behind a password signs as any other."""
    pair = smith.pair(curve, PASSWORD)

    stored = sign(version_of(FILES), Key.from_files(pair.private, password=PASSWORD)).to_bytes()

    assert verify_signature(version_of(FILES), stored, Trust.from_files(pair.public))


@pytest.mark.parametrize("given", [None, "", "wrong horse"])
def test_wrong_passwords(smith: Smith, given: str | None) -> None:
    """A wrong password is an error that says so, and tells no password."""
    pair = smith.pair(password=PASSWORD)

    with pytest.raises(InvalidInputError, match="password") as caught:
        Key.from_files(pair.private, password=given)

    told = "".join(traceback.format_exception(caught.value))
    assert PASSWORD not in told
    assert "horse" not in str(caught.value)
    assert str(pair.private) in str(caught.value)


def test_password_for_none(smith: Smith) -> None:
    """A password for a key that has none is an error, as it may be another key."""
    with pytest.raises(InvalidInputError, match="it has no password"):
        Key.from_files(smith.pair().private, password=PASSWORD)


def test_secrets(smith: Smith) -> None:
    """A key shows its fingerprint alone."""
    pair = smith.pair()
    key = Key.from_files(pair.private)

    secret = pair.key.private_numbers().private_value

    assert repr(key) == f"Key(fingerprint={key.fingerprint!r})"
    assert str(secret) not in repr(key)


def test_other_kinds(smith: Smith) -> None:
    """Keys of other kinds and curves neither sign nor are trusted."""
    for other in (
        smith.rsa(),
        ed25519.Ed25519PrivateKey.generate(),
        ec.generate_private_key(ec.SECP256K1()),
    ):
        with pytest.raises(InvalidInputError, match="P-256"):
            Key.from_files(smith.private(other))
        with pytest.raises(InvalidInputError, match="P-256"):
            Trust.from_files(smith.public(other))


def test_files(smith: Smith, tmp_path: Path) -> None:
    """A file that is not there, is no key, or holds the other half is named."""
    pair = smith.pair()
    large = tmp_path / "large"
    large.write_bytes(bytes(2 << 20))

    with pytest.raises(NotFoundError, match=r"nowhere\.pem is not there"):
        Key.from_files(tmp_path / "nowhere.pem")
    with pytest.raises(InvalidInputError, match="cannot be read"):
        Key.from_files(tmp_path)
    with pytest.raises(InvalidInputError, match="too large"):
        Key.from_files(large)
    with pytest.raises(InvalidInputError, match="it is no private key in PEM"):
        Key.from_files(pair.public)
    with pytest.raises(InvalidInputError, match="no public key in PEM"):
        Trust.from_files(pair.private)
    with pytest.raises(InvalidInputError, match="no certificates in PEM"):
        Key.from_files(pair.private, certificates=[pair.public])


def test_another_certificate(smith: Smith) -> None:
    """A certificate has to be the key's own, and stand first."""
    root = smith.certificate("root", extensions=AUTHORITY)
    own = smith.certificate("ada", root)

    with pytest.raises(InvalidInputError, match="name that one first"):
        Key.from_files(own.private, certificates=[root.certificate, own.certificate])
    with pytest.raises(InvalidInputError, match="11 certificates"):
        Key.from_files(own.private, certificates=[own.certificate] * 11)


def test_roots_are_left_out(smith: Smith) -> None:
    """A root vouches for nothing in a signature, so it is not put there."""
    root = smith.certificate("root", extensions=AUTHORITY)
    own = smith.certificate("ada", root)

    key = Key.from_files(own.private, certificates=[own.certificate, root.certificate])

    assert len(key.certificates) == 1


def test_fingerprints(smith: Smith) -> None:
    """The fingerprint is that of the file with the public key, as ``sha256sum`` tells it."""
    pair = smith.pair()

    told = hashlib.sha256(pair.public.read_bytes()).hexdigest()

    assert Key.from_files(pair.private).fingerprint == told


def test_curves_are_not_mixed(smith: Smith) -> None:
    """A proof made on one curve is none on another, and no error either."""
    signature = Key.from_files(smith.pair("p521").private).sign(b"{}")

    assert not is_by(read_public(smith.pair("p256").public), signature)
