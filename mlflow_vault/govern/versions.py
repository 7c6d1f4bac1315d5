"""The verbs of versions: commit, look up, check out, verify, sync."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from mlflow_vault.engine.files import Files
from mlflow_vault.errors import CorruptionError, InvalidInputError, NotFoundError, VaultError
from mlflow_vault.format import layout
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.stored_json import read_json
from mlflow_vault.format.version import Version
from mlflow_vault.govern.committing import Committer, Told, missing
from mlflow_vault.govern.host import DIGEST_TAG, REQUIRED_TAG, attached
from mlflow_vault.govern.keeping import check_out, verify_version
from mlflow_vault.govern.records import Records
from mlflow_vault.govern.references import References, is_reference
from mlflow_vault.govern.syncing import Sync, bring_together
from mlflow_vault.store.address import Address

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from mlflow_vault.engine.upkeep import Verification
    from mlflow_vault.engine.world import World
    from mlflow_vault.format.entry import Entry
    from mlflow_vault.format.record import Identity
    from mlflow_vault.govern.host import Held, Host
    from mlflow_vault.govern.references import Reference
    from mlflow_vault.store.protocol import Store

_PROXIED: Final = "mlflow-artifacts"
_BY_HTTP: Final = "/api/2.0/mlflow-artifacts/artifacts/"
_SMALL: Final = 1 << 20  # bytes of a file that facts are taken from


class Versions(Files):
    """The versions of one vault.

    Attributes:
        host: The MLflow that it is used with; by default the one of this process.
    """

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
        told = Told(tuple(self.version(one).digest for one in parents), dict(metadata or {}))
        name = name or held.name
        lacking = self.lacking(name, told.metadata) if name else []
        if lacking:
            raise InvalidInputError(f"{name} requires more metadata: {'; '.join(lacking)}")
        if not self._tree.etags(path):
            raise NotFoundError(f"{model_uri} has no files: nothing lies at {path} in {self.uri}")
        is_new = False
        if name and held.name != name:
            alike = [one for one in host.registered(name) if one.location == held.location]
            is_new = not alike
            held = alike[-1] if alike else host.register(name, held)
        try:
            return self._adopt(held, told)
        except VaultError:
            if is_new:
                host.unregister(held)
            raise

    def versions(self, name: str) -> tuple[Version, ...]:
        """The versions of the registered model *name*, by number; each as it was told last."""
        newest = {(one.number, one.digest): one for one in self._records.named(name)}
        return tuple(newest.values())

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
        return verify_version(version, entries, self._verifier, self.entry, progress)

    def sync(self, name: str = "") -> Sync:
        """Commit what was registered past this vault, and say where both do not agree.

        Args:
            name: Of one registered model; all of them if empty.
        """
        host = self._host()
        versions = self._records.named(name) if name else self._records.all()

        compare = self._references.compare
        return bring_together(host.registered(name), versions, self.place, self.adopt, compare)

    def adopt(self, held: Held) -> Version:
        """Commit what MLflow holds, and of whose metadata only tags tell.

        Raises:
            VaultError: As `commit` does.
        """
        wanted = self.required(held.name) if held.name else {}
        declared = {key: text for key, text in held.tags.items() if key in wanted}
        return self._adopt(held, Told(metadata=declared))

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
        self._host().tag_model(name, {REQUIRED_TAG: _spelled(wanted)})

    def required(self, name: str) -> dict[str, Any]:
        """Which metadata every version of the registered model *name* must have."""
        said = self._host().model_tags(name).get(REQUIRED_TAG)
        if not said:
            return {}
        try:
            return dict(read_json(said.encode()))
        except (TypeError, ValueError) as cause:
            raise InvalidInputError(
                f"the tag {REQUIRED_TAG} of {name} is no JSON object ({cause}): declare anew what "
                "it requires, with vault.require"
            ) from cause

    def lacking(self, name: str, metadata: Mapping[str, Any]) -> Sequence[str]:
        """Say what *metadata* lacks of what the registered model *name* requires."""
        return missing(self.required(name), dict(metadata))

    def place(self, location: str) -> str:
        """Return the path in this vault of what MLflow says lies at *location*.

        Raises:
            InvalidInputError: It lies elsewhere.
        """
        parts = urlsplit(location)
        if parts.scheme == _PROXIED:
            return layout.check_path(unquote(parts.path).strip("/"))
        if parts.scheme in {"http", "https"} and _BY_HTTP in parts.path:
            return layout.check_path(unquote(parts.path.partition(_BY_HTTP)[2]).strip("/"))
        here = Address.parse(self.uri)
        try:
            address = Address.parse(location)
        except InvalidInputError:
            address = None
        if address is None or here not in (address, *address.parents()):
            raise InvalidInputError(
                f"{location} lies outside this vault, {self.uri}: it is not held. Log the model "
                "to an artifact location in the vault to commit it"
            )
        return layout.check_path(address.path[len(here.path) :].strip("/"))

    def _adopt(self, held: Held, told: Told) -> Version:
        """Commit what MLflow holds, unless that was done as told, and tag it."""
        path = self.place(held.location)
        version = self._committed(path, held, told)
        if version is None:
            facts = self._host().facts(held, self._artifact(path))
            told = Told(told.parents, told.metadata, facts)
            version = self._committer.commit(path, held, told)
        if held.number and held.digest != str(version.digest):
            self._host().tag(held, {DIGEST_TAG: str(version.digest)})
        return version

    def _committed(self, path: str, held: Held, told: Told) -> Version | None:
        seal = self._seals.get(path)
        if seal is None or not seal.get("digest"):
            return None
        version = self._committer.known(held, Digest.parse(seal["digest"]))
        if version is None or version.origin.path != path:
            return None
        says_less = told.metadata in ({}, version.metadata)
        return version if says_less and told.parents in ((), version.parents) else None

    def _artifact(self, path: str) -> Callable[[str], bytes | None]:
        def read(name: str) -> bytes | None:
            try:
                entry = self._reader.entry(layout.join(path, name))
                if entry.size > _SMALL:
                    return None
                return b"".join(self._reader.whole(entry))
            except (NotFoundError, CorruptionError, InvalidInputError):
                return None

        return read


def _spelled(wanted: Mapping[str, Any]) -> str:
    return json.dumps(wanted, sort_keys=True)
