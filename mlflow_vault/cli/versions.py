"""The commands of versions: they say what `Vault` says, with the same words."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import mlflow_vault
from mlflow_vault.cli.answer import Answer, count_text, shown, size_text, table
from mlflow_vault.fluent import Vault, vault_of

if TYPE_CHECKING:
    from argparse import Namespace

    from mlflow_vault.format.version import Version

_DIGITS: Final = 15  # of a digest in a table, its prefix included


def commit(arguments: Namespace) -> Answer:
    """Make an immutable version of a model.

    Raises:
        VaultError: As `Vault.commit` does.
    """
    made = vault_for(arguments).commit(
        arguments.reference,
        name=arguments.name,
        parent=arguments.parent,
        metadata=dict(arguments.metadata),
    )
    return Answer(made.to_dict(), [f"Committed {shown(made.label)}: {made.digest}"])


def versions(arguments: Namespace) -> Answer:
    """List the versions of a registered model."""
    found = vault_for(arguments, f"models:/{arguments.name}/latest").versions(arguments.name)
    rows = [
        (shown(one.label), str(one.digest)[:_DIGITS], size_text(one.size), when(one.created))
        for one in found
    ]
    lines = table(("version", "digest", "size", "committed"), rows) if rows else ["no versions"]
    values = {"name": arguments.name, "versions": [one.to_dict() for one in found]}
    return Answer(values, lines)


def show(arguments: Namespace) -> Answer:
    """Say what is known of a version."""
    found = vault_for(arguments).version(arguments.reference)
    return Answer(found.to_dict(), list(_told(found)))


def checkout(arguments: Namespace) -> Answer:
    """Write a version's files to a new or empty folder, each verified."""
    trust = None
    if arguments.require_signature:
        trust = mlflow_vault.Trust.from_files(*arguments.require_signature)
    found = vault_for(arguments).checkout(
        arguments.reference, arguments.destination, require_signature=trust
    )
    place = shown(str(arguments.destination))
    files = f"{count_text(len(found.files), 'file')}, {size_text(found.size)}"
    return Answer(found.to_dict(), [f"Wrote {shown(found.label)}, {files}, to {place}"])


def search(arguments: Namespace) -> Answer:
    """Find versions by what is known of them.

    Raises:
        InvalidInputError: The filter is wrong; the message points at the column.
    """
    found = vault_for(arguments, "").search_versions(
        arguments.filter,
        order_by=arguments.order_by,
        max_results=arguments.max_results,
        page_token=arguments.page_token,
    )
    rows = [
        (shown(row["label"]), row["digest"][:_DIGITS] or "not held", when(row["created"]))
        for row in found.rows()
    ]
    lines = table(("version", "digest", "committed"), rows) if rows else ["none"]
    if found.token:
        lines.append(f"more: --page-token {found.token}")
    return Answer(found.to_dict(), lines)


def sign(arguments: Namespace) -> Answer:
    """Sign a version from the digests that the vault has."""
    password = None
    if arguments.password_file:
        password = arguments.password_file.read_text("utf-8").rstrip("\r\n")
    key = mlflow_vault.Key.from_files(
        arguments.key, password=password, certificates=arguments.certificate
    )
    vault = vault_for(arguments)
    version = vault.version(arguments.reference)
    signature = vault.sign(version, key)
    return Answer(signature.to_dict(), [f"Signed {shown(version.label)}: {version.digest}"])


def describe(arguments: Namespace) -> Answer:
    """Write a version's bill of materials or model card."""
    vault = vault_for(arguments)
    if arguments.form == "bom":
        bom = vault.bom(arguments.reference)
        return Answer(bom, json.dumps(bom, indent=2).splitlines())
    card = vault.model_card(arguments.reference)
    return Answer({"card": card}, card.splitlines())


def sync(arguments: Namespace) -> Answer:
    """Commit what was registered past the vault, and say where both do not agree."""
    found = vault_for(arguments, "").sync(arguments.name)
    lines = [f"{shown(label)}: committed" for label in found.adopted]
    lines += [f"{shown(said)} (failed)" for said in found.failed]
    lines += [f"{shown(said)} (disagrees)" for said in found.disagreeing]
    lines.append(
        f"{count_text(len(found.adopted), 'version')} adopted, {len(found.known)} known, "
        f"{len(found.outside)} outside the vault, {len(found.forgotten)} forgotten by MLflow"
    )
    return Answer(found.to_dict(), lines, found.is_clean)


def when(created: int) -> str:
    """Spell milliseconds since 1970 for people.

    >>> when(0)
    '1970-01-01 00:00:00 UTC'
    """
    try:
        made = datetime.fromtimestamp(created / 1000, UTC)
    except (ArithmeticError, OSError, ValueError):  # of a record that anybody could write
        return f"{created} ms"
    return made.strftime("%Y-%m-%d %H:%M:%S UTC")


def vault_for(arguments: Namespace, reference: str | None = None) -> Vault:
    """Open the vault that was named, or that MLflow keeps *reference* in."""
    if arguments.vault:
        return Vault.open(arguments.vault)
    return vault_of(arguments.reference if reference is None else reference)


def _told(version: Version) -> list[str]:
    origin = version.origin
    told: list[tuple[str, Any]] = [
        ("digest", version.digest),
        ("committed", f"{when(version.created)} by {version.author or 'nobody known'}"),
        ("from", origin.uri),
        ("path", origin.path),
        ("run", origin.run_id),
        ("parents", ", ".join(map(str, version.parents))),
    ]
    told += [(f"metadata.{key}", value) for key, value in sorted(version.metadata.items())]
    for kind in ("params", "metrics"):
        told += [(f"{kind}.{key}", value) for key, value in sorted(version.told(kind).items())]
    rows = [(shown(file.path), size_text(file.size)) for file in version.files]
    lines = [f"{shown(name)}: {shown(str(value))}" for name, value in told if value != ""]
    return [shown(version.label), *lines, "", *table(("file", "size"), rows)]
