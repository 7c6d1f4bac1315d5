"""Collects from a vault what proves one decision.

    decision -> the entry of the audit log that notes it -> a checkpoint over that entry
             -> the version's files, its signatures, the statements about it
             -> the policies that its verdicts name

Nothing is left out that bears on the decision: of the statements all that were there when it was
made, refusals aside.  Whether any of it holds is for `verifying` to say, and is not asked here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.decide.policy.rules.case import SKEW
from mlflow_vault.errors import CorruptionError, InvalidInputError, NotFoundError
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.statement import Kind
from mlflow_vault.govern.audit.checkpoints import Checkpoints
from mlflow_vault.govern.audit.log import Log
from mlflow_vault.govern.audit.proofs import include
from mlflow_vault.govern.bundle.bundle import Bundle
from mlflow_vault.govern.bundle.summaries import summaries
from mlflow_vault.govern.release.keeping.ledger import Ledger
from mlflow_vault.govern.release.keeping.statements import Statements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlflow_vault.decide.policy import Policy
    from mlflow_vault.engine.world import World
    from mlflow_vault.format.decision import Decision
    from mlflow_vault.format.log import LogEntry
    from mlflow_vault.format.record import Identity
    from mlflow_vault.format.statement import Statement
    from mlflow_vault.format.version import Version
    from mlflow_vault.govern.audit.proofs import Inclusion
    from mlflow_vault.govern.policies.force import Force
    from mlflow_vault.govern.records import Records
    from mlflow_vault.store.protocol import Store

_STEP: Final = 256  # entries of the log that are read at once


@dataclass(frozen=True, slots=True)
class Ground:
    """What a bundle is made from.

    Attributes:
        store: Where the vault lies.
        world: Its clock, and how many wait for it at once.
        identity: What the vault is.
        records: Its versions.
        policies: What is and was in force there.
    """

    store: Store
    world: World
    identity: Identity
    records: Records
    policies: Force


def make(
    ground: Ground,
    model: str,
    *,
    stage: str = "",
    decision: int | None = None,
    policies: Iterable[Policy] = (),
) -> Bundle:
    """Return what proves one decision about the registered model *model*.

    Args:
        ground: Where it is collected.
        model: The model.
        stage: The decision by which somebody stands there now.
        decision: Or the one with this number.
        policies: Documents that are not in the vault, as they were named when it was decided.

    Raises:
        NotFoundError: There is no such decision, or nobody stands there.
        InvalidInputError: No checkpoint covers it yet.
        CorruptionError: Something of it is damaged.
    """
    made = _decision(ground, model, stage, decision)
    log = _inclusion(ground, made)
    version = _version(ground, made)
    said = tuple(_said(ground, made))
    documents = dict(_documents(ground, made, {str(one.digest): one for one in policies}))
    signatures = sorted(_texts(ground.records.signatures(version)))
    bundle = Bundle(
        decision=made.to_bytes().decode(),
        files=version.files,
        log=log,
        policies=tuple(text for _, text in sorted(documents.items())),
        signatures=tuple(signatures),
        statements=tuple(one.to_bytes().decode() for one in said),
        summaries=summaries(made, documents, [(one.key, str(one.record)) for one in said]),
    )
    bundle.to_bytes()
    return bundle


def _decision(ground: Ground, model: str, stage: str, number: int | None) -> Decision:
    if (number is None) == (not stage):
        raise InvalidInputError("name a stage, or the number of a decision")
    ledger = Ledger(ground.store, ground.world, ground.identity, model)
    if number is not None:
        return ledger.get(number)
    head = ledger.head()
    stand = head.after.get(stage) if head is not None else None
    if stand is None:
        raise NotFoundError(f"no version of {model!r} stands in {stage} by a decision")
    return ledger.get(stand.decision)


def _inclusion(ground: Ground, made: Decision) -> Inclusion:
    log = Log(ground.store, ground.world, ground.identity)
    entry = next((one for one in _newest(log) if _notes(one, made)), None)
    if entry is None:
        raise NotFoundError(
            f"the audit log does not note decision {made.sequence} about {made.model!r} yet: ask "
            f"for the status of {made.model!r}, which finishes what was left"
        )
    checkpoints = Checkpoints(log)
    number = checkpoints.count() - 1
    signed = checkpoints.read(number) if number >= 0 else None
    if signed is None or signed.checkpoint.size <= entry.sequence:
        raise InvalidInputError(
            f"no checkpoint covers entry {entry.sequence} of the audit log yet: make one with "
            "mlflow-vault audit checkpoint, then the bundle"
        )
    return include(log, checkpoints, entry.sequence, signed)


def _newest(log: Log) -> Iterator[LogEntry]:
    """Yield the entries of the log, about the newest first."""
    for stop in range(log.size(), 0, -_STEP):
        yield from reversed(list(log.entries(max(stop - _STEP, 0), stop)))


def _notes(entry: LogEntry, made: Decision) -> bool:
    after: Any = entry.after
    told = after.get("record") if isinstance(after, dict) else None
    return entry.action == made.action and told == str(made.record)


def _version(ground: Ground, made: Decision) -> Version:
    found = ground.records.of(made.digest)
    if not found:
        raise CorruptionError(made.key, f"the vault does not hold {made.digest}, which it is about")
    return found[0]  # all of them have the same files


def _said(ground: Ground, made: Decision) -> Iterator[Statement]:
    statements = Statements(ground.store, ground.world, ground.identity)
    for one in statements.of(made.model, made.digest):
        if one.kind != Kind.VERDICT and one.time <= made.time + SKEW:
            yield one


def _documents(
    ground: Ground, made: Decision, named: dict[str, Policy]
) -> Iterator[tuple[str, str]]:
    for verdict in made.verdicts:
        digest = str(verdict.get("policy_digest"))
        if digest in named:
            yield digest, named[digest].canonical().decode()
            continue
        try:
            found = ground.policies.get(Digest.parse(digest))
        except (InvalidInputError, NotFoundError):
            continue  # it was named by whoever asked; the bundle says that it is not there
        yield digest, found.canonical().decode()


def _texts(stored: Iterable[bytes]) -> Iterator[str]:
    for one in stored:
        try:
            yield one.decode()
        except UnicodeDecodeError:
            continue  # no signature that anybody reads
