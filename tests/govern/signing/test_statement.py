"""A statement says what a version holds, and one that says more or less is refused."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smithy import FILES, Pair, Smith, version_of

from mlflow_vault.errors import InvalidInputError
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.version import File, digest_of
from mlflow_vault.govern.signing.bundle import LARGEST
from mlflow_vault.govern.signing.judge import sign, verify_signature
from mlflow_vault.govern.signing.keys import Key
from mlflow_vault.govern.signing.statement import Statement, state
from mlflow_vault.govern.signing.trust import Trust

if TYPE_CHECKING:
    from collections.abc import Callable

VERSION: Final = version_of(FILES)


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


names = st.sampled_from(["a", "b", "a-b", "a/b", "a.b", "é"])
files = st.dictionaries(names, st.binary(max_size=2))


@given(signed=files.filter(bool), found=files)
def test_files(signed: dict[str, bytes], found: dict[str, bytes]) -> None:
    """It holds for the very files that were signed: no other names, no other bytes."""
    statement = Statement.parse(state(version_of(signed)))

    for annotated in (statement, replace(statement, digest=None, commit="", record=None)):
        differences = annotated.differences(version_of(found))
        assert bool(differences) == (signed != found)


@given(signed=files.filter(bool))
def test_order(signed: dict[str, bytes]) -> None:
    """Resources are sorted by name, as the standard wants them."""
    told = json.loads(state(version_of(signed)))["predicate"]["resources"]

    assert [each["name"] for each in told] == sorted(signed)


def subject(statement: Any) -> Any:
    """The subject of a statement."""
    return statement["subject"][0]


def resources(statement: Any) -> Any:
    """The resources of a statement."""
    return statement["predicate"]["resources"]


def rooted(statement: Any) -> None:
    """Put the root that the resources make where it belongs."""
    digests = [bytes.fromhex(each["digest"]) for each in resources(statement)]
    subject(statement)["digest"]["sha256"] = hashlib.sha256(b"".join(digests)).hexdigest()


# Statements that a trusted signer made, with the right root where that is not what is wrong.
STATEMENTS: Final[dict[str, Callable[[Any], object]]] = {
    "another type": lambda s: s.update(_type="https://in-toto.io/Statement/v0.1"),
    "another predicate": lambda s: s.update(predicateType="https://slsa.dev/provenance/v1"),
    "the older predicate": lambda s: s.update(predicateType="https://model_signing/Digests/v0.1"),
    "no predicate": lambda s: s.pop("predicate"),
    "no subject": lambda s: s.update(subject=[]),
    "two subjects": lambda s: s["subject"].append(subject(s)),
    "subjects of another kind": lambda s: s.update(subject=7),
    "another root": lambda s: subject(s)["digest"].update(sha256="00" * 32),
    "no root": lambda s: subject(s).update(digest={"sha512": "00"}),
    "no files": lambda s: s["predicate"].update(resources=[]),
    "files of another kind": lambda s: s["predicate"].update(resources={"MLmodel": "00"}),
    "a file twice": lambda s: resources(s).append(resources(s)[0]),
    "a name that climbs": lambda s: resources(s)[0].update(name="../MLmodel"),
    "a name that climbs later": lambda s: resources(s)[0].update(name="data/%2e%2e/x"),
    "an absolute name": lambda s: resources(s)[0].update(name="/etc/passwd"),
    "a name spelled otherwise": lambda s: resources(s)[0].update(name="./MLmodel"),
    "an empty name": lambda s: resources(s)[0].update(name=""),
    "a name that is no text": lambda s: resources(s)[0].update(name=["MLmodel"]),
    "half a letter for a name": lambda s: resources(s)[0].update(name="\ud800"),
    "no name": lambda s: resources(s)[0].pop("name"),
    "a short digest": lambda s: resources(s)[0].update(digest="00"),
    "an empty digest": lambda s: resources(s)[0].update(digest=""),
    "a digest in capitals": lambda s: resources(s)[0].update(digest="AB" * 32),
    "a digest that is a number": lambda s: resources(s)[0].update(digest=0),
    "another algorithm": lambda s: resources(s)[0].update(algorithm="md5"),
    "another algorithm for all": lambda s: s["predicate"]["serialization"].update(hash_type="md5"),
    "an algorithm confused": lambda s: s["predicate"]["serialization"].update(hash_type="blake3"),
    "an algorithm of another kind": lambda s: s["predicate"]["serialization"].update(hash_type=[]),
    "parts of files": lambda s: s["predicate"]["serialization"].update(method="shards"),
    "half an annotation": lambda s: subject(s)["annotations"].pop("mlflow_vault.record"),
    "a commit of another kind": lambda s: subject(s)["annotations"].update(
        {"mlflow_vault.commit": 7}
    ),
    "annotations of another kind": lambda s: subject(s).update(annotations=[1]),
    "a digest of ours that is none": lambda s: subject(s)["annotations"].update(
        {"mlflow_vault.digest": "b3:00"}
    ),
}


@pytest.mark.parametrize("what", STATEMENTS)
def test_hostile_statements(key: Key, trust: Trust, what: str) -> None:
    """A statement that is not as it has to be is refused, though a trusted key signed it."""
    statement = json.loads(state(VERSION))
    STATEMENTS[what](statement)
    if "root" not in what:
        with suppress(AttributeError, LookupError, TypeError, ValueError):
            rooted(statement)

    verdict = verify_signature(VERSION, key.sign(json.dumps(statement).encode()).to_bytes(), trust)

    assert not verdict
    assert "its statement cannot be believed" in verdict.reasons[0]


@pytest.mark.parametrize(
    "payload",
    [b"[]", b"null", b"7", b'{"_type":1,"_type":2}', b"[" * 100_000, b"\xff", b"{}", b"NaN"],
)
def test_hostile_payloads(key: Key, trust: Trust, payload: bytes) -> None:
    """A payload that is no statement is refused, though a trusted key signed it."""
    verdict = verify_signature(VERSION, key.sign(payload).to_bytes(), trust)

    assert not verdict
    assert "its statement cannot be believed" in verdict.reasons[0]


UNSIGNABLE: Final = {
    "no files": version_of({}),
    "only files of git": version_of({".gitattributes": b"x"}),
    "a name that is no text": version_of({"\udcff": b""}),
    "another digest": replace(VERSION, digest=Digest.of(b"")),
    "very many files": version_of({f"{number:0200d}": b"" for number in range(4000)}),
}


@pytest.mark.parametrize("what", UNSIGNABLE)
def test_unsignable(key: Key, what: str) -> None:
    """What no signature can say is not signed."""
    with pytest.raises(InvalidInputError):
        sign(UNSIGNABLE[what], key)


def test_many_files(key: Key, trust: Trust) -> None:
    """Four thousand files with names of usual length can be signed."""
    one = Digest.of(b"")
    files = tuple(File(f"data/part-{number:05d}.bin", 0, one, bytes(32)) for number in range(4000))
    version = replace(VERSION, files=files, digest=digest_of(files))

    stored = sign(version, key).to_bytes()

    assert len(stored) < LARGEST
    assert verify_signature(version, stored, trust)
