"""The verbs of versions: commit, look up, check out, verify, sync."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from mlflow_vault.errors import (
    InvalidInputError,
    NotFoundError,
    PermissionDeniedError,
    VaultError,
)
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.log import Action
from mlflow_vault.format.version import Version
from mlflow_vault.govern.audit.subjects import subject_of
from mlflow_vault.govern.committing import Committer, Told
from mlflow_vault.govern.guarded import Guarded
from mlflow_vault.govern.host import DIGEST_TAG, REQUIRED_TAG, attached
from mlflow_vault.govern.keeping import check_out, small_files, verify_version
from mlflow_vault.govern.metadata import declared, missing, parsed, spelled
from mlflow_vault.govern.placing import path_in
from mlflow_vault.govern.records import Records
from mlflow_vault.govern.references import References, is_reference
from mlflow_vault.govern.syncing import Sync, bring_together

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from mlflow_vault.engine.upkeep import Verification
    from mlflow_vault.engine.world import World
    from mlflow_vault.format.entry import Entry
    from mlflow_vault.format.log import Actor
    from mlflow_vault.format.record import Identity
    from mlflow_vault.govern.host import Held, Host
    from mlflow_vault.govern.references import Reference
    from mlflow_vault.store.protocol import Store

_log = logging.getLogger(__name__)


class Versions(Guarded):
    """The versions of one vault."""

    def __init__(
        self,
        store: Store,
        identity: Identity,
        world: World | None = None,
        host: Callable[[], Host] = attached,
    ) -> None:
        super().__init__(store, identity, world)
        self._host = host
        self._records = Records(store)
        self._references = References(self._records, self._seals, host, self.place)
        self._committer = Committer(store, self._world, self._tree, self._reader, self._seals)

    def commit(
        self,
        model_uri: str,
        *,
        name: str = "",
        parent: Reference | Sequence[Reference] = (),
        metadata: Mapping[str, Any] | None = None,
    ) -> Version:
        """Make an immutable version of a model, and seal the path that it lies at.

        With a *name* it is registered with MLflow: a model version of that name and these files is
        adopted, or made.  What MLflow and the run know of it is kept with it.

        Args:
            model_uri: ``models:/name/3``, ``models:/m-...``, ``runs:/<run>/model`` or a location.
            name: A registered model; not needed where *model_uri* is of one.
            parent: The version, or versions, that it was made from.
            metadata: What to keep with it, as JSON; `require` says what a model must have.

        Returns:
            The version; the one that there is, where that was committed before as told now.

        Raises:
            NotFoundError: There is no such model, or its files are gone.
            InvalidInputError: Its artifacts are not in this vault, or required metadata is missing.
            ConflictError: Somebody kept writing to it.
        """
        host = self._host()
        held = host.resolve(model_uri)
        path = self.place(held.location)
        parents = (parent,) if isinstance(parent, (str, Digest, Version)) else tuple(parent)
        told = Told(tuple(self.version(one).digest for one in parents), declared(metadata or {}))
        name = name or held.name
        lacking = self.lacking(name, told.metadata) if name else []
        if lacking:
            raise InvalidInputError(f"{name} requires more metadata: {'; '.join(lacking)}")
        if not self._tree.etags(path):
            raise NotFoundError(f"{model_uri} has no files: nothing lies at {path} in {self.uri}")
        is_new = False
        if name and held.name != name:
            alike = [one for one in host.registered(name) if _is_same(one, held, host)]
            is_new = not alike
            held = host.located(alike[-1]) if alike else host.register(name, held)
        try:
            version = self._kept(held, told)
        except VaultError:
            if is_new:
                host.unregister(held)
            raise
        self._tag(held, version)
        return version

    def versions(self, name: str) -> tuple[Version, ...]:
        """The versions of the registered model *name*, by number; each as it was told last."""
        newest = {(one.number, one.digest): one for one in self._records.named(name)}
        return tuple(newest.values())

    def known(self, name: str, number: int, digest: Digest) -> Version | None:
        """Return the version *name*/*number* with these files, None if the vault has none.

        Other than by its number alone this takes the same time however many versions there are.
        """
        found = [
            one for one in self._records.of(digest) if (one.name, one.number) == (name, number)
        ]
        return found[-1] if found else None

    def numbers(self, name: str) -> tuple[int, ...]:
        """The numbers of the versions of the registered model *name*, sorted; reads no record."""
        return tuple(self._records.numbers(name))

    def version(self, reference: Reference) -> Version:
        """Return the version that *reference* means.

        Args:
            reference: ``models:/name/3`` (or ``name/3``), ``models:/name@alias``,
                ``models:/name/latest``, ``models:/m-...``, ``runs:/<run>/model``, ``b3:...``.

        Raises:
            NotFoundError: No version does.
            InvalidInputError: It is no reference, ambiguous, or of another vault.
        """
        return self._references.version(reference)

    def entries(self, reference: Reference) -> dict[str, Entry]:
        """What the vault knows of each file of a version, by path from its root."""
        return self._records.entries(self.version(reference))

    def checkout(
        self,
        reference: Reference,
        destination: Path,
        *,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Version:
        """Write a version's files to a new or empty folder, each verified: all, or nothing.

        It asks neither MLflow nor the artifact path for them, so it works after ``mlflow gc``.

        Raises:
            InvalidInputError: There is something at *destination*.
            CorruptionError: A file cannot be read as it was committed.
            StorageError: The store failed, or *destination* cannot be written.
        """
        version = self.version(reference)
        entries = self._records.entries(version)
        check_out(version, entries, self._reader, destination, progress)
        return version

    def verify(
        self, path: str = "", *, progress: Callable[[int], None] = lambda _: None
    ) -> Verification:
        """Read files and compare them with their digests.

        Args:
            path: Every file at and below it; or a reference, for a version's own copy.
            progress: Told the bytes as they are read.

        Raises:
            NotFoundError: There is no such version.
            StorageError: The store failed.
        """
        if not is_reference(path):
            return super().verify(path, progress=progress)
        version = self.version(path)
        entries = self._records.entries(version)
        return verify_version(version, entries, self._verifier, self._tree, progress)

    def sync(self, name: str = "") -> Sync:
        """Commit what was registered past this vault, and say where both do not agree.

        Args:
            name: Of one registered model; all of them if empty.
        """
        host = self._host()
        versions = self._records.named(name) if name else self._records.all()

        def place(held: Held) -> str:
            return self.place(host.located(held).location)

        def adopt(held: Held) -> Version:
            return self.adopt(host.located(held))

        compare = self._references.compare
        return bring_together(host.registered(name), versions, place, adopt, compare)

    def adopt(self, held: Held, actor: Actor | None = None) -> Version:
        """Commit what MLflow holds, and of whose metadata only tags tell.

        Args:
            held: What MLflow holds.
            actor: Who registered it, if somebody authenticated them; else its author says so.

        Raises:
            VaultError: As `commit` does.
        """
        wanted = self.required(held.name) if held.name else {}
        declared = {key: text for key, text in held.tags.items() if key in wanted}
        version = self._kept(held, Told(metadata=declared), actor)
        self._tag(held, version)
        return version

    def require(self, name: str, keys: Mapping[str, Mapping[str, str]]) -> None:
        """Declare which metadata every version of the registered model *name* must have.

        Args:
            name: A registered model, made if there is none.
            keys: ``{"owner": {"type": "text", "help": "who answers for it"}}``; types are text,
                number, flag and list.

        Raises:
            InvalidInputError: A type is unknown.
        """
        wanted = {str(key): dict(want) for key, want in keys.items()}
        missing(wanted, {})  # refuses unknown types
        self._host().tag_model(name, {REQUIRED_TAG: spelled(wanted)})

    def required(self, name: str) -> dict[str, Any]:
        """Which metadata every version of the registered model *name* must have."""
        said = self._host().model_tags(name).get(REQUIRED_TAG)
        return parsed(said, name) if said else {}

    def lacking(self, name: str, metadata: Mapping[str, Any]) -> Sequence[str]:
        """Say what *metadata* lacks of what the registered model *name* requires."""
        return missing(self.required(name), dict(metadata))

    def place(self, location: str) -> str:
        """Return the path in this vault of what MLflow says lies at *location*.

        Raises:
            InvalidInputError: It lies elsewhere.
        """
        return path_in(self.uri, location)

    def _kept(self, held: Held, told: Told, actor: Actor | None = None) -> Version:
        """Commit what MLflow holds, unless that was done as told."""
        path = self.place(held.location)
        version = self._committed(path, held, told)
        if version is None:
            facts = self._host().facts(held, small_files(self._reader, path))
            told = Told(told.parents, told.metadata, facts)
            version = self._committer.commit(path, held, told, partial(self._note, actor))
        return version

    def _note(self, actor: Actor | None, version: Version) -> None:
        """Log that *version* is being committed."""
        after = {"number": version.number or None, "commit": version.id}
        self.audit.note(Action.COMMIT, subject_of(version), actor or version.author, after=after)

    def _tag(self, held: Held, version: Version) -> None:
        """Let the registry say what the vault holds, if it lets us: the version is made."""
        if not held.number or held.digest == str(version.digest):
            return
        try:
            self._host().tag(held, {DIGEST_TAG: str(version.digest)})
        except PermissionDeniedError as cause:
            _log.warning("%s is committed, but its tag is not set: %s", version.label, cause)

    def _committed(self, path: str, held: Held, told: Told) -> Version | None:
        seal = self._seals.get(path)
        if seal is None or not seal.get("digest"):
            return None
        version = self._committer.known(held, Digest.parse(seal["digest"]))
        if version is None or version.origin.path != path:
            return None
        says_less = told.metadata in ({}, version.metadata)
        return version if says_less and told.parents in ((), version.parents) else None


def _is_same(one: Held, held: Held, host: Host) -> bool:
    """Whether a model version is of the files that *held* is."""
    if one.model_id and held.model_id:
        return one.model_id == held.model_id
    return host.located(one).location == held.location
