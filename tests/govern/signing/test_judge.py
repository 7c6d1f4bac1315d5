"""A signature holds for the version that was signed, and for nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from smithy import FILES, Pair, Smith, version_of

from mlflow_vault.errors import CorruptionError, UnsupportedError, UntrustedError
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.version import Version, digest_of
from mlflow_vault.govern.signing.bundle import Signature
from mlflow_vault.govern.signing.judge import Verdict, require, sign, verify_signature
from mlflow_vault.govern.signing.keys import Key, fingerprint, public_pem
from mlflow_vault.govern.signing.statement import state
from mlflow_vault.govern.signing.trust import Trust

VERSION: Final = version_of(FILES)
PRIVATE: Final = ec.derive_private_key(7, ec.SECP256R1())  # for what is made but once
PUBLIC: Final = public_pem(PRIVATE.public_key())
SIGNED: Final = sign(VERSION, Key(PRIVATE, fingerprint(PUBLIC))).to_bytes()


@pytest.fixture
def pair(smith: Smith) -> Pair:
    """A key pair."""
    return smith.pair()


@pytest.fixture
def key(pair: Pair) -> Key:
    """Its private half."""
    return Key.from_files(pair.private)


@pytest.fixture
def trust(pair: Pair) -> Trust:
    """Trust in its public half."""
    return Trust.from_files(pair.public)


def test_signed(key: Key, trust: Trust) -> None:
    """What was signed holds, as it is and after it was stored; so does its record."""
    stored = sign(VERSION, key).to_bytes()

    for version in (VERSION, Version.from_bytes(VERSION.to_bytes(), "k")):
        verdict = verify_signature(version, stored, trust)
        assert verdict == Verdict(holds=True, signer=key.fingerprint, record=True)
        assert require(version, [stored], trust) == (verdict,)


def test_where_it_is_stored(key: Key, trust: Trust) -> None:
    """How a version is stored is not signed."""
    moved = replace(VERSION, content="ff", parts=9)

    assert verify_signature(moved, sign(VERSION, key).to_bytes(), trust).record


RECORDS: Final[dict[str, dict[str, Any]]] = {
    "name": {"name": "fraud2"},
    "number": {"number": 4},
    "created": {"created": 1},
    "author": {"author": "eve"},
    "origin": {"origin": replace(VERSION.origin, run_id="2")},
    "parents": {"parents": (VERSION.digest,)},
    "metadata": {"metadata": {"licence": "MIT"}},
    "facts": {"facts": {"metrics": {"f1": 0.99, "loss": float("nan")}}},
}


@pytest.mark.parametrize("what", RECORDS)
def test_records(key: Key, trust: Trust, what: str) -> None:
    """A record that says anything else than it did is noticed."""
    stored = sign(VERSION, key).to_bytes()

    verdict = verify_signature(replace(VERSION, **RECORDS[what]), stored, trust)

    assert not verdict
    assert "its record changed" in verdict.reasons[0]


def test_one_byte_of_a_record() -> None:
    """A byte that changes where a record is stored is noticed before anything is judged."""
    stored = VERSION.to_bytes()

    for at in range(len(stored)):
        with pytest.raises((CorruptionError, UnsupportedError)):
            Version.from_bytes(stored[:at] + bytes([stored[at] ^ 1]) + stored[at + 1 :], "k")


def test_another_commit(pair: Pair, key: Key) -> None:
    """Another commit of the same files is signed in its files, and in its record only if asked."""
    stored = sign(VERSION, key).to_bytes()
    again = replace(VERSION, id="0d" * 16, name="other")

    verdict = verify_signature(again, stored, Trust.from_files(pair.public))
    assert verdict.holds
    assert not verdict.record
    strict = Trust.from_files(pair.public, records=True)
    with pytest.raises(UntrustedError, match="its record is not signed"):
        require(again, [stored], strict)
    assert require(VERSION, [stored], strict)


def test_forged_digests(key: Key, trust: Trust) -> None:
    """A record that tells signed SHA-256 beside the BLAKE3 of other bytes is refused."""
    forged = tuple(replace(file, digest=Digest.of(b"evil")) for file in VERSION.files)
    version = replace(VERSION, files=forged, digest=digest_of(forged))
    plain = json.loads(state(VERSION))
    del plain["subject"][0]["annotations"]

    ours = verify_signature(version, sign(VERSION, key).to_bytes(), trust)
    others = verify_signature(version, key.sign(json.dumps(plain).encode()).to_bytes(), trust)

    assert ours.reasons == (f"it is over {VERSION.digest}, and this is {version.digest}",)
    assert "vouches for SHA-256 alone" in others.reasons[0]


@given(at=st.integers(0, 10_000), byte=st.integers(1, 255))
def test_one_byte(at: int, byte: int) -> None:
    """One changed byte of a signature is refused, or nothing that it says is other than it was."""
    stored = bytearray(SIGNED)
    stored[at % len(stored)] ^= byte

    verdict = verify_signature(VERSION, bytes(stored), Trust((PUBLIC,)))

    if verdict:
        assert Signature.from_bytes(bytes(stored)) == Signature.from_bytes(SIGNED)


def test_many_differences(key: Key, trust: Trust) -> None:
    """A message names the first few files, and escapes their names."""
    found = version_of({f"\x1b[31m{number}": b"" for number in range(9)})

    verdict = verify_signature(found, sign(VERSION, key).to_bytes(), trust)

    assert "and 4 more" in str(verdict)
    assert "\x1b" not in str(verdict)
    assert "missing: 'MLmodel'" in str(verdict)


def test_required(smith: Smith, key: Key, trust: Trust) -> None:
    """What is not signed by anyone who is trusted is not to be used, and the error says why."""
    stranger = sign(VERSION, Key.from_files(smith.pair().private)).to_bytes()

    with pytest.raises(UntrustedError, match=r"0 of 1 signers agree\. Sign it") as none:
        require(VERSION, [], trust)
    assert "fraud/3" in str(none.value)
    with pytest.raises(UntrustedError, match="is not trusted"):
        require(VERSION, [stranger, b"rubbish"], trust)
    assert require(VERSION, [stranger, b"", sign(VERSION, key).to_bytes()], trust)


def test_enough_is_enough(key: Key, trust: Trust) -> None:
    """No more signatures are fetched than are needed."""
    stored = iter([sign(VERSION, key).to_bytes(), b"never looked at"])

    require(VERSION, stored, trust)

    assert next(stored) == b"never looked at"


def test_verdicts() -> None:
    """A verdict can be printed, shown and kept."""
    held = Verdict(holds=True, signer="CN=<script>\n", record=True)
    refused = Verdict(holds=False, reasons=("a", "b"))

    assert str(held) == "signed by 'CN=<script>\\n' with its record"
    assert "<script>" not in held._repr_html_()
    assert str(refused) == "not signed: a; b"
    assert json.loads(json.dumps(refused.to_dict())) == refused.to_dict()


def test_without_the_extra() -> None:
    """Without what it needs, the package says what to install."""
    program = """
import sys
sys.modules["cryptography"] = None
from mlflow_vault.errors import UnsupportedError
try:
    import mlflow_vault.govern.signing.judge
except UnsupportedError as error:
    print(error)
"""
    command = [sys.executable, "-c", program]

    told = subprocess.run(command, capture_output=True, text=True, check=True)

    assert 'pip install "mlflow-vault[sign]"' in told.stdout
