"""Roles: who may do what, and by which keys approvers sign.

    viewer < contributor < approver < releaser < admin     each may what those before it may
    risk, ml-lead, ...                                     any other name: what its `may` says

Users and groups are those that whoever authenticates people calls so, letter for letter: an account
`Bob` that somebody else made does not have the roles of `bob`.  Who is not named has the role that
`others` says.  Nobody has a role whom nobody authenticated.

Unknown keys are refused, and so is what would let one person be two: a key that two users have.

Pure: no I/O.  Written down in docs/policies.md, "Roles".
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)

from mlflow_vault.decide.policy.parts import Part, Several, Text
from mlflow_vault.decide.policy.public_keys import PublicKey, read_public_key
from mlflow_vault.decide.policy.schema import Name  # noqa: TC001 - for pydantic
from mlflow_vault.format.canonical import plain, spell
from mlflow_vault.format.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterable


class Right(StrEnum):
    """What somebody may do."""

    READ = "read"
    CONTRIBUTE = "contribute"
    APPROVE = "approve"
    RELEASE = "release"
    ADMINISTER = "administer"


# What each may beyond those before it.
BUILT_IN: Final = dict(
    zip(("viewer", "contributor", "approver", "releaser", "admin"), Right, strict=True)
)
EVERYTHING: Final = frozenset(Right)
ADMINISTRATORS: Final = "mlflow:admin"  # the group of MLflow's own administrators


def _whole(name: str) -> str:
    if name != name.strip() or not name.isprintable():
        raise ValueError("a name has no spaces around it and no control characters")
    return name


def _key(given: object) -> PublicKey:
    return given if isinstance(given, PublicKey) else read_public_key(given)


Who = Annotated[Text, AfterValidator(_whole)]
KeyOfUser = Annotated[
    PublicKey,
    BeforeValidator(_key),
    PlainSerializer(lambda key: key.pem, return_type=str),
    WithJsonSchema({"type": "string", "pattern": "^\\s*-----BEGIN PUBLIC KEY-----"}),
]


class Role(Part):
    """Who has a role, and for a role that is not built in what it may."""

    users: Several[Who] = ()
    groups: Several[Who] = ()
    may: Several[Right] | None = None

    @model_validator(mode="after")
    def _somebody(self) -> Role:
        if not self.users and not self.groups:
            raise ValueError("nobody has it: name users or groups, or leave the role out")
        return self


class Named(Part):
    """What the document is called."""

    name: Name = "roles"
    description: Text = ""


class Roles(Part):
    """Who may do what."""

    api_version: Literal["mlflow-vault/v1"] = Field(
        "mlflow-vault/v1", validation_alias="apiVersion", serialization_alias="apiVersion"
    )
    kind: Literal["Roles"]
    metadata: Named = Named()
    roles: dict[Name, Role] = Field(min_length=1)
    others: Literal["viewer", "contributor"] = "viewer"
    keys: dict[Who, Several[KeyOfUser]] = Field(default={})

    @model_validator(mode="after")
    def _sensible(self) -> Roles:
        for name, role in self.roles.items():
            if name in BUILT_IN and role.may is not None:
                raise ValueError(f"what {name!r} may is built in: leave `may` out, or rename it")
            if name.lower() in BUILT_IN and name not in BUILT_IN:
                raise ValueError(f"{name!r} looks like {name.lower()!r}, and is another role")
            if role.may == ():
                raise ValueError(f"{name!r} may nothing: leave it out")
        owners: dict[PublicKey, str] = {}
        for user, keys in self.keys.items():
            if not keys:
                raise ValueError(f"{user!r} has no keys: leave {user!r} out")
            for key in keys:
                if owners.setdefault(key, user) != user:
                    raise ValueError(
                        f"{user!r} and {owners[key]!r} have the same key: one could sign for both"
                    )
        return self

    @property
    def name(self) -> str:
        """What it is called."""
        return self.metadata.name

    @property
    def digest(self) -> Digest:
        """The name of what it says."""
        return Digest.of(self.canonical())

    def canonical(self) -> bytes:
        """Return what the digest is of: JSON that has one spelling."""
        return spell(plain(self.to_dict()))

    def to_dict(self) -> dict[str, Any]:
        """This as plain values, as it is written in YAML."""
        told = self.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        return {"apiVersion": self.api_version, "kind": self.kind} | told

    def roles_of(self, user: str, groups: Iterable[str] = ()) -> tuple[str, ...]:
        """Return which roles somebody has whom somebody authenticated; sorted.

        Only what is written: an admin is nobody's ``risk``, and no ``approver`` by name.

        Args:
            user: What they are called, letter for letter.
            groups: Which they are in.
        """
        within = frozenset(groups)
        if not user:
            return ()
        return tuple(
            sorted(
                name
                for name, role in self.roles.items()
                if user in role.users or within.intersection(role.groups)
            )
        )

    def rights_of(self, roles: Iterable[str]) -> frozenset[Right]:
        """Return what somebody with these *roles* may do; with none, what all others may."""
        found = _through(BUILT_IN[self.others])
        for name in roles:
            if name in BUILT_IN:
                found |= _through(BUILT_IN[name])
            elif name in self.roles:
                may = self.roles[name].may
                found |= frozenset({Right.APPROVE} if may is None else may)
        return found

    def owner_of(self, key: PublicKey) -> str:
        """Return whose key it is; empty if nobody's.  No two users have the same."""
        return next((user for user, keys in self.keys.items() if key in keys), "")

    def may(self, right: Right) -> tuple[str, ...]:
        """Return the names of the roles that have *right*; sorted."""
        return tuple(name for name in sorted(self.roles) if right in self.rights_of([name]))


def roles_schema() -> dict[str, Any]:
    """Return the JSON Schema of roles, for editors."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Roles.model_json_schema(),
        "title": "Roles",
    }


def _through(last: Right) -> frozenset[Right]:
    """Every right up to *last*."""
    rights = list(Right)
    return frozenset(rights[: rights.index(last) + 1])
