"""Asks policies, and looks at what takes long only where an answer depends on it.

To verify a version is to read all its bytes, and a custom check may take an hour.  So first each
policy is asked as if both went well.  Where one that is enforced says no even so, nobody looks;
else what a policy asks for is looked at once, and the policy asked again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from mlflow_vault.decide.expression import fields
from mlflow_vault.decide.policy import judge
from mlflow_vault.decide.policy.evidence import Answer, Finding
from mlflow_vault.decide.policy.vocabulary import read_condition
from mlflow_vault.govern.policies.checking import run_checks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mlflow_vault.decide.policy import Policy
    from mlflow_vault.decide.policy.evidence import Context, Subject
    from mlflow_vault.decide.policy.verdict import Verdict

ASSUMED: Final = "nobody looked yet: this assumes that it holds"
_IN_VAIN: Final = Finding(None, "not read, as another rule denies already")
_UNASKED: Final = Finding(None, "the policy does not ask")


@dataclass(frozen=True, slots=True)
class Question:
    """What a policy is asked.

    Attributes:
        policy: The conditions.
        candidate: The version that is to be moved.
        baseline: What it is compared with.
        context: What is known beyond, without integrity and custom checks.
    """

    policy: Policy
    candidate: Subject
    baseline: Subject | None
    context: Context


def judge_all(questions: Sequence[Question], verify: Callable[[], Finding]) -> tuple[Verdict, ...]:
    """Say what each policy says.

    Args:
        questions: One for each policy, all of one candidate.
        verify: Reads all bytes of the candidate, and says whether they are what they should be.
    """
    assumed = tuple(map(assume, questions))
    in_vain = any(said.denied and said.blocks for said in assumed)
    verified = _IN_VAIN
    if not in_vain and any(asks_for_bytes(one.policy) for one in questions):
        verified = verify()
    return tuple(_ask(one, verified, in_vain=in_vain) for one in questions)


def assume(question: Question) -> Verdict:
    """Say what a policy says if the bytes and its custom checks, which nobody asks, are fine."""
    policy, context = question.policy, question.context
    answers = tuple(Answer(check.key, passed=True, reason=ASSUMED) for check in policy.checks)
    hopeful = replace(context, verified=Finding(holds=True, reason=ASSUMED), answers=answers)
    return judge(policy, question.candidate, question.baseline, hopeful)


def asks_for_bytes(policy: Policy) -> bool:
    """Whether the answer of *policy* depends on whether the version is verified."""
    if policy.integrity is not None and policy.integrity.verified:
        return True
    return any(
        (field.kind, field.key) == ("attribute", "verified")
        for text in policy.require
        for field in fields(read_condition(text))
    )


def _ask(question: Question, verified: Finding, *, in_vain: bool) -> Verdict:
    policy, candidate, baseline = question.policy, question.candidate, question.baseline
    found = verified if asks_for_bytes(policy) else _UNASKED
    answers = () if in_vain else run_checks(policy, candidate, baseline)
    return judge(
        policy, candidate, baseline, replace(question.context, verified=found, answers=answers)
    )
