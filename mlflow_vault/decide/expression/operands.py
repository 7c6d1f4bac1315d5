"""What can be compared with what: sides of a comparison, by what they hold.

The parser hands two sides over and gets a node, or the reason why they do not go together in words
that say what to write instead.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from mlflow_vault.decide.expression.tree import (
    Among,
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
    fields,
)
from mlflow_vault.errors import InvalidInputError
from mlflow_vault.format.digest import Digest

FLIPPED: Final = {"=": "=", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
MAX_PATTERN: Final = 2_000  # characters; it is tried on every value there is
_ARE_NUMBERS: Final = {Type.NUMBER, Type.TIME, Type.DURATION}
_PROMPT: Final = Field("tag", "mlflow.prompt.is_prompt")
_SUMS: Final = {  # what + and - make of two types
    ("+", Type.NUMBER, Type.NUMBER): Type.NUMBER,
    ("-", Type.NUMBER, Type.NUMBER): Type.NUMBER,
    ("*", Type.NUMBER, Type.NUMBER): Type.NUMBER,
    ("*", Type.DURATION, Type.NUMBER): Type.DURATION,
    ("*", Type.NUMBER, Type.DURATION): Type.DURATION,
    ("+", Type.DURATION, Type.DURATION): Type.DURATION,
    ("-", Type.DURATION, Type.DURATION): Type.DURATION,
    ("+", Type.TIME, Type.DURATION): Type.TIME,
    ("+", Type.DURATION, Type.TIME): Type.TIME,
    ("-", Type.TIME, Type.DURATION): Type.TIME,
    ("-", Type.TIME, Type.TIME): Type.DURATION,
}


def calculate(operator: str, left: Operand, right: Operand) -> Arithmetic:
    """Return *left* *operator* *right*.

    Raises:
        InvalidInputError: Those do not go together.
    """
    for side in (left, right):
        if isinstance(side, Field) and side.many:
            raise InvalidInputError(f"{side} may have several values: there is no calculating it")
    types = [Type.NUMBER if side.type is Type.LOOSE else side.type for side in (left, right)]
    made = _SUMS.get((operator, types[0], types[1]))
    if made is None:
        raise InvalidInputError(
            f"{left} is {left.type.value} and {right} is {right.type.value}: "
            f"there is no {operator} of those"
        )
    return Arithmetic(operator, left, right, made)


def compare(left: Operand, comparator: str, right: Operand) -> Expression:
    """Return *left* *comparator* *right*.

    Raises:
        InvalidInputError: Those do not go together.
    """
    if not any(True for side in (left, right) for _ in fields(side)):
        raise InvalidInputError("a comparison needs a name: metrics.f1 > 0.9")
    if isinstance(left, Constant):
        if comparator not in FLIPPED:
            raise InvalidInputError(f"the pattern stands behind {comparator}")
        left, comparator, right = right, FLIPPED[comparator], left
    if isinstance(right, Constant):
        return _with_constant(left, comparator, right)
    for side in (left, right):
        if isinstance(side, Field) and side.many:
            raise InvalidInputError(f"{side} may have several values: compare it with a constant")
    if comparator not in FLIPPED:
        raise InvalidInputError(f"{comparator} needs a pattern in quotes behind it")
    numeric = _numeric(left, right)
    if not numeric and comparator not in {"=", "!="}:
        raise InvalidInputError("text has no order: compare it with =, !=, LIKE, ILIKE or IN")
    return Compare(left, comparator, right, numeric)


def among(field: Field, values: tuple[str, ...] | tuple[float, ...], *, negated: bool) -> Among:
    """Return ``field IN (values)``, or ``NOT IN``.

    Raises:
        InvalidInputError: *field* does not hold such values.
    """
    numeric = not isinstance(values[0], str)
    if numeric and field.type not in {*_ARE_NUMBERS, Type.LOOSE}:
        raise InvalidInputError(f"{field} is {field.type.value}: write the list in quotes")
    if not numeric and field.type not in {Type.TEXT, Type.LOOSE}:
        raise InvalidInputError(f"{field} is {field.type.value}: write the list without quotes")
    if numeric:
        return Among(field, tuple(_number(field, float(value)) for value in values), negated)
    if field == Field("dataset", "digest", field.scope) and all(map(_is_ours, values)):
        field = replace(field, key="b3")
    return Among(field, values, negated)


def flag(operand: Operand) -> Flag:
    """Return a condition that is a name alone.

    Raises:
        InvalidInputError: It is not true or false.
    """
    if not isinstance(operand, Field) or operand.type is not Type.FLAG:
        raise InvalidInputError("a comparison is missing: =, !=, <, <=, >, >=, LIKE, IN, IS NULL")
    return Flag(operand)


def _with_constant(left: Operand, comparator: str, right: Constant) -> Expression:
    value = right.value
    if isinstance(value, bool) or left.type is Type.FLAG:
        return _with_flag(left, comparator, right)
    if not isinstance(value, str):
        return _with_number(left, comparator, right)
    if left.type is Type.TIME and comparator in FLIPPED:
        return Compare(left, comparator, _time(value), numeric=True)
    if _is_version_number(left) and comparator in FLIPPED:
        return Compare(left, comparator, _whole(value), numeric=True)  # as MLflow has it
    if left.type in _ARE_NUMBERS:
        raise InvalidInputError(f"{left} is {left.type.value}: compare it with one without quotes")
    if comparator in {"<", "<=", ">", ">="}:
        raise InvalidInputError("text has no order: for a number, leave the quotes out")
    if comparator in {"LIKE", "ILIKE"} and len(value) > MAX_PATTERN:
        raise InvalidInputError(f"a pattern has at most {MAX_PATTERN:,} characters")
    if left == Field("dataset", "digest", _scope(left)) and _is_ours(value):
        left = Field("dataset", "b3", _scope(left), many=True)
    node = Compare(left, comparator, right, numeric=False)
    if left == _PROMPT and (comparator, value) in {("=", "false"), ("!=", "true")}:
        return Or((node, Missing(_PROMPT)))  # as MLflow has it: what has no such tag is no prompt
    return node


def _with_flag(left: Operand, comparator: str, right: Constant) -> Expression:
    if left.type is not Type.FLAG:
        raise InvalidInputError(f"{left} is {left.type.value}, not true or false")
    if not isinstance(right.value, bool) or comparator not in {"=", "!="}:
        raise InvalidInputError(f"{left} is true or false: compare it with = true or = false")
    return flag(left) if right.value is (comparator == "=") else Not(flag(left))


def _with_number(left: Operand, comparator: str, right: Constant) -> Expression:
    if comparator not in FLIPPED:
        raise InvalidInputError(f"{comparator} needs a pattern in quotes behind it")
    if left.type is Type.TEXT:
        raise InvalidInputError(f"{left} is text: compare it with text in quotes")
    plain = right.type is Type.NUMBER  # a time may be given in milliseconds, as MLflow has it
    if not (plain and left.type is Type.TIME):
        _numeric(left, right)
    if isinstance(left, Field) and isinstance(right.value, int | float):
        right = replace(right, value=_number(left, right.value))
    return Compare(left, comparator, right, numeric=True)


def _numeric(left: Operand, right: Operand) -> bool:
    """Whether the two are compared as numbers, or as text."""
    types = {left.type, right.type}
    if types <= {Type.TEXT, Type.LOOSE}:
        return False
    if types <= {Type.NUMBER, Type.LOOSE} or (len(types) == 1 and types <= _ARE_NUMBERS):
        return True
    raise InvalidInputError(
        f"{left} is {left.type.value} and {right} is {right.type.value}: those cannot be compared"
    )


def _number(field: Field, value: float) -> float:
    """*value* as it is compared with *field*: MLflow's version numbers are whole."""
    if _is_version_number(field):
        return int(_whole(value).value)
    return value if field.type is Type.TIME else _float(value)


def _is_version_number(operand: Operand) -> bool:
    return isinstance(operand, Field) and (operand.kind, operand.key) == ("attribute", "number")


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _whole(value: float | str) -> Constant:
    try:
        return Constant(int(value), Type.NUMBER)
    except (OverflowError, ValueError) as cause:
        raise InvalidInputError(f"a version's number is whole, and {value!r} is not") from cause


def _time(text: str) -> Constant:
    """Read ``2026-03-01`` or ``2026-03-01T12:00Z``; UTC where it does not say."""
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return Constant(round(moment.timestamp() * 1000), Type.TIME)
    except (OverflowError, ValueError) as cause:
        raise InvalidInputError(
            f"{text!r} is no time; write '2026-03-01', '2026-03-01T12:00Z' or now - 7d"
        ) from cause


def _scope(operand: Operand) -> str:
    return operand.scope if isinstance(operand, Field) else ""


def _is_ours(value: object) -> bool:
    """Whether *value* spells a full digest, which MLflow's never do: those have 36 characters."""
    try:
        Digest.parse(str(value))
    except InvalidInputError:
        return False
    return True
