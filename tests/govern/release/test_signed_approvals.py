"""A signed approval holds for what it says, by whose key signed it, and for nothing else."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from google.protobuf import json_format  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st
from in_toto_attestation.v1 import statement_pb2  # type: ignore[import-untyped]
from securesystemslib.dsse import Envelope as OtherEnvelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey  # type: ignore[attr-defined]

from mlflow_vault.decide.policy.roles import Roles
from mlflow_vault.errors import InvalidInputError, NotFoundError, UntrustedError
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.log import Actor
from mlflow_vault.format.statement import Kind, Statement
from mlflow_vault.format.version import Origin, Version
from mlflow_vault.govern.policies import read
from mlflow_vault.govern.release.approving.approval_payload import Proposal, Said, spell_approval
from mlflow_vault.govern.release.approving.approver_key import ApproverKey, is_by
from mlflow_vault.govern.release.approving.envelope import LARGEST, Envelope, signed_bytes
from mlflow_vault.govern.release.approving.signed_approvals import (
    AHEAD,
    OLDEST,
    SignedApproval,
    open_approval,
    sign_approval,
    verify_approval,
)

GOLDEN: Final = Path(__file__).parents[2] / "golden" / "approvals" / "ed25519.json"
NOW: Final = 1_767_225_600_000
# RFC 8032, 7.1, and RFC 6979, A.2.5: keys that everybody knows.
BOB: Final = ApproverKey.of(
    ed25519.Ed25519PrivateKey.from_private_bytes(
        bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    )
)
CAT: Final = ApproverKey.of(
    ec.derive_private_key(
        0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721, ec.SECP256R1()
    )
)
ROLES: Final = Roles.model_validate(
    {
        "kind": "Roles",
        "roles": {"risk": {"users": ["bob", "cat"]}, "legal": {"groups": ["law"]}},
        "keys": {"bob": BOB.public.pem, "cat": [CAT.public.pem]},
    }
)
POLICY: Final = str(Digest.of(b"policy"))
PROPOSAL: Final = Proposal("0c" * 16, "credit", 3, Digest.of(b"model"), "production", (POLICY,))
SAID: Final = Said("bob", NOW, "5f" * 16, reason="Gepr\u00fcft: holdout, \u201cfair\u201d")


def signed(**changes: Any) -> dict[str, Any]:
    """What bob signed, with changes of what he said or about what."""
    about = {key: changes.pop(key) for key in list(changes) if key in Proposal.__slots__}
    key = changes.pop("key", BOB)
    return sign_approval(replace(PROPOSAL, **about), replace(SAID, **changes), key)


def verified(envelope: Any, now: int = NOW, actor: str = "", **asked: Any) -> SignedApproval:
    """What it is worth for the proposal."""
    return verify_approval(envelope, ROLES, replace(PROPOSAL, **asked), now, actor)


@pytest.mark.parametrize("key", [BOB, CAT])
def test_holds(key: ApproverKey) -> None:
    """It holds for what was signed, and gives its actor the roles that they have."""
    actor = ROLES.owner_of(key.public)
    envelope = signed(key=key, actor=actor)

    found = verified(envelope, actor=actor)

    assert found.said == replace(SAID, actor=actor)
    assert found.proposal == PROPOSAL
    assert found.roles == ("risk",)
    assert found.envelope == envelope
    for same in (json.dumps(envelope), json.dumps(envelope).encode()):
        assert verified(same) == found


def test_golden() -> None:
    """What was signed once is signed so for ever: Ed25519 has one signature of some bytes."""
    stored = json.loads(GOLDEN.read_text("utf-8"))

    assert signed() == stored
    assert verified(stored).id == "9c760153c2b17835df0d7241b85994d6"
    assert (
        base64.b64decode(stored["payload"])
        == (
            '{"_type":"https://in-toto.io/Statement/v1","predicate":{"actor":"bob","nonce":"'
            + "5f" * 16
            + f'","policies":["{POLICY}"],"reason":"Gepr\u00fcft: holdout, \u201cfair\u201d",'
            '"time":1767225600000,"transition":{"to":"production"},"vault":"'
            + "0c"
            * 16
            + '","verdict":"approve"},"predicateType":"urn:mlflow-vault:approval:v1",'
            f'"subject":[{{"digest":{{"blake3":"{PROPOSAL.digest.raw.hex()}"}},"name":"credit/3"}}]}}'
        ).encode()
    )


@pytest.mark.parametrize("key", [BOB, CAT])
def test_others_read_it(key: ApproverKey) -> None:
    """DSSE of `securesystemslib` accepts it, and in-toto's library reads the statement."""
    envelope = signed(key=key, actor=ROLES.owner_of(key.public))
    public = serialization.load_pem_public_key(key.public.pem.encode())
    keyid = key.public.fingerprint
    theirs = SSlibKey.from_crypto(public, keyid)

    other = OtherEnvelope.from_dict(json.loads(json.dumps(envelope)))
    assert other.verify([theirs], 1).keys() == {keyid}
    statement = json_format.ParseDict(json.loads(other.payload), statement_pb2.Statement())
    assert statement.subject[0].name == "credit/3"
    assert statement.predicate["actor"] == ROLES.owner_of(key.public)
    other.payload += b" "
    with pytest.raises(VerificationError):
        other.verify([theirs], 1)


