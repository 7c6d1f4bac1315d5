"""The documents for Google and Azure say what the table of rights says, in those languages.

Neither provider can be asked here.  Google's conditions are evaluated by an implementation of CEL,
Azure's by a reader of their grammar in this file; shapes are held to what both have published.
"""

from __future__ import annotations

import itertools
import json
import re
from typing import TYPE_CHECKING, Any, Final

import celpy
import pytest
from celpy.adapter import json_to_cel

from mlflow_vault.errors import InvalidInputError, UnsupportedError
from mlflow_vault.format import governed_layout, layout
from mlflow_vault.format.digest import Digest
from mlflow_vault.govern.access import GRANTS, Access, Role, documents
from mlflow_vault.store.address import Address

if TYPE_CHECKING:
    from collections.abc import Iterator

GOOGLE: Final = Address.parse("vault-gs://bucket/models")
AZURE: Final = Address.parse("vault-az://container/models")
_D: Final = Digest.of(b"")
KEYS: Final = (
    layout.VAULT,
    layout.tree_key("1/a"),
    layout.pack_key(bytes(16)),
    layout.INTENTS + "0",
    layout.OUTCOMES + "0",
    layout.FEATURES + "versions",
    layout.seal_key("1/a"),
    layout.record_key(_D, "0" * 32),
    layout.content_key(_D, "0" * 32, 0),
    layout.name_key("a", 1, _D, "0" * 32),
    layout.signature_key(_D, "0" * 32),
    layout.log_key(7),
    layout.checkpoint_key(7),
    f"{layout.TILES}0/000",
    layout.LOG_HEAD,
    layout.known_file_key(_D),
    layout.family_key("a"),
    layout.listing_key("1"),
    governed_layout.policy_key("a", 0),
    governed_layout.decision_key("a", 0),
    governed_layout.statement_key("a", _D, "0" * 32),
    governed_layout.factor_key("a", 1),
    governed_layout.ledger_hint_key("a"),
)
# Google's predefined roles, as far as objects go.
_MAY: Final = {
    "roles/storage.objectViewer": {"get", "list"},
    "roles/storage.objectCreator": {"create"},
    "roles/storage.objectUser": {"get", "list", "create", "delete", "update"},
}
_BLOBS: Final = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"


def _granted(role: Role, key: str, access: Access) -> bool:
    """What the table of rights says; who may put may also create."""
    wanted = {access, Access.PUT} if access is Access.CREATE else {access}
    return any(
        key.startswith(grant.prefix) and wanted & set(grant.accesses) for grant in GRANTS[role]
    )


def _google(role: Role, permission: str, name: str, prefix: str = "") -> bool:
    document = documents("gcp", role, GOOGLE)
    for binding in document["bindings"]:
        assert binding.keys() <= {"role", "members", "condition"}
        if permission not in _MAY[binding["role"]]:
            continue
        if "condition" not in binding or _cel(binding["condition"]["expression"], name, prefix):
            return True
    return False


def _cel(expression: str, name: str, prefix: str) -> bool:
    assert expression.count("||") + expression.count("&&") <= 12
    environment = celpy.Environment()

    def attribute(_: Any, key: Any, default: Any) -> Any:
        assert key == "storage.googleapis.com/objectListPrefix"
        return celpy.celtypes.StringType(prefix) if prefix else default

    program = environment.program(environment.compile(expression), {"getAttribute": attribute})
    known = {"resource": json_to_cel({"name": name}), "api": json_to_cel({})}
    return bool(program.evaluate(known))


@pytest.mark.parametrize("role", Role)
def test_google(role: Role) -> None:
    """Each key can be created, replaced and deleted by whom the table says, and read by all."""
    for key in KEYS:
        name = f"projects/_/buckets/bucket/objects/models/{key}"
        fresh = key.startswith((layout.PACKS, layout.CONTENT))
        replaces = _granted(role, key, Access.PUT) and (not fresh or role is Role.ADMIN)
        assert _google(role, "get", name)
        assert _google(role, "create", name) is _granted(role, key, Access.CREATE), key
        # There, who replaces deletes.
        assert _google(role, "delete", name) is replaces, key
    beside = "projects/_/buckets/bucket/objects/models-2/tree/a!"
    assert not any(_google(role, one, beside) for one in ("get", "create", "delete"))
    bucket = "projects/_/buckets/bucket"
    assert _google(role, "list", bucket, "models/tree/")
    assert not _google(role, "list", bucket, "models-2/")


