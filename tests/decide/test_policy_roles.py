"""Roles give the rights that they say, to whom they name, and to nobody else."""

from __future__ import annotations

import doctest
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import jsonschema  # type: ignore[import-untyped]
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from mlflow_vault.decide.policy.public_keys import PublicKey, from_der, read_public_key
from mlflow_vault.decide.policy.roles import BUILT_IN, Right, Roles, roles_schema
from mlflow_vault.errors import InvalidInputError
from mlflow_vault.format.log import Actor
from mlflow_vault.govern.policies import check_document, read, read_document
from mlflow_vault.govern.release.caller import Caller

SCHEMA: Final = Path(__file__).parents[2] / "docs" / "roles.schema.json"
PAGE: Final = Path(__file__).parents[2] / "docs" / "policies.md"
DOCS: Final = PAGE.read_text("utf-8")
KIND: Final = "kind: Roles"
GOLDEN: Final = Path(__file__).parents[1] / "golden" / "documents" / "roles.yaml"
BOB: Final = """\
-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
-----END PUBLIC KEY-----
"""  # RFC 8032, 7.1
CAT: Final = """\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7
Yfps5mliLmDyn7Z5A/4QCLi8maQa6elWKLxk8vGyDC1+n1F3o8KU1EYimQ==
-----END PUBLIC KEY-----
"""  # RFC 6979, A.2.5


def roles(**changes: Any) -> Roles:
    """Some roles."""
    body = {
        "kind": "Roles",
        "roles": {
            "admin": {"groups": ["mlflow:admin"]},
            "releaser": {"users": ["eve"]},
            "contributor": {"groups": ["data"]},
            "risk": {"users": ["bob"], "groups": ["risk-team"]},
            "robot": {"users": ["ci"], "may": ["contribute", "release"]},
        },
        **changes,
    }
    return Roles.model_validate(body)


def test_rights() -> None:
    """Built-in roles each may what those before them may; others what they say."""
    found = roles()

    for lower, higher in pairwise(BUILT_IN):
        assert found.rights_of([lower]) < found.rights_of([higher])
    assert found.rights_of(["admin"]) == set(Right)
    assert found.rights_of(["viewer"]) == {Right.READ}
    assert found.rights_of(["risk"]) == {Right.READ, Right.APPROVE}
    assert found.rights_of(["robot"]) == {Right.READ, Right.CONTRIBUTE, Right.RELEASE}
    assert found.rights_of([]) == found.rights_of(["unheard of"]) == {Right.READ}
    assert found.may(Right.RELEASE) == ("admin", "releaser", "robot")


def test_others() -> None:
    """Who is not named is a viewer, or what `others` says; everybody is at least that."""
    found = roles(others="contributor")

    assert found.rights_of([]) == {Right.READ, Right.CONTRIBUTE}
    assert found.rights_of(["risk"]) == {Right.READ, Right.CONTRIBUTE, Right.APPROVE}


def test_roles_of() -> None:
    """Users and groups are named letter for letter, and nobody has a role for being an admin."""
    found = roles()

    assert found.roles_of("bob") == ("risk",)
    assert found.roles_of("dan", ["risk-team", "data"]) == ("contributor", "risk")
    assert found.roles_of("root", ["mlflow:admin"]) == ("admin",)
    for name in ("Bob", "bob ", "BOB", "", "b\u043eb"):
        assert found.roles_of(name) == ()
    assert found.roles_of("", ["risk-team"]) == ()


def test_caller() -> None:
    """Without roles everybody may everything; with them only who was authenticated has one."""
    bob = Actor("bob", verified=True)

    assert Caller.of(Actor(), None).rights == set(Right)
    assert Caller.of(bob, roles()).roles == ("risk",)
    assert Caller.of(bob, roles()).rights == {Right.READ, Right.APPROVE}
    said = Caller.of(Actor("bob", verified=False), roles(), ["mlflow:admin"])
    assert not said.roles
    assert said.rights == {Right.READ}
    claimed = Caller.claimed("eve", roles())
    assert (claimed.roles, Right.RELEASE in claimed.rights) == ((), True)
    assert not claimed.actor.verified


