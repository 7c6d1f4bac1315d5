"""Judges a verdict again, from what it says that it saw.

A verdict keeps the question that it answers.  What versions' records say is not in it, nor in a
bundle: metrics, conditions, signatures and environments are as the decision has them.  All other
rules are asked once more - the policy's own, no copies of them.

Pure: no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.decide.expression import Field
from mlflow_vault.decide.policy import judge
from mlflow_vault.decide.policy.durations import moment
from mlflow_vault.decide.policy.evidence import (
    Answer,
    Approval,
    Context,
    Evidence,
    Finding,
    Stay,
    Subject,
)
from mlflow_vault.decide.policy.rules.case import SKEW
from mlflow_vault.decide.transitions import ARCHIVED
from mlflow_vault.format import fields
from mlflow_vault.format.log import Action

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mlflow_vault.decide.policy import Policy, Result
    from mlflow_vault.format.decision import Decision, Stand

APPROVALS: Final = "approvals"
_STAGE: Final = Field("attribute", "stage")
_RULES: Final = frozenset({"models", "transition", "clock", "soak", APPROVALS})
_KINDS: Final = ("integrity.", "evidence.", "checks.")
_NOWHERE: Final = frozenset({"none", ARCHIVED})  # no stages that the ledger has
_ACTIONS: Final = {
    "promotion": Action.PROMOTE,
    "archival": Action.ARCHIVE,
    "rollback": Action.ROLL_BACK,
}
_LONGEST: Final = 86_400_000  # milliseconds that judging may take: models are read, checks are run
_BAD: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Question:
    """What a policy was asked.

    Attributes:
        policy: The policy.
        candidate: The version, as far as the verdict tells.
        context: What was known.
        recorded: What each rule said, by name.
    """

    policy: Policy
    candidate: Subject
    context: Context
    recorded: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, policy: Policy, verdict: Mapping[str, Any], decision: Decision) -> Question | None:
        """Return what *verdict* answers; None if it does not say that as this release does."""
        try:
            return _question(policy, verdict, decision)
        except _BAD:
            return None

    def differing(self) -> tuple[list[str], int]:
        """Which rules are missing or say something else now, and how many were judged again."""
        answers = self._answers(self.context)
        now = {name: one.to_dict() for name, one in answers.items() if _is_asked(name)}
        recorded = {name: dict(one) for name, one in self.recorded.items() if _is_asked(name)}
        names = now.keys() | recorded.keys()
        odd = {name for name in names if now.get(name) != recorded.get(name)}
        return sorted(odd | (answers.keys() - self.recorded.keys())), len(names)

    def unlike(self, decision: Decision) -> Iterator[str]:
        """Why this is not what had to be asked before *decision*."""
        asked = self.policy.transition
        if (_ACTIONS[asked.kind], asked.to) != (decision.action, decision.to):
            yield f"the policy is about a {asked.kind} to {asked.to}"
        if self.context.requester != decision.actor.name:
            yield f"{self.context.requester!r} asked for it, and {decision.actor} for the decision"
        if not -SKEW <= decision.time - self.context.now <= _LONGEST:
            yield f"it is of {moment(self.context.now)}, the decision of {moment(decision.time)}"
        if decision.predecessor is not None:  # before that, MLflow said where it stands
            told = {*self.candidate.stages} - _NOWHERE
            stood = {stage for stage, one in decision.before.items() if _moves(one, decision)}
            if told != stood:
                yield f"by it the version stood in {sorted(told)}, by the ledger in {sorted(stood)}"

    def approved(self, approvals: Sequence[Approval]) -> Result | None:
        """What the rule about approvals says of these alone; None if there is no such rule."""
        return self._answers(replace(self.context, approvals=tuple(approvals))).get(APPROVALS)

    def _answers(self, context: Context) -> dict[str, Result]:
        results = judge(self.policy, self.candidate, None, context).results
        return {one.rule: one for one in results}


def _question(policy: Policy, verdict: Mapping[str, Any], decision: Decision) -> Question:
    recorded = {fields.text(one["rule"]): one for one in map(fields.mapping, verdict["results"])}
    asked = fields.mapping(verdict["asked"])
    authors: tuple[str, ...] = ()
    if APPROVALS in recorded:
        authors = fields.texts(recorded[APPROVALS]["seen"]["authors"])
    stages = tuple(one for one in fields.texts(asked["candidate"]["stages"]) if one != "none")
    candidate = Subject(
        label=fields.text(verdict["candidate"]),
        digest=str(decision.digest),
        name=decision.model,
        authors=authors,
        created=fields.count(recorded["clock"]["seen"]["created"]),
        values={_STAGE: stages},
    )
    context = Context(
        now=fields.time(verdict["time"]),
        requester=fields.text(asked["requester"]),
        verified=Finding(**asked["verified"]),
        signed=Finding(**asked["signed"]),
        evidence=tuple(map(_evidence, asked["evidence"])),
        approvals=tuple(map(_approval, asked[APPROVALS])),
        stays=tuple(Stay(**one) for one in asked["stays"]),
        answers=tuple(Answer(**one) for one in asked["answers"]),
    )
    question = Question(policy, candidate, context, recorded)
    question.differing()  # what cannot be judged is no question
    return question


def _approval(told: Any) -> Approval:
    known = {**fields.mapping(told), "roles": fields.texts(told["roles"])}
    found = Approval(**known)
    for text in (found.actor, found.digest, found.policy, found.reason):
        fields.text(text)
    _flags(found.authenticated, found.mfa, found.rejects, found.signed)
    fields.time(found.time)
    return found


def _evidence(told: Any) -> Evidence:
    found = Evidence(**fields.mapping(told))
    for text in (found.type, found.name, found.digest, found.source):
        fields.text(text)
    fields.time(found.time)
    fields.mapping(found.values)
    return found


def _flags(*values: object) -> None:
    if not all(isinstance(value, bool) for value in values):
        raise TypeError("a flag is true or false")


def _moves(stand: Stand, decision: Decision) -> bool:
    """Whether it is the version that *decision* moves that stands there."""
    return (stand.number, stand.digest) == (decision.number, decision.digest)


def _is_asked(rule: str) -> bool:
    return rule in _RULES or rule.startswith(_KINDS)