def test_what_others_signed() -> None:
    """What `securesystemslib` packed, with the same bytes to sign, is accepted."""
    payload = spell_approval(PROPOSAL, SAID)
    assert OtherEnvelope(payload, "application/vnd.in-toto+json", {}).pae() == signed_bytes(payload)


ELSEWHERE: Final[dict[str, dict[str, Any]]] = {
    "it is for the vault '0c0c": {"vault": "0d" * 16},
    "it is for credit/3 .*not credit/4": {"number": 4},
    "it is for credit/3 .*not fraud/3": {"model": "fraud"},
    f"it is for credit/3 .*not credit/3 \\({Digest.of(b'other')}": {"digest": Digest.of(b"other")},
    "it is for production, not for staging": {"to": "staging"},
    "it was given under another policy, or before one was changed": {"policies": (POLICY[:-1],)},
}


@pytest.mark.parametrize("message", ELSEWHERE)
def test_elsewhere(message: str) -> None:
    """For another vault, version, stage or policy than was signed it does not hold."""
    with pytest.raises(UntrustedError, match=message):
        verified(signed(), **ELSEWHERE[message])


def test_policies() -> None:
    """It may name fewer policies than are asked, but none that is not, and not none at all."""
    more = (POLICY, str(Digest.of(b"second")))

    assert verified(signed(), policies=more).proposal.policies == (POLICY,)
    with pytest.raises(UntrustedError, match="under another policy"):
        verified(signed(policies=more))
    with pytest.raises(UntrustedError, match="it names no policy"):
        verified(signed(policies=()))


def test_rejection() -> None:
    """A no holds under whatever policy is asked, as it denies under each."""
    for policies in ((), ("b3:" + "0" * 64,)):
        found = verified(signed(rejects=True, policies=policies))
        assert found.said.rejects
    assert not verified(signed()).said.rejects


def test_time() -> None:
    """It holds from a minute before it was signed, as clocks may differ, for a week."""
    for now in (NOW - AHEAD, NOW, NOW + OLDEST):
        verified(signed(), now)
    with pytest.raises(UntrustedError, match="signed in the future, at 2026-01-01T00:00:00Z"):
        verified(signed(), NOW - AHEAD - 1)
    with pytest.raises(UntrustedError, match="signed 7d ago, and 7d are the most"):
        verified(signed(), NOW + OLDEST + 1)


def test_handed_in_by_another() -> None:
    """Whom somebody authenticated hands in only what is their own."""
    with pytest.raises(UntrustedError, match="it is by 'bob', and 'cat' handed it in"):
        verified(signed(), actor="cat")


