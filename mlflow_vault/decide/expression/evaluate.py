"""Whether a filter fits, in three values: true, false, and unknown for what is missing.

A comparison with something missing is unknown, and so is NOT of it; ``AND``, ``OR`` and ``NOT`` are
SQL's:

    unknown AND false = false       unknown OR true = true       NOT unknown = unknown

Only what is *true* fits.  So where a metric is missing, neither ``metrics.f1 > 0.9`` nor
``NOT metrics.f1 > 0.9`` fits, and a policy that asks either denies.  ``IS NULL`` is never unknown.

A NaN is like something missing, with one exception: a search finds it with ``!=``, as MLflow's does
(`evaluate`).  A verdict knows nothing of it, nor of what is infinite (`judge`).

Of several values - datasets, aliases - one that fits is enough, and NOT means that none does.  No
dataset is unknown, since it may merely not have been recorded; no alias is known to be none.
"""

from __future__ import annotations

import math
import operator
import re
from typing import TYPE_CHECKING, Final, TypeAlias

from mlflow_vault.decide.expression.likeness import is_like
from mlflow_vault.decide.expression.tree import (
    Among,
    And,
    Arithmetic,
    Compare,
    Constant,
    Expression,
    Field,
    Flag,
    Missing,
    Not,
    Operand,
    Or,
    Type,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Value: TypeAlias = bool | int | float | str | tuple[str, ...] | None
Lookup: TypeAlias = "Callable[[Field], Value]"

_ORDERS: Final[dict[str, Callable[[float, float], bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_CALCULATIONS: Final[dict[str, Callable[[float, float], float]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
}
_NUMBER: Final = re.compile(r"\s*[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?\s*")


def evaluate(expression: Expression, lookup: Lookup) -> bool:
    """Whether a search finds what *lookup* tells of.

    Args:
        expression: What is searched for.
        lookup: The value of a field, None where there is none.  Of a field that may have many a
            tuple, empty if it is known to have none.  ``now`` is a field too: `tree.NOW`.
    """
    return _judge(expression, lookup, searching=True) is True


def judge(expression: Expression, lookup: Lookup) -> bool | None:
    """Whether *expression* holds, None where that is unknown; for verdicts, which deny then."""
    return _judge(expression, lookup, searching=False)


def as_number(value: Value) -> float | None:
    """Return *value* as a number, None if it is none; text that reads as one is one.

    >>> as_number("1e-3"), as_number("many"), as_number(True)
    (0.001, None, None)
    """
    if isinstance(value, str):
        return float(value) if _NUMBER.fullmatch(value) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value


def _judge(expression: Expression, lookup: Lookup, *, searching: bool) -> bool | None:
    found: bool | None
    match expression:
        case And() | Or():
            parts = (_judge(part, lookup, searching=searching) for part in expression.parts)
            found = _joined(parts, decisive=isinstance(expression, Or))
        case Not():
            part = _judge(expression.part, lookup, searching=searching)
            found = None if part is None else not part
        case Missing():
            found = (lookup(expression.field) in (None, ())) is not expression.negated
        case Flag():
            value = lookup(expression.field)
            found = value if isinstance(value, bool) else None
        case Among():
            found = _among(expression, lookup, searching=searching)
        case Compare():
            found = _compare(expression, lookup, searching=searching)
    return found


def _joined(parts: Iterable[bool | None], *, decisive: bool) -> bool | None:
    """Join *parts*, of which a *decisive* one decides: false for AND, true for OR."""
    found: bool | None = not decisive
    for part in parts:
        if part is decisive:
            return part
        found = None if part is None else found
    return found


def _compare(node: Compare, lookup: Lookup, *, searching: bool) -> bool | None:
    if node.numeric:
        left, right = _number(node.left, lookup), _number(node.right, lookup)
        if left is None or right is None:
            return None
        return _differ(left, node.comparator, right, searching=searching)
    wanted = _text(node.right, lookup)
    value = _text(node.left, lookup)
    if value is None or not isinstance(wanted, str):
        return None
    if isinstance(value, tuple):
        return any(_fits(one, node.comparator, wanted) for one in value)
    return _fits(value, node.comparator, wanted)


def _differ(left: float, comparator: str, right: float, *, searching: bool) -> bool | None:
    if not searching and not (math.isfinite(left) and math.isfinite(right)):
        return None
    if math.isnan(left) or math.isnan(right):
        return True if comparator == "!=" else None
    return _ORDERS[comparator](left, right)


def _fits(value: str, comparator: str, wanted: str) -> bool:
    if comparator in {"=", "!="}:
        return (value == wanted) is (comparator == "=")
    return is_like(value, wanted, fold=comparator == "ILIKE")


def _among(node: Among, lookup: Lookup, *, searching: bool) -> bool | None:
    if node.numeric:
        number = _number(node.field, lookup)
        if number is None or math.isnan(number) or not (searching or math.isfinite(number)):
            return None
        return (number in node.values) is not node.negated
    value = _text(node.field, lookup)
    if isinstance(value, tuple):
        return any((one in node.values) is not node.negated for one in value)
    return None if value is None else (value in node.values) is not node.negated


def _text(operand: Operand, lookup: Lookup) -> str | tuple[str, ...] | None:
    value = operand.value if isinstance(operand, Constant) else _ask(operand, lookup)
    return value if isinstance(value, str | tuple) else None


def _ask(operand: Operand, lookup: Lookup) -> Value:
    return lookup(operand) if isinstance(operand, Field) else None


def _number(operand: Operand, lookup: Lookup) -> float | None:
    match operand:
        case Constant():
            return as_number(operand.value)
        case Field():
            value = lookup(operand)
            if isinstance(value, str) and operand.type is not Type.LOOSE:
                return None
            return as_number(value)
        case Arithmetic():
            left, right = _number(operand.left, lookup), _number(operand.right, lookup)
            if left is None or right is None:
                return None
            return _CALCULATIONS[operand.operator](_double(left), _double(right))


def _double(value: float) -> float:
    """*value* as SQLite calculates with it."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
