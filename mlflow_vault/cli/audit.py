"""The commands of the audit log: verify, search, export, what was when, checkpoints, proofs."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.cli.answer import Answer, shown
from mlflow_vault.cli.versions import vault_for, when
from mlflow_vault.errors import InvalidInputError, NotFoundError
from mlflow_vault.format.checkpoint import PublicKey, SignedCheckpoint
from mlflow_vault.govern.audit.keys import Signer
from mlflow_vault.govern.audit.searching import Query
from mlflow_vault.govern.knowledge import milliseconds

if TYPE_CHECKING:
    from argparse import Namespace
    from pathlib import Path

    from mlflow_vault.format.log import LogEntry
    from mlflow_vault.govern.audit.audit import Audit

_REGISTRIES: Final = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")


def verify(arguments: Namespace) -> Answer:
    """Read the whole log and compare everything."""
    known = [_checkpoint(path) for path in arguments.known]
    found = _audit(arguments).verify(_trusted(arguments), known)
    return Answer(found.to_dict(), str(found).splitlines(), found.is_whole)


def search(arguments: Namespace) -> Answer:
    """Find entries of the log."""
    query = Query(
        arguments.action,
        arguments.actor,
        arguments.subject,
        _moment(arguments.since) if arguments.since else None,
        _moment(arguments.until) if arguments.until else None,
        arguments.text,
    )
    found = list(_audit(arguments).search(query, arguments.max_results))
    values = {"entries": [entry.to_dict() for entry in found]}
    return Answer(values, [_line(entry) for entry in found])


def export(arguments: Namespace) -> Answer:
    """Write the log out: JSON lines are the stored bytes, and can be verified elsewhere."""
    lines = [line.rstrip("\r\n") for line in _audit(arguments).export(arguments.form)]
    return Answer({"lines": lines}, lines)


def at(arguments: Namespace) -> Answer:
    """Say which versions and aliases there were at a moment, and who made them."""
    found = _audit(arguments).at(_moment(arguments.moment))
    return Answer(found.to_dict(), str(found).splitlines())


def checkpoint(arguments: Namespace) -> Answer:
    """Sign what the log holds."""
    signer = _signer(arguments)
    signed = _audit(arguments).checkpoint(signer, _trusted(arguments))
    text = signed.to_bytes().decode("utf-8")
    values = {"checkpoint": text, "key": str(signer.public), "size": signed.checkpoint.size}
    return Answer(values, text.splitlines())


def prove(arguments: Namespace) -> Answer:
    """Write a proof that an entry is in the log, which holds without the vault."""
    found = _audit(arguments).prove(arguments.sequence, _trusted(arguments))
    return Answer(found.to_dict(), [json.dumps(found.to_dict())])


def anomalies(arguments: Namespace) -> Answer:
    """Say what looks odd in the log, and where the registry differs if one is named."""
    vault = vault_for(arguments, "")
    found = list(vault.audit.anomalies())
    if any(os.environ.get(variable) for variable in _REGISTRIES):
        found += [one.anomaly for one in vault.drift()]
    lines = [shown(str(one)) for one in found] or ["nothing looks odd"]
    return Answer({"anomalies": [one.to_dict() for one in found]}, lines, not found)


def drift(arguments: Namespace) -> Answer:
    """Say where MLflow's registry shows something else than was decided and logged."""
    found = vault_for(arguments, "").drift()
    lines = [shown(str(one)) for one in found] or ["the registry shows what the vault has"]
    return Answer({"drift": [one.to_dict() for one in found]}, lines, not found)


def key(arguments: Namespace) -> Answer:
    """Make a key that signs checkpoints."""
    signer = Signer.generate(arguments.name)
    try:
        number = os.open(arguments.out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as cause:
        said = f"{arguments.out} is there already; a key is never replaced"
        raise InvalidInputError(said) from cause
    with os.fdopen(number, "wb") as file:
        file.write(signer.to_pem())
    made = f"Made {arguments.out}, readable by you alone. Who verifies trusts:"
    lines = [made, str(signer.public)]
    return Answer({"key": str(signer.public), "file": str(arguments.out)}, lines)


def _audit(arguments: Namespace) -> Audit:
    return vault_for(arguments, "").audit


def _trusted(arguments: Namespace) -> list[PublicKey]:
    return [PublicKey.parse(text) for text in arguments.trust]


def _signer(arguments: Namespace) -> Signer:
    return Signer.from_pem(arguments.name, _read(arguments.key))


def _checkpoint(path: Path) -> SignedCheckpoint:
    return SignedCheckpoint.from_bytes(_read(path), str(path))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as cause:
        raise NotFoundError(f"there is no file {path}") from cause


def _moment(text: str) -> datetime:
    return datetime.fromtimestamp(milliseconds(text) / 1000, UTC)


def _line(entry: LogEntry) -> str:
    told: Any = entry.after if entry.after is not None else entry.before
    more = "" if told is None else f" {json.dumps(told, sort_keys=True)}"
    who = entry.actor.name or "nobody"
    what = f"{entry.action}  {entry.subject}  by {who}{more}"
    return shown(f"{entry.sequence}  {when(entry.time)}  {what}")