@given(
    names=st.dictionaries(st.sampled_from(["risk", "legal", *BUILT_IN]), st.just(None)),
    users=st.lists(st.sampled_from("abc"), min_size=1, max_size=3),
    groups=st.lists(st.sampled_from("gh"), max_size=2),
    asked=st.tuples(st.sampled_from("abcdg"), st.lists(st.sampled_from("ghab"), max_size=3)),
)
def test_nobody_else(
    names: dict[str, None], users: list[str], groups: list[str], asked: tuple[str, list[str]]
) -> None:
    """A user of a group's name is not in the group, and the other way round."""
    named = {name: {"users": users, "groups": groups} for name in names}
    found = roles(roles={**named, "last": {"users": ["z"]}})

    has = asked[0] in users or bool(set(groups) & set(asked[1]))
    assert found.roles_of(*asked) == (tuple(sorted(names)) if has else ())
    if not has:
        assert found.rights_of(found.roles_of(*asked)) == {Right.READ}


def test_same_document() -> None:
    """Roles read back as they are, by YAML and JSON, and their digest is of what they say."""
    found = roles(keys={"bob": [BOB], "cat": CAT})

    again = read_document(json.dumps(found.to_dict()))

    assert again == found
    assert again.digest == found.digest
    assert roles(keys={"bob": f"  {BOB}\n", "cat": [CAT]}).digest == found.digest
    assert roles().digest != found.digest


def test_golden() -> None:
    """Roles keep their digest: it is what the audit log has of them."""
    found = check_document(GOLDEN)

    digest = "cb15bae58c662fec235ec5c9912b94b3fe15d3bef577f47122a99c9661233fba"
    assert str(found.digest) == f"b3:{digest}"
    assert found.canonical() == (
        b'{"apiVersion":"mlflow-vault/v1","keys":{"bob":["%s"]},"kind":"Roles",'
        b'"metadata":{"name":"p"},"others":"contributor",'
        b'"roles":{"risk":{"groups":["g"],"may":["approve"],"users":["bob"]}}}'
        % BOB.replace("\n", "\\n").encode()
    )


def test_docs() -> None:
    """The roles that docs/policies.md shows are some, and do what it says."""
    found = [text for text in re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL) if KIND in text]
    (shown,) = (read_document(text, "docs/policies.md") for text in found)

    assert isinstance(shown, Roles)
    assert shown.may(Right.RELEASE) == ("admin", "pipeline", "releaser")
    assert shown.may(Right.APPROVE) == ("admin", "ml-lead", "releaser", "risk")
    ran = doctest.testfile(str(PAGE), module_relative=False)
    assert ran.attempted > 10
    assert not ran.failed


def test_schema() -> None:
    """Editors get the schema that roles are read by; `docs/roles.schema.json` is that one."""
    assert json.loads(SCHEMA.read_text("utf-8")) == roles_schema()
    jsonschema.Draft202012Validator.check_schema(roles_schema())
    jsonschema.validate(roles(keys={"bob": [BOB], "cat": CAT}).to_dict(), roles_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"kind": "Roles", "rolls": {}}, roles_schema())


FAULTS: Final = {
    "kind: Rolls": "r:1:7: kind: got 'Rolls'; did you mean Roles?",
    "kind: [a]": "r:1:7: kind: got ['a']; know PromotionPolicy, Roles",
    "kind: Roles": "r:1:1: roles: it is missing",
    "kind: Roles\nroles: {}": "r:2:8: roles: Dictionary should have at least 1 item",
    "kind: Roles\nroles: {risk: {user: a}}": "r:2:16: roles.risk.user: there is no such key; did",
    "kind: Roles\nroles: {risk: {}}": "r:2:15: roles.risk: nobody has it: name users or groups",
    "kind: Roles\nroles: {risk: {users: []}}": "r:2:15: roles.risk: nobody has it",
    "kind: Roles\nroles: {risk: {users: ['']}}": "r:2:24: roles.risk.users[0]: String should",
    "kind: Roles\nroles: {risk: {users: ['a ']}}": "r:2:24: roles.risk.users[0]: a name has no sp",
    "kind: Roles\nroles: {risk: {users: a, may: reed}}": "roles.risk.may[0]: got 'reed'; did you",
    "kind: Roles\nroles: {risk: {users: a, may: []}}": "'risk' may nothing",
    "kind: Roles\nroles: {admin: {users: a, may: read}}": "what 'admin' may is built in",
    "kind: Roles\nroles: {Admin: {users: a}}": "'Admin' looks like 'admin'",
    "kind: Roles\nroles: {r s: {users: a}}": "r:2:9: roles.r s: String should match pattern",
    "kind: Roles\nroles: {a: {users: b}}\nkeys: {b: x}": "r:3:11: keys.b[0]: expected a public key",
    "kind: Roles\nroles: {a: {users: b}}\nkeys: {b: []}": "'b' has no keys",
    "kind: Roles\nroles: {a: {users: b}}\nothers: admin": "r:3:9: others: got 'admin'; known are",
}


