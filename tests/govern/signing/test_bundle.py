"""A bundle is what it was when it was written, or it is refused."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mlflow_vault.errors import InvalidInputError
from mlflow_vault.govern.signing.bundle import LARGEST, Signature

if TYPE_CHECKING:
    from collections.abc import Callable

some = st.binary(min_size=1, max_size=40)
keyed = st.builds(Signature, some, some, st.text(max_size=20))
certified = st.builds(
    Signature, some, some, st.just(""), st.lists(some, min_size=1, max_size=10).map(tuple)
)
BARE: Final = Signature(b'{"a":1}', b"\x30\x01\x02", "ab" * 32)
WITH_CERTIFICATES: Final = Signature(b'{"a":1}', b"\x30\x01\x02", "", (b"first", b"second"))


def changed(change: Callable[[Any], object], signature: Signature = BARE) -> bytes:
    """A bundle after something was done to its values."""
    bundle = signature.to_dict()
    change(bundle)
    return json.dumps(bundle).encode()


@given(signature=keyed | certified)
def test_roundtrip(signature: Signature) -> None:
    """What is written is read."""
    assert Signature.from_bytes(signature.to_bytes()) == signature


@given(stored=st.binary(max_size=200))
@example(b"")
@example(b"[" * 100_000)
@example(b'{"mediaType":1e999}')
@example(b'{"a":1,"a":2}')
@example(b"\xff\xfe")
def test_rubbish(stored: bytes) -> None:
    """Bytes that are no bundle are an error of ours, and never another."""
    with pytest.raises(InvalidInputError):
        Signature.from_bytes(stored)


@given(signature=keyed | certified, at=st.integers(0, 1000), byte=st.integers(0, 255))
def test_one_byte(signature: Signature, at: int, byte: int) -> None:
    """A byte that changes is refused, tells in what was read, or means nothing."""
    stored = bytearray(signature.to_bytes())
    at %= len(stored)
    before, stored[at] = stored[at], byte

    try:
        read = Signature.from_bytes(bytes(stored))
    except InvalidInputError:
        return

    if read == signature:
        assert byte == before or chr(before).isspace() or chr(byte).isspace()


HOSTILE: Final[dict[str, Callable[[Any], object]]] = {
    "another media type": lambda b: b.update(mediaType="application/json"),
    "no media type": lambda b: b.pop("mediaType"),
    "an unknown part": lambda b: b.update(messageSignature={}),
    "no signer": lambda b: b.update(verificationMaterial={}),
    "a signer of another kind": lambda b: b.update(verificationMaterial=["publicKey"]),
    "two signers": lambda b: b["verificationMaterial"].update(
        x509CertificateChain={"certificates": [{"rawBytes": "AA=="}]}
    ),
    "no certificates": lambda b: b.update(
        verificationMaterial={"x509CertificateChain": {"certificates": []}}
    ),
    "many certificates": lambda b: b.update(
        verificationMaterial={"x509CertificateChain": {"certificates": [{"rawBytes": "AA=="}] * 11}}
    ),
    "signed by Sigstore": lambda b: b["verificationMaterial"].update(tlogEntries=[{}]),
    "signed by Sigstore, too": lambda b: b.update(verificationMaterial={"certificate": {}}),
    "a fingerprint that is none": lambda b: b["verificationMaterial"].update(publicKey={"hint": 1}),
    "another payload": lambda b: b["dsseEnvelope"].update(payloadType="text/plain"),
    "no payload": lambda b: b["dsseEnvelope"].pop("payload"),
    "an empty payload": lambda b: b["dsseEnvelope"].update(payload=""),
    "a payload that is a list": lambda b: b["dsseEnvelope"].update(payload=["e30="]),
    "a payload that is no base64": lambda b: b["dsseEnvelope"].update(payload="e30"),
    "base64 with a line in it": lambda b: b["dsseEnvelope"].update(payload="e3\n0="),
    "base64 spelled otherwise": lambda b: b["dsseEnvelope"].update(payload="e31="),
    "base64 of other letters": lambda b: b["dsseEnvelope"].update(payload="\uff45\uff13\uff10="),
    "no signature": lambda b: b["dsseEnvelope"].update(signatures=[]),
    "two signatures": lambda b: b["dsseEnvelope"]["signatures"].append({"sig": "AA=="}),
    "signatures of another kind": lambda b: b["dsseEnvelope"].update(signatures={"sig": "AA=="}),
    "an unknown field": lambda b: b["dsseEnvelope"]["signatures"][0].update(alg="none"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile(what: str) -> None:
    """A bundle that is not as it has to be is refused."""
    with pytest.raises(InvalidInputError, match="it is no signature"):
        Signature.from_bytes(changed(HOSTILE[what]))


OTHER_SIGNERS: Final[dict[str, Callable[[Any], object]]] = {
    "no log": lambda b: b["verificationMaterial"].pop("tlogEntries"),
    "null for the key's name": lambda b: b["dsseEnvelope"]["signatures"][0].update(keyid=None),
    "no name of the key": lambda b: b["dsseEnvelope"]["signatures"][0].pop("keyid"),
    "a name of the key": lambda b: b["dsseEnvelope"]["signatures"][0].update(keyid="ab"),
    "no time stamps": lambda b: b["verificationMaterial"].update(timestampVerificationData={}),
}


@pytest.mark.parametrize("what", OTHER_SIGNERS)
@pytest.mark.parametrize("signature", [BARE, WITH_CERTIFICATES])
def test_other_signers(what: str, signature: Signature) -> None:
    """What signers of other languages leave out or add, and verifiers have to take, is taken."""
    assert Signature.from_bytes(changed(OTHER_SIGNERS[what], signature)) == signature


def test_older_signers() -> None:
    """A key that an old signer put beside its signature is not believed."""
    old = {"publicKey": {"rawBytes": "AA==", "keyDetails": "PKIX_ECDSA_P256_SHA_256"}}

    read = Signature.from_bytes(changed(lambda b: b.update(verificationMaterial=old)))

    assert read == Signature(BARE.payload, BARE.proof)


def test_too_large() -> None:
    """Larger ones are neither written nor looked at."""
    signature = Signature(bytes(LARGEST), b"\x00")

    with pytest.raises(InvalidInputError, match="about 5,000 files"):
        signature.to_bytes()
    with pytest.raises(InvalidInputError, match=r"at most 1048576 bytes"):
        Signature.from_bytes(b" " * (LARGEST + 1))


def test_names() -> None:
    """Each is stored under a name that its bytes make, and tells little of itself."""
    assert BARE.name != WITH_CERTIFICATES.name
    assert bytes.fromhex(BARE.name)
    assert repr(BARE) == f"Signature('key', {BARE.name[:12]!r})"
    assert WITH_CERTIFICATES.method == "certificate"


def test_payload_type_is_signed() -> None:
    """The proof is over the payload with its type and length before it, as DSSE has it."""
    payload = base64.b64decode("e30=")

    assert Signature(payload, b"x").signed() == b"DSSEv1 28 application/vnd.in-toto+json 2 {}"
