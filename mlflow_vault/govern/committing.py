"""Commits: makes an immutable version of what lies at an artifact path.

    0  create  the feature                    who collects must know that versions name packs
    1  list    the path                       what is there
    2  read    its entries
    3  list    again                          the same, or start again
    4          transaction: pins the packs, puts the entries as the version's content
    5  create  the seal                       writes are refused from here on
    6  list    once more                      a write that came before the seal: start again,
                                              behind the seal
    7  create  an entry of the audit log
    8  create  the record, then its name
    9          MLflow: a tag with the digest

Nothing names a version before all that it needs is there, and whoever stops half-way leaves
garbage or a seal without a version, which the next commit of the path completes.
"""

from __future__ import annotations

import getpass
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.engine.write.transaction import Transaction
from mlflow_vault.errors import (
    ConflictError,
    CorruptionError,
    InvalidInputError,
    NotFoundError,
    SealedError,
    StorageError,
)
from mlflow_vault.format import layout
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.record import VERSIONS
from mlflow_vault.format.version import Origin, Version, digest_of, finite
from mlflow_vault.govern.records import Records, below, file_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mlflow_vault.engine.reader import Reader
    from mlflow_vault.engine.seals import Seals
    from mlflow_vault.engine.tree import Tree
    from mlflow_vault.engine.world import World
    from mlflow_vault.format.entry import Entry
    from mlflow_vault.govern.host import Held
    from mlflow_vault.store.protocol import Store

