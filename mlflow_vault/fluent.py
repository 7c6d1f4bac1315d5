"""The verbs of `Vault` as functions, for the vault and the MLflow of this process.

The vault is the one that ``MLFLOW_VAULT_URI`` names, else the one that holds what is asked for,
else the one in which MLflow's default experiment keeps its artifacts.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.errors import InvalidInputError, NotFoundError, StorageError
from mlflow_vault.govern.host import attach, attached
from mlflow_vault.govern.references import full
from mlflow_vault.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mlflow_vault.decide.lineage.graph import LineageGraph
    from mlflow_vault.decide.lineage.impact import Impact
    from mlflow_vault.decide.lineage.queries import Event, Origins
    from mlflow_vault.decide.policy import Policy
    from mlflow_vault.format.statement import Statement
    from mlflow_vault.format.version import Version
    from mlflow_vault.govern.diff import Diff
    from mlflow_vault.govern.host import Host
    from mlflow_vault.govern.knowledge import Moment
    from mlflow_vault.govern.references import Reference
    from mlflow_vault.govern.release.approving.approver_key import ApproverKey
    from mlflow_vault.govern.release.telling.promotion import Promotion
    from mlflow_vault.govern.release.telling.status import Status
    from mlflow_vault.govern.searching import Found
    from mlflow_vault.govern.signing.bundle import Signature
    from mlflow_vault.govern.signing.keys import Key
    from mlflow_vault.govern.signing.trust import Trust
    from mlflow_vault.govern.syncing import Sync

__all__ = [
    "Vault",
    "approve",
    "archive",
    "checkout",
    "commit",
    "diff",
    "evidence",
    "impact",
    "lineage",
    "load_model",
    "origin",
    "promote",
    "reject",
    "rollback",
    "search_versions",
    "sign",
    "status",
    "sync",
    "timeline",
    "vault_of",
    "version",
    "versions",
]

VARIABLE: Final = "MLFLOW_VAULT_URI"


def _mlflow() -> Host:
    # Takes seconds, and not all need it.
    from mlflow_vault.plugin.governing.scoped_host import host_of_process  # noqa: PLC0415

    return host_of_process()


attach(_mlflow)


def vault_of(reference: object = "") -> Vault:
    """Find the vault that the functions of this module would use for *reference*.

    Raises:
        NotFoundError: There is none; the message says how to name one.
    """
    named = os.environ.get(VARIABLE)
    if named:
        return Vault.open(named)
    try:
        locations = list(_locations(reference))
    except StorageError as cause:
        raise StorageError(
            f"{cause}. Set {VARIABLE} to the vault's URI: then what needs no MLflow works without"
        ) from cause
    for location in locations:
        try:
            found = Vault.find(location)
        except InvalidInputError:
            continue  # no vault's address
        if found is not None:
            return found[0]
    raise NotFoundError(
        f"no vault holds {' or '.join(locations)}: set {VARIABLE} to the vault's URI, or open it "
        "yourself with mlflow_vault.Vault.open"
    )


def _locations(reference: object) -> Iterator[str]:
    """Yield where MLflow keeps what *reference* means, and then where it keeps the rest."""
    host = attached()
    if isinstance(reference, str) and ":/" in full(reference):
        # MLflow may have forgotten what a vault has not; or it is the name of a run, a dataset.
        with suppress(NotFoundError, InvalidInputError):
            yield host.resolve(full(reference)).location
    yield host.default_location()


def commit(
    model_uri: str,
    *,
    name: str = "",
    parent: Reference | Sequence[Reference] = (),
    metadata: Mapping[str, Any] | None = None,
) -> Version:
    """Make an immutable version of a model; see `Vault.commit`."""
    return vault_of(model_uri).commit(model_uri, name=name, parent=parent, metadata=metadata)


def versions(name: str) -> tuple[Version, ...]:
    """The versions of a registered model, by number; see `Vault.versions`."""
    return vault_of(f"models:/{name}/latest").versions(name)


def version(reference: Reference) -> Version:
    """Return the version that *reference* means; see `Vault.version`."""
    return vault_of(reference).version(reference)


def checkout(
    reference: Reference, destination: str | Path, *, require_signature: Trust | None = None
) -> Version:
    """Write a version's files to a new or empty folder, verified; see `Vault.checkout`."""
    vault = vault_of(reference)
    return vault.checkout(reference, Path(destination), require_signature=require_signature)


def sync(name: str = "") -> Sync:
    """Commit what was registered past the vault; see `Vault.sync`."""
    return vault_of().sync(name)


