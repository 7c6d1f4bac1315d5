"""Tries a policy's own examples: made-up versions, and what the policy should say of them.

An example becomes versions, evidence and approvals as real ones are, and is judged by the same
judge.  Its custom checks are not asked: an example says what they answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from mlflow_vault.decide.policy import (
    Answer,
    Approval,
    Context,
    Evidence,
    Finding,
    Policy,
    State,
    Stay,
    Verdict,
    judge,
)
from mlflow_vault.errors import InvalidInputError
from mlflow_vault.format.digest import Digest
from mlflow_vault.format.showing import html_table
from mlflow_vault.format.version import Origin, Version, finite
from mlflow_vault.govern.host import Held
from mlflow_vault.govern.index.known import STAGE_TAG, STAGES
from mlflow_vault.govern.policies.subjects import subject

if TYPE_CHECKING:
    from mlflow_vault.decide.policy import Subject
    from mlflow_vault.decide.policy.given import Example, Given, GivenVersion
    from mlflow_vault.govern.policies.reading import Document

NOW: Final = 1_767_225_600_000  # the imagined now: the first of January 2026
_OTHER: Final = str(Digest.of(b"another"))


@dataclass(frozen=True, slots=True)
class Tried:
    """What a policy said of one of its examples.

    Attributes:
        name: The example's.
        expected: What it should say.
        verdict: What it said.
        problems: How the two differ; empty if they do not.
    """

    name: str
    expected: State
    verdict: Verdict
    problems: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether the policy said what it should."""
        return not self.problems

    def __str__(self) -> str:
        head = f"{'ok' if self.passed else 'FAILED'}  {self.name!r}: {self.verdict.state.value}"
        return "\n".join([head, *(f"    {problem}" for problem in self.problems)])

    def _repr_html_(self) -> str:
        rows = [("expected", self.expected.value), ("said", self.verdict.state.value)]
        return html_table(self.name, [*rows, *(("but", one) for one in self.problems)])

    def to_dict(self) -> dict[str, Any]:
        """This as plain values."""
        return {
            "name": self.name,
            "passed": self.passed,
            "expected": self.expected.value,
            "problems": list(self.problems),
            "verdict": self.verdict.to_dict(),
        }


def examples(policy: Policy) -> tuple[Tried, ...]:
    """Judge every example of *policy*, and compare with what it expects.

    Raises:
        InvalidInputError: An example and the one that it is like make no sense together.
    """
    given: dict[str, Given] = {}
    tried = []
    for example in policy.examples:
        whole = example.given
        if example.like is not None:
            try:
                whole = whole.over(given[example.like])
            except ValidationError as cause:
                raise InvalidInputError(
                    f"the example {example.name!r} cannot be like {example.like!r}: {cause}"
                ) from cause
        given[example.name] = whole
        tried.append(_try(policy, example, whole))
    return tuple(tried)


def refuse_failing(document: Document) -> None:
    """Refuse a policy that does not say what its own examples expect; roles have none.

    Raises:
        InvalidInputError: It is one.
    """
    tried = examples(document) if isinstance(document, Policy) else ()
    failed = [one for one in tried if not one.passed]
    if failed:
        told = "; ".join(f"{one.name!r}: {', '.join(one.problems)}" for one in failed)
        raise InvalidInputError(
            f"{document.name} is not applied, as {len(failed)} of its {len(tried)} examples fail: "
            f"{told}"
        )


def _try(policy: Policy, example: Example, given: Given) -> Tried:
    candidate = _subject(policy, given.candidate, "candidate", given)
    baseline = None
    if given.baseline is not None:
        baseline = _subject(policy, given.baseline, "baseline", None)
    verdict = judge(policy, candidate, baseline, _context(policy, given, candidate.digest))
    return Tried(example.name, State(example.expect), verdict, tuple(_problems(example, verdict)))


def _problems(example: Example, verdict: Verdict) -> list[str]:
    found = []
    if verdict.state.value != example.expect:
        told = "; ".join(verdict.reasons) or "every rule is met"
        found.append(f"expected {example.expect}, it is {verdict.state.value}: {told}")
    rules = list(dict.fromkeys(result.rule for result in verdict.results))
    against = {result.rule for result in verdict.results if result.state is not State.PASSED}
    for rule in example.because:
        if rule not in rules:
            found.append(f"there is no rule {rule!r}; there are {', '.join(rules)}")
        elif rule not in against:
            found.append(f"{rule} should stand against it, and does not")
    return found


def _subject(policy: Policy, given: GivenVersion, what: str, stands: Given | None) -> Subject:
    told = {"params": given.params, "tags": given.tags, "metrics": given.metrics}
    more = {"signature": given.signature, "environment": given.environment}
    name = given.name or _named(policy)
    version = Version(
        digest=Digest.of(what.encode()),
        id=what,
        name=name,
        number=given.number,
        created=NOW - given.age,
        author=given.author,
        origin=Origin("", ""),
        files=(),
        metadata=given.metadata,
        facts=finite({**given.facts, **told} | {k: v for k, v in more.items() if v is not None}),
    )
    stages = set(stands.stages) if stands is not None else {policy.transition.to}
    tags = given.tags | ({STAGE_TAG: "archived"} if "archived" in stages else {})
    held = Held("", "", name=name, aliases=tuple(sorted(STAGES & stages)), tags=tags)
    return subject(version, held)


def _named(policy: Policy) -> str:
    """A name that the policy is for."""
    return re.sub(r"[*?]", "x", policy.metadata.models[0]) if policy.metadata.models else "x"


def _context(policy: Policy, given: Given, digest: str) -> Context:
    own = {"candidate": digest, "other_policy": digest, "other_version": _OTHER}
    stays = [Stay(stage, NOW - age) for stage, age in given.stages.items()]
    stays += [Stay(stage, NOW, NOW) for stage in given.stood]
    return Context(
        now=NOW,
        requester=given.requester,
        verified=Finding(given.verified, "the example says so"),
        signed=Finding(given.signed, "the example says so"),
        evidence=tuple(
            Evidence(one.type, one.name, own[one.of], NOW - one.age, one.passed, one.values)
            for one in given.evidence
        ),
        approvals=tuple(
            Approval(
                actor=one.by,
                digest=own[one.of],
                policy=_OTHER if one.of == "other_policy" else str(policy.digest),
                time=NOW - one.age,
                roles=one.roles,
                authenticated=one.authenticated,
                mfa=bool(one.mfa),
                signed=one.mfa == "key",
                rejects=one.rejects,
            )
            for one in given.approvals
        ),
        stays=tuple(stays),
        answers=_answers(policy, given),
        environment=given.environment,
    )


def _answers(policy: Policy, given: Given) -> tuple[Answer, ...]:
    said = given.checks
    return tuple(
        Answer(asked.key, said.get(asked.key, said.get(asked.python)), "the example says so")
        for asked in policy.checks
        if asked.key in said or asked.python in said
    )