def test_actor() -> None:
    """Nobody signs for others, nor whom the roles give no key."""
    with pytest.raises(UntrustedError, match="'cat' has no key"):
        verified(signed(actor="cat"))
    with pytest.raises(UntrustedError, match="'dan' has no key"):
        verified(signed(actor="dan"))
    with pytest.raises(UntrustedError, match="'Bob' has no key"):
        verified(signed(actor="Bob"))
    none = Roles.model_validate({"kind": "Roles", "roles": {"risk": {"users": "bob"}}})
    with pytest.raises(UntrustedError, match="name its public half"):
        verify_approval(signed(), none, PROPOSAL, NOW)


def test_claimed_key() -> None:
    """The id of a key proves nothing: the signature has to be by that key."""
    envelope = signed(key=CAT)
    envelope["signatures"][0]["keyid"] = BOB.public.fingerprint

    with pytest.raises(UntrustedError, match="the signature is not by the key of 'bob'"):
        verified(envelope)


def test_signed_twice() -> None:
    """What is signed again, with whatever signature, has the same id: it counts once."""
    once, again = (signed(key=CAT, actor="cat") for _ in range(2))

    assert once["signatures"] != again["signatures"]  # ECDSA
    assert verified(once).id == verified(again).id
    assert verified(signed(nonce="60" * 16)).id != verified(signed()).id


def test_other_kind_of_key() -> None:
    """A signature of one kind is none by a key of the other."""
    message = b"text"

    assert is_by(BOB.public, BOB.sign(message), message)
    assert is_by(CAT.public, CAT.sign(message), message)
    assert not is_by(CAT.public, BOB.sign(message), message)
    assert not is_by(BOB.public, CAT.sign(message), message)
    assert not is_by(BOB.public, b"", message)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_altered(data: st.DataObject) -> None:
    """No changed byte of the signed payload, the signature or the key's name holds."""
    envelope = signed()
    where = data.draw(st.sampled_from(["payload", "sig", "keyid"]))
    holder = envelope if where == "payload" else envelope["signatures"][0]
    raw = bytearray(base64.b64decode(holder[where]) if where != "keyid" else holder[where].encode())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    holder[where] = (
        bytes(raw).decode("latin-1") if where == "keyid" else base64.b64encode(raw).decode()
    )

    with pytest.raises((InvalidInputError, UntrustedError)):
        verified(envelope)


def altered(**fields: Any) -> dict[str, Any]:
    """An envelope with other fields."""
    return {**signed(), **fields}


def resigned(change: Any) -> dict[str, Any]:
    """What bob signed with tools of his own: *change* was done to what is signed."""
    body = json.loads(spell_approval(PROPOSAL, SAID))
    change(body)
    payload = json.dumps(body).encode()
    return Envelope(payload, BOB.public.fingerprint, BOB.sign(signed_bytes(payload))).to_dict()


