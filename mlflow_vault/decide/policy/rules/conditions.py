"""Conditions in the filter language: only what is known to be true passes.

Pure: no I/O.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mlflow_vault.decide import expression
from mlflow_vault.decide.expression import NOW, Field, Value, fields
from mlflow_vault.decide.policy.rules import environments, signatures
from mlflow_vault.decide.policy.verdict import Result, State
from mlflow_vault.decide.policy.vocabulary import FLAGS, read_condition

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mlflow_vault.decide.policy.rules.case import Case


def judge_conditions(case: Case) -> Iterator[Result]:
    """Judge every condition that the policy requires."""
    for at, text in enumerate(case.policy.require):
        tree = read_condition(text)
        asked = {field: _ask(case, field) for field in fields(tree)}
        holds = expression.judge(tree, asked.get)
        lacking = (str(field) for field, value in asked.items() if value in (None, ()))
        missing = () if holds is True else tuple(lacking)
        yield Result(
            f"require[{at}]",
            " ".join(text.split()),
            State.PASSED if holds is True else State.DENIED,
            _reason(case, holds, asked),
            _seen(case, asked),
            missing,
        )


def _reason(
    case: Case,
    holds: bool | None,  # noqa: FBT001 - three values
    asked: Mapping[Field, Value],
) -> str:
    lacking = [field for field, value in asked.items() if value in (None, ())]
    told = [f"{field} is {_text(value)}{_because(case, field)}" for field, value in asked.items()]
    if holds is None and lacking:
        told = [f"{field} is missing{_because(case, field)}" for field in lacking]
    return ("unknown, which denies: " if holds is None else "") + "; ".join(told)


def _because(case: Case, field: Field) -> str:
    """Say why a flag is what it is."""
    if field.kind != "attribute" or field.scope or field.key not in FLAGS:
        return ""
    reason = _flag(case, field.key)[1]
    return f" ({reason})" if reason else ""


def _seen(case: Case, asked: Mapping[Field, Value]) -> dict[str, Any]:
    """Return every value that was looked at, and what flags were made of."""
    found: dict[str, Any] = {}
    for field, value in asked.items():
        found[str(field)] = list(value) if isinstance(value, tuple) else value
        if field.kind == "attribute" and field.key == "signature_compatible":
            found |= signatures.seen(case)
        elif field.kind == "attribute" and field.key == "environment_compatible":
            found |= environments.seen(case)
    return found


def _text(value: Value) -> str:
    if value in (None, ()):
        return "missing"
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(value)[:80] if isinstance(value, tuple) else f"{value!s:.80}"


def _ask(case: Case, field: Field) -> Value:
    """Return the value of *field*, None where there is none."""
    if field.scope == "baseline":
        values = case.baseline.values if case.baseline is not None else {}
        return values.get(replace(field, scope=""))
    match field.kind:
        case NOW.kind:
            return case.context.now
        case "evidence":
            return _of_evidence(case, field.key)
        case "environment":
            return _of_production(case, field)
        case "attribute" if field.key in FLAGS:
            return _flag(case, field.key)[0]
    return case.candidate.values.get(field)


def _flag(case: Case, key: str) -> tuple[bool | None, str]:
    match key:
        case "signature_compatible":
            return signatures.compatible(case)[:2]
        case "environment_compatible":
            return environments.compatible(case)[:2]
        case "verified":
            return case.context.verified.holds, case.context.verified.reason
    return case.context.signed.holds, case.context.signed.reason


def _of_evidence(case: Case, key: str) -> Value:
    name, _, fact = key.rpartition(".")
    found, _ = case.latest(name)
    if found is None:
        return None
    if fact == "age":
        return case.age(found.time)
    if fact == "passed":
        return found.passed
    value = found.values.get(fact)
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, int | float | str) else None


def _of_production(case: Case, field: Field) -> Value:
    found = case.production() or {}
    if field.key == "gpu":
        cards = found.get("gpus")
        return tuple(sorted(map(str, cards))) if isinstance(cards, list) else None
    value = found.get(field.key)
    if field.key == "memory":
        return value if isinstance(value, int) and not isinstance(value, bool) else None
    return value if isinstance(value, str) and value else None
