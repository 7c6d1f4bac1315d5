"""From the checkpoint to the version: each link is a digest in what was shown before it.

    checkpoint -- inclusion proof --> entry -- record --> decision -- digest --> files

Where the checkpoint is signed by nobody who is trusted, all of it is only told.

Pure: no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mlflow_vault.decide.policy.durations import moment
from mlflow_vault.decide.transitions import logged
from mlflow_vault.errors import CorruptionError, InvalidInputError
from mlflow_vault.format import fields, layout
from mlflow_vault.format.canonical import read
from mlflow_vault.format.checkpoint import origin_of
from mlflow_vault.format.decision import Decision
from mlflow_vault.format.governed_layout import decision_key, statement_key
from mlflow_vault.format.log import LogEntry, Subject
from mlflow_vault.format.merkle import includes, leaf_hash
from mlflow_vault.format.statement import Statement
from mlflow_vault.format.version import Origin, Version, digest_of
from mlflow_vault.govern.audit.keys import signers
from mlflow_vault.govern.bundle.claims import Claim, Standing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlflow_vault.format.checkpoint import PublicKey
    from mlflow_vault.format.version import File
    from mlflow_vault.govern.audit.proofs import Inclusion

_NAMED: Final = 5  # of what a message lists


@dataclass(frozen=True, slots=True)
class Chain:
    """What was found from the checkpoint to the version.

    Attributes:
        claims: Link by link.
        worth: What follows from the decision is worth.
        version: As far as the bundle knows it; None if its files are those of another.
    """

    claims: tuple[Claim, ...]
    worth: Standing
    version: Version | None


def follow(
    log: Inclusion, decision: Decision, files: tuple[File, ...], trusted: Iterable[PublicKey]
) -> Chain:
    """Follow the links.

    Args:
        log: That an entry is in a log.
        decision: Which the entry should be about.
        files: Which the decision should be about.
        trusted: Who may sign checkpoints.
    """
    checkpoint = _checkpoint(log, trusted)
    claims = [checkpoint]
    worth = Standing.PROVEN if checkpoint.standing is Standing.PROVEN else Standing.TOLD
    for claim in _links(log, decision, worth):
        claims.append(claim)
        if claim.standing is Standing.FALSE:
            worth = Standing.TOLD
            break
    version = _version(files, decision)
    if version is None:
        text = f"the files do not make {decision.digest}, which was decided about"
        claims.append(Claim("version", Standing.FALSE, text))
    else:
        text = f"{version.label} is {version.digest}: {len(files)} files, {version.size} bytes"
        claims.append(Claim("version", worth, text))
    return Chain(tuple(claims), worth, version)


def read_decision(text: str) -> Decision:
    """Read a decision, under the key that it says itself.

    Raises:
        CorruptionError: It is none.
    """
    try:
        body = fields.mapping(read(text.encode()))
        key = decision_key(fields.text(body["model"]), fields.count(body["sequence"]))
    except (LookupError, TypeError, ValueError) as cause:
        raise CorruptionError("the bundle", f"its decision is none ({cause})") from cause
    return Decision.from_bytes(text.encode(), key)


def read_statement(text: str) -> Statement:
    """Read a statement, under the key that it says itself.

    Raises:
        CorruptionError: It is none.
    """
    try:
        body = fields.mapping(read(text.encode()))
        digest, name = fields.digest(body["digest"]), fields.nonce(body["id"])
        key = statement_key(fields.text(body["model"]), digest, name)
    except (LookupError, TypeError, ValueError) as cause:
        raise CorruptionError("the bundle", f"a statement is none ({cause})") from cause
    return Statement.from_bytes(text.encode(), key)


def _checkpoint(log: Inclusion, trusted: Iterable[PublicKey]) -> Claim:
    head = log.signed.checkpoint
    text = f"the log of {head.origin} with {head.size} entries"
    if who := [key.name for key in signers(log.signed, trusted)]:
        return Claim("checkpoint", Standing.PROVEN, f"{text}, signed by {', '.join(who)}")
    told = ", ".join(repr(one.name) for one in log.signed.signatures[:_NAMED])
    return Claim("checkpoint", Standing.MISSING, f"{text}, signed by no trusted key but {told}")


def _links(log: Inclusion, decision: Decision, worth: Standing) -> Iterator[Claim]:
    head = log.signed.checkpoint
    try:
        entry = LogEntry.from_bytes(log.stored, layout.log_key(log.sequence))
        origin = origin_of(entry.vault)
    except CorruptionError as error:
        yield Claim("entry", Standing.FALSE, error.reason)
        return
    except InvalidInputError as error:
        yield Claim("entry", Standing.FALSE, str(error))
        return
    if head.origin != origin:
        yield Claim("entry", Standing.FALSE, f"it is of another log, {origin}")
        return
    if not includes(leaf_hash(log.stored), log.sequence, head.size, log.proof, head.root):
        yield Claim("entry", Standing.FALSE, "the proof does not show that it is in the log")
        return
    yield Claim("entry", worth, f"entry {entry.sequence} is in that log")
    if differs := [name for name, same in _compared(entry, decision) if not same]:
        text = f"the log says something else of its {', '.join(differs)}"
        yield Claim("decision", Standing.FALSE, text)
        return
    text = (
        f"decision {decision.sequence} of {decision.model!r} was to {decision.action} version "
        f"{decision.number} to {decision.to}, by {decision.actor}: {decision.reason!r}, on "
        f"{moment(decision.time)}; logged on {moment(entry.time)}"
    )
    yield Claim("decision", worth, text)


def _compared(entry: LogEntry, decision: Decision) -> Iterator[tuple[str, bool]]:
    yield "record", (entry.before, entry.after) == logged(decision)  # digest of its bytes, too
    yield "action", entry.action == decision.action
    yield "actor", entry.actor == decision.actor
    yield "version", entry.subject == Subject("version", decision.model, decision.digest)
    yield "vault", entry.vault == decision.vault


def _version(files: tuple[File, ...], decision: Decision) -> Version | None:
    try:
        if digest_of(files) != decision.digest:
            return None
    except InvalidInputError:  # two files of one path
        return None
    origin = Origin("", "")
    name, number = decision.model, decision.number
    return Version(decision.digest, "", name, number, decision.time, "", origin, files)