HOSTILE: Final[dict[str, Any]] = {
    "nothing": {},
    "a list": "[]",
    "no JSON": "{",
    "deep": "[" * 30_000,
    "a key twice": '{"payload":"","payload":""}',
    "too large": "x" * (LARGEST + 1),
    "no text": b"\xff",
    "NaN": '{"payload":NaN}',
    "a set": {"payload": {1}},
    "more fields": altered(more=1),
    "another type": altered(payloadType="application/json"),
    "no signatures": altered(signatures=[]),
    "two signatures": altered(signatures=signed()["signatures"] * 2),
    "no signature": altered(signatures=[7]),
    "a signature with more": altered(signatures=[{**signed()["signatures"][0], "cert": ""}]),
    "a key's id that is none": altered(signatures=[{"keyid": 7, "sig": "AA=="}]),
    "a payload that is none": altered(payload=7),
    "an empty payload": altered(payload=""),
    "no base64": altered(payload="!"),
    "base64 with bits to spare": altered(
        signatures=[
            {**signed()["signatures"][0], "sig": signed()["signatures"][0]["sig"][:-3] + "x=="}
        ]
    ),
    "base64 spelled oddly": altered(payload=signed()["payload"] + "\n"),
    "an empty statement": resigned(dict.clear),
    "another statement": resigned(
        lambda body: body.update(_type="https://in-toto.io/Statement/v0")
    ),
    "another predicate": resigned(lambda body: body.update(predicateType="urn:else")),
    "no predicate": resigned(lambda body: body.update(predicate=[])),
    "more in it": resigned(lambda body: body["predicate"].update(more=1)),
    "less in it": resigned(lambda body: body["predicate"].pop("nonce")),
    "no subject": resigned(lambda body: body.update(subject=[])),
    "two subjects": resigned(lambda body: body.update(subject=body["subject"] * 2)),
    "a subject without a number": resigned(lambda body: body["subject"][0].update(name="credit")),
    "an odd number": resigned(lambda body: body["subject"][0].update(name="credit/03")),
    "a foreign number": resigned(lambda body: body["subject"][0].update(name="credit/\u0663")),
    "a long number": resigned(lambda body: body["subject"][0].update(name="credit/" + "9" * 5000)),
    "another digest": resigned(lambda body: body["subject"][0].update(digest={"sha256": "00"})),
    "a digest that is none": resigned(
        lambda body: body["subject"][0].update(digest={"blake3": "x"})
    ),
    "neither yes nor no": resigned(lambda body: body["predicate"].update(verdict="maybe")),
    "nobody": resigned(lambda body: body["predicate"].update(actor="")),
    "a time that is none": resigned(lambda body: body["predicate"].update(time="now")),
    "a time far away": resigned(lambda body: body["predicate"].update(time=10**30)),
    "a nonce that is none": resigned(lambda body: body["predicate"].update(nonce="x")),
    "policies that are none": resigned(lambda body: body["predicate"].update(policies="b3:")),
    "a transition with more": resigned(
        lambda body: body["predicate"]["transition"].update(kind="x")
    ),
    "a reason that is too long": resigned(lambda body: body["predicate"].update(reason="x" * 4001)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile(name: str) -> None:
    """What is no signed approval is refused, although its signature may hold."""
    with pytest.raises(InvalidInputError, match=r"it is no signed approval|has at most"):
        verified(HOSTILE[name])


@given(st.binary(max_size=300) | st.text(max_size=300))
def test_any(given_: bytes | str) -> None:
    """Nothing that a stranger makes up holds, or raises anything else."""
    with pytest.raises(InvalidInputError):
        open_approval(given_, ROLES.keys)


@given(
    proposal=st.builds(
        Proposal,
        vault=st.text(max_size=40),
        model=st.text(min_size=1, max_size=20),
        number=st.integers(0, 10**9),
        digest=st.builds(Digest.of, st.binary(max_size=4)),
        to=st.sampled_from(["staging", "production", "archived"]),
        policies=st.lists(st.text(max_size=10), max_size=3).map(tuple),
    ),
    said=st.builds(
        Said,
        actor=st.just("bob"),
        time=st.integers(0, 10**14),
        nonce=st.binary(min_size=16, max_size=16).map(bytes.hex),
        rejects=st.booleans(),
        reason=st.text(max_size=50),
    ),
)
def test_round_trip(proposal: Proposal, said: Said) -> None:
    """Whatever is said, what is opened is what was signed."""
    found = open_approval(sign_approval(proposal, said, BOB), ROLES.keys)

    assert (found.proposal, found.said) == (proposal, said)


@pytest.mark.parametrize(
    "changes",
    [{"actor": ""}, {"reason": "x" * 4001}, {"reason": "\ud800"}, {"nonce": "x"}, {"number": -1}],
)
def test_unsignable(changes: dict[str, Any]) -> None:
    """What nobody would read is not signed."""
    with pytest.raises(InvalidInputError, match=r"cannot be signed|no signed approval"):
        signed(**changes)


def kept(found: SignedApproval, **changes: Any) -> Statement:
    """The statement that keeps it."""
    asked = found.proposal
    made = Statement(
        vault=asked.vault,
        model=asked.model,
        number=asked.number,
        digest=asked.digest,
        kind=Kind.REJECTION if found.said.rejects else Kind.APPROVAL,
        id=found.id,
        time=NOW + 5,
        actor=Actor(found.said.actor, verified=True),
        roles=found.roles,
        factor="key",
        policies=asked.policies,
        reason=found.said.reason,
        envelope=found.envelope,
    )
    return replace(made, **changes)


def test_kept() -> None:
    """A statement that keeps it says of it nothing that was not signed."""
    found = verified(signed())
    statement = kept(found)

    assert Statement.from_bytes(statement.to_bytes(), statement.key) == statement
    assert found.agrees_with(statement)
    for changes in (
        {"kind": Kind.REJECTION},
        {"actor": Actor("cat", verified=True)},
        {"policies": ("b3:" + "0" * 64,)},
        {"reason": ""},
        {"number": 4},
        {"model": "fraud"},
        {"digest": Digest.of(b"other")},
        {"vault": "0d" * 16},
        {"time": NOW - AHEAD - 1},
        {"time": NOW + OLDEST + 1},
        {"envelope": signed(reason="")},
        {"id": "0" * 32},
    ):
        assert not found.agrees_with(replace(statement, **changes)), changes


def test_proposal_of_policies() -> None:
    """A proposal names all policies that ask, which lead to one stage."""
    to = "metadata: {{name: {}}}\ntransition: {{to: {}}}"
    first, second, other = (
        read(to.format(*one)) for one in (("a", "staging"), ("b", "staging"), ("c", "production"))
    )
    digest = Digest.of(b"")
    version = Version(digest, "0c" * 16, "c", 1, NOW, "ann", Origin("", ""), ())

    found = Proposal.of("v", version, [second, first])

    assert (found.label, found.to) == ("c/1", "staging")
    assert set(found.policies) == {str(first.digest), str(second.digest)}
    for wrong in ([], [first, other]):
        with pytest.raises(InvalidInputError, match="policies that lead to one stage"):
            Proposal.of("v", version, wrong)


def _pem(private: Any, password: bytes = b"") -> bytes:
    how: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password:
        how = serialization.BestAvailableEncryption(password)
    form = serialization.PrivateFormat.PKCS8
    pem: bytes = private.private_bytes(serialization.Encoding.PEM, form, how)
    return pem


def test_key_files(tmp_path: Path) -> None:
    """Keys are read from PEM files, with a password where they have one."""
    file = tmp_path / "key.pem"
    private = ed25519.Ed25519PrivateKey.generate()
    file.write_bytes(_pem(private, b"secret"))

    key = ApproverKey.from_file(file, password="secret")  # noqa: S106

    assert is_by(key.public, key.sign(b"x"), b"x")
    assert repr(key).count("PublicKey") == 1
    for password, message in ((None, "it needs a password"), ("x", "the password is wrong")):
        with pytest.raises(InvalidInputError, match=message):
            ApproverKey.from_file(file, password=password)
    odd = {
        "no private key in PEM": b"text",
        "Ed25519, or ECDSA on P-256": _pem(rsa.generate_private_key(65537, 2048)),
        "a key is Ed25519": _pem(ec.generate_private_key(ec.SECP384R1())),
        "it is no private key": BOB.public.pem.encode(),
    }
    for message, content in odd.items():
        file.write_bytes(content)
        with pytest.raises(InvalidInputError, match=message):
            ApproverKey.from_file(file)
    with pytest.raises(NotFoundError):
        ApproverKey.from_file(tmp_path / "missing")


def test_verifying_loads_little() -> None:
    """Verifying loads neither MLflow nor a store, so that it works where there is neither."""
    program = (
        "import sys, mlflow_vault.govern.release.approving.signed_approvals;"
        "print([name for name in sys.modules if name == 'mlflow' or name.startswith(("
        "'mlflow.', 'fsspec', 'obstore', 'mlflow_vault.store', 'mlflow_vault.engine'))])"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert ended.stdout.strip() == b"[]"


def test_without_the_extra() -> None:
    """Where cryptography is not installed the message names the extra."""
    program = (
        "import sys; sys.modules['cryptography'] = None\n"
        "try:\n    import mlflow_vault.govern.release.approving.signed_approvals\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert ended.stdout.startswith(b"UnsupportedError signed approvals need cryptography")
    assert b"mlflow-vault[sign]" in ended.stdout
