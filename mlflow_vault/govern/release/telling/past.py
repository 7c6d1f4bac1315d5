"""Decisions of the past as they were asked for, so that another policy may be asked the same.

What cannot change is read from the versions' records; whatever else was known lies in the verdicts.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mlflow_vault.decide.policy.evidence import (
    Answer,
    Approval,
    Context,
    Evidence,
    Finding,
    Stay,
    Subject,
)
from mlflow_vault.errors import CorruptionError, InvalidInputError, NotFoundError
from mlflow_vault.format.statement import Kind
from mlflow_vault.govern.host import Held
from mlflow_vault.govern.index.known import STAGE
from mlflow_vault.govern.policies.history import Past
from mlflow_vault.govern.policies.subjects import subject

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mlflow_vault.govern.knowledge import Knowledge
    from mlflow_vault.govern.release.surroundings import Surroundings

_log = logging.getLogger(__name__)


def pasts(around: Surroundings, model: str, policy: str, to: str, kind: str) -> Iterator[Past]:
    """Yield what was decided or refused about *model*, oldest first.

    Args:
        around: Where it happened.
        model: The registered model.
        policy: Where several were asked, that of this name counts, else the first.
        to: Only transitions to this stage, unless it is empty.
        kind: Only transitions of this kind, unless it is empty.
    """
    rows: list[tuple[int, bool, Sequence[Any]]] = [
        (decision.time, True, decision.verdicts) for decision in around.ledger(model).history()
    ]
    rows.reverse()
    rows += [
        (one.time, False, one.body.get("verdicts") or ())
        for one in around.statements.all(model)
        if one.kind == Kind.VERDICT
    ]
    for _, allowed, verdicts in sorted(rows, key=lambda row: row[0]):
        asked = [one for one in verdicts if _is_about(one, to, kind)]
        asked.sort(key=lambda one: one["policy"] != policy)
        for verdict in asked[:1]:
            try:
                yield _past(around.vault, verdict, allowed=allowed)
            except (CorruptionError, InvalidInputError, NotFoundError, LookupError) as cause:
                _log.warning("what %s was asked cannot be told: %s", model, cause)


def _is_about(verdict: Mapping[str, Any], to: str, kind: str) -> bool:
    was, _, stage = str(verdict["transition"]).partition(" to ")
    return to in {"", stage} and kind in {"", was}


def _past(vault: Knowledge, verdict: Mapping[str, Any], *, allowed: bool) -> Past:
    asked = verdict["asked"]
    baseline = None
    if verdict["baseline_digest"]:
        side = (verdict["baseline"], verdict["baseline_digest"])
        baseline = _subject(vault, *side, asked["baseline"])
    side = (verdict["candidate"], verdict["candidate_digest"])
    return Past(
        candidate=_subject(vault, *side, asked["candidate"]),
        baseline=baseline,
        context=_context(int(verdict["time"]), asked),
        policy=verdict["policy_digest"],
        allowed=allowed,
    )


def _subject(vault: Knowledge, label: str, digest: str, was: Mapping[str, Any]) -> Subject:
    version = vault.version(digest)
    if version.label != label:
        named = vault.version(f"models:/{label}")
        version = named if str(named.digest) == digest else version
    held = Held("", "", aliases=tuple(was["aliases"]), tags=dict(was["tags"]))
    found = subject(version, held)
    stages = tuple(stage for stage in was["stages"] if stage != "none")
    return replace(found, values={**found.values, STAGE: stages})


def _context(now: int, asked: Mapping[str, Any]) -> Context:
    return Context(
        now=now,
        requester=asked["requester"],
        verified=Finding(**asked["verified"]),
        signed=Finding(**asked["signed"]),
        evidence=tuple(Evidence(**one) for one in asked["evidence"]),
        approvals=tuple(
            Approval(**{**one, "roles": tuple(one["roles"])}) for one in asked["approvals"]
        ),
        stays=tuple(Stay(**one) for one in asked["stays"]),
        answers=tuple(Answer(**one) for one in asked["answers"]),
        environment=asked["environment"],
    )