@pytest.mark.parametrize("text", FAULTS)
def test_faults(text: str) -> None:
    """What is wrong is told with line and column."""
    with pytest.raises(InvalidInputError) as caught:
        read_document(text, "r")

    assert FAULTS[text] in str(caught.value)


def test_roles_are_no_policy() -> None:
    """Where a policy is asked for, roles are refused."""
    with pytest.raises(InvalidInputError, match="these are roles, and a policy is asked for"):
        read("kind: Roles\nroles: {risk: {users: a}}", "r")


def test_one_key_for_two() -> None:
    """A key that two users have would let one person be two."""
    with pytest.raises(ValueError, match="'cat' and 'bob' have the same key"):
        roles(keys={"bob": [BOB, CAT], "cat": [CAT]})


def _pem(private: Any) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    pem: bytes = private.public_key().public_bytes(serialization.Encoding.PEM, form)
    return pem.decode()


def test_keys() -> None:
    """Keys are read as a library reads them, and spelled as openssl does."""
    for private in (ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()):
        pem = _pem(private)
        found = read_public_key(pem)

        assert found.pem == pem
        assert from_der(found.der) == found
        assert read_public_key(pem.replace("\n", "\r\n")) == found
        assert found.fingerprint not in repr(found)


def test_odd_keys() -> None:
    """Keys of other kinds, off their curve, or under which anything holds, are refused."""
    private = ed25519.Ed25519PrivateKey.generate()
    secret = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    odd = {
        "a key is Ed25519": [
            _pem(ec.generate_private_key(ec.SECP384R1())),
            _pem(rsa.generate_private_key(65537, 2048)),
        ],
        "expected a public key": ["", BOB[1:], BOB + BOB],
        "this is a private key": [secret],
        "the key is no": [CAT.replace("imQ==", "inQ=="), CAT.replace("imQ==", "imQ=")],
    }
    for message, keys in odd.items():
        for key in keys:
            with pytest.raises(ValueError, match=message):
                read_public_key(key)
    with pytest.raises(ValueError, match="in PEM"):
        read_public_key(7)


@pytest.mark.parametrize("negative", [0, 1])
def test_keys_of_small_order(negative: int) -> None:
    """Every key whose point has an order of at most 8 is refused, however it is spelled."""
    field = 2**255 - 19
    d = -121665 * pow(121666, -1, field)
    order_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
    assert (d * order_8**4 + 2 * order_8**2 - 1) % field == 0  # doubled, its y is 0: of order 4
    for y in (0, 1, field - 1, field, field + 1, order_8, field - order_8):
        raw = (y | negative << 255).to_bytes(32, "little")
        with pytest.raises(ValueError, match="under this key any signature would hold"):
            from_der(bytes.fromhex("302a300506032b6570032100") + raw)


@given(st.binary(max_size=100))
def test_any_bytes(der: bytes) -> None:
    """No bytes make a key that is spelled otherwise than it is read."""
    for head in (
        "",
        "302a300506032b6570032100",
        "3059301306072a8648ce3d020106082a8648ce3d03010703420004",
    ):
        try:
            found = from_der(bytes.fromhex(head) + der)
        except ValueError:
            continue
        assert isinstance(found, PublicKey)
        assert read_public_key(found.pem) == found
