"""Whether a candidate accepts what production accepts, and returns what production returns.

Whoever calls production today has to get an answer from the candidate tomorrow:

    inputs     what the candidate requires, production required with a type that fits into it;
               what production knows and the candidate does not is ignored, as MLflow ignores it
    params     what can be given to production can be given to the candidate
    outputs    what production returned is returned, with a type that fits into the one before

A type fits where MLflow converts it without loss: integer into long and double, float into double.

Facts are what a model's file says, so nothing in them is believed to have a shape.  Pure: no I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mlflow_vault.decide.policy.schema import Signature
from mlflow_vault.decide.policy.verdict import Result, State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow_vault.decide.policy.evidence import Subject
    from mlflow_vault.decide.policy.rules.case import Case

_FITS: Final = {("integer", "long"), ("integer", "double"), ("float", "double")}
_SHOWN: Final = 5
_DEEPEST: Final = 30


def judge_signature(case: Case) -> Iterator[Result]:
    """Judge the rule ``signature``, if the policy has it."""
    asked = case.policy.signature
    if asked is None:
        return
    holds, reason, missing = compatible(case)
    parts = [name for name in ("inputs", "outputs", "params") if getattr(asked, name)]
    yield Result(
        "signature",
        f"{', '.join(parts)} compatible with the baseline's",
        State.PASSED if holds else State.DENIED,
        reason,
        seen(case),
        missing,
    )


def seen(case: Case) -> dict[str, Any]:
    """Return both signatures."""
    found = {"signature": _signature(case.candidate)}
    if case.baseline is not None:
        found["baseline.signature"] = _signature(case.baseline)
    return found


def compatible(case: Case) -> tuple[bool | None, str, tuple[str, ...]]:
    """Whether the signatures are compatible, None if that is unknown; why; what is missing."""
    if case.excused:
        return True, "there is no baseline", ()
    asked = case.policy.signature or Signature()
    new = _signature(case.candidate)
    old = _signature(case.baseline) if case.baseline is not None else None
    lacking = [
        name for name, told in (("signature", new), ("baseline.signature", old)) if told is None
    ]
    if new is None or old is None:
        return None, " and ".join(f"{name} is missing" for name in lacking), tuple(lacking)
    try:
        broken = list(_broken(old, new, asked))
    except _OddError as odd:
        return None, f"a signature is not as MLflow writes it: {odd}", ("signature",)
    more = f" and {len(broken) - _SHOWN} more" if len(broken) > _SHOWN else ""
    reason = "; ".join(broken[:_SHOWN]) + more
    return not broken, reason or "it accepts what the baseline accepts", ()


class _OddError(Exception):
    """A signature has no shape that can be compared."""


def _signature(subject: Subject) -> dict[str, Any] | None:
    found = subject.facts.get("signature")
    return found if isinstance(found, dict) and found.get("inputs") is not None else None


def _broken(old: dict[str, Any], new: dict[str, Any], asked: Signature) -> Iterator[str]:
    if asked.inputs:
        yield from _accepts("inputs", _columns(old["inputs"]), _columns(new["inputs"]))
    if asked.outputs:
        yield from _returns(_columns(old.get("outputs") or []), _columns(new.get("outputs") or []))
    if asked.params:
        yield from _takes(_columns(old.get("params") or []), _columns(new.get("params") or []))


def _columns(told: Any) -> dict[str, dict[str, Any]]:
    """Columns by name; by place where they have none."""
    if not isinstance(told, list):
        raise _OddError("a list is expected")
    found = {}
    for at, column in enumerate(told):
        if not isinstance(column, dict) or not isinstance(column.get("type"), str):
            raise _OddError(f"column {at + 1} has no type")
        name = column.get("name")
        found[str(name) if name is not None else f"[{at}]"] = column
    if len(found) != len(told):
        raise _OddError("two columns have one name")
    return found


def _accepts(
    where: str, old: dict[str, dict[str, Any]], new: dict[str, dict[str, Any]]
) -> Iterator[str]:
    for name, column in new.items():
        before = old.get(name)
        if before is None:
            if _required(column):
                yield f"{where} {name!r} is required and the baseline has no such"
            continue
        if _required(column) and not _required(before):
            yield f"{where} {name!r} is required and was optional"
        if not _fits(before, column):
            yield f"{where} {name!r} takes {_type(column)}, the baseline takes {_type(before)}"
    unnamed = [name for name in old if name.startswith("[") and name not in new]
    if unnamed:  # what has no name is told apart by its place: none can be left out
        yield f"{where} are fewer than the baseline's"


def _returns(old: dict[str, dict[str, Any]], new: dict[str, dict[str, Any]]) -> Iterator[str]:
    for name, before in old.items():
        column = new.get(name)
        if column is None:
            yield f"outputs {name!r} is gone"
        elif _required(before) and not _required(column):
            yield f"outputs {name!r} was always there and is optional now"
        elif not _fits(column, before):
            yield f"outputs {name!r} is {_type(column)}, the baseline's is {_type(before)}"
    if old and any(name.startswith("[") for name in old) and len(new) > len(old):
        yield "outputs are more than the baseline's, and have no names"


def _takes(old: dict[str, dict[str, Any]], new: dict[str, dict[str, Any]]) -> Iterator[str]:
    for name, before in old.items():
        column = new.get(name)
        if column is None:
            yield f"params {name!r} is gone"
        elif not _fits(before, column) or before.get("shape") != column.get("shape"):
            yield f"params {name!r} takes {_type(column)}, the baseline takes {_type(before)}"


def _fits(narrow: Any, wide: Any, depth: int = 0) -> bool:
    """Whether every value of the type *narrow* is one of the type *wide*."""
    if depth > _DEEPEST or not isinstance(narrow, dict) or not isinstance(wide, dict):
        raise _OddError("a type is nested too deeply, or is none")
    kind, into = narrow.get("type"), wide.get("type")
    if into == "any":
        return True
    if kind != into:
        return (kind, into) in _FITS
    if kind == "tensor":
        return _tensor(narrow.get("tensor-spec"), wide.get("tensor-spec"))
    if kind == "object":
        return _object(narrow.get("properties"), wide.get("properties"), depth + 1)
    inner = {"array": "items", "map": "values"}.get(str(kind))
    return inner is None or _fits(narrow.get(inner), wide.get(inner), depth + 1)


def _object(narrow: Any, wide: Any, depth: int) -> bool:
    if not isinstance(narrow, dict) or not isinstance(wide, dict):
        raise _OddError("an object has no properties")
    for name, inner in wide.items():
        if not isinstance(inner, dict):
            raise _OddError(f"the property {name!r} has no type")
        before = narrow.get(name)
        if before is None:
            if _required(inner):
                return False
        elif (_required(inner) and not _required(before)) or not _fits(before, inner, depth):
            return False
    return narrow.keys() <= wide.keys()  # MLflow refuses properties that it does not know


def _tensor(narrow: Any, wide: Any) -> bool:
    if not isinstance(narrow, dict) or not isinstance(wide, dict):
        raise _OddError("a tensor has no type")
    sizes, bounds = narrow.get("shape"), wide.get("shape")
    if not isinstance(sizes, list | tuple) or not isinstance(bounds, list | tuple):
        raise _OddError("a tensor has no shape")
    same = narrow.get("dtype") == wide.get("dtype") and len(sizes) == len(bounds)
    return same and all(bound in (-1, size) for size, bound in zip(sizes, bounds, strict=True))


def _required(column: Any) -> bool:
    return not isinstance(column, dict) or column.get("required", True) is not False


def _type(column: dict[str, Any]) -> str:
    kind = "optional " if not _required(column) else ""
    if column["type"] == "tensor" and isinstance(column.get("tensor-spec"), dict):
        spec = column["tensor-spec"]
        return f"{kind}{spec.get('dtype')!s:.40}{spec.get('shape')!s:.80}"
    return f"{kind}{column['type']:.40}"
