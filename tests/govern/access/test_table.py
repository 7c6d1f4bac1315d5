"""Each role can do at the object store what its verbs need, and nothing else."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mlflow_vault.format import layout
from mlflow_vault.govern.access import GRANTS, Access, Role, documents
from mlflow_vault.govern.audit.keys import Signer
from mlflow_vault.govern.signing.keys import Key, fingerprint
from mlflow_vault.store.address import Address
from mlflow_vault.store.memory import MemoryStore
from mlflow_vault.testing.rights import AWS, CEPH, TRIES, VERBS, GuardedStore, Site, allowed, tried

if TYPE_CHECKING:
    from collections.abc import Mapping

DOCS: Final = Path(__file__).parents[3] / "docs" / "access.md"
PLACE: Final = "bucket/models/"
ADDRESS: Final = Address.parse("vault-s3://bucket/models")
_BETWEEN: Final = re.compile(r"(<!-- rights: .*?-->\n).*?(<!-- end of rights -->)", re.DOTALL)
_ACTIONS: Final = {
    Access.CREATE: "s3:PutObject if nothing is there",
    Access.PUT: "s3:PutObject",
    Access.DELETE: "s3:DeleteObject",
}

Found = dict[tuple[Role, frozenset[str]], dict[str, bool]]


def _site() -> Site:
    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    own = MemoryStore("rights")
    return Site(own, own, Key(private, fingerprint(pem)), Signer.generate("log.example.com"))


def _guarded(site: Site, role: Role, known: frozenset[str]) -> GuardedStore:
    return GuardedStore(site.own, documents("aws", role, ADDRESS), PLACE, known)


@pytest.fixture(scope="module")
def found() -> Found:
    """What each role could do, where the server knows which conditions."""
    site = _site()
    site.begin()
    return {
        (role, known): tried(site.seen_by(_guarded(site, role, known)))
        for role in Role
        for known in (AWS, CEPH)
    }


def _table(found: Found) -> str:
    lines = [f"| | {' | '.join(Role)} |", f"|---|{'---|' * len(Role)}"]
    for name in TRIES:
        cells = [_cell(found[role, AWS][name], found[role, CEPH][name]) for role in Role]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(aws: bool, ceph: bool) -> str:  # noqa: FBT001 - a cell has just these
    return "yes" if aws else "on Ceph" if ceph else "-"


def test_documented(found: Found) -> None:
    """docs/access.md shows what was tried; set MLFLOW_VAULT_WRITE_RIGHTS=1 to write it anew."""
    text = DOCS.read_text()
    fresh = _BETWEEN.sub(lambda fits: fits[1] + _table(found) + fits[2], text)
    if os.environ.get("MLFLOW_VAULT_WRITE_RIGHTS"):
        DOCS.write_text(fresh)

    assert text == fresh


def test_written_once(found: Found) -> None:
    """Where the server knows the condition, nobody but an admin replaces or deletes a record."""
    once = [name for name in TRIES if name.split()[0] in {"replace", "delete"}]
    free = {"replace a pack", "delete an artifact"}

    for role in set(Role) - {Role.ADMIN}:
        assert not [name for name in once if found[role, AWS][name] and name not in free]
    assert all(found[Role.ADMIN, AWS].values())


def test_together() -> None:
    """Documents add up: what one role writes without a condition, no other role writes once."""
    grants = [one for role in set(Role) - {Role.ADMIN} for one in GRANTS[role]]
    free = {one.prefix for one in grants if {Access.PUT, Access.DELETE} & set(one.accesses)}
    once = {one.prefix for one in grants if Access.CREATE in one.accesses}

    assert free
    assert once
    assert not [
        (one, other)
        for one in free
        for other in once
        if one.startswith(other) or other.startswith(one)
    ]


def test_duties(found: Found) -> None:
    """Who makes models does not approve or promote them; who approves does not promote."""
    rows: Mapping[str, set[Role]] = {
        "commit a version": {Role.CONTRIBUTOR},
        "approve": {Role.APPROVER, Role.RELEASER},
        "promote": {Role.RELEASER},
        "apply a policy": set(),
    }

    for name, roles in rows.items():
        assert {role for role in Role if found[role, AWS][name]} == roles | {Role.ADMIN}


@pytest.mark.parametrize("role", [Role.CONTRIBUTOR, Role.APPROVER, Role.RELEASER])
def test_nothing_in_vain(role: Role) -> None:
    """Everything that a role is granted is used by its verbs, in a vault where nothing is yet."""
    site = _site()
    site.begin()
    for feature in list(site.own.list(layout.FEATURES)):
        site.own.delete(feature.key)
    store = _guarded(site, role, AWS)
    used: set[tuple[str, str]] = set()
    for name in VERBS:
        store.used.clear()
        if allowed(site.seen_by(store), name):
            used |= store.used

    vain = [
        (grant.prefix, access.value)
        for grant in GRANTS[role]
        for access in grant.accesses
        if not any(
            action == _ACTIONS[access] and key.startswith(grant.prefix) for action, key in used
        )
    ]
    assert vain == []
