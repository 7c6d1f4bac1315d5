"""Judges a version by a policy: from what is given alone, so the same question has one answer.

    policy, candidate, baseline, context  --every rule-->  results  -->  verdict

Pure: no I/O; who asks collects what is known (`govern.policies`) and acts on the verdict.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.decide.expression import Field
from mlflow_vault.decide.policy.rules.approvals import judge_approvals
from mlflow_vault.decide.policy.rules.case import Case
from mlflow_vault.decide.policy.rules.conditions import judge_conditions
from mlflow_vault.decide.policy.rules.environments import judge_environment
from mlflow_vault.decide.policy.rules.proofs import (
    judge_checks,
    judge_evidence,
    judge_integrity,
)
from mlflow_vault.decide.policy.rules.signatures import judge_signature
from mlflow_vault.decide.policy.rules.standing import (
    judge_clock,
    judge_model,
    judge_soak,
    judge_transition,
)
from mlflow_vault.decide.policy.rules.thresholds import judge_metrics
from mlflow_vault.decide.policy.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlflow_vault.decide.policy.evidence import Context, Subject
    from mlflow_vault.decide.policy.schema import Policy
    from mlflow_vault.decide.policy.verdict import Result

_RULES: Final[tuple[Callable[[Case], Iterator[Result]], ...]] = (
    judge_model,
    judge_transition,
    judge_clock,
    judge_metrics,
    judge_conditions,
    judge_signature,
    judge_environment,
    judge_integrity,
    judge_evidence,
    judge_checks,
    judge_soak,
    judge_approvals,
)


def judge(
    policy: Policy, candidate: Subject, baseline: Subject | None, context: Context
) -> Verdict:
    """Say whether *candidate* may make the transition that *policy* is about.

    Args:
        policy: The conditions.
        candidate: The version that is to be moved.
        baseline: The version it is compared with; None if there is none.
        context: What is known beyond.
    """
    digest = str(policy.digest)
    case = Case(policy, digest, candidate, baseline, context)
    asked = policy.transition
    return Verdict(
        policy=policy.name,
        policy_digest=digest,
        mode=policy.mode,
        transition=f"{asked.kind} to {asked.to}",
        candidate=candidate.label,
        candidate_digest=candidate.digest,
        baseline=baseline.label if baseline is not None else "",
        baseline_digest=baseline.digest if baseline is not None else "",
        time=context.now,
        results=tuple(result for rule in _RULES for result in rule(case)),
        asked=_asked(case),
    )


def _asked(case: Case) -> dict[str, Any]:
    """Whatever the versions' records do not say, so that the question can be put again."""
    context = case.context
    return {
        "requester": context.requester,
        "verified": asdict(context.verified),
        "signed": asdict(context.signed),
        "evidence": [asdict(one) for one in context.evidence],
        "approvals": [asdict(one) for one in context.approvals],
        "stays": [asdict(one) for one in context.stays],
        "answers": [asdict(one) for one in context.answers],
        "environment": context.environment,
        "candidate": _mutable(case.candidate),
        "baseline": _mutable(case.baseline) if case.baseline is not None else None,
    }


def _mutable(subject: Subject) -> dict[str, Any]:
    """What may be changed about a version in MLflow, as it was."""
    values = subject.values
    aliases = values.get(Field("attribute", "alias", many=True))
    return {
        "stages": list(subject.stages),
        "aliases": list(aliases) if isinstance(aliases, tuple) else [],
        "tags": {field.key: value for field, value in values.items() if field.kind == "tag"},
    }
