"""Asks a registry that decides by itself, and reads from the vault what it decided.

What was decided is found by a random text that goes with the question: MLflow's answer to setting
a tag has no room for a verdict.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlflow_vault.decide.policy.verdict import Verdict
from mlflow_vault.errors import DeniedError, VaultError
from mlflow_vault.format.statement import Kind
from mlflow_vault.govern.release.telling.promotion import Promotion, refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mlflow_vault.format.decision import Decision
    from mlflow_vault.format.statement import Statement
    from mlflow_vault.format.version import Version
    from mlflow_vault.govern.release.surroundings import Surroundings


def ask(
    around: Surroundings, version: Version, verb: str, body: Mapping[str, Any], request: str = ""
) -> str:
    """Ask for *verb*; return by what its outcome is found.

    Raises:
        DeniedError: It is refused; with all verdicts, where this process may read the vault.
        WaitingError: Approvals or time are missing.
    """
    request = request or around.world.random(16).hex()
    told = {key: value for key, value in body.items() if value not in ("", None)}
    try:
        around.host().ask(version.name, version.number, verb, {**told, "request": request})
    except DeniedError as error:
        said = _found(around, version, request)
        if said is None or said.kind != Kind.VERDICT:
            raise
        verdicts = verdicts_of(said.body["verdicts"])
        wanted = f"moved to {said.body['to']}"
        raise refusal(version.label, wanted, verdicts) from error
    return request


def outcome(around: Surroundings, version: Version, to: str, request: str) -> Promotion:
    """Return what was decided for *request*, or before it, if nothing had to be."""
    ledger = around.ledger(version.name)
    head = ledger.head()
    made = head if head is not None and head.request == request else None
    stand = head.after.get(to) if head is not None else None
    if made is None and stand is not None and stand.digest == version.digest:
        made = ledger.get(stand.decision)
    return promotion_of(version, made or ledger.asked(request), to)


def promotion_of(version: Version, made: Decision | None, to: str) -> Promotion:
    """Return what was *made*, as whoever asked for it is told."""
    verdicts = verdicts_of(made.verdicts if made is not None else ())
    if made is not None:
        return Promotion(made.model, made.number, made.digest, made.to, verdicts, made)
    return Promotion(version.name, version.number, version.digest, to)


def verdicts_of(told: Iterable[Mapping[str, Any]]) -> tuple[Verdict, ...]:
    """Read verdicts that were kept."""
    return tuple(map(Verdict.from_dict, told))


def _found(around: Surroundings, version: Version, request: str) -> Statement | None:
    try:
        return around.statements.asked(version.name, version.digest, request)
    except VaultError:  # this process may not read it: what the registry said has to do
        return None
