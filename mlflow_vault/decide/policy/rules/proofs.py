"""What others found out about the candidate: integrity, evidence, custom checks.

Pure: no I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlflow_vault.decide.policy.durations import rough, spell
from mlflow_vault.decide.policy.verdict import Result, State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow_vault.decide.policy.evidence import Answer, Finding
    from mlflow_vault.decide.policy.rules.case import Case
    from mlflow_vault.decide.policy.schema import Check, Wanted


def judge_integrity(case: Case) -> Iterator[Result]:
    """Judge whether the bytes are verified and signed, as far as the policy asks."""
    asked = case.policy.integrity
    if asked is None:
        return
    if asked.verified:
        text = "every byte is what its digest says"
        yield _finding("integrity.verified", text, case.context.verified)
    if asked.signed:
        text = "somebody who is trusted signed it"
        yield _finding("integrity.signed", text, case.context.signed)


def _finding(rule: str, text: str, found: Finding) -> Result:
    seen = {"holds": found.holds, "reason": found.reason}
    if found.holds is None:
        reason = f"nobody looked{': ' if found.reason else ''}{found.reason}"
        return Result(rule, text, State.DENIED, reason, seen, (rule,))
    state = State.PASSED if found.holds is True else State.DENIED
    return Result(rule, text, state, found.reason or ("yes" if found.holds else "no"), seen)


def judge_evidence(case: Case) -> Iterator[Result]:
    """Judge every piece of evidence that the policy asks for."""
    for asked in case.policy.evidence:
        yield _evidence(case, asked)


def _evidence(case: Case, asked: Wanted) -> Result:
    rule = f"evidence.{asked.name}"
    text = f"{asked.type} {asked.name!r} is good"
    if asked.max_age is not None:
        text += f" and at most {spell(asked.max_age)} old"
    found, ignored = case.latest(asked.name, asked.type)
    if found is None:
        reason = "; ".join(["there is none", *ignored])
        lacking = (f"{asked.type} {asked.name!r}",)
        return Result(rule, text, State.DENIED, reason, {"found": None}, lacking)
    seen = {
        "time": found.time,
        "passed": found.passed,
        "digest": found.digest,
        "values": dict(found.values),
        "source": found.source,
        "now": case.context.now,
    }
    age = case.age(found.time)
    reasons = [f"it is {rough(age)} old"]
    good = found.passed is True
    if not good:
        reasons.insert(0, "it failed" if found.passed is False else "it does not say how it ended")
    fresh = asked.max_age is None or age <= asked.max_age
    state = State.PASSED if good and fresh else State.DENIED
    return Result(rule, text, state, "; ".join(reasons + ignored), seen)


def judge_checks(case: Case) -> Iterator[Result]:
    """Judge what every custom check answered."""
    for asked in case.policy.checks:
        yield _check(case, asked)


def _check(case: Case, asked: Check) -> Result:
    rule, text = f"checks.{asked.python}", f"{asked.key} says yes"
    answers = [answer for answer in case.context.answers if answer.check == asked.key]
    if not answers:
        return Result(rule, text, State.DENIED, "it was not asked", {}, (asked.key,))
    answer = min(answers, key=_rank)  # of several the worst
    seen = {"passed": answer.passed, "reason": answer.reason, "values": dict(answer.values)}
    state = State.PASSED if answer.passed is True else State.DENIED
    default = "it gave no answer" if answer.passed is None else "yes" if answer.passed else "no"
    return Result(rule, text, state, answer.reason or default, seen)


def _rank(answer: Answer) -> tuple[int, str]:
    return ((False, None, True).index(answer.passed), repr(answer))
