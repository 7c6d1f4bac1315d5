"""Policies and roles in force: kept in the vault, so that whoever decides judges by the same.

What was applied last under a name is in force, until it is withdrawn.  It is in the audit log
before it is in force: an entry whose number holds something else lost a race, and nothing came of
it.  Nothing is ever deleted, so what a past decision was judged by can always be read again.

What cannot be read is an error and is not passed over: it may be what forbids.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlflow_vault.decide.policy.matching import is_for
from mlflow_vault.decide.policy.roles import Roles
from mlflow_vault.decide.policy.schema import Policy
from mlflow_vault.errors import ConflictError, InvalidInputError, NotFoundError
from mlflow_vault.format.log import Action, Subject
from mlflow_vault.govern.policies.shelf import Applied, Shelf, spelled
from mlflow_vault.govern.policies.trying import refuse_failing
from mlflow_vault.govern.release.caller import Caller

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlflow_vault.engine.world import World
    from mlflow_vault.format.digest import Digest
    from mlflow_vault.format.log import Actor
    from mlflow_vault.format.record import Identity
    from mlflow_vault.govern.audit.audit import Audit
    from mlflow_vault.govern.policies.reading import Document
    from mlflow_vault.store.protocol import Store


class Force:
    """What is in force in one vault.

    Args:
        store: Where the vault lies.
        world: How many wait for it at once.
        identity: What the vault is.
        audit: Its log.

    Attributes:
        uri: Where the vault lies, without secrets.

    Example:
        >>> from mlflow_vault.govern.policies import read
        >>> from mlflow_vault.vault import Vault
        >>> force = Vault.init("vault-memory://in-force").policies
        >>> force.apply(read("{metadata: {name: p}, transition: {to: staging}}"), "ann").number
        0
        >>> [policy.name for policy in force.policies_for("credit", "staging")]
        ['p']
    """

    def __init__(self, store: Store, world: World, identity: Identity, audit: Audit) -> None:
        self.uri = store.uri
        self._shelf = Shelf(store, world, identity)
        self._audit = audit

    def __repr__(self) -> str:
        return f"Force({self.uri!r})"

    def apply(self, document: Document, actor: Actor | str) -> Applied:
        """Let *document* be in force from now on, instead of what was under its name.

        A policy is tried by its own examples first.  What is in force already stays as it is.

        Args:
            document: A policy, or roles.
            actor: Who applies it; as text who says so, and nobody has proven it.

        Raises:
            InvalidInputError: An example fails; it cannot be kept; or other roles are in force.
            ConflictError: Somebody else applied something under this name at the same time.
            UnsupportedError: The store lets a second create win.
            StorageError: The store failed; it may be in force.
        """
        refuse_failing(document)
        spelled(document)
        last = self._shelf.last()
        self._refuse_another(document, last)
        return self._put(document.name, document, last.get(document.name, -1), actor)

    def withdraw(self, name: str, actor: Actor | str) -> Applied:
        """Let what is in force under *name* be so no longer; what is not in force stays so.

        Args:
            name: Of the policy or the roles.
            actor: Who withdraws it; as text who says so, and nobody has proven it.

        Raises:
            NotFoundError: Nothing was ever applied under this name.
            ConflictError: Somebody else applied something under this name at the same time.
            UnsupportedError: The store lets a second create win.
            StorageError: The store failed; it may be withdrawn.
        """
        number = self._shelf.last().get(name, -1)
        if number < 0:
            raise NotFoundError(f"nothing was ever applied under the name {name!r}")
        return self._put(name, None, number, actor)

    def documents(self) -> tuple[Document, ...]:
        """What is in force, by name; one listing, and a request for what was not read before.

        Raises:
            CorruptionError: A document is damaged.
            UnsupportedError: A document needs a newer release.
            StorageError: The store failed.
        """
        found = (
            self._shelf.document(name, number)
            for name, number in sorted(self._shelf.last().items())
        )
        return tuple(one for one in found if one is not None)

    def policies(self) -> tuple[Policy, ...]:
        """The policies in force, by name."""
        return tuple(one for one in self.documents() if isinstance(one, Policy))

    def roles(self) -> Roles | None:
        """The roles in force; None if there are none.

        Raises:
            ConflictError: Two people applied roles under two names at the same time.
        """
        found = [one for one in self.documents() if isinstance(one, Roles)]
        if len(found) > 1:
            raise ConflictError(
                f"two roles are in force, {found[0].name!r} and {found[1].name!r}: withdraw one "
                f"with mlflow-vault policy withdraw {found[1].name}"
            )
        return found[0] if found else None

    def policies_for(self, model: str, to: str = "", kind: str = "") -> tuple[Policy, ...]:
        """The policies in force for a registered model, by name.

        Args:
            model: Its name.
            to: Only those about a transition to this stage.
            kind: Only those about a transition of this kind: ``promotion``, ``rollback``, ...
        """
        return tuple(
            one
            for one in self.policies()
            if is_for(one, model)
            and to in {"", one.transition.to}
            and kind in {"", one.transition.kind}
        )

    def caller(self, actor: Actor, groups: Iterable[str] = ()) -> Caller:
        """Return which roles and rights somebody has now.

        Args:
            actor: Who asks.
            groups: Which *actor* is in, as who authenticated them says.
        """
        return Caller.of(actor, self.roles(), groups)

    def claimed(self, name: str) -> Caller:
        """Return which rights who runs this process has, as they say; no roles."""
        return Caller.claimed(name, self.roles())

    def get(self, digest: Digest | str) -> Document:
        """Return the document with this digest, in force or not.

        Raises:
            NotFoundError: There never was one.
        """
        for name, last in self._shelf.last().items():
            for number in range(last, -1, -1):
                found = self._shelf.document(name, number)
                if found is not None and str(found.digest) == str(digest):
                    return found
        raise NotFoundError(f"no policy {digest} was ever applied in {self.uri}")

    def history(self, name: str) -> tuple[Applied, ...]:
        """What was applied under *name*, oldest first.

        Raises:
            NotFoundError: Nothing ever was.
        """
        last = self._shelf.last().get(name, -1)
        if last < 0:
            raise NotFoundError(f"nothing was ever applied under the name {name!r}")
        return tuple(
            Applied(name, number, self._shelf.document(name, number)) for number in range(last + 1)
        )

    def _put(self, name: str, document: Document | None, last: int, actor: Actor | str) -> Applied:
        before = self._shelf.document(name, last) if last >= 0 else None
        if _digest(before) == _digest(document):
            return Applied(name, last, document, changed=False)
        self._shelf.refuse_second_winners()
        number = last + 1
        is_role = isinstance(document if document is not None else before, Roles)
        self._audit.note(
            Action.ROLE if is_role else Action.POLICY,
            Subject("roles" if is_role else "policy", name, _digest(document)),
            actor,
            before={"digest": _text(before), "number": last if last >= 0 else None},
            after={"digest": _text(document), "number": number},
        )
        self._shelf.create(name, number, document)
        return Applied(name, number, document)

    def _refuse_another(self, document: Document, last: dict[str, int]) -> None:
        for name, number in last.items():
            found = self._shelf.document(name, number)
            if found is None:
                continue
            if name == document.name and found.kind != document.kind:
                raise InvalidInputError(
                    f"{name!r} is in force as {found.kind}: withdraw it, or choose another name"
                )
            if name != document.name and isinstance(found, Roles) and isinstance(document, Roles):
                raise InvalidInputError(
                    f"the roles {name!r} are in force, and there are none beside them: call these "
                    f"{name!r}, or withdraw those"
                )


def _digest(document: Document | None) -> Digest | None:
    return document.digest if document is not None else None


def _text(document: Document | None) -> str | None:
    return str(document.digest) if document is not None else None