class Condition:
    """A condition of an assignment at Azure: its grammar, as far as ours goes."""

    _TOKEN: Final = re.compile(
        r"\s*(?:(?P<word>[A-Za-z]+Matches)\{'(?P<action>[^']*)'\}"
        r"|(?P<source>@Resource|@Request)\[(?P<attribute>[^\]]*)\]\s+(?P<operator>\w+)\s+'(?P<text>[^']*)'"
        r"|(?P<mark>AND|OR|NOT|!|\(|\)))"
    )

    def __init__(self, text: str, told: dict[str, str]) -> None:
        self._tokens = list(self._cut(text))
        self._told, self._at = told, 0

    def holds(self) -> bool:
        """Whether it does."""
        found = self._any()
        assert self._at == len(self._tokens), "text is left over"
        return found

    def _cut(self, text: str) -> Iterator[re.Match[str]]:
        at = 0
        while at < len(text):
            found = self._TOKEN.match(text, at)
            assert found is not None, f"no token at {text[at : at + 40]!r}"
            at = found.end()
            yield found

    def _mark(self, *marks: str) -> bool:
        here = self._tokens[self._at]["mark"] if self._at < len(self._tokens) else None
        self._at += here in marks
        return here in marks

    def _any(self) -> bool:
        found = [self._all()]
        while self._mark("OR"):
            found.append(self._all())
        return any(found)

    def _all(self) -> bool:
        found = [self._one()]
        while self._mark("AND"):
            found.append(self._one())
        return all(found)

    def _one(self) -> bool:
        if self._mark("!", "NOT"):
            return not self._one()
        if self._mark("("):
            found = self._any()
            assert self._mark(")")
            return found
        token = self._tokens[self._at]
        self._at += 1
        if token["word"] == "ActionMatches":
            return token["action"] == self._told["action"]
        if token["word"] == "SubOperationMatches":
            return token["action"] == self._told.get("suboperation")
        assert token["operator"] == "StringStartsWith"
        name = token["attribute"].removeprefix(f"{_BLOBS}:")
        assert (token["source"], name) in {("@Resource", "path"), ("@Request", "prefix")}
        return self._told.get(name, "").startswith(token["text"])


def _azure(role: Role, action: str, **told: str) -> bool:
    document = documents("azure", role, AZURE)
    definition, assignment = document["roleDefinition"], document["roleAssignment"]
    assert definition.keys() == {
        *("Name", "IsCustom", "Description", "AssignableScopes"),
        *("Actions", "NotActions", "DataActions", "NotDataActions"),
    }
    assert assignment["conditionVersion"] == "2.0"
    assert len(assignment["condition"].encode()) < 8192
    whole = f"{_BLOBS}/{action}"
    if whole not in definition["DataActions"]:
        return False
    return Condition(assignment["condition"], {"action": whole, **told}).holds()


@pytest.mark.parametrize("role", Role)
def test_azure(role: Role) -> None:
    """Each key can be created, replaced and deleted by whom the table says, and read by all."""
    for key in KEYS:
        path = f"models/{key}"
        assert _azure(role, "read", path=path)
        assert _azure(role, "add/action", path=path) is _granted(role, key, Access.CREATE), key
        assert _azure(role, "write", path=path) is _granted(role, key, Access.PUT), key
        assert _azure(role, "delete", path=path) is _granted(role, key, Access.DELETE), key
    for action in ("read", "add/action", "write", "delete"):
        assert not _azure(role, action, path="models-2/tree/a!")
    assert _azure(role, "read", suboperation="Blob.List", prefix="models/tree/")
    assert not _azure(role, "read", suboperation="Blob.List", prefix="models-2/")


@pytest.mark.parametrize("provider", ["aws", "gcp", "azure"])
def test_whole_bucket(provider: str) -> None:
    """A vault that has the bucket to itself needs no prefix."""
    scheme = {"aws": "s3", "gcp": "gs", "azure": "az"}[provider]

    for role in Role:
        told = json.dumps(documents(provider, role, Address.parse(f"vault-{scheme}://bucket")))
        assert "//" not in told.replace("vault-s3://", "")


def test_aws_limits() -> None:
    """A document is no longer than AWS takes for a user's own policies."""
    for role in Role:
        told = json.dumps(documents("aws", role, Address.parse("vault-s3://bucket/models")))
        assert len(re.sub(r"\s", "", told)) < 2048


def test_refused() -> None:
    """What there is no document for is refused, and so is what would mean something else in one."""
    s3 = Address.parse("vault-s3://bucket/models")
    for provider, role in itertools.product(("ibm",), ("viewer",)):
        with pytest.raises(InvalidInputError, match="no provider"):
            documents(provider, role, s3)
    with pytest.raises(InvalidInputError, match="no role"):
        documents("aws", "owner", s3)
    with pytest.raises(UnsupportedError, match="not kept by"):
        documents("gcp", "viewer", s3)
    for path in ("/a*", "/a?b", "/a'b", "/a${x}", "/a\\b", '/a"b'):
        with pytest.raises(UnsupportedError, match="mean something else"):
            documents("aws", "viewer", Address("s3", "bucket", path))
