"""Trust is as much as somebody asked for, and no more."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import pytest
from smithy import AUTHORITY, FILES, Smith, version_of

from mlflow_vault.errors import InvalidInputError, UntrustedError
from mlflow_vault.govern.signing.bundle import Signature
from mlflow_vault.govern.signing.judge import require, sign, verify_signature
from mlflow_vault.govern.signing.keys import Key
from mlflow_vault.govern.signing.trust import Trust

VERSION: Final = version_of(FILES)


def test_thresholds(smith: Smith) -> None:
    """Two signers are two different ones."""
    first, second, third = (smith.pair() for _ in range(3))
    trust = Trust.from_files(first.public, second.public, threshold=2)
    by_first, again, by_second, by_third = (
        sign(VERSION, Key.from_files(pair.private)).to_bytes()
        for pair in (first, first, second, third)
    )

    assert len(require(VERSION, [by_first, by_third, by_second], trust)) == 2
    with pytest.raises(UntrustedError, match="1 of 2 signers agree"):
        require(VERSION, [by_first, again, by_first, by_third], trust)


def test_renewed_certificates(smith: Smith) -> None:
    """Two certificates of one person are one signer; a key that is trusted itself is that key."""
    root = smith.certificate("root", extensions=AUTHORITY)
    ada, renewed, eve = (smith.certificate(name, root) for name in ("ada", "ada", "eve"))
    by_ada, by_renewed, by_eve = (
        sign(VERSION, Key.from_files(each.private, certificates=[each.certificate])).to_bytes()
        for each in (ada, renewed, eve)
    )
    bare = sign(VERSION, Key.from_files(ada.private)).to_bytes()

    trust = Trust.from_files(root.certificate, threshold=2)
    assert len(require(VERSION, [by_ada, by_eve], trust)) == 2
    with pytest.raises(UntrustedError):
        require(VERSION, [by_ada, by_renewed], trust)
    both = Trust.from_files(root.certificate, smith.public(ada.key), threshold=2)
    with pytest.raises(UntrustedError):
        require(VERSION, [by_ada, bare], both)


def test_kinds_are_not_mixed(smith: Smith) -> None:
    """A root vouches for no bare key, and a trusted key for no certificate."""
    root = smith.certificate("root", extensions=AUTHORITY)
    own = smith.certificate("ada", root)
    certified = sign(VERSION, Key.from_files(own.private, certificates=[own.certificate]))
    bare = sign(VERSION, Key.from_files(own.private))

    with_root = Trust.from_files(root.certificate)
    with_key = Trust.from_files(smith.public(own.key))

    assert verify_signature(VERSION, certified.to_bytes(), with_root)
    assert not verify_signature(VERSION, bare.to_bytes(), with_root)
    assert verify_signature(VERSION, bare.to_bytes(), with_key)
    refused = verify_signature(VERSION, certified.to_bytes(), with_key)
    assert refused.reasons == ("it was made with a certificate, and no root is trusted",)


def test_fingerprints_are_claims(smith: Smith) -> None:
    """Whose fingerprint a signature bears does not make it theirs; without one all are tried."""
    first, second = smith.pair(), smith.pair()
    trust = Trust.from_files(first.public, second.public)
    signature = sign(VERSION, Key.from_files(second.private))
    claimed = Key.from_files(first.private).fingerprint

    forged = replace(signature, hint=claimed)
    silent = Signature(signature.payload, signature.proof)

    assert not verify_signature(VERSION, forged.to_bytes(), trust)
    assert verify_signature(VERSION, silent.to_bytes(), trust).signer == signature.hint


def test_files(smith: Smith) -> None:
    """A file says itself whether it holds a key or roots; one may hold several roots."""
    first = smith.certificate("first", extensions=AUTHORITY)
    second = smith.certificate("second", extensions=AUTHORITY)
    first.certificate.write_bytes(first.certificate.read_bytes() + second.certificate.read_bytes())

    trust = Trust.from_files(first.certificate, smith.pair().public)

    assert repr(trust) == "Trust(1 keys, 2 roots, threshold=1, records=False)"


def test_what_can_never_hold(smith: Smith) -> None:
    """Trust that no signature could ever meet is refused when it is made."""
    public = smith.pair().public

    with pytest.raises(InvalidInputError, match="name a file"):
        Trust.from_files()
    with pytest.raises(InvalidInputError, match="at least one"):
        Trust.from_files(public, threshold=0)
    with pytest.raises(InvalidInputError, match="2 signers can never agree where 1"):
        Trust.from_files(public, public, threshold=2)
    with pytest.raises(InvalidInputError, match="time zone"):
        Trust.from_files(public, moment=datetime.now(UTC).replace(tzinfo=None))