_TRIES: Final = 5
_AT_ONCE: Final = 16  # entries read at once

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Told:
    """What is said of a version when it is committed.

    Attributes:
        parents: Versions that it was made from.
        metadata: What its committer declares.
        facts: What MLflow knows.
    """

    parents: tuple[Digest, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


class Committer:
    """Commits to one vault."""

    def __init__(
        self, store: Store, world: World, tree: Tree, reader: Reader, seals: Seals
    ) -> None:
        self._store = store
        self._world = world
        self._tree = tree
        self._reader = reader
        self._seals = seals
        self._records = Records(store)
        self._announced = False

    def commit(self, path: str, held: Held, told: Told, note: Callable[[Version], None]) -> Version:
        """Make a version of what lies at *path*; what is one already, and as told, stays it.

        Args:
            path: An artifact path.
            held: What MLflow has of it.
            told: What is said of it.
            note: Told the version before it is there: no version is without its note.

        Raises:
            NotFoundError: There is nothing at *path*.
            InvalidInputError: Its name is too long, or what is told of it no JSON.
            SealedError: It is sealed as another version: somebody wrote around that seal.
            ConflictError: Somebody kept writing to it.
            CorruptionError: An entry is damaged; nothing was committed.
        """
        layout.name_prefix(held.name)  # refuses what could not be found by its name
        self._announce()
        for _ in range(_TRIES):
            before = self._tree.etags(path)
            if not before:
                raise NotFoundError(
                    f"{held.uri} cannot be committed: there are no files at {path!r} in "
                    f"{self._store.uri}"
                )
            _refuse_wide(path, before)
            entries = self._read(list(before))
            if entries is None or self._tree.etags(path) != before:
                continue
            transaction = Transaction(self._store, self._world)
            try:
                version = self._pin(transaction, path, held, told, entries)
                if self._seal(version, before):
                    note(version)
                    self._records.put(version)
                    transaction.finish()
                    return version
            except BaseException as error:
                transaction.abandon()
                if not isinstance(error, ConflictError):
                    raise
                _log.info("this commit was aborted and starts again: %s", error)
            else:
                transaction.finish()
        raise ConflictError(
            f"{path} keeps changing while it is committed: commit it when nobody writes to it"
        )

    def _announce(self) -> None:
        """Tell every writer that this vault has versions, before there is one."""
        if not self._announced:
            with suppress(ConflictError):
                self._store.create(layout.FEATURES + VERSIONS, b"")
            self._announced = True

    def known(self, held: Held, digest: Digest) -> Version | None:
        """The newest version of these files that is called as *held* is."""
        called = (held.name, held.number)
        found = [one for one in self._records.of(digest) if (one.name, one.number) == called]
        if not found:
            return None
        self._records.put_name(found[-1])  # its commit may have died before
        return found[-1]

    def _read(self, names: Sequence[str]) -> list[Entry] | None:
        try:
            with ThreadPoolExecutor(min(_AT_ONCE, len(names)), "vault-commit") as pool:
                return list(pool.map(self._reader.entry, names))
        except NotFoundError:
            return None  # deleted since it was listed

    def _seal(self, version: Version, before: dict[str, str]) -> bool:
        """Seal the path of *version*; False if something was written there before it held."""
        path = version.origin.path
        label = f"{version.label} ({str(version.digest)[:15]})"
        digest = str(version.digest)
        self._seals.put(path, version=label, digest=digest, commit=version.id)
        if self._tree.etags(path) != before:
            return False  # the seal stays: others may go by it already
        self._seals.mend(path, version=label, digest=digest, commit=version.id)
        return True

    def _pin(
        self,
        transaction: Transaction,
        path: str,
        held: Held,
        told: Told,
        entries: Sequence[Entry],
    ) -> Version:
        """Put what the version of *entries* needs, and return that version, not recorded yet."""
        inside = [below(entry, path) for entry in entries]
        files = tuple(sorted(map(file_of, inside)))
        digest = digest_of(files)
        self._refuse_another(path, digest)
        content = self._records.content(inside, digest, transaction.id)
        packs = frozenset[bytes]().union(*(entry.packs for entry in inside))
        lost = [pack for pack in sorted(packs) if not transaction.may_reuse(pack)]
        if lost:
            raise StorageError(
                f"{held.uri} cannot be committed: {layout.pack_key(lost[0])}, which it needs, is "
                "gone or about to be collected. Log the model again."
            )
        version = Version(
            digest=digest,
            id=transaction.id,
            name=held.name,
            number=held.number,
            created=int(self._world.now() * 1000),
            author=held.author or user(),
            origin=Origin(held.uri, path, held.model_id, held.run_id, held.experiment_id),
            files=files,
            parents=told.parents,
            metadata=finite(told.metadata),
            facts=finite(told.facts),
            content=transaction.id,
            parts=len(content),
        )
        _refuse_unreadable(version)
        transaction.commit(packs, content.items())
        return version

    def _refuse_another(self, path: str, digest: Digest) -> None:
        """Refuse to commit what was written around the seal of a version."""
        seal = self._seals.get(path) or {}
        said = seal.get("digest") or str(digest)
        if said == str(digest):
            return
        if any(one.origin.path == path for one in self._records.of(Digest.parse(said))):
            raise SealedError(
                f"{path} is sealed as {seal.get('version')} and holds something else by now: it "
                f"was written around the seal. Check {said} out to have what was committed, and "
                "log what is there now elsewhere to commit it"
            )


def _refuse_unreadable(version: Version) -> None:
    """Refuse what no reader would take, before anything names it or is sealed for it."""
    try:
        Version.from_bytes(version.to_bytes(), version.label)
    except CorruptionError as cause:
        raise InvalidInputError(
            f"what is told of {version.label} cannot be kept: {cause.reason}"
        ) from cause


def _refuse_wide(path: str, names: dict[str, str]) -> None:
    """Refuse a folder above artifact roots: a seal on it would not be seen below."""
    unit = layout.seal_unit(path)
    for name in names:
        if layout.seal_unit(name) != unit:
            raise InvalidInputError(
                f"{path!r} holds artifacts of several runs or models, such as {name}; commit one"
            )


def user() -> str:
    """The name of who runs this process; nobody has proven it."""
    try:
        return getpass.getuser()
    except (ImportError, OSError, KeyError):  # a container without users
        return ""
