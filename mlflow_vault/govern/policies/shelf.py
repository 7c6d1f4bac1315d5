"""Where policies and roles lie in a vault: numbered below their name, created once, read once.

    policies/<name>!/0, 1, 2, ...     canonical JSON, without examples; `null` withdraws

What is stored is what the digest of a document is over, so the audit log's digest proves it.
Nothing is believed of it: what is no document, is called otherwise, or has another spelling is
damaged; what is one of a later release is not understood.  Neither is passed over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from mlflow_vault.decide.policy.roles import Roles
from mlflow_vault.decide.policy.schema import Policy
from mlflow_vault.errors import (
    ConflictError,
    CorruptionError,
    InvalidInputError,
    NotFoundError,
    StorageError,
    UnsupportedError,
)
from mlflow_vault.format.canonical import read
from mlflow_vault.format.governed_layout import POLICIES, policy_key
from mlflow_vault.format.spelling import MARK, unescape
from mlflow_vault.govern.policies.yaml_tree import LARGEST
from mlflow_vault.govern.release.keeping.kept import Kept

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlflow_vault.engine.world import World
    from mlflow_vault.format.digest import Digest
    from mlflow_vault.format.record import Identity
    from mlflow_vault.govern.policies.reading import Document
    from mlflow_vault.store.protocol import Store

_KEY: Final = re.compile(re.escape(POLICIES) + r"([^/]+)" + re.escape(MARK) + r"/([0-9]{20})")
_WITHDRAWN: Final = b"null"
_REMEMBERED: Final = 256  # documents
_KINDS: Final[dict[object, type[Document]]] = {"PromotionPolicy": Policy, "Roles": Roles}


@dataclass(frozen=True, slots=True)
class Applied:
    """What was applied under a name at one time.

    Attributes:
        name: The name.
        number: Which time, from 0.
        document: The policy or the roles, without examples; None if it was withdrawn.
        changed: Whether it was not in force already.
    """

    name: str
    number: int
    document: Document | None
    changed: bool = True

    @property
    def digest(self) -> Digest | None:
        """Of the document; None if it was withdrawn."""
        return self.document.digest if self.document is not None else None

    def to_dict(self) -> dict[str, Any]:
        """This as plain values."""
        return {
            "name": self.name,
            "number": self.number,
            "changed": self.changed,
            "digest": str(self.digest) if self.digest else None,
            "document": self.document.to_dict() if self.document is not None else None,
        }


class Shelf:
    """The policies and roles of one vault, those of the past included."""

    def __init__(self, store: Store, world: World, identity: Identity) -> None:
        self._store = store
        self._has_one_winner = identity.conditional_create
        self._kept = Kept(store, world.readers)

    def last(self) -> dict[str, int]:
        """Return the last number of each name, by name; one listing.

        Raises:
            CorruptionError: Something else lies there, or one that was applied is missing.
            StorageError: The store failed.
        """
        numbers: dict[str, list[int]] = {}
        for stat in self._store.list(POLICIES):
            fits = _KEY.fullmatch(stat.key)
            if fits is None:
                raise CorruptionError(stat.key, "it is no key of a policy")
            numbers.setdefault(unescape(fits[1], stat.key), []).append(int(fits[2]))
        for name, found in numbers.items():
            if sorted(found) != list(range(len(found))):
                key = policy_key(name, max(found))
                raise CorruptionError(key, "what was applied before it is missing")
        return {name: len(found) - 1 for name, found in sorted(numbers.items())}

    def document(self, name: str, number: int) -> Document | None:
        """Return what was applied under *name*; None if that was a withdrawal.

        Raises:
            CorruptionError: It is damaged.
            UnsupportedError: It needs a newer release.
            StorageError: The store failed.
        """
        return next(self.documents([(name, number)]))

    def documents(self, wanted: Iterable[tuple[str, int]]) -> Iterator[Document | None]:
        """Yield what was applied under each name and number, as `document` does."""
        wanted = list(wanted)
        keys = [policy_key(*one) for one in wanted]
        found = self._kept.get_all(keys, LARGEST + 1)
        for (name, _), key, stored in zip(wanted, keys, found, strict=True):
            if stored is None:
                raise CorruptionError(key, "it was there a moment ago and is missing")
            yield parse(stored, name, key)

    def refuse_second_winners(self) -> None:
        """Refuse a store in which what is created can be replaced.

        Raises:
            UnsupportedError: This is one.
        """
        if not self._has_one_winner:
            raise UnsupportedError(
                f"{self._store.uri} lets a second create win, so a policy could vanish there. "
                "Keep the vault in a store with conditional writes."
            )

    def create(self, name: str, number: int, document: Document | None) -> None:
        """Keep *document* under a number that is free, durably.

        Raises:
            ConflictError: Something else has that number.
            StorageError: The store failed; whether it is kept is unknown.
        """
        key, stored = policy_key(name, number), spelled(document)
        try:
            self._store.create(key, stored)
        except (ConflictError, StorageError) as error:
            # Our own, of which the answer was lost, or that of somebody who applied the same.
            try:
                found = self._store.get(key, 0, LARGEST + 1)
            except NotFoundError:
                raise error from None
            if found != stored:
                raise ConflictError(
                    f"somebody else applied {name!r} at the same time, and theirs is in force: "
                    f"look at it with mlflow-vault policy show {name}, then apply yours again"
                ) from error


def spelled(document: Document | None) -> bytes:
    """Spell what is stored.

    Raises:
        InvalidInputError: No reader would take it.
    """
    if document is None:
        return _WITHDRAWN
    stored = document.canonical()
    try:
        same = parse(stored, document.name, document.name) == _without_examples(document)
    except (CorruptionError, UnsupportedError) as cause:
        raise InvalidInputError(f"{document.name} cannot be kept: {cause}") from cause
    if not same:
        raise InvalidInputError(
            f"{document.name} cannot be kept as JSON that reads back as it is: are there numbers "
            "beyond 2**53?"
        )
    return stored


@lru_cache(maxsize=_REMEMBERED)  # reading a policy takes a millisecond
def parse(stored: bytes, name: str, key: str) -> Document | None:
    """Undo `spelled`, believing nothing.

    Raises:
        CorruptionError: It is no document, or called otherwise.
        UnsupportedError: It has keys that this release does not know.
    """
    if len(stored) > LARGEST:
        raise CorruptionError(key, f"{len(stored)} bytes are too many for a policy")
    try:
        body = read(stored)
    except ValueError as cause:
        raise CorruptionError(key, f"it is no canonical JSON ({cause})") from cause
    if body is None:
        return None
    kind = body.get("kind") if isinstance(body, dict) else None
    if not isinstance(kind, str) or kind not in _KINDS:
        raise UnsupportedError(f"{key} is of the kind {kind!r:.80}: it needs a newer release")
    try:
        document = _KINDS[kind].model_validate(body)
    except ValidationError as cause:
        raise UnsupportedError(
            f"{key} is in force and is no {kind} as this release knows them, so nobody can judge "
            f"by it: upgrade. {cause.errors(include_url=False)[0]['msg']:.200}"
        ) from cause
    if document.name != name:
        raise CorruptionError(key, f"it is called {document.name!r}")
    if document.canonical() != stored:
        raise CorruptionError(key, "it has another spelling")
    return document


def _without_examples(document: Document) -> Document:
    return document if isinstance(document, Roles) else document.model_copy(update={"examples": ()})