def diff(before: Reference, after: Reference) -> Diff:
    """Say what differs between two versions; see `Vault.diff`."""
    return vault_of(before).diff(before, after)


def lineage(
    reference: Reference = "",
    *,
    direction: str = "both",
    depth: int | None = None,
    kinds: Iterable[str] | None = None,
    as_of: Moment | None = None,
) -> LineageGraph:
    """Return what a version came from and what came from it; see `Vault.lineage`."""
    return vault_of(reference).lineage(
        reference, direction=direction, depth=depth, kinds=kinds, as_of=as_of
    )


def origin(reference: Reference, *, as_of: Moment | None = None) -> Origins:
    """Say what a version was made from, near or far; see `Vault.origin`."""
    return vault_of(reference).origin(reference, as_of=as_of)


def impact(dataset: Reference, *, as_of: Moment | None = None) -> Impact:
    """Say what a dataset reached, and what to roll back to; see `Vault.impact`."""
    return vault_of().impact(dataset, as_of=as_of)


def timeline(name: str, *, as_of: Moment | None = None) -> tuple[Event, ...]:
    """Say what happened to a registered model, in order; see `Vault.timeline`."""
    return vault_of(f"models:/{name}/latest").timeline(name, as_of=as_of)


def search_versions(
    filter_string: str = "",
    *,
    order_by: Sequence[str] = (),
    max_results: int = 1000,
    page_token: str | None = None,
) -> Found:
    """Find versions by what is known of them; see `Vault.search_versions`."""
    return vault_of().search_versions(
        filter_string, order_by=order_by, max_results=max_results, page_token=page_token
    )


def sign(reference: Reference, key: Key) -> Signature:
    """Sign a version from the digests that the vault has; see `Vault.sign`."""
    return vault_of(reference).sign(reference, key)


def promote(
    reference: Reference,
    *,
    to: str,
    policy: Policy | str | Path | None = None,
    reason: str = "",
) -> Promotion:
    """Move a version to a stage, if the policies in force allow it; see `Vault.promote`."""
    return vault_of(reference).promote(reference, to=to, policy=policy, reason=reason)


def approve(
    reference: Reference,
    *,
    to: str = "",
    reason: str = "",
    code: str = "",
    key: ApproverKey | Key | None = None,
) -> Statement:
    """Say yes to a version; see `Vault.approve`."""
    return vault_of(reference).approve(reference, to=to, reason=reason, code=code, key=key)


def reject(
    reference: Reference,
    *,
    to: str = "",
    reason: str = "",
    code: str = "",
    key: ApproverKey | Key | None = None,
) -> Statement:
    """Say no to a version; see `Vault.reject`."""
    return vault_of(reference).reject(reference, to=to, reason=reason, code=code, key=key)


def evidence(
    reference: Reference,
    *,
    type: str,  # noqa: A002 - as policies call it
    name: str,
    passed: bool,
    values: Mapping[str, Any] | None = None,
) -> Statement:
    """Keep a result of a test beside a version; see `Vault.evidence`."""
    vault = vault_of(reference)
    return vault.evidence(reference, type=type, name=name, passed=passed, values=values)


def archive(reference: Reference, *, reason: str) -> Promotion:
    """Take a version out of service; see `Vault.archive`."""
    return vault_of(reference).archive(reference, reason=reason)


def rollback(name: str, *, reason: str, to: Reference = "") -> Promotion:
    """Put the last healthy version back into production; see `Vault.rollback`."""
    return vault_of(f"models:/{name}/latest").rollback(name, reason=reason, to=to)


def status(name: str) -> Status:
    """Say how a registered model stands; see `Vault.status`."""
    return vault_of(f"models:/{name}/latest").status(name)


def load_model(
    reference: Reference, *, require_signature: Trust | None = None, **options: Any
) -> Any:
    """Load a version as `mlflow.pyfunc.load_model` does, from the vault's own verified copy.

    It asks nothing of the artifact path, so it works where MLflow has deleted that.

    Args:
        reference: A version.
        require_signature: Whose signature it must have; nothing is loaded without.
        **options: As `mlflow.pyfunc.load_model` has them.

    Raises:
        UntrustedError: It is not signed by who is trusted.
        CorruptionError: A file cannot be read as it was committed.
    """
    from mlflow_vault.plugin.loading import load_folder  # noqa: PLC0415 - see `_mlflow`

    folder = Path(tempfile.mkdtemp(prefix="mlflow-vault-"))
    try:
        checkout(reference, folder, require_signature=require_signature)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return load_folder(folder, **options)
