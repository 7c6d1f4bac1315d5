"""Metrics against a threshold and against the baseline's, as `mlflow.models.MetricThreshold` says.

Where MLflow answers, this answers the same, but for what is missing, NaN or infinite: MLflow lets
``-inf`` pass where lower is better and ends with an error on a baseline that is NaN; here either
denies.

Pure: no I/O.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.decide.policy.verdict import Result, State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow_vault.decide.policy.evidence import Subject
    from mlflow_vault.decide.policy.rules.case import Case
    from mlflow_vault.decide.policy.schema import Threshold

_LEAST: Final = 1e-10  # what counts as better than a baseline of 0, as MLflow has it


def judge_metrics(case: Case) -> Iterator[Result]:
    """Judge every metric that the policy names."""
    for name, wanted in case.policy.metrics.items():
        yield _judge(case, name, wanted)


def _judge(case: Case, name: str, wanted: Threshold) -> Result:
    label = f"metrics.{name}"
    seen: dict[str, Any] = {label: _told(case.candidate, name)}
    broken, missing = [], []
    value = _number(seen[label])
    if value is None:
        missing.append(label)
    elif wanted.threshold is not None and not _reaches(value, wanted.threshold, wanted):
        broken.append(f"{value:g} does not reach {wanted.threshold:g}")
    if wanted.compares and not case.excused:
        seen[f"baseline.{label}"] = _told(case.baseline, name)
        before = _number(seen[f"baseline.{label}"])
        if before is None:
            missing.append(f"baseline.{label}")
        elif value is not None:
            broken += _compared(value, before, wanted)
    reasons = [_lacking(one, seen[one]) for one in missing] + broken
    state = State.DENIED if reasons else State.PASSED
    reason = "; ".join(reasons) or f"{value:g}"
    return Result(label, _text(wanted), state, reason, seen, tuple(missing))


def _compared(value: float, before: float, wanted: Threshold) -> Iterator[str]:
    sign = 1 if wanted.greater_is_better else -1
    change = wanted.min_absolute_change
    if change is not None and not _reaches(value, before + sign * change, wanted):
        yield f"{value:g} is not {change:g} better than {before:g}"
    relative = wanted.min_relative_change
    if relative is None:
        return
    if before == 0:
        if not _reaches(value, sign * _LEAST, wanted):
            yield f"{value:g} is not better than 0"
    elif sign * (value - before) / abs(before) < relative:
        yield f"{value:g} is not {relative:.6g} times better than {before:g}"


def _reaches(value: float, bound: float, wanted: Threshold) -> bool:
    if not math.isfinite(bound):
        return False
    exact, least = Decimal(value), Decimal(bound)
    return exact >= least if wanted.greater_is_better else exact <= least


def _told(subject: Subject | None, name: str) -> Any:
    metrics = subject.facts.get("metrics") if subject is not None else None
    return metrics.get(name) if isinstance(metrics, dict) else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _lacking(name: str, value: Any) -> str:
    return f"{name} is missing" if value is None else f"{name} is no finite number: {value!r:.80}"


def _text(wanted: Threshold) -> str:
    sign = ">=" if wanted.greater_is_better else "<="
    word = "above" if wanted.greater_is_better else "below"
    parts = []
    if wanted.threshold is not None:
        parts.append(f"{sign} {wanted.threshold:g}")
    if wanted.min_absolute_change is not None:
        parts.append(f"{wanted.min_absolute_change:g} {word} the baseline")
    if wanted.min_relative_change is not None:
        parts.append(f"{wanted.min_relative_change:.6g} times {word} the baseline")
    return ", ".join(parts)
